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
    /// What later hits of the call have put on the same counter.
    later: u64,
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
        self.leaves.push(LeafHit { hit: position, counted, quota, later: 0 });
    }

    /// Whether a hit is one that is counted first.
    pub fn is_counted(&self, position: usize) -> bool {
        let found = self.leaves.binary_search_by_key(&position, |leaf| leaf.hit);
        found.is_ok_and(|found| self.leaves[found].counted)
    }

    /// Has each hit that is counted first ask for what those ahead of it on its counter ask for,
    /// too, and know what those behind it do.
    pub fn follow_one_another(&mut self) {
        if self.leaves.len() < 2 {
            return;
        }
        let mut order: SmallVec<[usize; HITS_INLINE]> =
            (0..self.leaves.len()).filter(|&at| self.leaves[at].counted).collect();
        let key = |leaf: &LeafHit| self.hits[leaf.hit].key;
        order.sort_by_key(|&at| key(&self.leaves[at]));
        let keys: SmallVec<[_; HITS_INLINE]> = self.leaves.iter().map(key).collect();
        for same in order.chunk_by(|&a, &b| keys[a] == keys[b]).filter(|same| same.len() > 1) {
            // Saturating, as the counter is.
            let mut sum = 0u64;
            for &at in same {
                let hit = &mut self.hits[self.leaves[at].hit];
                sum = sum.saturating_add(hit.charge);
                hit.demand = if hit.charge > 0 { sum } else { sum.max(hit.demand) };
            }
            let mut later = 0u64;
            for &at in same.iter().rev() {
                self.leaves[at].later = later;
                later = later.saturating_add(self.hits[self.leaves[at].hit].charge);
            }
        }
    }

    /// Judges what was counted, and finds out whether the call passes.
    pub fn judge(&mut self, manner: Manner, applied: &mut Applied) {
        let mut quotas = Quotas::default();
        for leaf in &self.leaves {
            let (hit, outcome) = (&mut self.hits[leaf.hit], &mut applied.outcomes[leaf.hit]);
            if leaf.counted {
                judge(hit, outcome, leaf.later);
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
pub fn judge(hit: &Hit<'_>, outcome: &mut Outcome, later: u64) {
    let Budget::Requests(budget) = hit.terms.budget else { return };
    let used = outcome.used.saturating_sub(later);
    let over = budget < used && hit.give_back == 0;
    outcome.room = if over { Room::After(outcome.reset_us) } else { Room::Enough };
    if later > 0 {
        (outcome.used, outcome.remaining) = (used, budget.saturating_sub(used));
    }
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
    let limited = |leaf: &&Box<Leaf>| leaf.bound == Bound::Limited && !leaf.name.is_empty();
    let leaf = rule.leaf.as_ref().filter(limited);
    leaf.is_some_and(|leaf| replaced.contains(&&*leaf.name))
}
