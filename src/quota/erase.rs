//! Which counters some entries lead to, over all plans and conditions, and which they do not.

use crate::algorithm::mend;
use crate::calendar;
use crate::limit::{Durability, Limit};
use crate::query::Entries;
use crate::rules::{Domain, Rule};
use crate::store::journal::Ticket;
use crate::store::{Memory, NoteKey};
use crate::time::Timestamp;

use super::bans;
use super::resolve::{self, Target};
use super::{Changed, Refusal, Subject};

/// What was erased, and what may be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Counters of which something was used.
    pub erased: Vec<Changed>,
    pub unreachable: Vec<Unreachable>,
}

/// Counters that hold the given entries together with others, and so cannot be found by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Rule and limit name.
    pub limit: String,
    /// The entries that it counts by and that were not given.
    pub missing: Vec<String>,
    /// When all of these have expired if nothing more is charged; none if that depends on what was
    /// charged, as it does for buckets that may be charged beyond their burst.
    pub expires_by: Option<String>,
}

#[derive(Debug)]
pub struct Found<'r> {
    pub targets: Vec<Target<'r>>,
    pub unreachable: Vec<Unreachable>,
    /// Notes of bans, and of what counts towards them.
    bans: Vec<NoteKey>,
}

impl Found<'_> {
    /// Removes the bans of these entries, and what counts towards them.
    pub fn forget_bans(&self, memory: &Memory) -> Option<Ticket> {
        let forget =
            |&key: &NoteKey| memory.ledger().open(&[key]).remove(key, Durability::Strict).1;
        self.bans.iter().filter_map(forget).max()
    }
}

pub fn find<'r>(
    domain: &'r Domain,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Found<'r>, Refusal> {
    let mut found = Found { targets: Vec::new(), unreachable: Vec::new(), bans: Vec::new() };
    let row = domain.row(&subject.entries);
    let entries = &subject.entries.with(row.iter().flat_map(|row| row.entries(now)));
    for rule in domain.rules().iter().filter(|rule| may_have_applied(rule, &subject.entries)) {
        let counted = || rule.count_by.iter().map(|counted| &*counted.entry);
        // What a whole team used is not erased with one of its keys.
        if counted().all(|entry| subject.entries.get(entry).is_none()) {
            continue;
        }
        let missing: Vec<&str> = counted().filter(|entry| entries.get(entry).is_none()).collect();
        if missing.is_empty() {
            let terms = |limit: &'r Limit| limit.terms();
            found.targets.extend(resolve::targets(rule, rule.all_limits(), entries, terms));
            found.bans.extend(rule.banned_identity(entries).into_iter().flat_map(bans::keys));
        } else {
            found.unreachable.extend(unreachable(rule, &missing, now));
        }
    }
    // What all values of a pattern share is nobody's.
    let alone = |rule: &&Rule| rule.leaf.as_ref().is_some_and(|leaf| !leaf.is_shared());
    if let Some(rule) = domain.leaf(&subject.entries).filter(alone) {
        let terms = |limit: &'r Limit| limit.terms();
        let entries = &subject.entries;
        found.targets.extend(resolve::targets(rule, rule.all_limits(), entries, terms));
    }
    // Plans share the counters of limits with one name and window.
    found.targets.sort_by_key(|target| target.key);
    found.targets.dedup_by_key(|target| target.key);
    found.targets.sort_by(|a, b| a.label().cmp(b.label()));
    if found.targets.is_empty() && found.unreachable.is_empty() && found.bans.is_empty() {
        return Err(resolve::no_rule(domain));
    }
    Ok(found)
}

/// Whether calls with these entries, and any others beside them, can have been counted by a rule
/// in a counter of their own. One counter for all is nobody's.
fn may_have_applied(rule: &Rule, entries: &Entries<'_>) -> bool {
    let open = |entry: &str| entries.get(entry).is_none();
    let conditions = &rule.conditions;
    !rule.count_by.is_empty()
        && conditions.iter().all(|condition| open(&condition.entry) || condition.holds(entries))
}

/// One for each limit name, with the longest life that any plan gives it.
fn unreachable(rule: &Rule, missing: &[&str], now: Timestamp) -> Vec<Unreachable> {
    let mut limits: Vec<&Limit> = rule.all_limits().collect();
    limits.sort_by(|a, b| a.label.cmp(&b.label));
    let of = |same: &[&Limit]| Unreachable {
        limit: same[0].label.to_string(),
        missing: missing.iter().map(|&entry| entry.to_owned()).collect(),
        expires_by: latest(same, now).map(calendar::rfc3339),
    };
    limits.chunk_by(|a, b| a.label == b.label).map(of).collect()
}

fn latest(limits: &[&Limit], now: Timestamp) -> Option<Timestamp> {
    let expiries = limits.iter().map(|limit| mend::latest_expiry(limit, now));
    expiries.collect::<Option<Vec<_>>>()?.into_iter().max()
}
