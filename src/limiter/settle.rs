//! Putting right what a call took, by its receipt: at its true cost, or all of it back.

use crate::algorithm::mend;
use crate::key::CounterKey;
use crate::limit::{Algorithm, Budget, Durability, Terms};
use crate::rules::Domain;
use crate::store::journal::Ticket;
use crate::store::ledger::{Item, Kind, Note, NoteKey, Open, Receipt};
use crate::store::{Memory, Move, Step};
use crate::time::Timestamp;

use super::again::NoteKeys;
use super::book;

/// Which receipts may be put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those whose true cost is still to be told.
    Open,
    /// Also those that were told it, or never had another.
    Any,
}

/// What becomes of the receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Forget,
    /// It is kept until then, closed.
    KeepUntil(Timestamp),
}

/// What was put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub changes: Vec<Changed>,
    pub ticket: Option<Ticket>,
}

/// One counter of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Rule and limit name.
    pub label: String,
    pub charged: u64,
    pub put_back: u64,
}

/// Puts right what the call of this receipt took, as if it had cost so many hits. Nothing happens
/// if there is no such receipt.
pub fn settle(
    domain: &Domain,
    store: &Memory,
    key: NoteKey,
    hits: u64,
    (which, then): (Which, Then),
    now: Timestamp,
) -> Option<Settlement> {
    let found = |note: Option<&Note>| match note {
        Some(Note::Receipt(receipt)) if receipt.open || which == Which::Any => {
            Some(receipt.clone())
        }
        _ => None,
    };
    let mut receipt = found(store.ledger().get(key, now).as_ref())?;
    let mut notes = store.ledger().open(&keys(key, &receipt));
    // Somebody else may have put it right since it was read.
    if found(notes.get(key, now)) != Some(receipt.clone()) {
        return None;
    }
    let mut settlement = Settlement { changes: Vec::new(), ticket: None };
    // The end of a hold lasts as surely as the surest of its counters, or a crash would let it be
    // settled twice.
    let mut surest = Durability::Ordinary;
    for item in &mut receipt.items {
        let Some(limit) = domain.limit(&item.label) else { continue };
        let budget = item.requests.map_or(Budget::Unlimited, Budget::Requests);
        let terms = limit.terms().with_budget(budget);
        if limit.durability == Durability::Strict {
            surest = Durability::Strict;
        }
        let (changed, ticket) = settle_item(store, &mut notes, item, terms, hits, now);
        settlement.changes.push(changed);
        settlement.ticket = settlement.ticket.max(ticket);
    }
    let ticket = match then {
        Then::Forget => notes.remove(key, surest).1,
        Then::KeepUntil(until) => {
            receipt.open = false;
            notes.put(key, Note::Receipt(receipt), until, Durability::Strict)
        }
    };
    settlement.ticket = settlement.ticket.max(ticket);
    Some(settlement)
}

/// The receipt, and the notes about the counters that it names.
fn keys(key: NoteKey, receipt: &Receipt) -> NoteKeys {
    let mut keys = NoteKeys::from_slice(&[key]);
    for item in &receipt.items {
        let counter = CounterKey::from_u128(item.counter);
        keys.push(NoteKey::of_counter(Kind::Grant, counter));
        keys.push(NoteKey::of_counter(Kind::Archive, counter));
    }
    keys
}

fn settle_item(
    store: &Memory,
    notes: &mut Open<'_>,
    item: &mut Item,
    terms: Terms<'_>,
    hits: u64,
    now: Timestamp,
) -> (Changed, Option<Ticket>) {
    let key = CounterKey::from_u128(item.counter);
    let had = item.taken.saturating_add(item.granted);
    let cost = match terms.limit.algorithm {
        // What was held is held no more, whatever it cost.
        Algorithm::Concurrency => 0,
        _ => hits.saturating_mul(item.cost),
    };
    let mut parts = Parts { store, notes, item, key, terms, now, ticket: None };
    let label = parts.item.label.clone();
    let (charged, put_back) = match cost.checked_sub(had) {
        Some(excess) => (parts.charge(excess), 0),
        None => (0, parts.put_back(had - cost)),
    };
    (Changed { label, charged, put_back }, parts.ticket)
}

/// One counter of a receipt, with its grant and its closed windows.
struct Parts<'a, 'n> {
    store: &'a Memory,
    notes: &'a mut Open<'n>,
    item: &'a mut Item,
    key: CounterKey,
    terms: Terms<'a>,
    now: Timestamp,
    ticket: Option<Ticket>,
}

impl Parts<'_, '_> {
    /// Charges so much more: the counter as far as it has room, then its grant, and what neither
    /// has room for to the counter.
    fn charge(&mut self, excess: u64) -> u64 {
        if excess == 0 {
            return 0;
        }
        let (grant, durability) = (self.grant(), self.terms.limit.durability);
        let left = book::left_of_grant(self.notes, grant, self.now);
        let of_grant = match left {
            0 => 0,
            _ => {
                let room = self.store.reading(self.key, &self.terms, self.now).remaining;
                excess.saturating_sub(room).min(left)
            }
        };
        if of_grant > 0 {
            let spent = book::spend(self.notes, grant, of_grant, durability, self.now);
            self.ticket = self.ticket.max(spent);
            self.item.granted = self.item.granted.saturating_add(of_grant);
        }
        let of_counter = excess - of_grant;
        if of_counter > 0 {
            self.step(Step::Charge(of_counter));
            self.item.taken = self.item.taken.saturating_add(of_counter);
        }
        excess
    }

    /// Puts so much back: into the grant first, for it was spent last. Says how much found its way.
    fn put_back(&mut self, back: u64) -> u64 {
        let to_grant = back.min(self.item.granted);
        if to_grant > 0 {
            let durability = self.terms.limit.durability;
            let filled = book::refill(self.notes, self.grant(), to_grant, durability, self.now);
            self.ticket = self.ticket.max(filled);
            self.item.granted -= to_grant;
        }
        let to_counter = back - to_grant;
        if to_counter == 0 {
            return to_grant;
        }
        self.item.taken = self.item.taken.saturating_sub(to_counter);
        let mark = mend::Mark::from(self.item.mark);
        to_grant.saturating_add(self.step(Step::PutBack(to_counter, mark)))
    }

    /// Makes one step of the counter, and brings its open window in the archive up to that.
    fn step(&mut self, step: Step) -> u64 {
        let (key, terms, now) = (self.key, self.terms, self.now);
        let moved = self.store.settle(Move { key, terms, step }, now);
        self.ticket = self.ticket.max(moved.ticket);
        let changed = moved.put_back > 0 || matches!(step, Step::Charge(_));
        let archive = NoteKey::of_counter(Kind::Archive, key);
        if changed && let Some(Note::Archive(archived)) = self.notes.get(archive, now).cloned() {
            let open = (moved.after.used, now.plus(moved.after.reset_us));
            let noted = book::note_window(self.notes, archive, archived, &terms, open, now);
            self.ticket = self.ticket.max(noted);
        }
        moved.put_back
    }

    fn grant(&self) -> NoteKey {
        NoteKey::of_counter(Kind::Grant, self.key)
    }
}
