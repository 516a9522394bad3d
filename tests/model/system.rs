//! The real limiter over memory, called in process.

use tollgate::config::{self, Source};
use tollgate::key::HashKey;
use tollgate::limit::Durability;
use tollgate::limiter::{self, Standing, Verdict};
use tollgate::query::{self, Query};
use tollgate::rules::RuleSet;
use tollgate::store::ledger::{Grant, Kind, Note, NoteKey};
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

    /// Gives the counter of a limit, as these entries are counted, so much more until then.
    pub fn grant(&self, label: &str, entries: &[(&str, &str)], hits: u64, until: u64) {
        let domain = self.rules.domain("shop").expect("a domain that was loaded");
        let (rule, _) = label.split_once('.').expect("rule and limit");
        let (rule, limit) = (domain.rule(rule), domain.limit(label));
        let (rule, limit) = (rule.expect("a rule"), limit.expect("a limit"));
        let entries = entries.iter().copied().collect();
        let counter = rule.identity(&entries).counter(limit.tag);
        let key = NoteKey::of_counter(Kind::Grant, counter);
        let (domain, label) = ("shop".to_owned(), label.to_owned());
        let values = Vec::new();
        let note =
            Note::Grant(Grant { domain, label, values, granted: hits, left: hits, since_us: 1 });
        let until = Timestamp::from_micros(until);
        self.store.ledger().open(&[key]).put(key, note, until, Durability::Ordinary);
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
