//! Ids by which calls are known again: holds until they end, and charges that are not repeated.

use tollgate::query::Hits;

use super::asked::Asked;
use super::limit::{Limit, SECOND_US, Taken};
use super::rules::{Entry, Rule, Rules, last};
use super::{Call, Counter, DOMAINS, Histories, Model};

/// Domain, rule and id.
pub type Name = Vec<String>;

/// What a call holds.
pub struct Hold {
    until: u64,
    items: Vec<Item>,
}

struct Item {
    counter: Counter,
    limit: Limit,
    amount: u64,
    hit_cost: u64,
    taken: Taken,
}

pub fn name(domain: &str, rule: &Rule, entries: &[Entry]) -> Option<Name> {
    let id = last(entries, "id")?;
    Some(vec![domain.into(), rule.name.clone(), id.into()])
}

/// Whether a descriptor says that a call is over, and any rule holds calls until then.
pub fn is_done(rules: &Rules, entries: &[Entry]) -> bool {
    last(entries, "phase") == Some("done") && rules.rules.iter().any(|rule| rule.hold.is_some())
}

impl Model<'_> {
    /// What is known already asks for nothing.
    pub fn drop_repeats(&mut self, call: &Call, asked: &mut [Asked]) {
        let mut in_this_call: Vec<Name> = Vec::new();
        for (asked, descriptor) in asked.iter_mut().zip(&call.descriptors) {
            for rule in &self.rules.rules {
                let Some(name) = name(call.domain, rule, &descriptor.entries) else { continue };
                if rule.hold.is_none() && rule.dedupe_s.is_none() {
                    continue;
                }
                let known = |until: Option<u64>| until.is_some_and(|until| call.at < until);
                let held = known(self.holds.get(&name).map(|hold| hold.until));
                let charged = known(self.charged.get(&name).copied());
                let of_rule = |ask: &&mut super::Ask| ask.rule.as_ref() == Some(&rule.name);
                let asks = asked.asks.iter_mut().filter(of_rule);
                if held || charged || in_this_call.contains(&name) {
                    for ask in asks {
                        let what = if held { "held already" } else { "charged already" };
                        *self.seen.entry(what).or_default() += usize::from(0 < ask.cost);
                        ask.cost = 0;
                    }
                } else if asks.into_iter().any(|ask| 0 < ask.cost && !ask.peek) {
                    in_this_call.push(name);
                }
            }
            asked.is_new = in_this_call.clone();
        }
        // An id belongs to the descriptor that named it first.
        for position in (1..asked.len()).rev() {
            let (before, this) = asked.split_at_mut(position);
            let earlier = &before[position - 1].is_new;
            this[0].is_new.retain(|name| !earlier.contains(name));
        }
    }

    /// Opens holds, and remembers what was charged.
    pub fn remember(&mut self, call: &Call, admitted: bool, asked: &[Asked], as_if: &Histories) {
        for asked in asked {
            for name in &asked.is_new {
                let rule = self.rules.rule(&name[1]);
                let of_rule = asked.asks.iter().filter(|it| it.rule.as_ref() == Some(&rule.name));
                let mut of_rule = of_rule.cloned();
                let charged =
                    admitted || of_rule.clone().all(|ask| ask.limit.charged_always && !ask.refuses);
                if let Some(seconds) = rule.dedupe_s.filter(|_| charged) {
                    self.charged.insert(name.clone(), call.at + seconds * SECOND_US);
                    self.count("remembered");
                }
                let Some(hold) = rule.hold else { continue };
                if !admitted {
                    self.count("refused, and nothing held");
                    continue;
                }
                let items = of_rule.by_ref().filter(|ask| 0 < ask.taken).map(|ask| {
                    let history = as_if.get(&ask.counter).map_or(&[][..], Vec::as_slice);
                    let at = history.last().map_or(call.at, |last| last.at);
                    let empty_at =
                        ask.limit.reset_us(history, call.at).map_or(u64::MAX, |us| call.at + us);
                    let window = ask.limit.measure.window(at);
                    let (held, hit_cost, amount) = (ask.held.clone(), ask.hit_cost, ask.taken);
                    let taken = Taken { at, window, empty_at, held };
                    Item { counter: ask.counter, limit: ask.limit, amount, hit_cost, taken }
                });
                let items = items.collect();
                let until = call.at + hold.expires_s * SECOND_US;
                self.holds.insert(name.clone(), Hold { until, items });
                self.count("held");
            }
        }
    }

    /// Ends the holds of which a call says that they are over.
    pub fn settle(&mut self, call: &Call) {
        for descriptor in &call.descriptors {
            let known = DOMAINS.contains(&call.domain) && descriptor.limit.is_none();
            if !known || !is_done(self.rules, &descriptor.entries) {
                continue;
            }
            let hits = match descriptor.hits {
                Hits::Take(hits) => hits,
                Hits::Peek | Hits::GiveBack(_) => 0,
            };
            for rule in self.rules.rules.iter().filter(|rule| rule.hold.is_some()) {
                let Some(name) = name(call.domain, rule, &descriptor.entries) else { continue };
                match self.holds.remove(&name) {
                    Some(hold) if call.at < hold.until => self.settle_hold(call.at, hits, hold),
                    Some(_) => self.count("expired"),
                    None => self.count("unknown"),
                }
            }
        }
    }

    fn settle_hold(&mut self, at: u64, hits: u64, hold: Hold) {
        for Item { counter, limit, amount, hit_cost, taken } in hold.items {
            let cost = if limit.measure.is_slots() { 0 } else { hits * hit_cost };
            let history = self.histories.entry(counter).or_default();
            let what = if amount < cost {
                limit.charge(history, at, cost - amount, &taken.held);
                "settled at more"
            } else if amount == cost {
                "settled at the estimate"
            } else {
                limit.put_back(history, at, amount - cost, &taken);
                "settled at less"
            };
            *self.seen.entry(what).or_default() += 1;
        }
    }
}
