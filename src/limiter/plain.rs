//! The usual call, decided in few steps: it takes hits of counters, and nothing else is to be done.
//!
//! No directory, no note, no line, no budget brought along; rules that replace nothing and are in
//! force for everybody. Whatever is not so is left to the way that knows all of it. Both give the
//! same verdict, which a property test sees to.

use smallvec::SmallVec;

use crate::key::Identity;
use crate::limit::Limit;
use crate::query::{Descriptor, Entries, Hits, Query};
use crate::rules::{Candidates, Domain, Held, Rule, Unmatched};
use crate::store::ledger::Kind;
use crate::store::{HITS_INLINE, Memory, Taken, Taking};
use crate::time::Timestamp;

use super::overage::{self, Overage};
use super::reading::Reading;
use super::verdict::{self, Candidate, IdUse, Origin, Verdict};

/// What a call takes, and of what.
#[derive(Default)]
pub struct Plain<'r> {
    takings: SmallVec<[Taking<'r>; HITS_INLINE]>,
    /// Where each taking comes from.
    sources: SmallVec<[Source<'r>; HITS_INLINE]>,
    /// Up to where in these each descriptor reaches.
    ends: SmallVec<[usize; 2]>,
}

/// Where a taking comes from.
#[derive(Clone, Copy)]
struct Source<'r> {
    rule: &'r Rule,
    limit: &'r Limit,
    cost: u64,
}

/// Something about the call is not usual.
pub struct Unusual;

impl<'r> Plain<'r> {
    /// Finds what a usual call takes; it is to be empty before.
    #[inline]
    pub fn resolve(
        &mut self,
        domain: &'r Domain,
        store: &Memory,
        query: &Query<'_>,
    ) -> Result<(), Unusual> {
        let granted = || store.ledger().count(Kind::Grant) > 0;
        if !domain.is_plain() || query.receipt.is_some() || granted() {
            return Err(Unusual);
        }
        let mut room = Candidates::new();
        for asked in &query.descriptors {
            self.descriptor(domain, asked, &mut room)?;
        }
        if self.meets_a_counter_twice() { Err(Unusual) } else { Ok(()) }
    }

    #[inline]
    fn descriptor(
        &mut self,
        domain: &'r Domain,
        asked: &Descriptor<'_>,
        room: &mut Candidates,
    ) -> Result<(), Unusual> {
        let Hits::Take(hits) = asked.hits else { return Err(Unusual) };
        if asked.limit.is_some() {
            return Err(Unusual);
        }
        let mut matching = false;
        for (rule, identity) in domain.counting(&asked.entries, room) {
            matching = true;
            self.rule(rule, identity, hits, &asked.entries)?;
        }
        self.ends.push(self.takings.len());
        if matching || domain.unmatched == Unmatched::Pass { Ok(()) } else { Err(Unusual) }
    }

    #[inline]
    fn rule(
        &mut self,
        rule: &'r Rule,
        identity: Identity,
        hits: u64,
        entries: &Entries<'_>,
    ) -> Result<(), Unusual> {
        if !rule.plain || !rule.force.is_whole() {
            return Err(Unusual);
        }
        let Held::To(limits) = rule.held(entries) else { return Err(Unusual) };
        let cost = rule.cost(entries);
        // Saturating: a product beyond the largest number is beyond any budget.
        let asks = hits.saturating_mul(cost);
        if asks == 0 {
            return Err(Unusual);
        }
        for limit in limits {
            let key = identity.counter(limit.tag);
            self.takings.push(Taking { key, terms: limit.terms(), cost: asks });
            self.sources.push(Source { rule, limit, cost });
        }
        Ok(())
    }

    /// A usual call has a few limits, and then this is a few comparisons. One with many is looked
    /// through by the other way, in order.
    fn meets_a_counter_twice(&self) -> bool {
        let takings = &*self.takings;
        let again = |(at, taking): (usize, &Taking<'_>)| {
            takings[at + 1..].iter().any(|other| other.key == taking.key)
        };
        HITS_INLINE < takings.len() || takings.iter().enumerate().any(again)
    }

    /// The limits of one descriptor and what became of them.
    #[inline]
    fn candidates<'c>(
        &'c self,
        taken: &'c Taken,
        descriptor: usize,
    ) -> impl Iterator<Item = Candidate<'r, 'c>> {
        let start = if descriptor == 0 { 0 } else { self.ends[descriptor - 1] };
        (start..self.ends[descriptor]).map(move |at| {
            let (Source { rule, limit, cost }, taking) = (self.sources[at], &self.takings[at]);
            let (label, rule, limit) = (&*limit.label, Some(rule), Some(limit));
            Candidate {
                origin: Origin { label, rule, limit, descriptor, cost },
                terms: &taking.terms,
                votes: taking.terms.on_exceed.votes(),
                pool: 0,
                outcome: &taken.outcomes[at],
            }
        })
    }

    /// Takes what was found, and says what became of it.
    #[inline]
    pub fn decide(
        &self,
        domain: &'r Domain,
        store: &Memory,
        query: &Query<'_>,
        now: Timestamp,
        tells: bool,
    ) -> Verdict<'r> {
        let taken = &store.take(&self.takings, now);
        let speaker = Some(domain).filter(|domain| domain.speaks());
        let mut statuses = SmallVec::new();
        for descriptor in 0..query.descriptors.len() {
            statuses.push(verdict::status(false, self.candidates(taken, descriptor)));
        }
        Verdict {
            admitted: taken.admitted,
            at: now,
            statuses,
            ticket: taken.ticket,
            speaker,
            readings: if tells || speaker.is_some() {
                self.readings(query, taken)
            } else {
                Vec::new()
            },
            crossings: Vec::new(),
            overages: self.overages(taken),
            id: IdUse::New,
            wait: None,
            directed: Box::default(),
            fallen: Vec::new(),
        }
    }

    fn readings(&self, query: &Query<'_>, taken: &Taken) -> Vec<Reading<'r>> {
        let mut readings = Vec::with_capacity(self.takings.len());
        for (position, asked) in query.descriptors.iter().enumerate() {
            readings.extend(self.candidates(taken, position).map(|candidate| {
                let plan = candidate.origin.rule.and_then(|rule| rule.plan(&asked.entries));
                candidate.reading(position, plan)
            }));
        }
        readings
    }

    /// Most calls have none, and make no room for any.
    #[inline]
    fn overages(&self, taken: &Taken) -> Vec<Overage<'r>> {
        let mut overages = Vec::new();
        for (at, taking) in self.takings.iter().enumerate() {
            let label = &self.sources[at].limit.label;
            overages.extend(overage::overage(&taking.terms, &taken.outcomes[at], label));
        }
        overages
    }
}
