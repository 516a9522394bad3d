//! The hot call's codec and prost's, side by side: from bytes to a query, from a verdict to bytes.
//!
//! The call has one descriptor of a key, a plan and an endpoint; its answer tells of one limit.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use prost::Message;
use prost::bytes::BytesMut;
use tollgate::answer;
use tollgate::config::{self, Source};
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use tollgate::grpc::{from_proto, to_proto, wire};
use tollgate::key::HashKey;
use tollgate::limiter;
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);

/// Calls with a usual path, and with one that no length of a single byte holds.
const ENDPOINTS: [(&str, usize); 2] = [("usual", 1), ("long", 12)];

fn message(segments: usize) -> Vec<u8> {
    let endpoint = "/v1/resource/0".repeat(segments);
    let entries = [("key", "key-00000001"), ("plan", "free"), ("endpoint", &endpoint)];
    let entry = |(key, value): (&str, &str)| Entry { key: key.into(), value: value.into() };
    let entries = entries.into_iter().map(entry).collect();
    let descriptor = RateLimitDescriptor { entries, ..RateLimitDescriptor::default() };
    let domain = "bench".to_owned();
    RateLimitRequest { domain, descriptors: vec![descriptor], hits_addend: 1 }.encode_to_vec()
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, segments) in ENDPOINTS {
        let message = message(segments);
        group.bench_function(format!("ours/{name}"), |bencher| {
            bencher.iter(|| black_box(wire::query(black_box(&message)).is_ok()));
        });
        group.bench_function(format!("prost/{name}"), |bencher| {
            bencher.iter(|| {
                let request = RateLimitRequest::decode(black_box(&*message)).expect("a message");
                black_box(from_proto::query(&request).is_ok())
            });
        });
    }
    group.finish();
}

fn rules(more: &str) -> RuleSet {
    let limit = "{ name: minute, requests: 1_000_000_000, per: minute }";
    let rule = format!("{{ name: per-key, count_by: [key], limits: [{limit}] }}");
    let text = format!("domain: bench\n{more}rules:\n  - {rule}\n");
    let source = Source { name: "bench.yaml".into(), text };
    let rules = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for (name, more) in [("status", ""), ("headers", "headers: { style: x-ratelimit }\n")] {
        let (rules, store, message) = (rules(more), Memory::new(), message(1));
        let query = wire::query(&message).expect("a message");
        let verdict = limiter::decide(&rules, &store, &query, NOW);
        let mut out = BytesMut::with_capacity(1024);
        group.bench_function(format!("ours/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                wire::response(black_box(&verdict), answer::answer(&verdict, &query), &mut out);
                black_box(out.len())
            });
        });
        group.bench_function(format!("prost/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let answer = answer::answer(&verdict, &query);
                let response = to_proto::response(black_box(&verdict), answer);
                response.encode(&mut out).expect("a buffer that grows has room");
                black_box(out.len())
            });
        });
        group.bench_function(format!("answer/{name}"), |bencher| {
            bencher.iter(|| {
                let answer = answer::answer(black_box(&verdict), &query);
                black_box(answer.map(|answer| answer.headers.len()))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parse, encode);
criterion_main!(benches);
