//! Parts of a call that are known again: repeats that are charged once, holds that are opened, and
//! holds that a later call ends.

use std::ops::Range;

use smallvec::SmallVec;

use crate::limit::{Budget, Charge};
use crate::query::{Descriptor, Hits};
use crate::rules::{Hold, Rule};
use crate::store::ledger::{Kind, NoteKey, Open};
use crate::store::{Applied, HeldUntil, Hit, NO_SLOT, Room};
use crate::time::Timestamp;

use super::resolve::Resolved;

/// Keys of the notes that a decision reads or writes; most have none.
pub type NoteKeys = SmallVec<[NoteKey; 4]>;

/// What one rule asks of one descriptor, under ids of its own.
#[derive(Clone, Debug)]
pub struct Known {
    pub ids: SmallVec<[Id; 1]>,
    pub hits: Range<usize>,
    /// Whether this call is the first to ask for it, and so may make it known.
    pub is_new: bool,
}

/// An id by which a part of a call is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    pub key: NoteKey,
    pub expires_at: Timestamp,
    pub purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// What it takes is held until it is settled.
    Hold,
    /// It is not to be charged again.
    Dedupe,
}

/// A hold that a call ends, and at how many hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    pub descriptor: usize,
    /// None if the call does not say which.
    pub key: Option<NoteKey>,
    pub hits: u64,
}

impl Settled {
    pub fn new(
        descriptor: usize,
        hold: &Hold,
        id: Option<&str>,
        asked: &Descriptor<'_>,
    ) -> Settled {
        let hits = match asked.hits {
            Hits::Take(hits) => hits,
            // A present 0 is what it says: nothing was used.
            Hits::Peek | Hits::GiveBack(_) => 0,
        };
        Settled { descriptor, key: id.map(|id| hold_key(hold, id)), hits }
    }
}

fn hold_key(hold: &Hold, id: &str) -> NoteKey {
    let mut prefix = hold.prefix.clone();
    prefix.push(id);
    NoteKey::of_identity(Kind::Receipt, prefix.identity())
}

impl<'r: 'c, 'c> Resolved<'r, 'c> {
    /// Notes under which ids the hits of a rule, from `first` on, are known. A call without the id
    /// is charged, and can be neither settled nor known again.
    pub fn know(&mut self, rule: &Rule, asked: &Descriptor<'_>, first: usize) {
        if rule.hold.is_none() && rule.dedupe.is_none() {
            return;
        }
        let mut ids = SmallVec::new();
        if let (Some(wanted), Some(hold)) = (self.wanted, rule.hold.as_deref()) {
            let for_us = if wanted.open { wanted.for_us } else { hold.expires_us };
            let expires_at = self.now.plus(for_us);
            self.occupy(first, HeldUntil { id: wanted.id.to_u128(), expires_at });
        } else if let Some(hold) = rule.hold.as_deref() {
            let key = asked.entries.get(&hold.by).map(|id| hold_key(hold, id));
            let expires_at = self.now.plus(hold.expires_us);
            self.occupy(first, HeldUntil { id: key.map_or(0, NoteKey::to_u128), expires_at });
            ids.extend(key.map(|key| Id { key, expires_at, purpose: Purpose::Hold }));
        }
        if let Some(dedupe) = rule.dedupe.as_deref()
            && let Some(id) = asked.entries.get(&dedupe.by)
        {
            let mut prefix = dedupe.prefix.clone();
            prefix.push(id);
            let key = NoteKey::of_identity(Kind::Once, prefix.identity());
            let expires_at = self.now.plus(dedupe.for_us);
            ids.push(Id { key, expires_at, purpose: Purpose::Dedupe });
        }
        if !ids.is_empty() {
            self.known.push(Known { ids, hits: first..self.hits.len(), is_new: false });
        }
    }

    /// Says until when the hits from `first` on hold their slots, if they are for slots.
    fn occupy(&mut self, first: usize, until: HeldUntil) {
        // A call has a thousand descriptors at most, and each a few rules that hold slots.
        let slot = u16::try_from(self.slots.len()).unwrap_or(NO_SLOT);
        self.hits[first..].iter_mut().for_each(|hit| hit.slot = slot);
        self.slots.push(until);
    }

    /// The notes that this decision may read or write; those of grants only where there are any.
    pub fn note_keys(&self, granted: bool) -> NoteKeys {
        let ids = self.known.iter().flat_map(|known| &known.ids);
        let mut keys: NoteKeys = ids.map(|id| id.key).collect();
        for hit in &self.hits {
            if granted && hit.terms.on_exceed.votes() {
                keys.push(NoteKey::of_counter(Kind::Grant, hit.key));
            }
            if hit.terms.limit.archive {
                keys.push(NoteKey::of_counter(Kind::Archive, hit.key));
            }
            if hit.terms.limit.alert.is_some() {
                keys.push(NoteKey::of_counter(Kind::Alerted, hit.key));
            }
        }
        keys
    }

    /// What is known already asks for nothing more, be it by an earlier call or by an earlier
    /// descriptor of this one.
    pub fn know_again(&mut self, notes: &Open<'_>) {
        for position in 0..self.known.len() {
            let known = &self.known[position];
            let now_known = |id: &Id| {
                let earlier = self.known[..position].iter().filter(|known| known.is_new);
                let by_this_call = |earlier: &Known| earlier.ids.iter().any(|it| it.key == id.key);
                notes.get(id.key, self.now).is_some() || earlier.into_iter().any(by_this_call)
            };
            let (repeated, hits) = (known.ids.iter().any(now_known), known.hits.clone());
            let asks = self.hits[hits.clone()].iter().any(|hit| hit.charge > 0);
            self.known[position].is_new = asks && !repeated;
            if repeated {
                self.hits[hits].iter_mut().for_each(ask_for_nothing);
            }
        }
    }

    /// Asks for nothing at all: the whole call is known already, and what is said of it was said
    /// before anybody was kept out.
    pub fn repeat(&mut self) {
        for hit in &mut self.hits {
            ask_for_nothing(hit);
            hit.give_back = 0;
        }
        self.known.clear();
        self.settled.clear();
        self.barred.clear();
        self.watched.clear();
    }

    /// Gives each hit of a limit that refuses what is left of its counter's grant, to be used or
    /// only shown.
    pub fn fund(&mut self, notes: &Open<'_>) {
        for hit in self.hits.iter_mut().filter(|hit| hit.terms.on_exceed.votes()) {
            if matches!(hit.terms.budget, Budget::Requests(_)) {
                let key = NoteKey::of_counter(Kind::Grant, hit.key);
                hit.pool = super::book::left_of_grant(notes, key, self.now);
            }
        }
    }
}

fn ask_for_nothing(hit: &mut Hit<'_>) {
    (hit.demand, hit.charge, hit.charge_refused, hit.pending, hit.votes) = (0, 0, 0, 0, false);
}

impl Known {
    /// Whether this decision makes the id known. A hold opens only if the whole call passes; an id
    /// is charged also if the call is refused by another rule, and this one's limits are charged
    /// whatever the verdict.
    pub fn becomes_known(&self, id: &Id, call: &Resolved<'_, '_>, applied: &Applied) -> bool {
        let charged_all_the_same = || {
            let mut parts =
                call.hits[self.hits.clone()].iter().zip(&applied.outcomes[self.hits.clone()]);
            id.purpose == Purpose::Dedupe
                && parts.all(|(hit, outcome)| {
                    let refuses = hit.votes && outcome.room != Room::Enough;
                    hit.terms.limit.charge == Charge::Always && !refuses
                })
        };
        self.is_new && (applied.admitted || charged_all_the_same())
    }
}
