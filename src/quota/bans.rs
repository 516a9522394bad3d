//! Who is kept out: people see bans, set them by hand and lift them.
//!
//! A ban is found by its rule and the values that the rule counts by, in the same way as a call
//! meets it; or by the id with which it is listed, for whoever sees a ban and has no such values.

use std::cmp::Reverse;

use crate::audit::Who;
use crate::calendar;
use crate::key::Identity;
use crate::limit::Durability;
use crate::query::Entries;
use crate::rules::{Domain, Network, Rule, Stance};
use crate::store::NoteKey;
use crate::store::journal::Ticket;
use crate::store::ledger::{self, Kind, Note};
use crate::time::{SECOND_US, Timestamp};

use super::made::{Made, ToldBan};
use super::{Quota, Refusal, Subject, resolve};

/// Bans of one answer.
pub const BANS_MAX: usize = 1000;

/// And so many where the question does not say.
pub const BANS_USUAL: usize = 100;

/// A ban by hand lasts a year at most, as one of the rules does.
const FOR_S_MAX: u64 = 365 * 86_400;

/// What is said of a ban is a sentence; it is kept with the ban and shown with it.
const WHY_CHARS_MAX: usize = 200;

/// What is said where somebody sets a ban and does not say why.
const BY_HAND: &str = "set by hand";

/// What is answered to whoever names no ban, or one in two ways.
pub const WHICH_BAN: &str = "name the ban by its `id`, or by `rule` and `entries`";

/// A ban in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanInForce {
    /// Sixteen digits by which it can be lifted. Who is banned again by the rule has the same.
    pub id: String,
    pub rule: String,
    /// Whom it keeps out, as values are shown to people.
    pub values: Vec<(String, String)>,
    pub why: String,
    pub since: String,
    pub until: String,
    /// Until it ends, rounded up.
    pub reset_seconds: u64,
    /// How many bans in a row this is.
    pub strikes: u32,
    /// Only shown: nobody is kept out.
    pub shadow: bool,
}

/// The latest bans of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bans {
    pub bans: Vec<BanInForce>,
    /// How many are in force, shown or not.
    pub total: u64,
}

/// How the bans of one rule stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanCount {
    pub domain: String,
    pub rule: String,
    pub in_force: u64,
    /// Since the rules were loaded.
    pub fallen: u64,
}

/// A ban that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Sentence<'a> {
    pub rule: &'a str,
    pub for_s: u64,
    pub why: Option<&'a str>,
}

impl Quota {
    /// So many of the bans in force, the latest first; of one rule if it is named.
    pub fn bans(&self, domain: &str, rule: Option<&str>, limit: usize) -> Result<Bans, Refusal> {
        self.restored()?;
        if !(1..=BANS_MAX).contains(&limit) {
            return Err(Refusal::Invalid(format!("limit is {limit}; write 1 to {BANS_MAX}")));
        }
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let unknown = || format!("no rules are loaded for domain `{domain}`");
        let found = rules.domain(domain).ok_or_else(|| Refusal::NotFound(unknown()))?;
        if let Some(rule) = rule {
            rule_with_bans(found, rule)?;
        }
        let asked =
            |ban: &ledger::Ban| *ban.domain == *domain && rule.is_none_or(|it| it == ban.rule);
        let all = self.all_bans(now);
        let mut bans: Vec<_> = in_force(&all, now).filter(|(_, ban)| asked(ban)).collect();
        bans.sort_by(|a, b| {
            (Reverse(a.1.since_us), &a.1.values).cmp(&(Reverse(b.1.since_us), &b.1.values))
        });
        let total = bans.len() as u64;
        let bans = bans.iter().take(limit).map(|(key, ban)| shown(found, *key, ban, now)).collect();
        Ok(Bans { bans, total })
    }

    /// How many bans of each rule are in force and have fallen, in the order of the rules.
    pub fn ban_counts(&self) -> Vec<BanCount> {
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let mut domains: Vec<_> = rules.domains().collect();
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        let of = |domain: &Domain, rule: &Rule| BanCount {
            domain: domain.name.to_string(),
            rule: rule.name.to_string(),
            in_force: 0,
            fallen: rule.ban.as_ref().map_or(0, |ban| ban.fallen()),
        };
        let counts = domains.iter().flat_map(|domain| domain.banning().map(|it| of(domain, it)));
        let mut counts: Vec<BanCount> = counts.collect();
        // There may be a ban for each address of a flood, and this is asked without a token.
        self.gate.memory().ledger().each(Kind::Ban, now, |note| {
            let Note::Ban(ban) = note else { return };
            let of_rule =
                |count: &&mut BanCount| count.domain == ban.domain && count.rule == ban.rule;
            if now.as_micros() < ban.until_us
                && let Some(count) = counts.iter_mut().find(of_rule)
            {
                count.in_force += 1;
            }
        });
        counts
    }

    /// Keeps somebody out from now on, in place of any ban of the rule that is in force.
    pub async fn ban(
        &self,
        who: Who,
        subject: &Subject<'_>,
        sentence: Sentence<'_>,
    ) -> Result<BanInForce, Refusal> {
        let (ban, made) = self.put_ban(subject, sentence)?;
        self.write(who, "ban", made).await?;
        Ok(ban)
    }

    /// Lets somebody in again, and forgets what they were kept out for.
    pub async fn unban(
        &self,
        who: Who,
        subject: &Subject<'_>,
        rule: &str,
    ) -> Result<BanInForce, Refusal> {
        let (ban, made) = self.take_ban(subject, rule)?;
        self.write(who, "unban", made).await?;
        Ok(ban)
    }

    /// Lets in again whom a listed ban keeps out, as `unban` does.
    pub async fn unban_by_id(
        &self,
        who: Who,
        domain: &str,
        id: &str,
    ) -> Result<BanInForce, Refusal> {
        let (ban, made) = self.take_ban_by_id(domain, id)?;
        self.write(who, "unban", made).await?;
        Ok(ban)
    }

    fn all_bans(&self, now: Timestamp) -> Vec<(NoteKey, Timestamp, Note)> {
        self.gate.memory().ledger().all(Kind::Ban, now)
    }

    fn put_ban(
        &self,
        subject: &Subject<'_>,
        sentence: Sentence<'_>,
    ) -> Result<(BanInForce, Made), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let domain = resolve::domain(&rules, subject)?;
        let rule = rule_with_bans(domain, sentence.rule)?;
        let why = sentence.why.unwrap_or(BY_HAND);
        if !(1..=FOR_S_MAX).contains(&sentence.for_s) {
            let what = format!("a ban lasts 1 to {FOR_S_MAX} seconds, not {}", sentence.for_s);
            return Err(Refusal::Invalid(what));
        }
        if WHY_CHARS_MAX < why.chars().count() {
            return Err(Refusal::Invalid(format!("`why` has {WHY_CHARS_MAX} characters at most")));
        }
        let row = domain.row(&subject.entries);
        let entries = subject.entries.with(row.iter().flat_map(|row| row.entries(now)));
        meets_somebody(rule, &entries)?;
        let [key, offences] = keys(identity(rule, &entries)?);
        let until = now.plus(sentence.for_s * SECOND_US);
        let mut notes = self.gate.memory().ledger().open(&[key, offences]);
        let before = match notes.get(key, now) {
            Some(Note::Ban(ban)) => ban.strikes,
            _ => 0,
        };
        let ban = ledger::Ban {
            domain: domain.name.to_string(),
            rule: rule.name.to_string(),
            values: rule.counted(&entries),
            why: why.to_owned(),
            since_us: now.as_micros(),
            until_us: until.as_micros(),
            strikes: before.saturating_add(1),
            shadow: rule.force.stance(rule.identity(&entries)) != Stance::Enforced,
        };
        let in_force = shown(domain, key, &ban, now);
        let remembered_us = rule.ban.as_ref().map_or(0, |ban| ban.terms.up_to_us);
        let remembered_until = until.plus(remembered_us);
        let ticket = notes.put(key, Note::Ban(ban), remembered_until, Durability::Strict);
        notes.remove(offences, Durability::Ordinary);
        let made = made(domain, subject, &in_force, (ticket, now));
        Ok((in_force, made))
    }

    fn take_ban(&self, subject: &Subject<'_>, rule: &str) -> Result<(BanInForce, Made), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let domain = resolve::domain(&rules, subject)?;
        let rule = rule_with_bans(domain, rule)?;
        let row = domain.row(&subject.entries);
        let entries = subject.entries.with(row.iter().flat_map(|row| row.entries(now)));
        let unknown = || {
            let what = format!("rule `{}` keeps nobody with these entries out", rule.name);
            Refusal::NotFound(what)
        };
        let taken = self.lift(keys(identity(rule, &entries)?), now);
        let (key, ban, ticket) = taken.ok_or_else(unknown)?;
        let lifted = shown(domain, key, &ban, now);
        let made = made(domain, subject, &lifted, (ticket, now));
        Ok((lifted, made))
    }

    fn take_ban_by_id(&self, domain: &str, id: &str) -> Result<(BanInForce, Made), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let unknown = || Refusal::NotFound(format!("no rules are loaded for domain `{domain}`"));
        let domain = rules.domain(domain).ok_or_else(unknown)?;
        let all = self.all_bans(now);
        let mut bans = in_force(&all, now).filter(|(_, ban)| *ban.domain == *domain.name);
        let taken = bans.find(|(key, _)| id_of(*key) == id).and_then(|(key, _)| {
            let offences = key.beside(Kind::Ban, Kind::Offences);
            self.lift([key, offences], now)
        });
        let gone = || Refusal::NotFound(format!("no ban in force has the id `{id}`"));
        let (key, ban, ticket) = taken.ok_or_else(gone)?;
        let lifted = shown(domain, key, &ban, now);
        let (entries, ban) = (lifted.values.clone(), Some(told(&lifted)));
        Ok((lifted, Made { entries, ban, ticket, ..Made::in_domain(&domain.name, now) }))
    }

    /// Removes a ban, and what counts towards the next.
    fn lift(
        &self,
        [key, offences]: [NoteKey; 2],
        now: Timestamp,
    ) -> Option<(NoteKey, ledger::Ban, Option<Ticket>)> {
        let mut notes = self.gate.memory().ledger().open(&[key, offences]);
        let Some(Note::Ban(ban)) = notes.get(key, now).cloned() else { return None };
        notes.remove(offences, Durability::Ordinary);
        let (_, ticket) = notes.remove(key, Durability::Strict);
        Some((key, ban, ticket))
    }
}

/// A ban that was set or lifted.
fn made(
    domain: &Domain,
    subject: &Subject<'_>,
    ban: &BanInForce,
    (ticket, now): (Option<Ticket>, Timestamp),
) -> Made {
    Made { ban: Some(told(ban)), ticket, ..Made::of(domain, subject, now) }
}

fn told(ban: &BanInForce) -> ToldBan {
    ToldBan { rule: ban.rule.clone(), why: ban.why.clone(), until: ban.until.clone() }
}

/// By what people name a ban. The key is made under this server's secret and tells nothing of the
/// values; half of it is enough, as no two of a million bans share theirs.
fn id_of(key: NoteKey) -> String {
    format!("{:016x}", key.to_u128() as u64)
}

/// The keys of a ban and of what counts towards it.
pub fn keys(identity: Identity) -> [NoteKey; 2] {
    [Kind::Ban, Kind::Offences].map(|kind| NoteKey::of_identity(kind, identity))
}

fn in_force(
    all: &[(NoteKey, Timestamp, Note)],
    now: Timestamp,
) -> impl Iterator<Item = (NoteKey, &ledger::Ban)> {
    let bans = all.iter().filter_map(|(key, _, note)| match note {
        Note::Ban(ban) => Some((*key, ban)),
        _ => None,
    });
    bans.filter(move |(_, ban)| now.as_micros() < ban.until_us)
}

fn rule_with_bans<'r>(domain: &'r Domain, name: &str) -> Result<&'r Rule, Refusal> {
    let rule = domain.rule(name).ok_or_else(|| {
        Refusal::NotFound(format!("domain `{}` has no rule `{name}`", domain.name))
    })?;
    if rule.ban.is_none() {
        let what = format!("rule `{name}` keeps nobody out; add `ban:` to it");
        return Err(Refusal::NotFound(what));
    }
    Ok(rule)
}

fn identity(rule: &Rule, entries: &Entries<'_>) -> Result<Identity, Refusal> {
    rule.banned_identity(entries).ok_or_else(|| {
        let by: Vec<_> = rule.count_by.iter().map(|counted| &*counted.entry).collect();
        let what = format!("rule `{}` counts by {}; give all of them", rule.name, by.join(", "));
        Refusal::Invalid(what)
    })
}

/// A network wider than the rule counts by is nobody's counter: its ban would keep nobody out.
fn meets_somebody(rule: &Rule, entries: &Entries<'_>) -> Result<(), Refusal> {
    for counted in &rule.count_by {
        let value = entries.get(&counted.entry).unwrap_or_default();
        let (Some(masks), Some(network)) = (counted.masks, Network::parse(value)) else { continue };
        if network.is_wider_than(masks) {
            let (rule, entry) = (&rule.name, &counted.entry);
            let what = format!(
                "`{value}` is wider than what rule `{rule}` counts by, {counted}: give an address \
                 or such a network as `{entry}`"
            );
            return Err(Refusal::Invalid(what));
        }
    }
    Ok(())
}

fn shown(domain: &Domain, key: NoteKey, ban: &ledger::Ban, now: Timestamp) -> BanInForce {
    let moment = |us| calendar::rfc3339(Timestamp::from_micros(us));
    BanInForce {
        id: id_of(key),
        rule: ban.rule.clone(),
        values: domain.shown().values(&ban.values),
        why: ban.why.clone(),
        since: moment(ban.since_us),
        until: moment(ban.until_us),
        reset_seconds: Timestamp::from_micros(ban.until_us).since(now).div_ceil(SECOND_US),
        strikes: ban.strikes,
        shadow: ban.shadow,
    }
}
