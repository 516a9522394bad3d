//! What a call asks: which rules apply to each descriptor, and how much they ask of which counter.

use tollgate::query::{Hits, Override};

use super::held::Name;
use super::limit::{Charged, Held, Limit, Measure, OnExceed, SECOND_US};
use super::rules::{Entry, Rule, last};
use super::{Call, Counter, DOMAINS, Descriptor, Grants, Model, held};

/// What a descriptor asks of all its limits.
pub struct Asked {
    pub asks: Vec<Ask>,
    /// False if it is refused before any counter is asked: no plan serves it, or no rule is for it.
    pub served: bool,
    /// Ids that this descriptor is the first to ask for.
    pub is_new: Vec<Name>,
}

/// What a descriptor asks of one limit.
#[derive(Clone)]
pub struct Ask {
    pub counter: Counter,
    pub label: String,
    /// The rule that asks; none if the call brought the limit along.
    pub rule: Option<String>,
    pub limit: Limit,
    pub cost: u64,
    /// What one hit costs.
    pub hit_cost: u64,
    pub peek: bool,
    pub give_back: u64,
    /// What the whole call asks of the counter.
    pub demand: u128,
    pub refuses: bool,
    /// Whether this is the ask by which the counter is charged, if the call passes or if not.
    pub charged_if: [bool; 2],
    /// What it took of the counter.
    pub taken: u64,
    /// Whether its rule holds what a call takes.
    pub holds: bool,
    /// By whom and until when slots are held.
    pub held: Held,
}

impl Model<'_> {
    pub fn asked(&mut self, call: &Call) -> Vec<Asked> {
        let replaced = self.replaced(call);
        let descriptors = call.descriptors.iter();
        let asked = descriptors.map(|descriptor| self.asked_of(call, descriptor, &replaced));
        let asked: Vec<Asked> = asked.collect();
        if !replaced.is_empty() {
            self.count("replaced");
        }
        if asked.iter().any(|asked| !asked.served && asked.asks.is_empty()) {
            self.count("not served");
        }
        asked
    }

    /// What the call's own rules take the place of.
    fn replaced(&self, call: &Call) -> Vec<&'static str> {
        let mut replaced = Vec::new();
        for descriptor in &call.descriptors {
            if !DOMAINS.contains(&call.domain) || self.is_brought_along(descriptor) {
                continue;
            }
            if !held::is_done(self.rules, &descriptor.entries) {
                let rules = self.rules.applying(&descriptor.entries);
                replaced.extend(rules.filter(|rule| 0 < rule.enforced).flat_map(|it| &it.replaces));
            }
        }
        replaced
    }

    fn is_brought_along(&self, descriptor: &Descriptor) -> bool {
        descriptor.limit.is_some() && self.rules.overrides
    }

    fn asked_of(&self, call: &Call, descriptor: &Descriptor, replaced: &[&str]) -> Asked {
        let Descriptor { entries, hits, limit } = descriptor;
        let mut asked = Asked { asks: Vec::new(), served: true, is_new: Vec::new() };
        if !DOMAINS.contains(&call.domain) {
            return asked;
        }
        if let Some(brought) = limit.filter(|_| self.rules.overrides) {
            asked.asks.push(brought_along(call.domain, entries, *hits, brought));
            return asked;
        }
        if held::is_done(self.rules, entries) {
            return asked;
        }
        let all_served = |rule: &Rule| {
            let is_replaced = replaced.contains(&rule.name.as_str());
            is_replaced || rule.enforced == 0 || self.rules.limits(rule, entries).is_some()
        };
        let applying: Vec<&Rule> = self.rules.applying(entries).collect();
        asked.served = match applying.is_empty() {
            true => !self.rules.unmatched_denied,
            false => applying.iter().all(|rule| all_served(rule)),
        };
        for rule in applying.into_iter().filter(|it| !replaced.contains(&it.name.as_str())) {
            asked.asks.extend(self.asks_of_rule(call, descriptor, rule, replaced));
        }
        asked
    }

    fn asks_of_rule(
        &self,
        call: &Call,
        Descriptor { entries, hits, .. }: &Descriptor,
        rule: &Rule,
        replaced: &[&str],
    ) -> Vec<Ask> {
        let limits = self.rules.limits(rule, entries).unwrap_or_default();
        let counting = self.rules.counting(rule);
        let asks = limits.iter().filter_map(|limit| {
            let label = format!("{}.{}", rule.name, limit.name);
            if replaced.contains(&label.as_str()) {
                return None;
            }
            let mut counter = vec![call.domain.into(), counting.name.clone(), limit.name.into()];
            let values = counting.count_by.iter().filter_map(|key| last(entries, key));
            counter.extend(values.map(str::to_owned));
            let mut limit = limit.clone();
            if rule.enforced == 0 {
                limit.on_exceed = OnExceed::Shadow;
            }
            let hit_cost = self.rules.cost(rule, entries);
            let estimate = rule.hold.and_then(|hold| hold.estimate);
            let hits = match (*hits, estimate) {
                (Hits::GiveBack(_), _) if !rule.refundable => Hits::Take(0),
                (Hits::Take(_), Some(estimate)) if !limit.measure.is_slots() => {
                    Hits::Take(estimate)
                }
                (hits, _) => hits,
            };
            let peeked = match (limit.measure.is_slots(), estimate) {
                (false, Some(estimate)) => estimate,
                _ => 1,
            };
            let mut ask = Ask::new(counter, label, limit, hits, (hit_cost, peeked));
            ask.rule = Some(rule.name.clone());
            ask.holds = rule.hold.is_some();
            if let Some(hold) = rule.hold {
                let by = held::name(call.domain, rule, entries).map(|name| name.join("/"));
                ask.held = Held { by, until: call.at + hold.expires_s * SECOND_US };
            }
            Some(ask)
        });
        asks.collect()
    }
}

impl Asked {
    /// Rules that share a counter charge it once for a descriptor, at the larger cost; of equals
    /// one that holds what it takes, and else the first.
    pub fn charge_counters_once(&mut self) {
        let always = |ask: &Ask| if ask.limit.charged_always { ask.cost } else { 0 };
        let all = 0..self.asks.len();
        let flags = all.map(|position| {
            let largest = |amount: &dyn Fn(&Ask) -> u64| self.is_largest(position, amount);
            ([largest(&always), largest(&|ask| ask.cost)], largest(&|ask| ask.give_back))
        });
        let flags: Vec<_> = flags.collect();
        for (ask, (charged_if, gives_back)) in self.asks.iter_mut().zip(flags) {
            ask.charged_if = charged_if;
            if !gives_back {
                ask.give_back = 0;
            }
        }
    }

    fn is_largest(&self, position: usize, amount: &dyn Fn(&Ask) -> u64) -> bool {
        let ask = &self.asks[position];
        let others = self.asks.iter().enumerate().filter(|(_, it)| it.counter == ask.counter);
        let mut others = others.filter(|(other, _)| *other != position);
        let size = |ask: &Ask| (amount(ask), ask.holds);
        !others.any(|(other, it)| match other < position {
            true => size(ask) <= size(it),
            false => size(ask) < size(it),
        })
    }
}

impl Ask {
    fn new(
        counter: Counter,
        label: String,
        limit: Limit,
        hits: Hits,
        (hit_cost, peeked): (u64, u64),
    ) -> Ask {
        let (hits, give_back, peek) = match hits {
            Hits::GiveBack(hits) => (0, hits, false),
            Hits::Peek => (peeked, 0, true),
            Hits::Take(hits) => (hits, 0, false),
        };
        Ask {
            counter,
            label,
            rule: None,
            limit,
            cost: hits.saturating_mul(hit_cost),
            hit_cost,
            peek,
            give_back: give_back.saturating_mul(hit_cost),
            demand: 0,
            refuses: false,
            charged_if: [true, true],
            taken: 0,
            holds: false,
            held: Held::default(),
        }
    }

    pub fn is_charged(&self, admitted: bool) -> bool {
        let charged = admitted || self.limit.charged_always;
        0 < self.cost && charged && self.charged_if[usize::from(admitted)]
    }

    pub fn charge(&self, history: &mut Vec<Charged>, at: u64, amount: u64) {
        self.limit.charge(history, at, amount, &self.held);
    }

    /// Only a budget that refuses has a use for more.
    pub fn has_pool(&self) -> bool {
        self.limit.on_exceed == OnExceed::Deny && self.limit.budget.is_some()
    }

    /// What is left of the counter's grant.
    pub fn pool(&self, grants: &Grants, at: u64) -> u64 {
        match grants.get(&self.counter) {
            Some((left, until)) if self.has_pool() && at < *until => *left,
            _ => 0,
        }
    }

    /// Whether there is room for what the call asks: what a grant has no room for has to fit.
    pub fn fits(&self, history: &[Charged], grants: &Grants, at: u64) -> bool {
        let own = self.demand.saturating_sub(u128::from(self.pool(grants, at)));
        own == 0 || self.limit.fits(history, at, own)
    }
}

fn brought_along(domain: &str, entries: &[Entry], hits: Hits, brought: Override) -> Ask {
    let seconds = brought.window_us / SECOND_US;
    let mut counter = vec!["brought along".into(), domain.into(), seconds.to_string()];
    counter.extend(entries.iter().flat_map(|(key, value)| [(*key).to_owned(), value.clone()]));
    let limit = Limit::plain(brought.requests, Measure::Fixed { seconds });
    let hits = match hits {
        // No rule lets anybody give it back.
        Hits::GiveBack(_) => Hits::Take(0),
        hits => hits,
    };
    Ask::new(counter, String::new(), limit, hits, (1, 1))
}
