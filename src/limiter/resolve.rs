//! Which counters a call concerns, and how much it asks of each.

use std::cmp::Reverse;
use std::ops::Range;

use smallvec::SmallVec;

use crate::directory::Row;
use crate::key::Identity;
use crate::limit::{Algorithm, Budget, Charge, Durability, Limit, OnExceed, Terms};
use crate::query::{Descriptor, Hits, Override, Query, Wanted};
use crate::rules::{Domain, Held, Replaced, Rule, RuleSet, Stance, Unmatched};
use crate::store::{Applied, Ask, HITS_INLINE, HeldUntil, Hit, Memory, NO_SLOT};
use crate::time::Timestamp;

use super::again::{Known, Settled};
use super::barred::{Barred, Watched};
use super::directed::Directed;
use super::verdict::Origin;

/// The hits of a whole call, and which of them belong to which descriptor.
///
/// `'r` is the life of the rules, `'c` that of the call.
pub struct Resolved<'r, 'c> {
    pub now: Timestamp,
    /// The receipt that the call asks for. What it says is what it takes, and it opens no hold of
    /// a rule: it could be settled twice, under either id.
    pub wanted: Option<&'c Wanted>,
    /// Whether it is to be told how every limit stands, whatever the domain says.
    pub tells: bool,
    pub subjects: SmallVec<[Subject; 2]>,
    pub hits: SmallVec<[Hit<'c>; HITS_INLINE]>,
    /// Where each hit's limit comes from.
    pub origins: SmallVec<[Origin<'r>; HITS_INLINE]>,
    /// Under which ids and until when concurrency limits are held.
    pub slots: Vec<HeldUntil>,
    /// Ids under which parts of the call are to be known again.
    pub known: Vec<Known>,
    /// Holds that the call ends.
    pub settled: Vec<Settled>,
    /// Bans that meet the call: the longest of each descriptor.
    pub barred: Vec<Barred<'r>>,
    /// Rules with bans that it is held to.
    pub watched: Vec<Watched<'r>>,
}

/// One descriptor of the call.
pub struct Subject {
    pub hits: Range<usize>,
    /// No plan serves it, or no rule is for it: refused before any counter is asked.
    pub refused: bool,
}

/// A rule that applies to a descriptor.
#[derive(Clone, Copy)]
struct Found<'r> {
    descriptor: usize,
    rule: &'r Rule,
    stance: Stance,
}

type AllFound<'r> = SmallVec<[Found<'r>; 8]>;

/// The budgets that the call brings along, as limits, by the position of their descriptors. There
/// are none where the domain is unknown or does not take them, and the call is then held to the
/// rules.
pub fn overrides(
    rules: &RuleSet,
    domain: Option<&Domain>,
    query: &Query<'_>,
) -> Vec<Option<Limit>> {
    let taken = domain.is_some_and(|domain| domain.overrides);
    if !taken || query.descriptors.iter().all(|asked| asked.limit.is_none()) {
        return Vec::new();
    }
    let limit = |descriptor: &Descriptor<'_>| {
        descriptor.limit.map(|brought| override_limit(rules, brought))
    };
    query.descriptors.iter().map(limit).collect()
}

/// The budget that this descriptor brings along.
fn brought(overrides: &[Option<Limit>], descriptor: usize) -> Option<&Limit> {
    overrides.get(descriptor)?.as_ref()
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
        archive: false,
        alert: None,
        tag: rules.override_tag(brought.window_us),
        crowd: rules.identity(&["crowd"]),
    }
}

/// What a descriptor asks of a limit: room for `demand`, of which it takes `charge`.
#[derive(Clone, Copy, Default)]
struct Amount {
    demand: u64,
    charge: u64,
    give_back: u64,
    /// The part of the demand that is not taken.
    pending: u64,
}

impl Amount {
    /// Saturating: a product beyond the largest number is beyond any budget.
    fn of(hits: Hits, cost: u64) -> Amount {
        match hits {
            Hits::Peek => Amount { demand: cost, pending: cost, ..Amount::default() },
            Hits::Take(hits) => {
                let charge = hits.saturating_mul(cost);
                Amount { demand: charge, charge, ..Amount::default() }
            }
            Hits::GiveBack(hits) => {
                Amount { give_back: hits.saturating_mul(cost), ..Amount::default() }
            }
        }
    }
}

impl<'r: 'c, 'c> Resolved<'r, 'c> {
    /// Inlined, so that the room for hits is where it is to be and is not moved there.
    #[inline]
    pub fn new(now: Timestamp, wanted: Option<&'c Wanted>, tells: bool) -> Resolved<'r, 'c> {
        Resolved {
            now,
            wanted,
            tells,
            subjects: SmallVec::new(),
            hits: SmallVec::new(),
            origins: SmallVec::new(),
            slots: Vec::new(),
            known: Vec::new(),
            settled: Vec::new(),
            barred: Vec::new(),
            watched: Vec::new(),
        }
    }

    /// A call for a domain that nobody has rules for: all its descriptors pass.
    pub fn unruled(&mut self, descriptors: usize) {
        let bare = || Subject { hits: 0..0, refused: false };
        self.subjects = std::iter::repeat_with(bare).take(descriptors).collect();
    }

    /// Goes through the descriptors of a call: first to see which rules apply, since one may
    /// replace what another asks of the call, and then to see what they ask.
    pub fn call(
        &mut self,
        domain: &'r Domain,
        descriptors: &[Descriptor<'_>],
        overrides: &'c [Option<Limit>],
        directed: &'c Directed<'_>,
    ) {
        let found = self.find(domain, descriptors, overrides);
        let replaced = replaced(&found);
        let mut next = 0;
        for (position, asked) in descriptors.iter().enumerate() {
            let (first, limit) = (self.hits.len(), brought(overrides, position));
            let of_this = found[next..].iter().take_while(|found| found.descriptor == position);
            let (matching, settled) = (of_this.clone().count(), self.settles(position));
            let mut refused = false;
            if let Some(limit) = limit {
                self.brought_along(domain, asked, position, limit);
            } else if !settled {
                refused = matching == 0 && domain.unmatched == Unmatched::Refuse;
                for found in of_this {
                    let row = directed.row(position);
                    refused |= !self.rule(found, asked, row, &replaced);
                }
            }
            next += matching;
            self.subjects.push(Subject { hits: first..self.hits.len(), refused });
        }
    }

    fn find(
        &mut self,
        domain: &'r Domain,
        descriptors: &[Descriptor<'_>],
        overrides: &[Option<Limit>],
    ) -> AllFound<'r> {
        let mut all = AllFound::new();
        for (descriptor, asked) in descriptors.iter().enumerate() {
            if brought(overrides, descriptor).is_some() {
                continue;
            }
            let before = self.settled.len();
            let holds = domain.settled(&asked.entries);
            self.settled.extend(holds.map(|(hold, id)| Settled::new(descriptor, hold, id, asked)));
            if before < self.settled.len() {
                continue;
            }
            all.extend(domain.matching(&asked.entries).map(|rule| {
                let force = &rule.force;
                let whole = force.is_whole();
                let stance = || force.stance(rule.identity(&asked.entries));
                let stance = if whole { Stance::Enforced } else { stance() };
                Found { descriptor, rule, stance }
            }));
        }
        all
    }

    fn settles(&self, descriptor: usize) -> bool {
        self.settled.iter().any(|settled| settled.descriptor == descriptor)
    }

    /// A descriptor with a budget of its own.
    fn brought_along(
        &mut self,
        domain: &Domain,
        asked: &Descriptor<'_>,
        descriptor: usize,
        limit: &'c Limit,
    ) {
        let identity = domain.override_identity(&asked.entries);
        let origin = Origin { label: "", rule: None, limit: None, descriptor, cost: 1 };
        let amount = match asked.hits {
            // Only a rule can say that hits may be given back.
            Hits::GiveBack(_) => Amount::default(),
            hits => Amount::of(hits, 1),
        };
        self.push(identity, limit.terms(), origin, amount);
    }

    /// Adds the hits of one rule; false if it serves no plan for this descriptor.
    fn rule(
        &mut self,
        found: &Found<'r>,
        asked: &Descriptor<'_>,
        row: Option<&'c Row>,
        replaced: &[&'r Replaced],
    ) -> bool {
        let &Found { descriptor, rule, stance } = found;
        let whole = |replaced: &&&Replaced| *replaced.rule == *rule.name;
        let replaced: SmallVec<[&Replaced; 2]> = replaced.iter().filter(whole).copied().collect();
        if stance == Stance::Absent || replaced.iter().any(|one| one.label.is_none()) {
            return true;
        }
        let Held::To(limits) = rule.held(&asked.entries) else {
            self.watch(found, self.hits.len());
            return stance == Stance::Shadow;
        };
        let (identity, cost) = (rule.identity(&asked.entries), rule.cost(&asked.entries));
        let first = self.hits.len();
        for limit in limits {
            if replaced.iter().any(|one| one.label.as_deref() == Some(&*limit.label)) {
                continue;
            }
            let mut terms = match row {
                Some(row) => row.terms(limit, self.now),
                None => limit.terms(),
            };
            if stance == Stance::Shadow {
                terms.on_exceed = OnExceed::Shadow;
            }
            let amount = amount(rule, limit, asked.hits, cost, self.wanted.is_some());
            let (label, limit) = (&*limit.label, Some(limit));
            let origin = Origin { label, rule: Some(rule), limit, descriptor, cost };
            self.push(identity, terms, origin, amount);
        }
        self.know(rule, asked, first);
        self.watch(found, first);
        true
    }

    /// Notes that a rule with bans holds the descriptor to its limits from `first` on.
    fn watch(&mut self, found: &Found<'r>, first: usize) {
        let &Found { descriptor, rule, stance } = found;
        if rule.ban.is_some() {
            let hits = first..self.hits.len();
            self.watched.push(Watched { descriptor, rule, stance, hits });
        }
    }

    fn push(&mut self, identity: Identity, terms: Terms<'c>, origin: Origin<'r>, amount: Amount) {
        self.origins.push(origin);
        self.hits.push(Hit {
            key: identity.counter(terms.limit.tag),
            terms,
            demand: amount.demand,
            charge: amount.charge,
            charge_refused: match terms.limit.charge {
                Charge::Always => amount.charge,
                Charge::Admitted => 0,
            },
            pending: amount.pending,
            // What costs nothing is shown how things stand and is never refused.
            votes: terms.on_exceed.votes() && amount.demand > 0,
            pool: 0,
            give_back: amount.give_back,
            ahead: 0,
            wait_us_max: 0,
            slot: NO_SLOT,
        });
    }

    /// Has the store commit the hits together.
    pub fn apply(&self, store: &Memory, refused: bool) -> Applied {
        store.apply(Ask { hits: &self.hits, slots: &self.slots, refused }, self.now)
    }

    /// Several hits may be on one counter, and each of its budgets is held to their sum. Rules
    /// that share a counter charge a descriptor once, at the larger cost.
    pub fn sum_by_counter(&mut self) {
        if self.hits.len() < 2 {
            return;
        }
        let mut order: SmallVec<[usize; HITS_INLINE]> = (0..self.hits.len()).collect();
        order.sort_unstable_by_key(|&position| (self.hits[position].key, position));
        let keys: SmallVec<[_; HITS_INLINE]> = self.hits.iter().map(|hit| hit.key).collect();
        for same in order.chunk_by(|&a, &b| keys[a] == keys[b]).filter(|same| same.len() > 1) {
            let (mut demand, mut pending) = (0u64, 0u64);
            let origins = &self.origins;
            let descriptor = |position: usize| origins[position].descriptor;
            let holds =
                |position: usize| origins[position].rule.is_some_and(|rule| rule.hold.is_some());
            for of_one in same.chunk_by(|&a, &b| descriptor(a) == descriptor(b)) {
                let largest = keep_largest(&mut self.hits, of_one, holds);
                demand = demand.saturating_add(largest.demand);
                pending = pending.saturating_add(largest.pending);
            }
            for &position in same {
                (self.hits[position].demand, self.hits[position].pending) = (demand, pending);
            }
        }
    }
}

/// Of hits of one descriptor on one counter the largest is charged; of equals one that is held, or
/// nobody could settle what was taken, and else the first. Which that is may differ between a call
/// that passes, one that is refused, and one that gives back.
fn keep_largest(hits: &mut [Hit<'_>], of_one: &[usize], holds: impl Fn(usize) -> bool) -> Amount {
    let largest = |amount: fn(&Hit<'_>) -> u64| {
        let size = |&&at: &&usize| (amount(&hits[at]), holds(at), Reverse(at));
        of_one.iter().max_by_key(size).map_or((0, 0), |&at| (at, amount(&hits[at])))
    };
    let (charged, charge) = largest(|hit| hit.charge);
    let (charged_refused, _) = largest(|hit| hit.charge_refused);
    let (given_back, give_back) = largest(|hit| hit.give_back);
    let ((_, demand), (_, pending)) = (largest(|hit| hit.demand), largest(|hit| hit.pending));
    for &at in of_one {
        let hit = &mut hits[at];
        hit.charge = if at == charged { hit.charge } else { 0 };
        hit.charge_refused = if at == charged_refused { hit.charge_refused } else { 0 };
        hit.give_back = if at == given_back { hit.give_back } else { 0 };
    }
    Amount { demand, charge, give_back, pending }
}

/// What a limit is asked for. A call that opens a hold takes the estimate, whatever hits it says,
/// save slots, which are for calls; one that asks for a receipt says it itself. Only where
/// the rule lets it can a call give hits back.
fn amount(rule: &Rule, limit: &Limit, hits: Hits, cost: u64, receipt: bool) -> Amount {
    let slots = matches!(limit.algorithm, Algorithm::Concurrency);
    if receipt {
        return Amount::of(if slots { Hits::Take(1) } else { hits }, cost);
    }
    let estimate = rule.hold.as_ref().and_then(|hold| hold.estimate).filter(|_| !slots);
    match (hits, estimate) {
        (Hits::GiveBack(_), _) if !rule.refundable => Amount::default(),
        (Hits::Take(_), Some(estimate)) => Amount::of(Hits::Take(estimate), cost),
        (Hits::Peek, Some(estimate)) => Amount::of(Hits::Peek, cost.saturating_mul(estimate)),
        (hits, _) => Amount::of(hits, cost),
    }
}

/// What the call's own rules take the place of.
fn replaced<'r>(found: &AllFound<'r>) -> SmallVec<[&'r Replaced; 2]> {
    let enforced = found.iter().filter(|found| found.stance == Stance::Enforced);
    enforced.flat_map(|found| &*found.rule.replaces).collect()
}
