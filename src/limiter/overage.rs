//! What soft limits let pass beyond their budgets.

use crate::limit::{Budget, OnExceed};
use crate::store::Applied;

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
    let soft = parts
        .filter(|((hit, outcome), _)| hit.terms.on_exceed == OnExceed::Allow && outcome.taken > 0);
    let beyond = soft.filter_map(|((hit, outcome), origin)| {
        let Budget::Requests(budget) = hit.terms.budget else { return None };
        let hits = outcome.used.saturating_sub(budget).min(outcome.taken);
        (hits > 0).then_some(Overage { label: origin.label, hits })
    });
    beyond.collect()
}
