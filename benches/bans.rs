//! What bans cost a decision: with no such rule, with one and nobody kept out, and with somebody.
//!
//! As in `decision`, only ratios within one run compare.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollgate::config::{self, Source};
use tollgate::key::HashKey;
use tollgate::limiter;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);
const KEYS: usize = 10_000;

fn rules(ban: &str) -> RuleSet {
    let text = format!(
        "domain: bench\nrules:\n  - name: r\n    match: {{ endpoint: /v1/resource }}\n    \
         count_by: [key]\n    limits: [{{ requests: 1_000_000_000, per: minute }}]\n    {ban}\n"
    );
    let source = Source { name: "bench.yaml".into(), text };
    let rules = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

fn decide(rules: &RuleSet, store: &Memory, key: &str, hits: u64) -> bool {
    let entries = [("key", key), ("plan", "free"), ("endpoint", "/v1/resource")];
    let descriptor =
        Descriptor { entries: entries.into_iter().collect(), hits: Hits::Take(hits), limit: None };
    let descriptors = [descriptor].into_iter().collect();
    let query = Query { domain: "bench", descriptors, receipt: None };
    limiter::decide(rules, store, &query, NOW).admitted
}

fn bans(criterion: &mut Criterion) {
    const BAN: &str = "ban: { of: refusals, after: 1, within: 1m, for: 15m }";
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key-{number:08}")).collect();
    let mut group = criterion.benchmark_group("bans");
    for (name, ban, banned) in
        [("no rule", "", 0), ("nobody kept out", BAN, 0), ("a thousand kept out", BAN, 1_000)]
    {
        let (rules, store) = (rules(ban), Memory::new());
        for number in 0..banned {
            // More than the budget: refused at once, and one refusal is enough.
            decide(&rules, &store, &format!("bad-{number}"), 2_000_000_000);
        }
        let mut turns = keys.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let key = turns.next().expect("a cycle has no end");
                black_box(decide(&rules, &store, key, 1))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bans);
criterion_main!(benches);
