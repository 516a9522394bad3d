//! A limit of a call with all that answers for people may tell of it.

use crate::limit::{Budget, OnExceed, Per};
use crate::rules::Rule;
use crate::store::Room;

use super::tightness::Tightness;

/// How one limit of a call stands after the decision.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The position of its descriptor in the call.
    pub descriptor: usize,
    /// None for a budget that the call brought along.
    pub rule: Option<&'a Rule>,
    /// Rule and limit name, as in `per-key.minute`; empty for a budget brought along.
    pub label: &'a str,
    /// The plan that it belongs to, if any.
    pub plan: Option<&'a str>,
    /// The budget as shown to people: not a bucket's burst.
    pub budget: Budget,
    pub per: Per,
    pub on_exceed: OnExceed,
    /// Whether a lack of room refuses the call.
    pub votes: bool,
    pub used: u64,
    /// What the call took of it.
    pub taken: u64,
    /// Never more than the budget.
    pub remaining: u64,
    /// What is left of a grant.
    pub granted: u64,
    /// How far a soft limit is beyond its budget; 0 for others.
    pub overage: u64,
    pub room: Room,
    /// Microseconds until the window ends, or for logs and buckets until nothing is used.
    pub reset_us: u64,
    pub tightness: Tightness,
}

impl Reading<'_> {
    /// Whether this limit refuses the call.
    pub fn refuses(&self) -> bool {
        self.votes && self.exceeded()
    }

    /// Whether there was no room for the call: what refuses, or would if it had a voice.
    pub fn exceeded(&self) -> bool {
        self.room != Room::Enough
    }

    /// Whether callers are told of it.
    pub fn is_spoken(&self) -> bool {
        self.on_exceed != OnExceed::Shadow
    }

    /// Microseconds until the caller is better off: refused, until the same call would pass;
    /// else, and for a call that never would, until the window ends.
    pub fn wait_us(&self) -> u64 {
        match self.room {
            Room::After(wait_us) if self.refuses() => wait_us,
            _ => self.reset_us,
        }
    }
}
