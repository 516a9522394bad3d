//! The usual call of a domain that has nothing but `descriptors:`, decided in few steps.
//!
//! Each of its descriptors is looked up, counted and judged by what its counter then holds. Quotas,
//! replacements, budgets brought along, peeks and whatever else is not so usual are left to the way
//! that knows all of it. Both give the same verdict, which a test over a table of calls sees to.

use smallvec::SmallVec;

use crate::limit::{Budget, OnExceed, Terms};
use crate::query::{Descriptor, Hits, Query};
use crate::rules::{Domain, Held, Leaf, Rule, Unmatched};
use crate::store::ledger::Kind;
use crate::store::{HITS_INLINE, Memory, Outcome, Room, Taken, Taking};
use crate::time::Timestamp;

use super::leaves;
use super::overage;
use super::verdict::{self, Candidate, IdUse, Origin, Status, Verdict};

/// What a call takes, and what each of its descriptors leads to.
#[derive(Default)]
struct Walked<'r> {
    takings: SmallVec<[Taking<'r>; HITS_INLINE]>,
    steps: SmallVec<[Step<'r>; HITS_INLINE]>,
}

/// What became of one descriptor.
#[derive(Clone, Copy)]
enum Step<'r> {
    Bare,
    Unlimited,
    /// The next of the takings is its own, under these terms.
    Counted {
        rule: &'r Rule,
        terms: Terms<'r>,
    },
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
    let manner = domain.manner()?;
    let usual = domain.is_tree_alone() && manner.is_usual() && query.receipt.is_none();
    if !usual || tells || domain.speaks() || store.ledger().count(Kind::Grant) > 0 {
        return None;
    }
    let mut walked = Walked::default();
    for asked in &query.descriptors {
        walked.descriptor(domain, asked).ok()?;
    }
    if walked.meets_a_counter_twice() {
        return None;
    }
    let taken = store.take(&walked.takings, now);
    Some(walked.verdict(taken, now))
}

impl<'r> Walked<'r> {
    fn descriptor(&mut self, domain: &'r Domain, asked: &Descriptor<'_>) -> Result<(), Unusual> {
        let hits = match asked.hits {
            Hits::Take(hits) if hits > 0 && asked.limit.is_none() => hits,
            _ => return Err(Unusual),
        };
        let Some(rule) = domain.leaf(&asked.entries) else {
            self.steps.push(Step::Bare);
            return if domain.unmatched == Unmatched::Pass { Ok(()) } else { Err(Unusual) };
        };
        let alone = |leaf: &Leaf| !leaf.quota && leaf.replaces.is_empty();
        if !rule.force.is_whole() || !rule.leaf.as_deref().is_some_and(alone) {
            return Err(Unusual);
        }
        let Held::To(limits) = rule.held(&asked.entries) else { return Err(Unusual) };
        let Some(limit) = limits.first() else {
            let unlimited = leaves::is_unlimited(rule);
            self.steps.push(if unlimited { Step::Unlimited } else { Step::Bare });
            return Ok(());
        };
        let (terms, key) = (limit.terms(), rule.identity(&asked.entries).counter(limit.tag));
        // It is charged whether there is room or not, so it has no vote.
        let charged = Terms { on_exceed: OnExceed::Allow, ..terms };
        self.takings.push(Taking { key, terms: charged, cost: hits });
        self.steps.push(Step::Counted { rule, terms });
        Ok(())
    }

    /// A usual call has a few limits, and then this is a few comparisons. One with many is looked
    /// through by the other way, in order.
    fn meets_a_counter_twice(&self) -> bool {
        let keys = || self.takings.iter().map(|taking| taking.key);
        let many = self.takings.len() > HITS_INLINE;
        many || keys().enumerate().any(|(at, key)| keys().skip(at + 1).any(|other| other == key))
    }

    fn verdict(&self, taken: Taken, now: Timestamp) -> Verdict<'r> {
        let mut verdict = Verdict {
            admitted: true,
            at: now,
            statuses: SmallVec::new(),
            ticket: taken.ticket,
            speaker: None,
            readings: Vec::new(),
            crossings: Vec::new(),
            overages: Vec::new(),
            id: IdUse::New,
            wait: None,
            directed: Box::default(),
            fallen: Vec::new(),
        };
        let mut outcomes = taken.outcomes.into_iter();
        for (descriptor, step) in self.steps.iter().enumerate() {
            let status = match *step {
                Step::Bare => verdict::status(false, std::iter::empty()),
                Step::Unlimited => verdict::status(false, std::iter::empty()).or_unlimited(true),
                Step::Counted { rule, terms } => {
                    let outcome = outcomes.next().expect("an outcome for each taking");
                    verdict.overages.extend(overage::overage(&terms, &outcome, &terms.limit.label));
                    counted(descriptor, rule, &terms, &judged(&terms, outcome))
                }
            };
            verdict.admitted &= !status.refused;
            verdict.statuses.push(status);
        }
        verdict
    }
}

/// An outcome as the budget judges it.
fn judged(terms: &Terms<'_>, outcome: Outcome) -> Outcome {
    let over = matches!(terms.budget, Budget::Requests(budget) if budget < outcome.used);
    let room = if over { Room::After(outcome.reset_us) } else { Room::Enough };
    Outcome { room, ..outcome }
}

fn counted<'r>(
    descriptor: usize,
    rule: &'r Rule,
    terms: &Terms<'r>,
    outcome: &Outcome,
) -> Status<'r> {
    let limit = Some(terms.limit);
    let origin = Origin { label: &terms.limit.label, rule: Some(rule), limit, descriptor, cost: 1 };
    let votes = terms.on_exceed.votes();
    verdict::status(false, std::iter::once(Candidate { origin, terms, votes, pool: 0, outcome }))
}
