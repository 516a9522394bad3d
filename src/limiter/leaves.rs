//! What `descriptors:` ask of a decision beyond what other rules do.
//!
//! Where they are charged whatever the verdict, a hit is counted first and then judged by what its
//! counter holds: beyond the budget it is over. Hits of one call on one counter are counted one
//! after another, in the order of their descriptors.

use smallvec::SmallVec;

use crate::limit::{Budget, Charge};
use crate::query::{Descriptor, Hits};
use crate::rules::{Bound, Leaf, Manner, Rule};
use crate::store::{Applied, HITS_INLINE, Hit, Outcome, Room};

use super::resolve::{Amount, Resolved};

/// A hit of a rule of a tree, or of a budget brought along to a domain with one.
#[derive(Clone, Copy, Debug)]
pub struct LeafHit {
    /// Its position among the hits of the call.
    pub hit: usize,
    /// Whether it is counted first.
    counted: bool,
    quota: bool,
}

/// Which descriptors of a call are quotas, and how they stand.
#[derive(Clone, Copy, Debug, Default)]
struct Quotas {
    over: usize,
    within: usize,
}

impl Quotas {
    /// Quotas refuse a call together or not at all.
    fn refuse(self) -> bool {
        self.over > 0 && self.within == 0
    }

    fn add(&mut self, over: bool) {
        if over { self.over += 1 } else { self.within += 1 }
    }
}

impl Amount {
    /// What a counter that is asked afterwards is charged.
    pub fn counted(hits: Hits) -> Amount {
        match hits {
            Hits::Peek => Amount::default(),
            hits => Amount::of(hits, 1),
        }
    }
}

impl<'r: 'c, 'c> Resolved<'r, 'c> {
    /// Notes that the last hit is one of these. Whoever gives back is not refused for it.
    pub fn note_leaf(&mut self, manner: Manner, leaf: Option<&Leaf>, asked: &Descriptor<'_>) {
        let Some(position) = self.hits.len().checked_sub(1) else { return };
        let quota = manner.quota || leaf.is_some_and(|leaf| leaf.quota);
        let counted = manner.charge == Charge::Always;
        let hit = &mut self.hits[position];
        let gives_back = matches!(asked.hits, Hits::GiveBack(_));
        if counted {
            hit.charge_refused = hit.charge;
            hit.votes = hit.terms.on_exceed.votes() && !gives_back;
        }
        hit.votes &= !quota;
        self.leaves.push(LeafHit { hit: position, counted, quota });
    }

    /// Whether a hit is one that is counted first.
    pub fn is_counted(&self, position: usize) -> bool {
        let found = self.leaves.binary_search_by_key(&position, |leaf| leaf.hit);
        found.is_ok_and(|found| self.leaves[found].counted)
    }

    /// Has each hit that is counted first ask for what those ahead of it on its counter ask for,
    /// too.
    pub fn follow_one_another(&mut self) {
        if self.leaves.len() < 2 {
            return;
        }
        let counted = self.leaves.iter().filter(|leaf| leaf.counted).map(|leaf| leaf.hit);
        let mut order: SmallVec<[usize; HITS_INLINE]> = counted.collect();
        order.sort_by_key(|&at| self.hits[at].key);
        let keys: SmallVec<[_; HITS_INLINE]> = self.hits.iter().map(|hit| hit.key).collect();
        for same in order.chunk_by(|&a, &b| keys[a] == keys[b]).filter(|same| same.len() > 1) {
            let mut demand = 0u64;
            for &at in same {
                // Saturating, as the counter is.
                demand = demand.saturating_add(self.hits[at].charge);
                self.hits[at].demand = demand;
            }
            self.followed.push(same.into());
        }
    }

    /// Sets what each of several hits on one counter left there, as if they had come one by one.
    /// What a counter held before is known by what it holds now, unless all of it was given back.
    fn tell_apart(&self, applied: &mut Applied) {
        for same in &self.followed {
            let sum = |amount: fn(&Hit<'_>) -> u64| {
                same.iter().fold(0u64, |sum, &at| sum.saturating_add(amount(&self.hits[at])))
            };
            let (charged, given_back) = (sum(|hit| hit.charge), sum(|hit| hit.give_back));
            let now = applied.outcomes[same[0]].used;
            let emptied = given_back > 0 && now == 0;
            let before = now.saturating_add(given_back).saturating_sub(charged);
            let mut used = if emptied { 0 } else { before };
            for &at in same {
                let (hit, outcome) = (&self.hits[at], &mut applied.outcomes[at]);
                used = used.saturating_add(hit.charge).saturating_sub(hit.give_back);
                outcome.used = used;
                if let Budget::Requests(budget) = hit.terms.budget {
                    outcome.remaining = budget.saturating_sub(used);
                }
            }
        }
    }

    /// Judges what was counted, and finds out whether the call passes.
    pub fn judge(&mut self, manner: Manner, applied: &mut Applied) {
        self.tell_apart(applied);
        let mut quotas = Quotas::default();
        for leaf in &self.leaves {
            let (hit, outcome) = (&mut self.hits[leaf.hit], &mut applied.outcomes[leaf.hit]);
            if leaf.counted {
                judge(hit, outcome);
            }
            if leaf.quota {
                // Its status says so, though it does not refuse the call.
                hit.votes = hit.terms.on_exceed.votes() && hit.give_back == 0;
                quotas.add(hit.votes && outcome.room != Room::Enough);
            }
        }
        if manner.quota {
            // What nothing limits is a quota with room, save where there is said to be no limit.
            let bare = |subject: &&super::resolve::Subject| {
                subject.hits.is_empty() && !subject.unlimited && !subject.refused
            };
            quotas.within += self.subjects.iter().filter(bare).count();
        }
        applied.admitted = manner.shadow || (applied.admitted && !quotas.refuse());
    }
}

/// What became of a hit that was counted first, by what its counter holds now.
fn judge(hit: &Hit<'_>, outcome: &mut Outcome) {
    let Budget::Requests(budget) = hit.terms.budget else { return };
    let over = budget < outcome.used && hit.give_back == 0;
    outcome.room = if over { Room::After(outcome.reset_us) } else { Room::Enough };
}

/// Whether a rule of a tree tells its calls that there is no limit.
pub fn is_unlimited(rule: &Rule) -> bool {
    rule.leaf.as_ref().is_some_and(|leaf| leaf.bound == Bound::Unlimited)
}

/// Names of limits that a rule takes the place of, if it stands in a tree and is in force.
pub fn replaced_by(rule: &Rule) -> impl Iterator<Item = &str> {
    rule.leaf.iter().flat_map(|leaf| &leaf.replaces).map(|name| &**name)
}

/// Whether a rule of a tree has a limit that others may take the place of, and they do.
pub fn is_replaced(rule: &Rule, replaced: &[&str]) -> bool {
    let Some(leaf) = &rule.leaf else { return false };
    let limited = leaf.bound == Bound::Limited && !leaf.name.is_empty();
    limited && replaced.contains(&&*leaf.name)
}
