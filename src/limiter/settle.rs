//! Putting right what a call took, by its receipt: at its true cost, or all of it back.

use crate::algorithm::mend;
use crate::key::CounterKey;
use crate::limit::{Algorithm, Budget, Durability, Limit, Terms};
use crate::rules::Domain;
use crate::store::journal::Ticket;
use crate::store::ledger::{Item, Kind, Note, NoteKey, Open, Part, Receipt};
use crate::store::{Memory, Move, Moved, Step};
use crate::time::Timestamp;

use super::again::NoteKeys;
use super::book;

/// What is to become of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What the call is to have cost, in hits.
    pub hits: u64,
    pub then: Then,
}

/// What becomes of the receipt when it is put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Forget,
    /// It is kept, closed, with what is known of it by now.
    Keep {
        hits: u64,
        refunded: u64,
        /// Until when; none means as long as it was to be kept.
        until: Option<Timestamp>,
    },
}

/// What was put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The receipt as it is now.
    pub receipt: Receipt,
    pub ticket: Option<Ticket>,
}

/// Puts right what the call of this receipt took, as its order says. Nothing happens if there is
/// no such receipt, or no order for it; that may be asked for several times.
pub fn settle(
    domain: &Domain,
    store: &Memory,
    key: NoteKey,
    now: Timestamp,
    mut order: impl FnMut(&Receipt) -> Option<Order>,
) -> Option<Settlement> {
    loop {
        let Some(Note::Receipt(mut receipt)) = store.ledger().get(key, now) else { return None };
        let mut notes = store.ledger().open(&keys(key, &receipt));
        // Somebody else may have put it right since it was read, and so have got further.
        if !matches!(notes.get(key, now), Some(Note::Receipt(found)) if *found == receipt) {
            continue;
        }
        let Order { hits, then } = order(&receipt)?;
        // The end of a hold lasts as surely as the surest of its counters, or a crash would let it
        // be settled twice.
        let (mut surest, mut ticket) = (Durability::Ordinary, None);
        for item in &mut receipt.items {
            let Some(limit) = domain.limit(&item.label) else { continue };
            let terms = terms(limit, item);
            if limit.durability == Durability::Strict {
                surest = Durability::Strict;
            }
            ticket = ticket.max(settle_item(store, &mut notes, item, terms, hits, now));
        }
        ticket = ticket.max(end(&mut notes, key, (&mut receipt, surest), then));
        return Some(Settlement { receipt, ticket });
    }
}

/// What bound the key when this was taken.
fn terms<'l>(limit: &'l Limit, item: &Item) -> Terms<'l> {
    let budget = item.requests.map_or(Budget::Unlimited, Budget::Requests);
    let mut terms = limit.terms();
    if terms.budget != budget {
        terms = terms.with_budget(budget);
    }
    if let (Algorithm::Calendar(common), Some((zone, day))) = (&limit.algorithm, &item.calendar) {
        terms.calendar = common.of_names(zone, *day);
    }
    terms
}

fn end(
    notes: &mut Open<'_>,
    key: NoteKey,
    (receipt, surest): (&mut Receipt, Durability),
    then: Then,
) -> Option<Ticket> {
    let Then::Keep { hits, refunded, until } = then else {
        return notes.remove(key, surest).1;
    };
    (receipt.hits, receipt.refunded, receipt.open) = (hits, refunded, false);
    let until = until.or_else(|| notes.expires_at(key))?;
    notes.put(key, Note::Receipt(receipt.clone()), until, Durability::Strict)
}

/// The receipt, and the notes about the counters that it names.
fn keys(key: NoteKey, receipt: &Receipt) -> NoteKeys {
    let mut keys = NoteKeys::from_slice(&[key]);
    for item in &receipt.items {
        let counter = CounterKey::from_u128(item.counter);
        keys.push(NoteKey::of_counter(Kind::Grant, counter));
        keys.push(NoteKey::of_counter(Kind::Archive, counter));
        keys.push(NoteKey::of_counter(Kind::Reset, counter));
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
) -> Option<Ticket> {
    let key = CounterKey::from_u128(item.counter);
    let had = item.charged();
    let cost = match terms.limit.algorithm {
        // What was held is held no more, whatever it cost.
        Algorithm::Concurrency => 0,
        _ => hits.saturating_mul(item.cost),
    };
    let mut counter = Counter { store, notes, key, terms, now, ticket: None };
    match cost.checked_sub(had) {
        Some(0) => {}
        Some(excess) => item.later = Some(counter.charge(excess)),
        None => counter.put_back(item, had - cost),
    }
    counter.ticket
}

/// One counter of a receipt, with its grant and its closed windows.
struct Counter<'a, 'n> {
    store: &'a Memory,
    notes: &'a mut Open<'n>,
    key: CounterKey,
    terms: Terms<'a>,
    now: Timestamp,
    ticket: Option<Ticket>,
}

impl Counter<'_, '_> {
    /// Charges so much more: the counter as far as it has room, then its grant, and what neither
    /// has room for to the counter.
    fn charge(&mut self, excess: u64) -> Part {
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
        }
        let grant_since_us = book::grant_since_us(self.notes, grant, self.now);
        let taken = excess - of_grant;
        let reset_us = match taken {
            0 => 0,
            _ => self.step(Step::Charge(taken)).after.reset_us,
        };
        // Only what is held at once has slots, and of that no settlement takes more.
        let mark = mend::mark(self.terms.limit, self.now, reset_us, 0).into();
        Part { taken, granted: of_grant, grant_since_us, mark, at_us: self.now.as_micros() }
    }

    /// Puts so much back, what was taken last ahead of what was taken first.
    fn put_back(&mut self, item: &mut Item, back: u64) {
        let later = item.later.map_or(0, Part::charged).min(back);
        if let Some(part) = item.later.take() {
            item.later = Some(self.put_back_of(item, part, later));
        }
        let first = self.put_back_of(item, item.first(), back - later);
        item.set_first(first);
    }

    /// Puts back so much of one part: into the grant first, for it was spent last. Says what is
    /// left of the part.
    fn put_back_of(&mut self, item: &mut Item, mut part: Part, back: u64) -> Part {
        let to_grant = back.min(part.granted);
        if to_grant > 0 {
            let durability = self.terms.limit.durability;
            let grant = self.grant();
            let spent = (to_grant, part.grant_since_us);
            let (filled, ticket) = book::refill(self.notes, grant, spent, durability, self.now);
            self.ticket = self.ticket.max(ticket);
            part.granted -= to_grant;
            item.returned(to_grant, filled);
        }
        let to_counter = back - to_grant;
        if to_counter > 0 {
            part.taken = part.taken.saturating_sub(to_counter);
            let put_back = match self.is_gone(&part) {
                true => 0,
                false => self.step(Step::PutBack(to_counter, part.mark.into())).put_back,
            };
            item.returned(to_counter, put_back.min(to_counter));
        }
        part
    }

    /// Whether the counter was emptied or set since: what it holds by now is of others.
    fn is_gone(&self, part: &Part) -> bool {
        let reset = self.notes.get(NoteKey::of_counter(Kind::Reset, self.key), self.now);
        matches!(reset, Some(Note::Reset(reset)) if part.at_us <= reset.at_us)
    }

    /// Makes one step of the counter, and brings its open window in the archive up to that.
    fn step(&mut self, step: Step) -> Moved {
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
        moved
    }

    fn grant(&self) -> NoteKey {
        NoteKey::of_counter(Kind::Grant, self.key)
    }
}
