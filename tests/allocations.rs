//! The usual call takes no memory: from the bytes of its message to those of its answer.

use std::alloc::System;

use prost::Message;
use prost::bytes::BytesMut;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tollgate::answer;
use tollgate::config::{self, Source};
use tollgate::gate::Gate;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use tollgate::grpc::wire;
use tollgate::key::HashKey;
use tollgate::time::{ManualClock, Timestamp};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: usize = 1000;

/// A file has one test: another thread's would be counted with it.
#[test]
fn a_usual_call_takes_no_memory() {
    let text = "
domain: d
rules:
  - { name: r, match: { endpoint: '/v1/*' }, count_by: [key], limits: [{ requests: 10, per: day }] }
";
    let source = Source { name: "test.yaml".into(), text: text.into() };
    let rules = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    let rules = rules.unwrap_or_else(|rejected| panic!("{rejected}"));
    let clock = ManualClock::starting_at(Timestamp::from_secs(1_773_144_000));
    let gate = Gate::new(rules, clock.clock());
    let entries = [("key", "key-00000001"), ("plan", "free"), ("endpoint", "/v1/resource/7")];
    let entry = |(key, value): (&str, &str)| Entry { key: key.into(), value: value.into() };
    let entries = entries.into_iter().map(entry).collect();
    let descriptor = RateLimitDescriptor { entries, ..RateLimitDescriptor::default() };
    let descriptors = vec![descriptor];
    let message =
        RateLimitRequest { domain: "d".into(), descriptors, hits_addend: 0 }.encode_to_vec();
    let mut out = BytesMut::with_capacity(4096);
    let mut call = || {
        let query = wire::query(&message).expect("a message");
        let rules = gate.rules();
        let verdict = gate.decide(&rules, &query);
        out.clear();
        wire::response(&verdict, answer::answer(&verdict, &query), &mut out);
        assert!(!out.is_empty());
    };
    // The first makes the counter.
    call();
    let region = Region::new(ALLOCATOR);
    // Admitted ones and refused ones.
    (0..CALLS).for_each(|_| call());
    let taken = region.change();
    assert_eq!((taken.allocations, taken.reallocations), (0, 0));
}
