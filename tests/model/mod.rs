//! A naive limiter to hold the real one against, written from the description of a decision.
//!
//! It keeps every hit that was ever charged and works everything out anew for each call, by brute
//! force and without any code of the real one. `System` is the real one behind the same face.

pub mod cases;
pub mod check;
pub mod limit;
pub mod patterns;
pub mod rules;
pub mod system;
pub mod traffic;
mod yaml;

use std::collections::HashMap;

use tollgate::query::{Hits, Override};

use self::limit::{Charged, Limit, Measure, OnExceed, SECOND_US};
use self::rules::{Entry, Rules, last};

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

pub struct Model<'m> {
    rules: &'m Rules,
    histories: Histories,
}

/// What a descriptor asks of all its limits.
struct Asked {
    asks: Vec<Ask>,
    /// False if a rule applies and no plan serves the descriptor.
    served: bool,
}

/// What a descriptor asks of one limit.
struct Ask {
    counter: Counter,
    label: String,
    limit: Limit,
    cost: u64,
    peek: bool,
    /// What the whole call asks of the counter.
    demand: u128,
    refuses: bool,
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
        Model { rules, histories: Histories::new() }
    }

    pub fn decide(&mut self, call: &Call) -> Answer {
        let asked = call.descriptors.iter().map(|descriptor| self.asked(call.domain, descriptor));
        let mut asked: Vec<Asked> = asked.collect();
        sum_demands(&mut asked);
        judge(&mut asked, &self.histories, call.at);
        let refuses = |asked: &Asked| !asked.served || asked.asks.iter().any(|ask| ask.refuses);
        let admitted = !asked.iter().any(refuses);
        let mut as_if = self.histories.clone();
        for ask in asked.iter().flat_map(|asked| &asked.asks) {
            let is_charged = 0 < ask.cost && (admitted || ask.limit.charged_always);
            // What a peek shows is what one hit would have left, but only hits are kept.
            if is_charged {
                ask.limit.charge(as_if.entry(ask.counter.clone()).or_default(), call.at, ask.cost);
            }
            if is_charged && !ask.peek {
                let history = self.histories.entry(ask.counter.clone()).or_default();
                ask.limit.charge(history, call.at, ask.cost);
            }
        }
        if !admitted {
            // What a refused call was charged may leave no room for it where it had some.
            judge(&mut asked, &as_if, call.at);
        }
        let status = |asked: &Asked| match asked.served {
            true => status(&asked.asks, &as_if, call.at),
            false => Status { refused: true, shows: Shows::Nothing },
        };
        Answer { admitted, statuses: asked.iter().map(status).collect() }
    }

    fn asked(&self, domain: &str, descriptor: &Descriptor) -> Asked {
        let Descriptor { entries, hits, limit } = descriptor;
        let mut asked = Asked { asks: Vec::new(), served: true };
        if !DOMAINS.contains(&domain) {
            return asked;
        }
        if let Some(brought) = limit.filter(|_| self.rules.overrides) {
            asked.asks.push(brought_along(domain, entries, *hits, brought));
            return asked;
        }
        for rule in self.rules.applying(entries) {
            let limits = self.rules.limits(rule, entries);
            asked.served &= limits.is_some();
            for limit in limits.unwrap_or_default() {
                let mut counter = vec![domain.into(), rule.name.clone(), limit.name.into()];
                let values = rule.count_by.iter().filter_map(|key| last(entries, key));
                counter.extend(values.map(str::to_owned));
                let label = format!("{}.{}", rule.name, limit.name);
                let cost = rule.cost(entries);
                asked.asks.push(Ask::new(counter, label, limit.clone(), *hits, cost));
            }
        }
        asked
    }
}

impl Ask {
    fn new(counter: Counter, label: String, limit: Limit, hits: Hits, cost: u64) -> Ask {
        let (hits, peek) = match hits {
            Hits::GiveBack(_) => unreachable!("the traffic gives nothing back"),
            Hits::Peek => (1, true),
            Hits::Take(hits) => (hits, false),
        };
        let cost = hits.saturating_mul(cost);
        Ask { counter, label, limit, cost, peek, demand: 0, refuses: false }
    }
}

fn brought_along(domain: &str, entries: &[Entry], hits: Hits, brought: Override) -> Ask {
    let seconds = brought.window_us / SECOND_US;
    let mut counter = vec!["brought along".into(), domain.into(), seconds.to_string()];
    counter.extend(entries.iter().flat_map(|(key, value)| [(*key).to_owned(), value.clone()]));
    let limit = Limit::plain(brought.requests, Measure::Fixed { seconds });
    Ask::new(counter, String::new(), limit, hits, 1)
}

/// Sums what the call asks of each counter.
fn sum_demands(asked: &mut [Asked]) {
    let mut demands: HashMap<Counter, u128> = HashMap::new();
    for ask in asked.iter().flat_map(|asked| &asked.asks) {
        *demands.entry(ask.counter.clone()).or_default() += u128::from(ask.cost);
    }
    for ask in asked.iter_mut().flat_map(|asked| &mut asked.asks) {
        ask.demand = demands[&ask.counter];
    }
}

/// Finds who refuses.
fn judge(asked: &mut [Asked], histories: &Histories, at: u64) {
    for ask in asked.iter_mut().flat_map(|asked| &mut asked.asks) {
        let history = histories.get(&ask.counter).map_or(&[][..], Vec::as_slice);
        let votes = ask.limit.on_exceed == OnExceed::Deny && 0 < ask.cost;
        ask.refuses = votes && !ask.limit.fits(history, at, ask.demand);
    }
}

fn status(asks: &[Ask], histories: &Histories, at: u64) -> Status {
    let history = |ask: &Ask| histories.get(&ask.counter).map_or(&[][..], Vec::as_slice);
    let remaining = |ask: &Ask| ask.limit.remaining(history(ask), at);
    let spoken = || asks.iter().filter(|ask| ask.limit.on_exceed != OnExceed::Shadow);
    let mut longest: Option<(&Ask, Option<u64>)> = None;
    for ask in spoken().filter(|ask| ask.refuses) {
        let wait_us = ask.limit.wait_us(history(ask), at, ask.demand);
        if longest.is_none_or(|(_, other)| is_longer(wait_us, other)) {
            longest = Some((ask, wait_us));
        }
    }
    if let Some((ask, wait_us)) = longest {
        return Status { refused: true, shows: ask.shows(remaining(ask), wait_us) };
    }
    let mut smallest: Option<&Ask> = None;
    for ask in spoken() {
        let is_smaller = |other| has_smaller_share(ask, remaining(ask), other, remaining(other));
        if smallest.is_none_or(is_smaller) {
            smallest = Some(ask);
        }
    }
    let shows = smallest.map_or(Shows::Nothing, |ask| {
        ask.shows(remaining(ask), ask.limit.reset_us(history(ask), at))
    });
    Status { refused: false, shows }
}

impl Ask {
    fn shows(&self, remaining: u64, reset_us: Option<u64>) -> Shows {
        let Some(requests) = self.limit.budget else { return Shows::Unlimited };
        let remaining = remaining.min(requests);
        Shows::Limit { name: self.label.clone(), requests, remaining, reset_us }
    }
}

/// No wait at all is a wait without end.
fn is_longer(wait_us: Option<u64>, other: Option<u64>) -> bool {
    match (wait_us, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wait_us), Some(other)) => other < wait_us,
    }
}

/// Whether `left / capacity` of one is less than that of the other; an unlimited one has all
/// left, and one that never holds anything has nothing.
fn has_smaller_share(ask: &Ask, left: u64, other: &Ask, other_left: u64) -> bool {
    match (ask.limit.capacity(), other.limit.capacity()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(0), Some(_)) => 0 < other_left,
        (Some(_), Some(0)) => false,
        (Some(capacity), Some(other_capacity)) => {
            u128::from(left) * u128::from(other_capacity)
                < u128::from(other_left) * u128::from(capacity)
        }
    }
}
