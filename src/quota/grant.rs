//! Grants: one pool of extra budget for one counter until a date, spent after the limit's own.

use crate::audit::Who;
use crate::calendar;
use crate::key::CounterKey;
use crate::limit::{Algorithm, Budget, Durability};
use crate::rules::Domain;
use crate::store::ledger::{Grant, Kind, Note};
use crate::store::{Memory, NoteKey};
use crate::time::Timestamp;

use super::charge::HITS_MAX;
use super::made::Made;
use super::resolve::{self, Target};
use super::{Quota, Refusal, Subject, moment};

/// A grant as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Rule and limit name.
    pub limit: String,
    /// The values that its counter counts by, as they may be shown.
    pub values: Vec<(String, String)>,
    /// All that was granted, and what of it is left.
    pub granted: u64,
    pub left: u64,
    pub until: String,
}

/// A grant that was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub limit: String,
    /// What it had left.
    pub left: u64,
}

/// The grant of a counter, and until when it counts.
pub fn of(memory: &Memory, key: CounterKey, now: Timestamp) -> Option<(Grant, Timestamp)> {
    if memory.ledger().count(Kind::Grant) == 0 {
        return None;
    }
    let name = NoteKey::of_counter(Kind::Grant, key);
    let open = memory.ledger().open(&[name]);
    match open.get(name, now) {
        Some(Note::Grant(grant)) => Some((grant.clone(), open.expires_at(name)?)),
        _ => None,
    }
}

impl Quota {
    /// Adds hits to the grant of one limit, and moves its end to the later one.
    pub async fn grant(
        &self,
        who: Who,
        subject: &Subject<'_>,
        label: &str,
        (hits, until): (u64, &str),
    ) -> Result<Granted, Refusal> {
        let (granted, made) = self.put_grant(subject, label, hits, until)?;
        self.write(who, "grant", made).await?;
        Ok(granted)
    }

    /// The grants of a domain, or of some entries in it.
    pub fn grants(&self, subject: &Subject<'_>) -> Result<Vec<Granted>, Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let domain = resolve::named(&rules, subject.domain)?;
        let ledger = self.gate.memory().ledger();
        let mut all = Vec::new();
        for (_, until, note) in ledger.all(Kind::Grant, now) {
            match note {
                Note::Grant(grant)
                    if *grant.domain == *domain.name && subject.has(&grant.values) =>
                {
                    all.push(shown(domain, &grant, until));
                }
                _ => {}
            }
        }
        all.sort_by(|a, b| (&a.limit, &a.values).cmp(&(&b.limit, &b.values)));
        Ok(all)
    }

    /// Takes away the grants of these entries, or the one of the limit that is named.
    pub async fn revoke(
        &self,
        who: Who,
        subject: &Subject<'_>,
        limit: Option<&str>,
    ) -> Result<Vec<Revoked>, Refusal> {
        let (revoked, made) = self.take_grants(subject, limit)?;
        if !revoked.is_empty() {
            self.write(who, "revoke", made).await?;
        }
        Ok(revoked)
    }

    fn put_grant(
        &self,
        subject: &Subject<'_>,
        label: &str,
        hits: u64,
        until: &str,
    ) -> Result<(Granted, Made), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let domain = resolve::domain(&rules, subject)?;
        let target = resolve::held(domain, subject, now)?.named(label)?;
        grantable(&target)?;
        if !(1..=HITS_MAX).contains(&hits) {
            return Err(Refusal::Invalid(format!("hits is {hits}; write 1 to {HITS_MAX}")));
        }
        let until = moment(until, "until")?;
        if until <= now {
            let what = format!("until is {}, which is past", calendar::rfc3339(until));
            return Err(Refusal::Invalid(what));
        }
        let key = NoteKey::of_counter(Kind::Grant, target.key);
        let mut open = self.gate.memory().ledger().open(&[key]);
        let before = match open.get(key, now) {
            Some(Note::Grant(grant)) => Some(grant.clone()),
            _ => None,
        };
        let until = match before {
            Some(_) => open.expires_at(key).map_or(until, |before| before.max(until)),
            None => until,
        };
        let sum = |before: u64| before.saturating_add(hits).min(HITS_MAX);
        let grant = Grant {
            domain: domain.name.to_string(),
            label: label.to_owned(),
            values: target.values.clone(),
            granted: sum(before.as_ref().map_or(0, |grant| grant.granted)),
            left: sum(before.as_ref().map_or(0, |grant| grant.left)),
            since_us: before.as_ref().map_or(now.as_micros(), |grant| grant.since_us),
        };
        let mut made = Made::of(domain, subject, now);
        made.ticket = open.put(key, Note::Grant(grant.clone()), until, Durability::Strict);
        drop(open);
        made.details = vec![
            ("limit", label.to_owned()),
            ("hits", hits.to_string()),
            ("left", grant.left.to_string()),
            ("until", calendar::rfc3339(until)),
        ];
        Ok((shown(domain, &grant, until), made))
    }

    fn take_grants(
        &self,
        subject: &Subject<'_>,
        limit: Option<&str>,
    ) -> Result<(Vec<Revoked>, Made), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let domain = resolve::domain(&rules, subject)?;
        let found = resolve::held(domain, subject, now)?;
        let targets = match limit {
            Some(label) => vec![found.named(label)?],
            None => found.targets,
        };
        let mut made = Made::of(domain, subject, now);
        let mut revoked: Vec<Revoked> = Vec::new();
        for target in targets {
            let key = NoteKey::of_counter(Kind::Grant, target.key);
            let mut open = self.gate.memory().ledger().open(&[key]);
            let Some(Note::Grant(Grant { left, .. })) = open.get(key, now).cloned() else {
                continue;
            };
            made.ticket = made.ticket.max(open.remove(key, Durability::Strict).1);
            revoked.push(Revoked { limit: target.label().to_owned(), left });
        }
        let said: Vec<_> = revoked.iter().map(|it| format!("{} ({})", it.limit, it.left)).collect();
        made.details.push(("revoked", said.join(", ")));
        Ok((revoked, made))
    }
}

/// Whether a grant can do anything for a limit.
fn grantable(target: &Target<'_>) -> Result<(), Refusal> {
    let why = match (&target.terms.limit.algorithm, target.terms.budget) {
        (_, Budget::Unlimited) => "is unlimited",
        (Algorithm::Concurrency, _) => "limits what goes on at once, and nothing is used up",
        _ if !target.terms.on_exceed.votes() => "refuses nobody",
        _ => return Ok(()),
    };
    Err(Refusal::Invalid(format!("limit `{}` {why}, so there is nothing to grant", target.label())))
}

fn shown(domain: &Domain, grant: &Grant, until: Timestamp) -> Granted {
    let named =
        |(entry, value): &(String, String)| (entry.clone(), domain.shown().named(entry, value));
    Granted {
        limit: grant.label.clone(),
        values: grant.values.iter().map(named).collect(),
        granted: grant.granted,
        left: grant.left,
        until: calendar::rfc3339(until),
    }
}
