//! How many counters make one answer: from a query to a verdict.
//!
//! Resolves each descriptor to the limits that hold it, has the store commit them together, and
//! picks what to show of each. Knows no wire, no clock and no metrics.

mod again;
mod barred;
mod book;
mod directed;
mod leaves;
mod overage;
mod plain;
mod reading;
mod resolve;
mod settle;
mod tightness;
mod tree;
mod turn;
mod verdict;

pub use self::book::{Crossing, note_window, receipt_key};
pub use self::overage::Overage;
pub use self::reading::Reading;
pub use self::settle::{Order, Settlement, Then, settle};
pub use self::tightness::{Share, Tightness};
pub use self::turn::{Turn, Wait};
pub use self::verdict::{IdUse, Origin, OwnedEntries, Shown, Standing, Status, Verdict};

use smallvec::SmallVec;

use crate::query::Query;
use crate::rules::{Domain, RuleSet};
use crate::store::ledger::{Kind, Note, Open, Receipt};
use crate::store::{Applied, Memory};
use crate::time::Timestamp;

use self::again::Settled;
use self::book::Booked;
use self::directed::Directed;
use self::plain::Plain;
use self::resolve::{Resolved, Subject};
use self::turn::Queued;
use self::verdict::Candidate;

/// How a call is to be decided.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "what a closure answers cannot be shown")]
pub struct Manner<'t> {
    /// If it has a turn, it may come to wait.
    pub turn: Option<Turn<'t>>,
    /// Whether it is to be told how every limit stands, whatever its domain says.
    pub tells: bool,
}

/// Decides one call at one moment. Who waits in line is not seen.
pub fn decide<'a>(
    rules: &'a RuleSet,
    store: &Memory,
    query: &Query<'_>,
    now: Timestamp,
) -> Verdict<'a> {
    decide_in_manner(rules, store, query, now, Manner::default())
}

/// Decides one call at one moment, with a turn behind those who wait already.
pub fn decide_in_manner<'a>(
    rules: &'a RuleSet,
    store: &Memory,
    query: &Query<'_>,
    now: Timestamp,
    manner: Manner<'_>,
) -> Verdict<'a> {
    let domain = rules.domain(query.domain);
    // Whoever has stood in line must leave it, whatever the rules have become meanwhile.
    let stood = manner.turn.as_ref().is_some_and(|turn| turn.place.is_some());
    if let Some(domain) = domain.filter(|_| !stood) {
        if domain.manner().is_some() {
            if let Some(verdict) = tree::decide(domain, store, query, now, manner.tells) {
                return verdict;
            }
        } else {
            let mut plain = Plain::default();
            if plain.resolve(domain, store, query).is_ok() {
                // Made where it is to be: a verdict is too large to be moved for nothing.
                return plain.decide(domain, store, query, now, manner.tells);
            }
        }
    }
    decide_unusual((rules, domain), store, query, now, manner)
}

/// Decides a call of which everything has to be looked at.
fn decide_unusual<'a>(
    (rules, domain): (&'a RuleSet, Option<&'a Domain>),
    store: &Memory,
    query: &Query<'_>,
    now: Timestamp,
    manner: Manner<'_>,
) -> Verdict<'a> {
    let directed = Directed::of(domain, query);
    if directed.is_empty() {
        return decide_directed((rules, domain), store, query, &directed, now, manner);
    }
    let (domain_name, receipt) = (query.domain, query.receipt);
    let mut widened = Query { domain: domain_name, descriptors: SmallVec::new(), receipt };
    directed.widen(query, &mut widened, now);
    let mut verdict = decide_directed((rules, domain), store, &widened, &directed, now, manner);
    verdict.keep_entries(&widened);
    verdict
}

/// Decides a call whose entries are those that count, be they its own or the directory's.
fn decide_directed<'a>(
    (rules, domain): (&'a RuleSet, Option<&'a Domain>),
    store: &Memory,
    query: &Query<'_>,
    directed: &Directed<'_>,
    now: Timestamp,
    Manner { turn, tells }: Manner<'_>,
) -> Verdict<'a> {
    let overrides = resolve::overrides(rules, domain, query);
    let mut call = Resolved::new(now, query.receipt.as_ref(), tells);
    match domain {
        Some(domain) => {
            call.call(domain, &query.descriptors, &overrides, directed);
            call.bar(domain, &query.descriptors, store.ledger());
        }
        None => call.unruled(query.descriptors.len()),
    }
    let mut verdict = commit(store, query, domain, &mut call, turn);
    if verdict.wait.is_some() {
        return verdict;
    }
    // What was not decided ends no holds either.
    let ends = call.settled.iter().filter(|_| verdict.id == IdUse::New);
    for &Settled { key, hits, .. } in ends {
        let order = |receipt: &Receipt| receipt.open.then_some(Order { hits, then: Then::Forget });
        let ended =
            domain.zip(key).and_then(|(domain, key)| settle(domain, store, key, now, order));
        verdict.ticket = verdict.ticket.max(ended.and_then(|ended| ended.ticket));
    }
    verdict
}

/// Has the store commit what a call asks for, together with the notes that concern it.
fn commit<'r: 'c, 'c>(
    store: &Memory,
    query: &Query<'_>,
    domain: Option<&'r Domain>,
    call: &mut Resolved<'r, 'c>,
    turn: Option<Turn<'_>>,
) -> Verdict<'r> {
    let ledger = store.ledger();
    // Asked once: what is not locked now must not be looked for later.
    let granted = ledger.count(Kind::Grant) > 0;
    let mut keys = call.note_keys(granted);
    keys.extend(query.receipt.map(receipt_key));
    let mut notes = ledger.open(&keys);
    let id = id_use(query, &notes, call.now);
    if id == IdUse::New {
        call.know_again(&notes);
        if granted {
            call.fund(&notes);
        }
    } else {
        call.repeat();
    }
    call.sum_by_counter();
    let refused = id == IdUse::Clashing
        || !call.barred.is_empty()
        || call.subjects.iter().any(|subject| subject.refused);
    let mut queued = Queued::new(turn, call);
    let mut applied = call.apply(store, refused);
    if queued.opens_for(&applied, call) {
        applied = call.apply(store, refused);
    }
    if let Some(manner) = domain.and_then(Domain::manner) {
        call.judge(manner, &mut applied);
    }
    let wait = queued.end(call, &applied);
    let booked = if keys.is_empty() || wait.is_some() {
        Booked::default()
    } else {
        book::enter(call, &applied, query, &mut notes)
    };
    // Who asks again may not have been answered before, and waits for the same.
    let known = query.receipt.filter(|_| id == IdUse::Repeated);
    let again = known.and_then(|known| notes.write_soon(receipt_key(known)));
    drop(notes);
    // Who waits has not been refused.
    let fallen = match &wait {
        Some(_) => Vec::new(),
        None => call.offend(&applied, query, ledger),
    };
    let statuses = statuses(call, &applied);
    let speaker = domain.filter(|domain| domain.speaks());
    let tells = call.tells || speaker.is_some();
    Verdict {
        admitted: applied.admitted,
        at: call.now,
        statuses,
        ticket: applied.ticket.max(booked.ticket).max(again),
        speaker,
        readings: if tells { readings(call, &applied, query) } else { Vec::new() },
        crossings: booked.crossings,
        overages: overage::overages(call, &applied),
        id,
        fallen,
        wait,
        directed: Box::default(),
    }
}

/// A status for each descriptor, in order.
fn statuses<'r: 'c, 'c>(call: &Resolved<'r, 'c>, applied: &Applied) -> SmallVec<[Status<'r>; 2]> {
    let status = |(position, subject): (usize, &Subject)| match call.barred(position) {
        Some(barred) => barred.status(call.now),
        None => {
            let candidates = candidates(call, applied, subject);
            verdict::status(subject.refused, candidates).or_unlimited(subject.unlimited)
        }
    };
    call.subjects.iter().enumerate().map(status).collect()
}

/// Whether the id that a call brings along is known, and for the same.
fn id_use(query: &Query<'_>, notes: &Open<'_>, now: Timestamp) -> IdUse {
    let Some(wanted) = query.receipt else { return IdUse::New };
    match notes.get(receipt_key(wanted), now) {
        Some(Note::Receipt(known)) if known.arguments == wanted.arguments => IdUse::Repeated,
        Some(_) => IdUse::Clashing,
        None => IdUse::New,
    }
}

/// The limits of one descriptor and what became of them.
fn candidates<'a, 'b, 'c>(
    resolved: &'b Resolved<'a, 'c>,
    applied: &'b Applied,
    subject: &Subject,
) -> impl Iterator<Item = Candidate<'a, 'b>> + use<'a, 'b, 'c> {
    subject.hits.clone().map(|position| {
        let hit = &resolved.hits[position];
        Candidate {
            origin: resolved.origins[position],
            terms: &hit.terms,
            votes: hit.votes,
            pool: hit.pool,
            outcome: &applied.outcomes[position],
        }
    })
}

/// All limits of the call, for answers that tell more of them than the statuses do.
fn readings<'a>(
    resolved: &Resolved<'a, '_>,
    applied: &Applied,
    query: &Query<'_>,
) -> Vec<Reading<'a>> {
    let mut readings = Vec::with_capacity(resolved.hits.len());
    let subjects = resolved.subjects.iter().zip(&query.descriptors);
    for (position, (subject, asked)) in subjects.enumerate() {
        readings.extend(candidates(resolved, applied, subject).map(|candidate| {
            let plan = candidate.origin.rule.and_then(|rule| rule.plan(&asked.entries));
            candidate.reading(position, plan)
        }));
    }
    readings
}
