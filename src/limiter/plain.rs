//! The usual call, decided in few steps: it takes hits of counters, and nothing else is to be done.
//!
//! No directory, no note, no line, no budget brought along; rules that replace nothing and are in
//! force for everybody. Whatever is not so is left to the way that knows all of it. Both give the
//! same verdict, which a property test sees to.

use smallvec::SmallVec;

use crate::limit::Limit;
use crate::query::{Descriptor, Hits, Query};
use crate::rules::{Domain, Held, Rule, Unmatched};
use crate::store::ledger::Kind;
use crate::store::{HITS_INLINE, Memory, Taken, Taking};
use crate::time::Timestamp;

use super::overage::{self, Overage};
use super::verdict::{self, Candidate, IdUse, Origin, Status, Verdict};

/// What a call takes, and of what.
#[derive(Default)]
struct Plain<'r> {
    takings: SmallVec<[Taking<'r>; HITS_INLINE]>,
    sources: SmallVec<[Source<'r>; HITS_INLINE]>,
}

/// Where a taking comes from.
#[derive(Clone, Copy)]
struct Source<'r> {
    rule: &'r Rule,
    limit: &'r Limit,
    descriptor: usize,
    cost: u64,
}

/// Something about the call is not usual.
struct Unusual;

/// The verdict on a usual call; none if it is not one.
pub fn decide<'r>(
    domain: &'r Domain,
    store: &Memory,
    query: &Query<'_>,
    now: Timestamp,
    tells: bool,
) -> Option<Verdict<'r>> {
    if !domain.is_plain() || query.receipt.is_some() || store.ledger().count(Kind::Grant) > 0 {
        return None;
    }
    let mut plain = Plain::default();
    for (position, asked) in query.descriptors.iter().enumerate() {
        plain.descriptor(domain, position, asked).ok()?;
    }
    if plain.meets_a_counter_twice() {
        return None;
    }
    let taken = store.take(&plain.takings, now);
    Some(plain.verdict(domain, query, &taken, now, tells))
}

impl<'r> Plain<'r> {
    fn descriptor(
        &mut self,
        domain: &'r Domain,
        position: usize,
        asked: &Descriptor<'_>,
    ) -> Result<(), Unusual> {
        let Hits::Take(hits) = asked.hits else { return Err(Unusual) };
        if asked.limit.is_some() {
            return Err(Unusual);
        }
        let mut matching = false;
        for rule in domain.matching(&asked.entries) {
            matching = true;
            self.rule(rule, position, hits, asked)?;
        }
        if matching || domain.unmatched == Unmatched::Pass { Ok(()) } else { Err(Unusual) }
    }

    fn rule(
        &mut self,
        rule: &'r Rule,
        descriptor: usize,
        hits: u64,
        asked: &Descriptor<'_>,
    ) -> Result<(), Unusual> {
        if !rule.plain || !rule.force.is_whole() {
            return Err(Unusual);
        }
        let Held::To(limits) = rule.held(&asked.entries) else { return Err(Unusual) };
        let (identity, cost) = (rule.identity(&asked.entries), rule.cost(&asked.entries));
        // Saturating: a product beyond the largest number is beyond any budget.
        let asks = hits.saturating_mul(cost);
        if asks == 0 {
            return Err(Unusual);
        }
        for limit in limits {
            let key = identity.counter(limit.tag);
            self.takings.push(Taking { key, terms: limit.terms(), cost: asks });
            self.sources.push(Source { rule, limit, descriptor, cost });
        }
        Ok(())
    }

    /// A usual call has a few limits, and then this is a few comparisons. One with many is looked
    /// through by the other way, in order.
    fn meets_a_counter_twice(&self) -> bool {
        let keys = || self.takings.iter().map(|taking| taking.key);
        let many = self.takings.len() > HITS_INLINE;
        many || keys().enumerate().any(|(at, key)| keys().skip(at + 1).any(|other| other == key))
    }

    fn candidates<'c>(
        &'c self,
        taken: &'c Taken,
        descriptor: usize,
    ) -> impl Iterator<Item = Candidate<'r, 'c>> {
        let parts = self.takings.iter().zip(&self.sources).zip(&taken.outcomes);
        let of_this = parts.filter(move |((_, source), _)| source.descriptor == descriptor);
        of_this.map(|((taking, source), outcome)| Candidate {
            origin: Origin {
                label: &source.limit.label,
                rule: Some(source.rule),
                limit: Some(source.limit),
                descriptor: source.descriptor,
                cost: source.cost,
            },
            terms: &taking.terms,
            votes: taking.terms.on_exceed.votes(),
            pool: 0,
            outcome,
        })
    }

    fn verdict(
        &self,
        domain: &'r Domain,
        query: &Query<'_>,
        taken: &Taken,
        now: Timestamp,
        tells: bool,
    ) -> Verdict<'r> {
        let status = |descriptor| -> Status<'r> {
            verdict::status(false, self.candidates(taken, descriptor))
        };
        let speaker = Some(domain).filter(|domain| domain.speaks());
        let mut readings = Vec::new();
        if tells || speaker.is_some() {
            readings.reserve_exact(self.takings.len());
            for (position, asked) in query.descriptors.iter().enumerate() {
                readings.extend(self.candidates(taken, position).map(|candidate| {
                    let plan = candidate.origin.rule.and_then(|rule| rule.plan(&asked.entries));
                    candidate.reading(position, plan)
                }));
            }
        }
        Verdict {
            admitted: taken.admitted,
            at: now,
            statuses: (0..query.descriptors.len()).map(status).collect(),
            ticket: taken.ticket,
            speaker,
            readings,
            crossings: Vec::new(),
            overages: self.overages(taken),
            id: IdUse::New,
            wait: None,
            directed: Box::default(),
            fallen: Vec::new(),
        }
    }

    fn overages(&self, taken: &Taken) -> Vec<Overage<'r>> {
        let parts = self.takings.iter().zip(&self.sources).zip(&taken.outcomes);
        let beyond = |((taking, source), outcome): ((&Taking<'_>, &Source<'r>), _)| {
            overage::overage(&taking.terms, outcome, &source.limit.label)
        };
        parts.filter_map(beyond).collect()
    }
}
