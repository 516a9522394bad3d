//! How many counters make one answer: from a query to a verdict.
//!
//! Resolves each descriptor to the limits that hold it, has the store commit them together, and
//! picks what to show of each. Knows no wire, no clock and no metrics.

mod directed;
mod reading;
mod resolve;
mod tightness;
mod verdict;

pub use self::reading::Reading;
pub use self::tightness::{Share, Tightness};
pub use self::verdict::{Origin, Shown, Standing, Status, Verdict};

use crate::query::Query;
use crate::rules::{Domain, RuleSet};
use crate::store::{Applied, Ask, Memory};
use crate::time::Timestamp;

use self::directed::Directed;
use self::resolve::{Resolved, Subject};
use self::verdict::Candidate;

/// Decides one call at one moment.
pub fn decide<'a>(
    rules: &'a RuleSet,
    store: &Memory,
    query: &Query<'_>,
    now: Timestamp,
) -> Verdict<'a> {
    let domain = rules.domain(query.domain);
    let directed = Directed::of(domain, query);
    match directed.query(query, now) {
        Some(query) => decide_directed((rules, domain), store, &query, &directed, now),
        None => decide_directed((rules, domain), store, query, &directed, now),
    }
}

/// Decides a call whose entries are those that count, be they its own or the directory's.
fn decide_directed<'a>(
    (rules, domain): (&'a RuleSet, Option<&'a Domain>),
    store: &Memory,
    query: &Query<'_>,
    directed: &Directed,
    now: Timestamp,
) -> Verdict<'a> {
    let overrides = resolve::overrides(rules, domain, query);
    let mut resolved = Resolved::at(now);
    for (position, (descriptor, limit)) in query.descriptors.iter().zip(&overrides).enumerate() {
        match (domain, limit) {
            (None, _) => resolved.unmatched(),
            (Some(domain), Some(limit)) => resolved.brought_along(domain, descriptor, limit),
            (Some(domain), None) => {
                resolved.ruled(domain, descriptor, directed.row(position));
            }
        }
    }
    resolved.sum_by_counter();
    let refused = resolved.subjects.iter().any(|subject| subject.refused);
    let applied = store.apply(Ask { hits: &resolved.hits, refused }, now);
    let statuses = resolved.subjects.iter().map(|subject| {
        verdict::status(subject.refused, &mut candidates(&resolved, &applied, subject))
    });
    let statuses = statuses.collect();
    let speaker = domain.filter(|domain| domain.speaks());
    let readings = match speaker {
        Some(_) => readings(&resolved, &applied, query),
        None => Vec::new(),
    };
    let ticket = applied.ticket;
    Verdict { admitted: applied.admitted, at: now, statuses, ticket, speaker, readings }
}

/// The limits of one descriptor and what became of them.
fn candidates<'a, 'b, 'c>(
    resolved: &'b Resolved<'a, 'c>,
    applied: &'b Applied,
    subject: &Subject,
) -> impl Iterator<Item = Candidate<'a, 'b>> + use<'a, 'b, 'c> {
    subject.hits.clone().map(|position| Candidate {
        origin: resolved.origins[position],
        hit: &resolved.hits[position],
        outcome: applied.outcomes[position],
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
