//! What soft limits let pass beyond their budgets.

use crate::limit::{Budget, OnExceed, Terms};
use crate::store::{Applied, Outcome};

use super::resolve::Resolved;

/// Hits that a call was charged beyond a soft limit's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overage<'a> {
    /// Rule and limit name.
    pub label: &'a str,
    pub hits: u64,
}

/// The overages of a call; most have none.
pub fn overages<'r>(call: &Resolved<'r, '_>, applied: &Applied) -> Vec<Overage<'r>> {
    let parts = call.hits.iter().zip(&applied.outcomes).zip(&call.origins);
    parts
        .filter_map(|((hit, outcome), origin)| overage(&hit.terms, outcome, origin.label))
        .collect()
}

/// What one limit let pass, if it is soft and has no room for it.
#[inline]
pub fn overage<'r>(terms: &Terms<'_>, outcome: &Outcome, label: &'r str) -> Option<Overage<'r>> {
    let Budget::Requests(budget) = terms.budget else { return None };
    if terms.on_exceed != OnExceed::Allow {
        return None;
    }
    let hits = outcome.used.saturating_sub(budget).min(outcome.taken);
    (hits > 0).then_some(Overage { label, hits })
}
