//! One decision in process: match and count, with 1 rule and with 500.
//!
//! `cargo bench` prints the time of a decision over ten thousand keys. Figures of different
//! machines, or of one machine at different times, do not compare; ratios within one run do.

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

/// So many rules, each for an endpoint of its own; a call matches one of them.
fn rules(count: usize) -> RuleSet {
    let mut text = "domain: bench\nrules:\n".to_owned();
    for number in 0..count {
        text += &format!(
            "  - name: r{number}\n    match: {{ endpoint: /v1/resource/{number} }}\n    \
             count_by: [key]\n    limits: [{{ requests: 1_000_000_000, per: minute }}]\n"
        );
    }
    let source = Source { name: "bench.yaml".into(), text };
    let rules = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

fn decisions(criterion: &mut Criterion) {
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key-{number:08}")).collect();
    let mut group = criterion.benchmark_group("decision");
    for count in [1, 500] {
        let (rules, store) = (rules(count), Memory::new());
        let mut turns = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("rules", count), |bencher| {
            bencher.iter(|| {
                let key = turns.next().expect("a cycle has no end");
                let entries = [("key", key.as_str()), ("plan", "free")];
                let endpoint = ("endpoint", "/v1/resource/0");
                let entries = entries.into_iter().chain([endpoint]).collect();
                let descriptor = Descriptor { entries, hits: Hits::Take(1), limit: None };
                let descriptors = [descriptor].into_iter().collect();
                let query = Query { domain: "bench", descriptors, receipt: None };
                black_box(limiter::decide(&rules, &store, &query, NOW).admitted)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
