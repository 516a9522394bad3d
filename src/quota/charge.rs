//! Charging a call that came by no proxy, and holding what one will cost.
//!
//! It is decided as a proxy's call with these entries alone would be. Under an id it is charged
//! once, however often it is asked.

use smallvec::smallvec;

use crate::audit::Who;
use crate::calendar;
use crate::limit::Budget;
use crate::limiter::{IdUse, Reading, Standing, Verdict};
use crate::query::{Descriptor, Hits, Query, Wanted};
use crate::rules::{Domain, RuleSet};
use crate::store::Room;
use crate::store::ledger::{Note, Receipt};
use crate::time::{SECOND_US, Timestamp};

use super::made::{Made, on_disk};
use super::{Changed, Quota, Refusal, Subject, Use, id, resolve, usage, words};

/// How long the id of what was charged is known: a day covers every queue that tries again.
pub const REMEMBERED_US: u64 = 24 * 3600 * SECOND_US;

/// What a reservation without a span is held for.
const RESERVED_S_USUAL: u64 = 5 * 60;

/// No reservation is held for longer: what nobody settles in a day is settled by nobody.
const RESERVED_S_MAX: u64 = 24 * 3600;

/// More is a slip, and numbers that people adjust end here as well.
pub const HITS_MAX: u64 = i64::MAX as u64;

/// What is to be charged.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// None of them asks how one hit would fare, and charges nothing.
    pub hits: u64,
    pub id: Option<&'a str>,
}

/// What is to be held until its true cost is known.
#[derive(Clone, Copy, Debug)]
pub struct Reserve<'a> {
    /// The estimate.
    pub hits: u64,
    pub id: &'a str,
    /// Seconds after which it ends by itself; 300 if nothing is said.
    pub expires_s: Option<u64>,
}

/// What became of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    pub admitted: bool,
    /// It was charged before, and is not charged again.
    pub repeated: bool,
    /// Refused: seconds after which the same would pass, rounded up; none if it never would.
    pub retry_after_seconds: Option<u64>,
    /// Every limit, as it stands now.
    pub limits: Vec<Stand>,
    /// Rules that apply but serve no plan, and so refuse it.
    pub refusing: Vec<String>,
    /// The rule by whose ban it is refused.
    pub banned_by: Option<String>,
}

/// What became of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub charged: Charged,
    /// When it ends by itself; none if it was refused.
    pub expires_at: Option<String>,
}

/// One limit after a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    pub limit: Use,
    /// Whether it refuses the charge.
    pub refuses: bool,
    /// Seconds until it would let the same pass; none if it never would, or lets it now.
    pub retry_after_seconds: Option<u64>,
}

impl Quota {
    /// Charges these entries, all their limits or none. Repeats under an id change nothing; the
    /// same id for something else is refused. What is refused is not remembered.
    pub async fn charge(
        &self,
        who: Who,
        subject: &Subject<'_>,
        charge: Charge<'_>,
    ) -> Result<Charged, Refusal> {
        let (charged, made) = {
            let rules = self.gate.rules();
            let id = charge.id.filter(|_| charge.hits > 0);
            let terms = id.map(|id| Terms { id, for_us: REMEMBERED_US, open: false });
            self.take(&rules, subject, charge.hits, terms)?
        };
        self.told(who, "charge", &charged, made).await?;
        Ok(charged)
    }

    /// Charges an estimate, to be settled under its id.
    pub async fn reserve(
        &self,
        who: Who,
        subject: &Subject<'_>,
        reserve: Reserve<'_>,
    ) -> Result<Reserved, Refusal> {
        let expires_s = reserve.expires_s.unwrap_or(RESERVED_S_USUAL);
        if !(1..=RESERVED_S_MAX).contains(&expires_s) {
            let what = format!("expires_seconds is {expires_s}; write 1 to {RESERVED_S_MAX}");
            return Err(Refusal::Invalid(what));
        }
        if reserve.hits == 0 {
            return Err(Refusal::Invalid("an estimate of 0 hits holds nothing".into()));
        }
        let (charged, expires_at, made) = {
            let rules = self.gate.rules();
            let for_us = expires_s * SECOND_US;
            let terms = Terms { id: reserve.id, for_us, open: true };
            let (charged, made) = self.take(&rules, subject, reserve.hits, Some(terms))?;
            let expires_at = self.reserved_until(&rules, subject, reserve.id, made.at)?;
            (charged, expires_at, made)
        };
        self.told(who, "reserve", &charged, made).await?;
        Ok(Reserved { charged, expires_at })
    }

    /// Waits until what was charged is on disk, and leaves a line if anything was.
    async fn told(
        &self,
        who: Who,
        what: &str,
        charged: &Charged,
        made: Made,
    ) -> Result<(), Refusal> {
        if made.counters.is_empty() || charged.repeated {
            return on_disk(&self.gate, made.ticket).await;
        }
        self.write(who, what, made).await.map(drop)
    }

    /// The rules are held for this long and no longer: not across a wait.
    fn take(
        &self,
        rules: &RuleSet,
        subject: &Subject<'_>,
        hits: u64,
        terms: Option<Terms<'_>>,
    ) -> Result<(Charged, Made), Refusal> {
        self.restored()?;
        if HITS_MAX < hits {
            return Err(Refusal::Invalid(format!("{hits} hits are more than {HITS_MAX}")));
        }
        let domain = resolve::domain(rules, subject)?;
        let wanted = terms.map(|terms| terms.wanted(rules, domain, subject, hits)).transpose()?;
        let asked = if hits == 0 { Hits::Peek } else { Hits::Take(hits) };
        let descriptor = Descriptor { entries: subject.entries.clone(), hits: asked, limit: None };
        let query =
            Query { domain: subject.domain, descriptors: smallvec![descriptor], receipt: wanted };
        let verdict = self.gate.decide_telling(rules, &query);
        if verdict.id == IdUse::Clashing {
            let what = "this id was used for something else within the last 24 hours; take another";
            return Err(Refusal::Exists(what.into()));
        }
        let charged = charged(&verdict, domain, subject);
        let mut made = Made::of(domain, subject, verdict.at);
        made.ticket = verdict.ticket;
        made.synced = false;
        made.details.push(("hits", hits.to_string()));
        made.details.extend(terms.map(|terms| ("id", crate::rules::end_of(terms.id))));
        if hits > 0 {
            made.counters =
                verdict.readings.iter().filter(|it| it.taken > 0).map(changed).collect();
        }
        Ok((charged, made))
    }

    /// Until when a reservation is held; none if there is none. One that was settled already
    /// cannot be made again under its id.
    fn reserved_until(
        &self,
        rules: &RuleSet,
        subject: &Subject<'_>,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<String>, Refusal> {
        let domain = resolve::domain(rules, subject)?;
        let key = id::receipt(id::identity(rules, domain, subject, id)?);
        let open = self.gate.memory().ledger().open(&[key]);
        match open.get(key, now) {
            Some(Note::Receipt(Receipt { open: false, hits, .. })) => {
                let what = format!("this id was settled already, at {hits} hits; take another");
                Err(Refusal::Exists(what))
            }
            Some(_) => Ok(open.expires_at(key).map(calendar::rfc3339)),
            None => Ok(None),
        }
    }
}

/// Under which terms something is charged.
#[derive(Clone, Copy)]
struct Terms<'a> {
    id: &'a str,
    for_us: u64,
    open: bool,
}

impl Terms<'_> {
    fn wanted(
        self,
        rules: &RuleSet,
        domain: &Domain,
        subject: &Subject<'_>,
        hits: u64,
    ) -> Result<Wanted, Refusal> {
        let Terms { id, for_us, open } = self;
        let what = if open { "reserve" } else { "charge" };
        let (hits, for_text) = (hits.to_string(), for_us.to_string());
        let arguments = id::arguments(rules, subject, [what, &hits, &for_text]);
        let id = id::identity(rules, domain, subject, id)?;
        Ok(Wanted { id, arguments, for_us, open })
    }
}

fn charged(verdict: &Verdict<'_>, domain: &Domain, subject: &Subject<'_>) -> Charged {
    let repeated = verdict.id == IdUse::Repeated;
    let admitted = verdict.admitted || repeated;
    let refusing = verdict.readings.iter().filter(|reading| reading.refuses());
    let waits = refusing.map(|reading| match reading.room {
        Room::After(wait_us) => Some(wait_us),
        Room::Enough | Room::Never => None,
    });
    let ban = verdict.statuses.first().and_then(|status| match status.standing {
        Standing::Banned { rule, reset_us } if !admitted => Some((rule, reset_us)),
        _ => None,
    });
    // One that never has room outweighs every wait; where no limit refuses, there is none.
    let longest = waits.collect::<Option<Vec<_>>>().and_then(|waits| waits.into_iter().max());
    let longest = ban.map_or(longest, |(_, reset_us)| Some(reset_us));
    Charged {
        admitted,
        repeated,
        retry_after_seconds: longest.map(usage::seconds),
        limits: verdict.readings.iter().filter_map(|it| stand(it, verdict.at)).collect(),
        refusing: if admitted {
            Vec::new()
        } else {
            resolve::without_plan(domain, subject, verdict.at)
        },
        banned_by: ban.map(|(rule, _)| rule.to_owned()),
    }
}

fn stand(reading: &Reading<'_>, now: Timestamp) -> Option<Stand> {
    let rule = reading.rule?;
    let requests = match reading.budget {
        Budget::Requests(requests) => Some(requests),
        Budget::Unlimited => None,
    };
    let refuses = reading.refuses();
    let wait_us = match reading.room {
        Room::After(wait_us) if refuses => Some(wait_us),
        _ => None,
    };
    let limit = Use {
        rule: rule.name.to_string(),
        limit: words::name_within(rule, reading.label).to_owned(),
        used: reading.used,
        requests,
        remaining: requests.map(|_| reading.remaining),
        granted: (reading.granted > 0).then_some(reading.granted),
        granted_until: None,
        per: words::per(reading.per),
        on_exceed: words::on_exceed(reading.on_exceed),
        reset_seconds: usage::seconds(reading.reset_us),
        reset_at: calendar::rfc3339(now.plus(reading.reset_us)),
    };
    let retry_after_seconds = wait_us.map(usage::seconds);
    Some(Stand { limit, refuses, retry_after_seconds })
}

fn changed(reading: &Reading<'_>) -> Changed {
    let before = reading.used.saturating_sub(reading.taken);
    Changed { limit: reading.label.to_owned(), before, after: reading.used }
}
