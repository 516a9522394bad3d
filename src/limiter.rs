//! How many counters make one answer: from a query to a verdict.
//!
//! Resolves each descriptor to the limits that hold it, has the store commit them together, and
//! picks what to show of each. Knows no wire, no clock and no metrics.

mod resolve;
mod verdict;

pub use self::verdict::{Shown, Standing, Status, Verdict};

use crate::query::Query;
use crate::rules::RuleSet;
use crate::store::{Ask, Memory};
use crate::time::Timestamp;

use self::resolve::Resolved;

/// Decides one call at one moment.
pub fn decide<'a>(
    rules: &'a RuleSet,
    store: &Memory,
    query: &Query<'_>,
    now: Timestamp,
) -> Verdict<'a> {
    let domain = rules.domain(query.domain);
    let overrides = resolve::overrides(rules, domain, query);
    let mut resolved = Resolved::default();
    for (descriptor, limit) in query.descriptors.iter().zip(&overrides) {
        match (domain, limit) {
            (None, _) => resolved.unmatched(),
            (Some(domain), Some(limit)) => resolved.brought_along(domain, descriptor, limit),
            (Some(domain), None) => resolved.ruled(domain, descriptor),
        }
    }
    resolved.sum_by_counter();
    let refused = resolved.subjects.iter().any(|subject| subject.refused);
    let applied = store.apply(Ask { hits: &resolved.hits, refused }, now);
    let status = |subject: &resolve::Subject| {
        let mut candidates = subject.hits.clone().map(|position| verdict::Candidate {
            label: resolved.labels[position],
            hit: &resolved.hits[position],
            outcome: applied.outcomes[position],
        });
        verdict::status(subject.refused, &mut candidates)
    };
    let statuses = resolved.subjects.iter().map(status).collect();
    Verdict { admitted: applied.admitted, statuses, ticket: applied.ticket }
}
