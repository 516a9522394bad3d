//! The answer to a call, and what it shows of each descriptor.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::limit::{Budget, OnExceed, Per};
use crate::store::journal::Ticket;
use crate::store::{Hit, Outcome, Room};

/// The answer to one call: one status for each descriptor, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    pub admitted: bool,
    pub statuses: SmallVec<[Status<'a>; 2]>,
    /// What must be on disk before this is told to anyone, if anything.
    pub ticket: Option<Ticket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// Whether this descriptor refuses the call.
    pub refused: bool,
    pub standing: Standing<'a>,
}

/// How a descriptor stands by its tightest limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// No limit has anything to show.
    Bare,
    /// Counted, without a budget.
    Unlimited,
    Limited {
        shown: Shown<'a>,
        /// Never more than the budget shown, even where a burst holds more.
        remaining: u64,
        /// Refused: microseconds until the same call would pass, none if it never would.
        /// Admitted: until the window ends, or for logs and buckets until nothing is used.
        reset_us: Option<u64>,
    },
}

/// A budget as shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Rule and limit name; empty for a budget that the call brought along.
    pub name: &'a str,
    pub requests: u64,
    pub per: Per,
}

/// A limit of a descriptor that might be shown for it.
#[derive(Clone, Copy)]
pub struct Candidate<'a, 'c> {
    pub label: &'a str,
    pub hit: &'c Hit<'c>,
    pub outcome: Outcome,
}

/// How tight a limit is. Ordered, the tightest first: refusing before the rest, the longest wait
/// among the refusing, the smallest share left among the rest, unlimited last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tightness {
    Refusing { wait_us: std::cmp::Reverse<u64> },
    Holding(Share),
    Unlimited,
}

/// The part of a capacity that is left, compared without rounding.
#[derive(Clone, Copy)]
struct Share {
    remaining: u64,
    capacity: u64,
}

/// What to show for a descriptor. Shadow limits say nothing to the caller.
pub fn status<'a, 'c>(
    refused: bool,
    candidates: &mut dyn Iterator<Item = Candidate<'a, 'c>>,
) -> Status<'a> {
    if refused {
        return Status { refused, standing: Standing::Bare };
    }
    let spoken = candidates.filter(|c| c.hit.terms.on_exceed != OnExceed::Shadow);
    // Of equally tight limits the first is shown.
    let Some(tightest) = spoken.min_by_key(Candidate::tightness) else {
        return Status { refused: false, standing: Standing::Bare };
    };
    Status { refused: tightest.refuses(), standing: tightest.standing() }
}

impl<'a> Candidate<'a, '_> {
    fn refuses(&self) -> bool {
        self.hit.votes && self.outcome.room != Room::Enough
    }

    fn tightness(&self) -> Tightness {
        match (self.outcome.room, self.hit.terms.capacity()) {
            (_, Budget::Unlimited) => Tightness::Unlimited,
            (Room::After(wait_us), _) if self.refuses() => {
                Tightness::Refusing { wait_us: std::cmp::Reverse(wait_us) }
            }
            (Room::Never, _) if self.refuses() => {
                Tightness::Refusing { wait_us: std::cmp::Reverse(u64::MAX) }
            }
            (_, Budget::Requests(capacity)) => {
                Tightness::Holding(Share { remaining: self.outcome.remaining, capacity })
            }
        }
    }

    fn standing(&self) -> Standing<'a> {
        let terms = &self.hit.terms;
        let Budget::Requests(requests) = terms.budget else { return Standing::Unlimited };
        let reset_us = match self.outcome.room {
            Room::Never if self.refuses() => None,
            Room::After(wait_us) if self.refuses() => Some(wait_us),
            _ => Some(self.outcome.reset_us),
        };
        Standing::Limited {
            shown: Shown { name: self.label, requests, per: terms.limit.per },
            remaining: self.outcome.remaining.min(requests),
            reset_us,
        }
    }
}

impl Ord for Share {
    /// Compares `remaining / capacity` by cross-multiplication; a capacity of nothing has
    /// nothing left.
    fn cmp(&self, other: &Share) -> Ordering {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b.max(1));
        product(self.remaining, other.capacity).cmp(&product(other.remaining, self.capacity))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Share) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Share) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}
