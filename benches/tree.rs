//! One decision in a domain of `descriptors:`, with ever more exact siblings beside the one that a
//! call leads to, and with patterns.
//!
//! What counts is that the time does not grow with the siblings; figures of different machines, or
//! of one machine at different times, do not compare.

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

/// So many counters, however many siblings there are, so that the store costs the same.
const KEYS: usize = 1_000;

/// So many siblings, each with a limit for every key below it.
fn rules(siblings: usize, value: impl Fn(usize) -> String) -> RuleSet {
    let mut text = "domain: bench\ndescriptors:\n".to_owned();
    for number in 0..siblings {
        text += &format!(
            "  - key: path\n    value: \"{}\"\n    descriptors:\n      \
             - {{ key: user, rate_limit: {{ unit: hour, requests_per_unit: 1_000_000_000 }} }}\n",
            value(number)
        );
    }
    let source = Source { name: "bench.yaml".into(), text };
    let rules = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

fn query<'a>(path: &'a str, user: &'a str) -> Query<'a> {
    let entries = [("path", path), ("user", user)].into_iter().collect();
    let descriptor = Descriptor { entries, hits: Hits::Take(1), limit: None };
    Query { domain: "bench", descriptors: [descriptor].into_iter().collect(), receipt: None }
}

fn decisions(criterion: &mut Criterion, name: &str, star: &str) {
    let mut group = criterion.benchmark_group(name);
    let users: Vec<_> = (0..KEYS).map(|number| format!("user-{number:08}")).collect();
    for siblings in [10, 100, 1_000, 10_000] {
        let rules = rules(siblings, |number| format!("/v1/resource/{number:05}{star}"));
        // Traffic goes to ten of them, spread over all.
        let paths: Vec<_> =
            (0..10).map(|part| format!("/v1/resource/{:05}", part * (siblings / 10))).collect();
        let store = Memory::new();
        let mut turns = users.iter().zip(paths.iter().cycle()).cycle();
        group.bench_function(BenchmarkId::from_parameter(siblings), |bencher| {
            bencher.iter(|| {
                let (user, path) = turns.next().expect("a cycle has no end");
                let verdict = limiter::decide(&rules, &store, &query(path, user), NOW);
                black_box(verdict.admitted)
            });
        });
    }
    group.finish();
}

fn exact(criterion: &mut Criterion) {
    decisions(criterion, "exact siblings", "");
}

fn patterns(criterion: &mut Criterion) {
    decisions(criterion, "patterns", "*");
}

criterion_group!(benches, exact, patterns);
criterion_main!(benches);
