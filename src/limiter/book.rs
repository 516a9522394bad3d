//! What a decision writes down beside its counters: receipts, what grants have left, the counts of
//! windows, and how far alerts have come.

use crate::algorithm::{self, mend};
use crate::calendar::{Calendar, Window};
use crate::limit::{Budget, Durability, Limit, OnExceed, Terms};
use crate::query::{Entries, Query, Wanted};
use crate::rules::Rule;
use crate::store::journal::Ticket;
use crate::store::ledger::{
    Alerted, Archive, Closed, Grant, Item, Kind, Note, NoteKey, Open, Receipt,
};
use crate::store::{Applied, Hit, Outcome};
use crate::time::Timestamp;

use super::again::Purpose;
use super::resolve::Resolved;
use super::verdict::Origin;

/// Closed windows that are kept of each counter: a year of months and the one before, and the one
/// that is open.
const WINDOWS_KEPT: usize = 14;

/// So much of what one call took can be put right later. A call of more limits than this is not
/// one that somebody settles.
const ITEMS_MAX: usize = 1000;

/// A threshold of a limit that this call crossed.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'a> {
    pub rule: &'a Rule,
    pub limit: &'a Limit,
    /// The position of the descriptor in the call.
    pub descriptor: usize,
    pub percent: u32,
    pub used: u64,
    pub budget: u64,
    /// Where it is counted in windows.
    pub window: Option<Window>,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Booked<'a> {
    pub ticket: Option<Ticket>,
    pub crossings: Vec<Crossing<'a>>,
}

/// Writes down what a decision has made of its counters.
pub fn enter<'r>(
    call: &Resolved<'r, '_>,
    applied: &Applied,
    query: &Query<'_>,
    notes: &mut Open<'_>,
) -> Booked<'r> {
    let mut booked = Booked::default();
    receipts(call, applied, query, notes, &mut booked);
    let parts = call.hits.iter().zip(&applied.outcomes).zip(&call.origins);
    for (position, ((hit, outcome), origin)) in parts.enumerate() {
        if outcome.granted > 0 {
            let key = NoteKey::of_counter(Kind::Grant, hit.key);
            let durability = hit.terms.limit.durability;
            booked.keep(spend(notes, key, outcome.granted, durability, call.now));
        }
        // What many have used together is no use of this one, and nothing to tell anyone of.
        if applied.counted_in(position, hit) != hit.key {
            continue;
        }
        let changed = outcome.taken > 0 || hit.give_back > 0;
        if changed
            && hit.terms.limit.archive
            && let Some(rule) = origin.rule
        {
            let entries = &query.descriptors[origin.descriptor].entries;
            let of = Counted { domain: query.domain, rule, entries };
            booked.keep(archive(notes, hit, &of, outcome, call.now));
        }
        // Also of a call that is refused: a settlement may have used up all there is, and then no
        // call is charged any more.
        if hit.charge > 0 && hit.terms.limit.alert.is_some() {
            let of_counter = |(other, _): &(&Hit<'_>, &Outcome)| other.key == hit.key;
            let all = call.hits.iter().zip(&applied.outcomes);
            // Saturating, as the counter is.
            let taken = all
                .filter(of_counter)
                .fold(0, |sum: u64, (_, outcome)| sum.saturating_add(outcome.taken));
            let use_ = Use { used: outcome.used, taken, reset_us: outcome.reset_us };
            booked.crossings.extend(crossings(notes, hit, use_, origin, call.now));
        }
    }
    booked
}

impl Booked<'_> {
    fn keep(&mut self, ticket: Option<Ticket>) {
        self.ticket = self.ticket.max(ticket);
    }
}

fn receipts(
    call: &Resolved<'_, '_>,
    applied: &Applied,
    query: &Query<'_>,
    notes: &mut Open<'_>,
    booked: &mut Booked<'_>,
) {
    for known in &call.known {
        for id in known.ids.iter().filter(|id| known.becomes_known(id, call, applied)) {
            let note = match id.purpose {
                Purpose::Dedupe => Note::Once,
                Purpose::Hold => Note::Receipt(Receipt {
                    domain: query.domain.to_owned(),
                    items: items(call, applied, notes, known.hits.clone(), id.key.to_u128()),
                    arguments: 0,
                    hits: 0,
                    refunded: 0,
                    open: true,
                    reserved: true,
                }),
            };
            let strictest = durability(&call.hits[known.hits.clone()]);
            booked.keep(notes.put_if_room(id.key, note, id.expires_at, strictest));
        }
    }
    if let Some(wanted) = query.receipt
        && applied.admitted
        && notes.get(receipt_key(wanted), call.now).is_none()
    {
        let receipt = Receipt {
            domain: query.domain.to_owned(),
            items: items(call, applied, notes, 0..call.hits.len(), wanted.id.to_u128()),
            arguments: wanted.arguments,
            hits: query.descriptors.iter().map(|asked| asked.hits.taken()).sum(),
            refunded: 0,
            open: wanted.open,
            reserved: wanted.open,
        };
        let expires_at = call.now.plus(wanted.for_us);
        let (key, note) = (receipt_key(wanted), Note::Receipt(receipt));
        booked.keep(notes.put(key, note, expires_at, Durability::Strict));
    }
}

pub fn receipt_key(wanted: Wanted) -> NoteKey {
    NoteKey::of_identity(Kind::Receipt, wanted.id)
}

/// A note lasts as surely as the surest of the counters it speaks of.
fn durability(hits: &[Hit<'_>]) -> Durability {
    let strict = |hit: &Hit<'_>| hit.terms.limit.durability == Durability::Strict;
    if hits.iter().any(strict) { Durability::Strict } else { Durability::Ordinary }
}

fn items(
    call: &Resolved<'_, '_>,
    applied: &Applied,
    notes: &Open<'_>,
    hits: std::ops::Range<usize>,
    slot: u128,
) -> Vec<Item> {
    let took = hits.filter(|&at| applied.outcomes[at].taken + applied.outcomes[at].granted > 0);
    let of_rules = took.filter(|&at| call.origins[at].rule.is_some());
    let item = |at: usize| {
        let (hit, outcome) = (&call.hits[at], &applied.outcomes[at]);
        Item {
            counter: applied.counted_in(at, hit).to_u128(),
            label: call.origins[at].label.to_owned(),
            requests: requests(&hit.terms),
            cost: call.origins[at].cost,
            taken: outcome.taken,
            granted: outcome.granted,
            grant_since_us: match outcome.granted {
                0 => 0,
                _ => grant_since_us(notes, NoteKey::of_counter(Kind::Grant, hit.key), call.now),
            },
            put_back: 0,
            kept: 0,
            mark: mend::mark(hit.terms.limit, call.now, outcome.reset_us, slot).into(),
            at_us: call.now.as_micros(),
            later: None,
            calendar: hit.terms.calendar.map(Calendar::own_names),
        }
    };
    of_rules.take(ITEMS_MAX).map(item).collect()
}

fn requests(terms: &Terms<'_>) -> Option<u64> {
    match terms.budget {
        Budget::Requests(requests) => Some(requests),
        Budget::Unlimited => None,
    }
}

/// What a grant has left; nothing where there is none.
pub fn left_of_grant(notes: &Open<'_>, key: NoteKey, now: Timestamp) -> u64 {
    match notes.get(key, now) {
        Some(Note::Grant(grant)) => grant.left,
        _ => 0,
    }
}

/// Which grant there is, told by when it was first made; zero where there is none.
pub fn grant_since_us(notes: &Open<'_>, key: NoteKey, now: Timestamp) -> u64 {
    match notes.get(key, now) {
        Some(Note::Grant(grant)) => grant.since_us,
        _ => 0,
    }
}

/// Takes of a grant, or puts back into it if `hits` were returned.
fn change_grant(
    notes: &mut Open<'_>,
    key: NoteKey,
    durability: Durability,
    now: Timestamp,
    change: impl FnOnce(u64) -> u64,
) -> Option<Ticket> {
    let Some(Note::Grant(grant)) = notes.get(key, now).cloned() else { return None };
    let expires_at = notes.expires_at(key)?;
    let left = change(grant.left).min(grant.granted);
    notes.put(key, Note::Grant(Grant { left, ..grant }), expires_at, durability)
}

/// Takes hits of a grant.
pub fn spend(
    notes: &mut Open<'_>,
    key: NoteKey,
    hits: u64,
    durability: Durability,
    now: Timestamp,
) -> Option<Ticket> {
    change_grant(notes, key, durability, now, |left| left.saturating_sub(hits))
}

/// Puts hits back into the grant that was made at `since_us`, as far as it is still there; says
/// how many that were. One that took its place has not been spent on them.
pub fn refill(
    notes: &mut Open<'_>,
    key: NoteKey,
    (hits, since_us): (u64, u64),
    durability: Durability,
    now: Timestamp,
) -> (u64, Option<Ticket>) {
    if grant_since_us(notes, key, now) != since_us {
        return (0, None);
    }
    let before = left_of_grant(notes, key, now);
    let ticket = change_grant(notes, key, durability, now, |left| left.saturating_add(hits));
    (left_of_grant(notes, key, now) - before, ticket)
}

/// Whose counter it is, as people read it.
struct Counted<'a, 'e> {
    domain: &'a str,
    rule: &'a Rule,
    entries: &'a Entries<'e>,
}

/// Notes what the open window of a counter holds, and with it that earlier ones are closed.
fn archive(
    notes: &mut Open<'_>,
    hit: &Hit<'_>,
    of: &Counted<'_, '_>,
    outcome: &Outcome,
    now: Timestamp,
) -> Option<Ticket> {
    let key = NoteKey::of_counter(Kind::Archive, hit.key);
    let archive = match notes.get(key, now) {
        Some(Note::Archive(archive)) => archive.clone(),
        // What was given back to a counter that held nothing is no use of any window.
        _ if outcome.used == 0 => return None,
        _ => Archive {
            domain: of.domain.to_owned(),
            label: hit.terms.limit.label.to_string(),
            values: of.rule.counted(of.entries),
            windows: Default::default(),
        },
    };
    note_window(notes, key, archive, &hit.terms, (outcome.used, now.plus(outcome.reset_us)), now)
}

/// Brings the window that ends at `end` up to what is used now.
pub fn note_window(
    notes: &mut Open<'_>,
    key: NoteKey,
    mut archive: Archive,
    terms: &Terms<'_>,
    (used, end): (u64, Timestamp),
    now: Timestamp,
) -> Option<Ticket> {
    let start_us = match algorithm::window(terms, now) {
        Some(window) if window.end == end => window.start.as_micros(),
        _ => end.as_micros().saturating_sub(terms.limit.window_us()),
    };
    let end_us = end.as_micros();
    let open = Closed { start_us, end_us, used, requests: requests(terms) };
    match archive.windows.back_mut() {
        Some(last) if last.end_us == end_us => *last = Closed { start_us: last.start_us, ..open },
        _ => archive.windows.push_back(open),
    }
    while WINDOWS_KEPT < archive.windows.len() {
        archive.windows.pop_front();
    }
    let kept_us = terms.limit.window_us().saturating_mul(WINDOWS_KEPT as u64);
    let durability = terms.limit.durability;
    notes.put_if_room(key, Note::Archive(archive), end.plus(kept_us), durability)
}

/// What a whole call has made of one counter.
#[derive(Clone, Copy)]
struct Use {
    used: u64,
    taken: u64,
    reset_us: u64,
}

/// The thresholds that nobody was told of in this window, each once. Where nothing has windows, it
/// must be this call that crossed them, or a steady stream would be told of again and again.
fn crossings<'r>(
    notes: &mut Open<'_>,
    hit: &Hit<'_>,
    Use { used, taken, reset_us }: Use,
    origin: &Origin<'r>,
    now: Timestamp,
) -> Vec<Crossing<'r>> {
    let (Some(rule), Some(limit)) = (origin.rule, origin.limit) else { return Vec::new() };
    let (Some(alert), Some(budget)) = (&limit.alert, requests(&hit.terms)) else {
        return Vec::new();
    };
    // Outside of the share that a rule is enforced for, nobody is told of anything.
    if hit.terms.on_exceed == OnExceed::Shadow && limit.on_exceed != OnExceed::Shadow {
        return Vec::new();
    }
    let key = NoteKey::of_counter(Kind::Alerted, hit.key);
    let told = match notes.get(key, now) {
        Some(Note::Alerted(alerted)) => alerted.percent,
        _ => 0,
    };
    let window = algorithm::window(&hit.terms, now);
    let before = match window {
        // A hold that was settled, or a person, may have crossed it unseen.
        Some(_) => 0,
        None => used.saturating_sub(taken),
    };
    let crosses = |&percent: &u32| {
        let level = u128::from(budget) * u128::from(percent);
        let reached = |used: u64| level <= u128::from(used) * 100;
        told < percent && reached(used) && !reached(before)
    };
    let crossed: Vec<u32> = alert.thresholds.iter().copied().filter(crosses).collect();
    if let Some(&percent) = crossed.last() {
        let window_us = if window.is_some() { reset_us } else { limit.window_us() };
        let note = Note::Alerted(Alerted { percent });
        notes.put(key, note, now.plus(window_us), Durability::Ordinary);
    }
    let descriptor = origin.descriptor;
    let crossing = |percent| Crossing { rule, limit, descriptor, percent, used, budget, window };
    crossed.into_iter().map(crossing).collect()
}
