//! The real limiter over memory, called in process.

use tollgate::config::{self, Source};
use tollgate::key::HashKey;
use tollgate::limiter::{self, Standing, Verdict};
use tollgate::query::{self, Query};
use tollgate::rules::RuleSet;
use tollgate::store::{Memory, SHARDS};
use tollgate::time::Timestamp;

use super::rules::Rules;
use super::{Answer, Call, DOMAINS, Descriptor, Shows, Status, yaml};

/// The secret of test counters, so that failures repeat.
const KEY: HashKey = HashKey::from_bytes([42; 16]);

pub struct System<'s> {
    rules: &'s RuleSet,
    store: Memory,
}

/// Compiles the rules for every domain, or fails with what their author would read.
pub fn compile(rules: &Rules) -> RuleSet {
    let source =
        |domain: &&str| Source { name: format!("{domain}.yaml"), text: yaml::file(domain, rules) };
    let sources: Vec<Source> = DOMAINS.iter().map(source).collect();
    let loaded = config::compile_all(KEY, &sources);
    loaded.rules.unwrap_or_else(|rejected| panic!("{rejected}\n{}", sources[0].text))
}

impl<'s> System<'s> {
    pub fn new(rules: &'s RuleSet) -> System<'s> {
        System { rules, store: Memory::new() }
    }

    /// One that has seen these calls.
    pub fn after(rules: &'s RuleSet, calls: &[Call]) -> System<'s> {
        let system = System::new(rules);
        for call in calls {
            system.decide(call);
        }
        system
    }

    pub fn decide(&self, call: &Call) -> Answer {
        let descriptors = call.descriptors.iter().map(descriptor).collect();
        let query = Query { domain: call.domain, descriptors, receipt: None };
        let now = Timestamp::from_micros(call.at);
        answer(&limiter::decide(self.rules, &self.store, &query, now))
    }

    /// Counters held.
    pub fn counters(&self) -> usize {
        self.store.len()
    }

    pub fn sweep(&self, at: u64) {
        for shard in 0..SHARDS {
            self.store.sweep(shard, Timestamp::from_micros(at));
        }
    }
}

fn descriptor(descriptor: &Descriptor) -> query::Descriptor<'_> {
    let Descriptor { entries, hits, limit } = descriptor;
    let entries = entries.iter().map(|(key, value)| (*key, value.as_str())).collect();
    query::Descriptor { entries, hits: *hits, limit: *limit }
}

fn answer(verdict: &Verdict<'_>) -> Answer {
    let status = |status: &limiter::Status<'_>| Status {
        refused: status.refused,
        shows: match status.standing {
            Standing::Bare => Shows::Nothing,
            Standing::Unlimited => Shows::Unlimited,
            Standing::Banned { .. } => unreachable!("the model's rules keep nobody out"),
            Standing::Limited { shown, remaining, reset_us } => {
                let (name, requests) = (shown.name.to_owned(), shown.requests);
                Shows::Limit { name, requests, remaining, reset_us }
            }
        },
    };
    let statuses = verdict.statuses.iter().map(status).collect();
    Answer { admitted: verdict.admitted, statuses }
}
