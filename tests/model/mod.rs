//! A naive limiter to hold the real one against, written from the description of a decision.
//!
//! It keeps every hit that was ever charged and works everything out anew for each call, by brute
//! force and without any code of the real one. `System` is the real one behind the same face.

#![allow(dead_code, reason = "each test binary uses its own part of the model")]

mod asked;
pub mod cases;
pub mod check;
pub mod dialect;
mod held;
pub mod limit;
pub mod patterns;
pub mod rules;
mod shown;
pub mod system;
pub mod traffic;
mod yaml;

use std::collections::{BTreeMap, HashMap};

use tollgate::query::{Hits, Override};

use self::asked::{Ask, Asked};
use self::held::{Hold, Name};
use self::limit::{Charged, OnExceed};
use self::rules::{Entry, Rules};

#[derive(Clone, Debug)]
pub struct Call {
    pub at: u64,
    pub domain: &'static str,
    pub descriptors: Vec<Descriptor>,
}

#[derive(Clone, Debug)]
pub struct Descriptor {
    pub entries: Vec<Entry>,
    pub hits: Hits,
    pub limit: Option<Override>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub admitted: bool,
    pub statuses: Vec<Status>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub refused: bool,
    pub shows: Shows,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    Nothing,
    Unlimited,
    Limit { name: String, requests: u64, remaining: u64, reset_us: Option<u64> },
}

/// The domains that are loaded, with the same rules each.
pub const DOMAINS: [&str; 2] = ["shop", "other"];

/// A counter by all that sets it apart.
type Counter = Vec<String>;

type Histories = HashMap<Counter, Vec<Charged>>;

/// What is left of extra budgets, and until when.
type Grants = HashMap<Counter, (u64, u64)>;

pub struct Model<'m> {
    rules: &'m Rules,
    histories: Histories,
    grants: Grants,
    holds: HashMap<Name, Hold>,
    /// Ids that were charged, and until when they are known.
    charged: HashMap<Name, u64>,
    /// What happened how often, so that a test can say that its cases reach what they are for.
    pub seen: BTreeMap<&'static str, usize>,
}

impl Call {
    pub fn new(at: u64, descriptors: Vec<Descriptor>) -> Call {
        Call { at, domain: "shop", descriptors }
    }
}

impl Descriptor {
    pub fn new(entries: &[(&'static str, &str)], hits: Hits) -> Descriptor {
        let entries = entries.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Descriptor { entries, hits, limit: None }
    }
}

impl Answer {
    /// Microseconds until the call would pass; none if it never would. Only for refusals.
    pub fn wait_us(&self) -> Option<u64> {
        let refusing = self.statuses.iter().filter(|status| status.refused);
        let waits = refusing.map(|status| match status.shows {
            Shows::Limit { reset_us, .. } => reset_us,
            Shows::Nothing | Shows::Unlimited => None,
        });
        waits.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }
}

impl<'m> Model<'m> {
    pub fn new(rules: &'m Rules) -> Model<'m> {
        Model {
            rules,
            histories: Histories::new(),
            grants: Grants::new(),
            holds: HashMap::new(),
            charged: HashMap::new(),
            seen: BTreeMap::new(),
        }
    }

    pub fn decide(&mut self, call: &Call) -> Answer {
        let mut asked = self.asked(call);
        self.drop_repeats(call, &mut asked);
        asked.iter_mut().for_each(|asked| asked.charge_counters_once());
        if asked.iter().flat_map(|asked| &asked.asks).any(|ask| !ask.charged_if[1]) {
            self.count("shared");
        }
        sum_demands(&mut asked);
        self.judge(&mut asked, &self.histories, call.at);
        let refuses = |asked: &Asked| !asked.served || asked.asks.iter().any(|ask| ask.refuses);
        let admitted = !asked.iter().any(refuses);
        self.charge(call, admitted, &mut asked);
        let mut as_if = self.histories.clone();
        for ask in asked.iter().flat_map(|asked| &asked.asks) {
            // What a peek shows is what one hit would have left, but only hits are kept.
            if ask.peek && ask.is_charged(admitted) {
                ask.charge(as_if.entry(ask.counter.clone()).or_default(), call.at, ask.cost);
            }
        }
        if !admitted {
            // What a refused call was charged may leave no room for it where it had some.
            self.judge(&mut asked, &as_if, call.at);
        }
        self.remember(call, admitted, &asked, &as_if);
        let status = |asked: &Asked| match asked.served {
            true => shown::status(&asked.asks, &as_if, &self.grants, call.at),
            false => Status { refused: true, shows: Shows::Nothing },
        };
        let statuses = asked.iter().map(status).collect();
        self.settle(call);
        Answer { admitted, statuses }
    }

    /// Charges what is to be charged, and then gives back what is given back.
    fn charge(&mut self, call: &Call, admitted: bool, asked: &mut [Asked]) {
        for ask in asked.iter_mut().flat_map(|asked| &mut asked.asks) {
            if ask.is_charged(admitted) && !ask.peek {
                let history = self.histories.entry(ask.counter.clone()).or_default();
                let (left, until) = self.grants.get(&ask.counter).copied().unwrap_or_default();
                let pool = if admitted && ask.has_pool() && call.at < until { left } else { 0 };
                let own = if pool == 0 { ask.cost } else { ask.limit.remaining(history, call.at) };
                let own = own.min(ask.cost);
                if 0 < own {
                    ask.charge(history, call.at, own);
                }
                ask.taken = own;
                if own < ask.cost {
                    self.grants.insert(ask.counter.clone(), (left - (ask.cost - own), until));
                }
            }
        }
        let given_back = asked.iter().flat_map(|asked| &asked.asks);
        for ask in given_back.filter(|ask| 0 < ask.give_back) {
            let history = self.histories.entry(ask.counter.clone()).or_default();
            if !history.is_empty() {
                *self.seen.entry("given back").or_default() += 1;
                ask.limit.give_back(history, call.at, ask.give_back);
            }
        }
    }

    /// Finds who refuses. Who refused stays refusing, whatever the call itself gave back.
    fn judge(&self, asked: &mut [Asked], histories: &Histories, at: u64) {
        for ask in asked.iter_mut().flat_map(|asked| &mut asked.asks) {
            let history = histories.get(&ask.counter).map_or(&[][..], Vec::as_slice);
            ask.refuses |= ask.votes() && !ask.fits(history, &self.grants, at);
        }
    }

    /// Gives a counter so much more to spend, until then.
    pub fn grant(&mut self, counter: &[&str], hits: u64, until: u64) {
        let counter = counter.iter().map(|part| (*part).to_owned()).collect();
        self.grants.insert(counter, (hits, until));
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }
}

impl Ask {
    fn votes(&self) -> bool {
        self.limit.on_exceed == OnExceed::Deny && 0 < self.cost
    }
}

/// Sums what the call asks of each counter: of every descriptor the largest of its costs.
fn sum_demands(asked: &mut [Asked]) {
    let mut demands: HashMap<Counter, u128> = HashMap::new();
    for asked in &*asked {
        let mut largest: HashMap<&Counter, u64> = HashMap::new();
        for ask in &asked.asks {
            let known = largest.entry(&ask.counter).or_default();
            *known = ask.cost.max(*known);
        }
        for (counter, cost) in largest {
            *demands.entry(counter.clone()).or_default() += u128::from(cost);
        }
    }
    for ask in asked.iter_mut().flat_map(|asked| &mut asked.asks) {
        ask.demand = demands[&ask.counter];
    }
}
