//! A customer's own view: what one key has used, told to whoever holds that key.
//!
//! Only limits that count by the key are told, and none that are in shadow: what others used, and
//! how the rules are built, is nobody's business here.

use crate::calendar;
use crate::limit::{Algorithm, OnExceed};
use crate::store::Memory;
use crate::store::NoteKey;
use crate::store::ledger::{Kind, Note};
use crate::time::Timestamp;

use super::resolve::{self, Target};
use super::{Quota, Refusal, Subject, Use, id, usage};

/// What one key has used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnUsage {
    pub limits: Vec<OwnLimit>,
}

/// One limit of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLimit {
    pub now: Use,
    /// The day on which it begins anew, as clocks in its own time zone show it.
    pub reset_date: String,
    /// Windows that have closed, the latest first; only of limits that are archived.
    pub past: Vec<Past>,
}

/// What was used of a window that has closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    pub start: String,
    pub end: String,
    pub used: u64,
    pub requests: Option<u64>,
}

impl Quota {
    /// What the bearer of this key has used. None for keys that are not known, and for domains
    /// that show nobody their own: which of these it was is not told.
    pub fn own_usage(&self, domain: &str, key: &str) -> Result<Option<OwnUsage>, Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let open = rules.domain(domain).filter(|domain| domain.my_usage && !key.is_empty());
        let Some(domain) = open else { return Ok(None) };
        let entry = id::owner_entry(domain);
        let entries = [(entry, key)].into_iter().collect();
        if domain.directory.is_some() && domain.row(&entries).is_none() {
            return Ok(None);
        }
        let subject = Subject { domain: &domain.name, entries };
        let targets = match resolve::held(domain, &subject, now) {
            Ok(found) => found.targets,
            Err(Refusal::NotFound(_)) => Vec::new(),
            Err(other) => return Err(other),
        };
        let own = targets.iter().filter(|target| is_own(target, entry));
        let limits = own.map(|target| limit(target, self.gate.memory(), now)).collect();
        Ok(Some(OwnUsage { limits }))
    }
}

fn is_own(target: &Target<'_>, entry: &str) -> bool {
    let counts = target.rule.count_by.iter().any(|counted| *counted.entry == *entry);
    counts && target.terms.on_exceed != OnExceed::Shadow
}

fn limit(target: &Target<'_>, memory: &Memory, now: Timestamp) -> OwnLimit {
    let current = usage::of(target, memory, now);
    let reading = memory.reading(target.key, &target.terms, now);
    let reset = now.plus(reading.reset_us);
    OwnLimit {
        now: current,
        reset_date: date(target, reset),
        past: if target.terms.limit.archive { past(target, memory, now) } else { Vec::new() },
    }
}

fn date(target: &Target<'_>, moment: Timestamp) -> String {
    match &target.terms.limit.algorithm {
        Algorithm::Calendar(calendar) => target.terms.calendar.unwrap_or(calendar).date(moment),
        _ => calendar::utc_date(moment),
    }
}

fn past(target: &Target<'_>, memory: &Memory, now: Timestamp) -> Vec<Past> {
    let key = NoteKey::of_counter(Kind::Archive, target.key);
    let Some(Note::Archive(archive)) = memory.ledger().get(key, now) else { return Vec::new() };
    let closed = archive.windows.iter().rev().filter(|window| window.end_us <= now.as_micros());
    let moment = |us| calendar::rfc3339(Timestamp::from_micros(us));
    let past = closed.map(|window| Past {
        start: moment(window.start_us),
        end: moment(window.end_us),
        used: window.used,
        requests: window.requests,
    });
    past.collect()
}
