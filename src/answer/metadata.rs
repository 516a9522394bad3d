//! What an access log can say of a decision: all limits of the call, and the one that refused it.

use crate::limiter::{Reading, Verdict};
use crate::query::Query;
use crate::rules::Domain;

use super::choice::Choice;
use super::of_tree::OfTree;

#[derive(Clone, Debug)]
pub struct Metadata<'v> {
    /// The tightest limit that refuses, if any does.
    pub refused_by: Option<&'v Reading<'v>>,
    /// The rule that keeps the caller out, if one does.
    pub banned_by: Option<&'v str>,
    /// What is told besides in a domain with `descriptors`.
    pub of_tree: Option<OfTree<'v>>,
    domain: &'v Domain,
    readings: &'v [Reading<'v>],
}

impl<'v> Metadata<'v> {
    /// Nothing if neither the domain nor a rule of the call asks for it.
    pub fn of(
        domain: &'v Domain,
        verdict: &'v Verdict<'_>,
        choice: &Choice<'v>,
        query: &Query<'_>,
    ) -> Option<Metadata<'v>> {
        let metadata = Metadata {
            refused_by: choice.refusing,
            banned_by: choice.banned.map(|banned| banned.rule),
            of_tree: domain.manner().map(|_| OfTree::of(domain, query, &verdict.readings)),
            domain,
            readings: &verdict.readings,
        };
        let wanted = domain.answers.metadata == Some(true) || metadata.limits().next().is_some();
        wanted.then_some(metadata)
    }

    /// The limits to tell of, shadow limits included: logs are not for the caller.
    pub fn limits(&self) -> impl Iterator<Item = &'v Reading<'v>> {
        let default = self.domain.answers.metadata;
        self.readings.iter().filter(move |reading| {
            let own = reading.rule.and_then(|rule| rule.answers.as_deref());
            own.and_then(|own| own.metadata).or(default) == Some(true)
        })
    }
}
