//! The answer to a call, and what it shows of each descriptor.

use std::cmp::Reverse;

use smallvec::SmallVec;

use crate::limit::{Budget, Limit, OnExceed, Per, Terms};
use crate::query::{Descriptor, Query};
use crate::rules::{Domain, Rule};
use crate::store::journal::Ticket;
use crate::store::{Outcome, Room};
use crate::time::Timestamp;

use super::book::Crossing;
use super::overage::Overage;
use super::reading::Reading;
use super::tightness::{Share, Tightness};
use super::turn::Wait;

/// The answer to one call: one status for each descriptor, in order.
#[derive(Debug)]
pub struct Verdict<'a> {
    pub admitted: bool,
    pub at: Timestamp,
    pub statuses: SmallVec<[Status<'a>; 2]>,
    /// What must be on disk before this is told to anyone, if anything.
    pub ticket: Option<Ticket>,
    /// The domain, if its answers are to say more than the statuses.
    pub speaker: Option<&'a Domain>,
    /// Every limit of the call, in the order of its descriptors; only for a speaker, so that
    /// nobody else pays for them.
    pub readings: Vec<Reading<'a>>,
    /// Thresholds of limits that the call crossed.
    pub crossings: Vec<Crossing<'a>>,
    /// What soft limits let pass beyond their budgets.
    pub overages: Vec<Overage<'a>>,
    /// What became of the id that the call brought along.
    pub id: IdUse,
    /// If there is one, the call is neither admitted nor refused, and nothing else here is to be
    /// told: it waits, and is decided again. Only a call that was given a turn waits.
    pub wait: Option<Box<Wait>>,
    /// The entries of each descriptor, where the directory has added to them and a speaker may
    /// name them to a refused caller; else empty.
    pub directed: Box<[OwnedEntries]>,
    /// The rules whose bans fell for this call. They meet the next one.
    pub fallen: Vec<&'a Rule>,
}

/// What became of an id that a call brought along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdUse {
    /// It was not known, or none was brought.
    New,
    /// The same was asked under it before, and is not charged again.
    Repeated,
    /// Something else was asked under it before. Nothing was decided.
    Clashing,
}

/// Keys and values that outlive the directory's rows.
pub type OwnedEntries = Box<[(Box<str>, Box<str>)]>;

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
    /// Kept out by this rule.
    Banned {
        rule: &'a str,
        /// Microseconds until the ban ends.
        reset_us: u64,
    },
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

/// Where a limit comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Rule and limit name; empty for a budget that the call brought along.
    pub label: &'a str,
    /// None for a budget that the call brought along.
    pub rule: Option<&'a Rule>,
    pub limit: Option<&'a Limit>,
    /// The position of its descriptor in the call.
    pub descriptor: usize,
    /// What one hit costs.
    pub cost: u64,
}

/// A limit of a descriptor that might be shown for it.
#[derive(Clone, Copy)]
pub struct Candidate<'a, 'c> {
    pub origin: Origin<'a>,
    pub terms: &'c Terms<'c>,
    /// Whether a lack of room refuses the call.
    pub votes: bool,
    /// What was left of a grant.
    pub pool: u64,
    pub outcome: &'c Outcome,
}

impl<'a> Origin<'a> {
    /// What callers are told that the limit is called.
    pub fn name(&self) -> &'a str {
        match self.rule.and_then(|rule| rule.leaf.as_deref()) {
            Some(leaf) => &leaf.name,
            None => self.label,
        }
    }
}

impl Status<'_> {
    /// The same, or that nothing limits the descriptor if there is nothing else to say.
    pub fn or_unlimited(self, unlimited: bool) -> Self {
        let bare = !self.refused && self.standing == Standing::Bare;
        if unlimited && bare { Status { standing: Standing::Unlimited, ..self } } else { self }
    }
}

impl Verdict<'_> {
    /// Keeps what a refused caller may be told of the entries that counted.
    pub fn keep_entries(&mut self, query: &Query<'_>) {
        if self.admitted || self.speaker.is_none() {
            return;
        }
        let owned = |asked: &Descriptor<'_>| -> OwnedEntries {
            asked.entries.distinct().map(|entry| (entry.key.into(), entry.value.into())).collect()
        };
        self.directed = query.descriptors.iter().map(owned).collect();
    }
}

/// What to show for a descriptor. Shadow limits say nothing to the caller.
#[inline]
pub fn status<'a, 'c>(
    refused: bool,
    candidates: impl Iterator<Item = Candidate<'a, 'c>>,
) -> Status<'a> {
    if refused {
        return Status { refused, standing: Standing::Bare };
    }
    let spoken = candidates.filter(|c| c.terms.on_exceed != OnExceed::Shadow);
    // Of equally tight limits the first is shown. One alone is not even looked at.
    let tighter = |a: Candidate<'a, 'c>, b: Candidate<'a, 'c>| {
        if b.tightness() < a.tightness() { b } else { a }
    };
    let Some(tightest) = spoken.reduce(tighter) else {
        return Status { refused: false, standing: Standing::Bare };
    };
    Status { refused: tightest.refuses(), standing: tightest.standing() }
}

impl<'a> Candidate<'a, '_> {
    fn refuses(&self) -> bool {
        self.votes && self.outcome.room != Room::Enough
    }

    fn tightness(&self) -> Tightness {
        match (self.outcome.room, self.terms.capacity()) {
            (_, Budget::Unlimited) => Tightness::Unlimited,
            (Room::After(wait_us), _) if self.refuses() => {
                Tightness::Refusing { wait_us: Reverse(wait_us) }
            }
            (Room::Never, _) if self.refuses() => {
                Tightness::Refusing { wait_us: Reverse(u64::MAX) }
            }
            (_, Budget::Requests(capacity)) => {
                Tightness::Holding(Share { remaining: self.outcome.remaining, capacity })
            }
        }
    }

    /// The limit with all there is to tell of it, for the descriptor at this position of the call.
    pub fn reading(&self, descriptor: usize, plan: Option<&'a str>) -> Reading<'a> {
        let terms = self.terms;
        let most = match terms.budget {
            Budget::Requests(requests) => requests,
            Budget::Unlimited => u64::MAX,
        };
        let soft = terms.on_exceed == OnExceed::Allow;
        Reading {
            descriptor,
            rule: self.origin.rule,
            label: self.origin.label,
            plan,
            budget: terms.budget,
            per: terms.limit.per,
            on_exceed: terms.on_exceed,
            votes: self.votes,
            used: self.outcome.used,
            taken: self.outcome.taken,
            remaining: self.outcome.remaining.min(most),
            granted: self.pool.saturating_sub(self.outcome.granted),
            overage: if soft { self.outcome.used.saturating_sub(most) } else { 0 },
            room: self.outcome.room,
            reset_us: self.outcome.reset_us,
            tightness: self.tightness(),
        }
    }

    #[inline]
    fn standing(&self) -> Standing<'a> {
        let terms = self.terms;
        let Budget::Requests(requests) = terms.budget else { return Standing::Unlimited };
        let reset_us = match self.outcome.room {
            Room::Never if self.refuses() => None,
            Room::After(wait_us) if self.refuses() => Some(wait_us),
            _ => Some(self.outcome.reset_us),
        };
        Standing::Limited {
            shown: Shown { name: self.origin.name(), requests, per: terms.limit.per },
            remaining: self.outcome.remaining.min(requests),
            reset_us,
        }
    }
}
