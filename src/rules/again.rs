//! Calls that are known again by an id of theirs: holds that a later call settles, and repeats.

use crate::key::Prefix;
use crate::query::Entries;

use super::Condition;

/// A rule whose calls hold what they take until a later call says the true cost.
#[derive(Debug)]
pub struct Hold {
    /// The entry that tells one call's hold from another's.
    pub by: Box<str>,
    /// What marks the call that ends a hold.
    pub settle: Box<[Condition]>,
    /// Hits that a call takes when it opens a hold; by default its own.
    pub estimate: Option<u64>,
    /// Microseconds after which a hold that nobody settles ends by itself.
    pub expires_us: u64,
    /// The start of the keys of this rule's holds.
    pub prefix: Prefix,
}

/// A rule that charges one id once.
#[derive(Debug)]
pub struct Dedupe {
    pub by: Box<str>,
    /// Microseconds for which an id is remembered.
    pub for_us: u64,
    /// The start of the keys of this rule's ids.
    pub prefix: Prefix,
}

impl Hold {
    /// Whether a call ends a hold of this rule.
    pub fn is_settled_by(&self, entries: &Entries<'_>) -> bool {
        self.settle.iter().all(|condition| condition.holds(entries))
    }
}
