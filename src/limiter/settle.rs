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
    for item in &mut receipt.items {
        let Some(limit) = domain.limit(&item.label) else { continue };
        let budget = item.requests.map_or(Budget::Unlimited, Budget::Requests);
        let terms = limit.terms().with_budget(budget);
        let (changed, ticket) = settle_item(store, &mut notes, item, terms, hits, now);
        settlement.changes.push(changed);
        settlement.ticket = settlement.ticket.max(ticket);
    }
    let ticket = match then {
        Then::Forget => notes.remove(key, Durability::Ordinary).1,
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
    let mut changed = Changed { label: item.label.clone(), charged: 0, put_back: 0 };
    let mut ticket = None;
    // The grant was spent last, and so is what comes back first.
    let to_grant = had.saturating_sub(cost).min(item.granted);
    if to_grant > 0 {
        let grant = NoteKey::of_counter(Kind::Grant, key);
        ticket = book::refill(notes, grant, to_grant, now);
        item.granted -= to_grant;
        changed.put_back = to_grant;
    }
    let back = had.saturating_sub(cost).saturating_sub(to_grant);
    let step = match (cost.saturating_sub(had), back) {
        (0, 0) => return (changed, ticket),
        (0, back) => Step::PutBack(back, mend::Mark::from(item.mark)),
        (excess, _) => Step::Charge(excess),
    };
    let moved = store.settle(Move { key, terms, step }, now);
    match step {
        Step::Charge(excess) => {
            item.taken = item.taken.saturating_add(excess);
            changed.charged = excess;
        }
        Step::PutBack(back, _) => {
            item.taken = item.taken.saturating_sub(back);
            changed.put_back += moved.put_back;
        }
    }
    let archive = NoteKey::of_counter(Kind::Archive, key);
    if let Some(Note::Archive(archived)) = notes.get(archive, now).cloned() {
        let open = (moved.after.used, now.plus(moved.after.reset_us));
        ticket = ticket.max(book::note_window(notes, archive, archived, &terms, open, now));
    }
    (changed, ticket.max(moved.ticket))
}
