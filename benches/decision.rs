//! One decision in process: match and count, with 1 rule and with 500, and what is told of it.
//!
//! `cargo bench` prints the time of a decision over ten thousand keys. Figures of different
//! machines, or of one machine at different times, do not compare; ratios within one run do.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollgate::answer;
use tollgate::config::{self, Source};
use tollgate::key::HashKey;
use tollgate::limiter;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);
const KEYS: usize = 10_000;

/// So many rules, each for an endpoint of its own; a call matches one of them. With more lines of
/// the domain.
fn rules(count: usize, more: &str) -> RuleSet {
    let mut text = format!("domain: bench\n{more}rules:\n");
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

fn query(key: &str) -> Query<'_> {
    let entries = [("key", key), ("plan", "free"), ("endpoint", "/v1/resource/0")];
    let entries = entries.into_iter().collect();
    let descriptor = Descriptor { entries, hits: Hits::Take(1), limit: None };
    let descriptors = [descriptor].into_iter().collect();
    Query { domain: "bench", descriptors, receipt: None }
}

fn keys() -> Vec<String> {
    (0..KEYS).map(|number| format!("key-{number:08}")).collect()
}

fn decisions(criterion: &mut Criterion) {
    let keys = keys();
    let mut group = criterion.benchmark_group("decision");
    for count in [1, 500] {
        let (rules, store) = (rules(count, ""), Memory::new());
        let mut turns = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("rules", count), |bencher| {
            bencher.iter(|| {
                let query = query(turns.next().expect("a cycle has no end"));
                black_box(limiter::decide(&rules, &store, &query, NOW).admitted)
            });
        });
    }
    group.finish();
}

/// A decision with what is told of it, by what the rules want told.
fn answers(criterion: &mut Criterion) {
    let keys = keys();
    let mut group = criterion.benchmark_group("answer");
    for (name, more) in [
        ("nothing", ""),
        ("headers", "headers: { style: x-ratelimit }\n"),
        ("shown", "headers: { style: x-ratelimit, show: r0.minute }\n"),
        ("draft", "headers: { style: ietf-draft-11 }\n"),
        ("metadata", "metadata: true\n"),
    ] {
        let (rules, store) = (rules(1, more), Memory::new());
        let mut turns = keys.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let query = query(turns.next().expect("a cycle has no end"));
                let verdict = limiter::decide(&rules, &store, &query, NOW);
                let answer = answer::answer(&verdict, &query);
                black_box(answer.map(|answer| answer.headers.len()))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decisions, answers);
criterion_main!(benches);
