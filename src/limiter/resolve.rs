//! Which counters a call concerns, and how much it asks of each.

use std::ops::Range;

use smallvec::SmallVec;

use crate::directory::Row;
use crate::key::Identity;
use crate::limit::{Algorithm, Budget, Charge, Durability, Limit, OnExceed, Terms};
use crate::query::{Descriptor, Hits, Override, Query};
use crate::rules::{Domain, Held, Rule, RuleSet};
use crate::store::{HITS_INLINE, Hit};
use crate::time::Timestamp;

use super::verdict::Origin;

/// The hits of a whole call, and which of them belong to which descriptor.
///
/// `'r` is the life of the rules, `'c` that of the call.
pub struct Resolved<'r, 'c> {
    now: Timestamp,
    pub subjects: SmallVec<[Subject; 2]>,
    pub hits: SmallVec<[Hit<'c>; HITS_INLINE]>,
    /// Where each hit's limit comes from.
    pub origins: SmallVec<[Origin<'r>; HITS_INLINE]>,
}

/// One descriptor of the call.
pub struct Subject {
    pub hits: Range<usize>,
    /// No plan serves it: refused before any counter is asked.
    pub refused: bool,
}

/// The budgets that the call brings along, as limits; none where the domain is unknown or does
/// not take them, and the descriptor is then held to the rules.
pub fn overrides(
    rules: &RuleSet,
    domain: Option<&Domain>,
    query: &Query<'_>,
) -> SmallVec<[Option<Limit>; 2]> {
    let taken = domain.is_some_and(|domain| domain.overrides);
    let limit = |descriptor: &Descriptor<'_>| match descriptor.limit {
        Some(brought) if taken => Some(override_limit(rules, brought)),
        _ => None,
    };
    query.descriptors.iter().map(limit).collect()
}

fn override_limit(rules: &RuleSet, brought: Override) -> Limit {
    Limit {
        label: Box::default(),
        budget: Budget::Requests(brought.requests),
        per: brought.per,
        algorithm: Algorithm::FixedWindow { window_us: brought.window_us },
        on_exceed: OnExceed::Deny,
        charge: Charge::Admitted,
        durability: Durability::Ordinary,
        alert: None,
        tag: rules.override_tag(brought.window_us),
    }
}

/// What a descriptor asks of a limit: room for `demand`, of which it takes `charge`.
#[derive(Clone, Copy)]
struct Amount {
    demand: u64,
    charge: u64,
}

impl Amount {
    /// Saturating: a product beyond the largest number is beyond any budget.
    fn of(hits: Hits, cost: u64) -> Amount {
        match hits {
            Hits::Peek => Amount { demand: cost, charge: 0 },
            Hits::Take(hits) => {
                let charge = hits.saturating_mul(cost);
                Amount { demand: charge, charge }
            }
        }
    }
}

impl<'r: 'c, 'c> Resolved<'r, 'c> {
    /// Nothing yet of a call at this moment.
    pub fn at(now: Timestamp) -> Resolved<'r, 'c> {
        let (subjects, hits, origins) = Default::default();
        Resolved { now, subjects, hits, origins }
    }

    /// A descriptor of an unknown domain.
    pub fn unmatched(&mut self) {
        self.finish(self.hits.len(), false);
    }

    /// A descriptor with a budget of its own.
    pub fn brought_along(&mut self, domain: &Domain, asked: &Descriptor<'_>, limit: &'c Limit) {
        let first = self.hits.len();
        let identity = domain.override_identity(&asked.entries);
        let origin = Origin { label: "", rule: None };
        self.push(identity, limit.terms(), origin, Amount::of(asked.hits, 1));
        self.finish(first, false);
    }

    /// A descriptor that the domain's rules hold, and what the directory knows of it.
    pub fn ruled(&mut self, domain: &'r Domain, asked: &Descriptor<'_>, row: Option<&Row>) {
        let first = self.hits.len();
        let mut refused = false;
        for rule in domain.matching(&asked.entries) {
            refused |= !self.rule(rule, asked, row);
        }
        self.finish(first, refused);
    }

    /// Adds the hits of one rule; false if it serves no plan for this descriptor.
    fn rule(&mut self, rule: &'r Rule, asked: &Descriptor<'_>, row: Option<&Row>) -> bool {
        let Held::To(limits) = rule.held(&asked.entries) else { return false };
        let identity = rule.identity(&asked.entries);
        let amount = Amount::of(asked.hits, rule.cost(&asked.entries));
        for limit in limits {
            let origin = Origin { label: &limit.label, rule: Some(rule) };
            let terms = row.map_or_else(|| limit.terms(), |row| row.terms(limit, self.now));
            self.push(identity, terms, origin, amount);
        }
        true
    }

    fn push(&mut self, identity: Identity, terms: Terms<'c>, origin: Origin<'r>, amount: Amount) {
        self.origins.push(origin);
        self.hits.push(Hit {
            key: identity.counter(terms.limit.tag),
            terms,
            demand: amount.demand,
            charge: amount.charge,
            pending: amount.demand - amount.charge,
            // What costs nothing is shown how things stand and is never refused.
            votes: terms.on_exceed == OnExceed::Deny && amount.demand > 0,
        });
    }

    fn finish(&mut self, first: usize, refused: bool) {
        self.subjects.push(Subject { hits: first..self.hits.len(), refused });
    }

    /// Several descriptors may hit one counter, and then each of its budgets is held to the sum.
    pub fn sum_by_counter(&mut self) {
        let mut order: SmallVec<[usize; HITS_INLINE]> = (0..self.hits.len()).collect();
        order.sort_unstable_by_key(|&position| self.hits[position].key);
        let keys: SmallVec<[_; HITS_INLINE]> = self.hits.iter().map(|hit| hit.key).collect();
        for same in order.chunk_by(|&a, &b| keys[a] == keys[b]) {
            let (demand, pending) =
                same.iter().fold((0u64, 0u64), |(demand, pending), &position| {
                    let hit = &self.hits[position];
                    (demand.saturating_add(hit.demand), pending.saturating_add(hit.pending))
                });
            for &position in same {
                self.hits[position].demand = demand;
                self.hits[position].pending = pending;
            }
        }
    }
}
