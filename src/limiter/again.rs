//! Parts of a call that are known again: repeats that are charged once, holds that are opened, and
//! holds that a later call ends.

use std::ops::Range;

use smallvec::SmallVec;

use crate::limit::Budget;
use crate::query::{Descriptor, Hits};
use crate::rules::{Hold, Rule};
use crate::store::ledger::{Kind, Ledger, NoteKey, Open};
use crate::store::{Applied, HeldUntil};
use crate::time::Timestamp;

use super::resolve::Resolved;

/// Keys of the notes that a decision reads or writes; most have none.
pub type NoteKeys = SmallVec<[NoteKey; 4]>;

/// Part of a call with an id of its own.
#[derive(Clone, Debug)]
pub struct Known<'r> {
    pub key: NoteKey,
    /// Whether it is a hold, to be settled; else it is only remembered.
    pub hold: Option<&'r Hold>,
    /// The id of the slots it holds.
    pub slot: u128,
    pub expires_at: Timestamp,
    pub hits: Range<usize>,
    /// Whether it is there already, and so asks for nothing.
    pub repeated: bool,
}

/// A hold that a call ends, and at how many hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    pub descriptor: usize,
    pub key: NoteKey,
    pub hits: u64,
}

impl Settled {
    pub fn new(descriptor: usize, hold: &Hold, id: &str, asked: &Descriptor<'_>) -> Settled {
        let hits = match asked.hits {
            Hits::Take(hits) => hits,
            // A present 0 is what it says: nothing was used.
            Hits::Peek | Hits::GiveBack(_) => 0,
        };
        Settled { descriptor, key: hold_key(hold, id), hits }
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
    pub fn know(&mut self, rule: &'r Rule, asked: &Descriptor<'_>, first: usize, slot: usize) {
        let hits = first..self.hits.len();
        if let Some(hold) = rule.hold.as_deref() {
            let expires_at = self.now.plus(hold.expires_us);
            let key = asked.entries.get(&hold.by).map(|id| hold_key(hold, id));
            let id = key.map_or(0, NoteKey::to_u128);
            debug_assert_eq!(slot, self.slots.len());
            self.slots.push(HeldUntil { id, expires_at });
            let hits = hits.clone();
            self.known.extend(key.map(|key| Known {
                key,
                hold: Some(hold),
                slot: id,
                expires_at,
                hits,
                repeated: false,
            }));
        }
        if let Some(dedupe) = rule.dedupe.as_deref()
            && let Some(id) = asked.entries.get(&dedupe.by)
        {
            let mut prefix = dedupe.prefix.clone();
            prefix.push(id);
            let key = NoteKey::of_identity(Kind::Once, prefix.identity());
            let expires_at = self.now.plus(dedupe.for_us);
            self.known.push(Known { key, hold: None, slot: 0, expires_at, hits, repeated: false });
        }
    }

    /// The notes that this decision may read or write.
    pub fn note_keys(&self, ledger: &Ledger) -> NoteKeys {
        let mut keys: NoteKeys = self.known.iter().map(|known| known.key).collect();
        let granted = ledger.count(Kind::Grant) > 0;
        for hit in &self.hits {
            if granted && hit.votes {
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

    /// What is known already asks for nothing more.
    pub fn know_again(&mut self, notes: &Open<'_>) {
        for known in &mut self.known {
            known.repeated = notes.get(known.key, self.now).is_some();
            if known.repeated {
                self.hits[known.hits.clone()].iter_mut().for_each(|hit| {
                    (hit.demand, hit.charge, hit.pending, hit.votes) = (0, 0, 0, false);
                });
            }
        }
    }

    /// Asks for nothing at all: the whole call is known already.
    pub fn repeat(&mut self) {
        for hit in &mut self.hits {
            (hit.demand, hit.charge, hit.pending, hit.votes) = (0, 0, 0, false);
            hit.give_back = 0;
        }
        self.known.clear();
    }

    /// Gives each hit that votes what is left of its counter's grant.
    pub fn fund(&mut self, notes: &Open<'_>, ledger: &Ledger) {
        if ledger.count(Kind::Grant) == 0 {
            return;
        }
        for hit in self.hits.iter_mut().filter(|hit| hit.votes) {
            let bounded = matches!(hit.terms.budget, Budget::Requests(_));
            if bounded && hit.terms.on_exceed.votes() {
                let key = NoteKey::of_counter(Kind::Grant, hit.key);
                hit.pool = super::book::left_of_grant(notes, key, self.now);
            }
        }
    }
}

impl Known<'_> {
    /// Whether this decision is what makes it known: it was admitted, and took something.
    pub fn begins(&self, resolved: &Resolved<'_, '_>, applied: &Applied) -> bool {
        let took = || resolved.hits[self.hits.clone()].iter().any(|hit| hit.charge > 0);
        applied.admitted && !self.repeated && took()
    }
}
