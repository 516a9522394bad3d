//! The hot call's own codec against prost's: what either reads of any bytes, and what either writes
//! of any verdict, is the same.

use proptest::prelude::*;
use prost::Message;
use prost::bytes::BytesMut;
use tollgate::answer;
use tollgate::config::{self, Source};
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry, RateLimitOverride,
};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use tollgate::grpc::{from_proto, to_proto, wire};
use tollgate::key::HashKey;
use tollgate::limiter;
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);

/// Rules whose answers have a bit of everything: several limits and units, unlimited ones, headers,
/// metadata and bodies.
const RULES: [&str; 2] = [
    "
domain: d
rules:
  - name: plain
    count_by: [key]
    limits: [{ name: minute, requests: 3, per: minute }, { requests: 100, per: 90s, burst: 2 }]
  - { name: free, match: { plan: free }, limits: [{ requests: unlimited, per: month }] }
",
    "
domain: d
headers: { style: x-ratelimit, retry_after: {} }
metadata: true
on_refusal:
  body: { type: application/json, text: '{\"rule\":\"{rule}\",\"key\":\"{entry.key}\"}' }
rules:
  - { name: r, count_by: [key], limits: [{ name: day, requests: 2, per: day }] }
",
];

/// Fields that no message of ours has, of every kind, and what only looks like one.
const STRANGE: [&[u8]; 9] = [
    b"",
    b"\x78\x05",
    b"\x7a\x02hi",
    b"\x7d\x01\x02\x03\x04",
    b"\x79\x01\x02\x03\x04\x05\x06\x07\x08",
    b"\x7b\x08\x01\x7c",
    b"\x7b\x7c\x7c",
    b"\x00\x00",
    b"\x80\x80\x00",
];

fn rules(text: &str) -> RuleSet {
    let source = Source { name: "test.yaml".into(), text: text.into() };
    let compiled = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    compiled.unwrap_or_else(|rejected| panic!("{rejected}"))
}

/// Reads a message on both ways.
fn assert_read_alike(message: &[u8]) {
    let ours = wire::query(message);
    match RateLimitRequest::decode(message) {
        // What is wrong with bytes that are no message each says in its own words.
        Err(_) => assert!(ours.is_err(), "prost refuses {message:?}, and we read {ours:?}"),
        Ok(request) => match (ours, from_proto::query(&request)) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
            (Err(ours), Err(theirs)) => {
                assert_eq!((ours.code(), ours.message()), (theirs.code(), theirs.message()));
            }
            (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
        },
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["d", "key", "plan", "free", "a", ""]).prop_map(str::to_owned),
        ".{0,40}",
        "[a-z]{100,300}",
    ]
}

fn descriptor() -> impl Strategy<Value = RateLimitDescriptor> {
    let entry = (text(), text()).prop_map(|(key, value)| Entry { key, value });
    let number = prop_oneof![0u32..4, any::<u32>()];
    let limit = (number, -1i32..9, prop::option::of(0u32..3)).prop_map(
        |(requests_per_unit, unit, unit_multiplier)| RateLimitOverride {
            requests_per_unit,
            unit,
            unit_multiplier,
        },
    );
    let hits = prop_oneof![0u64..5, any::<u64>()];
    let parts = (
        prop::collection::vec(entry, 0..5),
        prop::option::of(limit),
        prop::option::of(hits),
        any::<bool>(),
    );
    parts.prop_map(|(entries, limit, hits_addend, is_negative_hits)| RateLimitDescriptor {
        entries,
        limit,
        hits_addend,
        is_negative_hits,
    })
}

fn request() -> impl Strategy<Value = RateLimitRequest> {
    let domain = prop_oneof![Just("d".to_owned()), text()];
    (domain, prop::collection::vec(descriptor(), 0..4), 0u32..4).prop_map(
        |(domain, descriptors, hits_addend)| RateLimitRequest { domain, descriptors, hits_addend },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn messages_are_read_alike(request in request()) {
        assert_read_alike(&request.encode_to_vec());
    }

    #[test]
    fn spoilt_messages_are_read_alike(
        request in request(),
        spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut message = request.encode_to_vec();
        prop_assume!(!message.is_empty());
        for (at, byte) in spoils {
            let at = at.index(message.len());
            message[at] = byte;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        assert_read_alike(&message);
    }

    #[test]
    fn arbitrary_bytes_are_read_alike(message in prop::collection::vec(any::<u8>(), 0..60)) {
        assert_read_alike(&message);
    }

    /// Fields may be split, repeated and mixed with strange ones; the last counts, or all do.
    #[test]
    fn messages_put_together_are_read_alike(
        parts in prop::collection::vec(request(), 1..3),
        strange in prop::sample::select(&STRANGE[..]),
    ) {
        let mut message = Vec::new();
        for part in &parts {
            message.extend(part.encode_to_vec());
            message.extend_from_slice(strange);
        }
        assert_read_alike(&message);
    }

    #[test]
    fn answers_are_written_alike(
        requests in prop::collection::vec(request(), 1..6), which in 0..2usize,
    ) {
        let (rules, store) = (rules(RULES[which]), Memory::new());
        for request in &requests {
            let Ok(query) = from_proto::query(request) else { continue };
            let verdict = limiter::decide(&rules, &store, &query, NOW);
            let mut ours = BytesMut::new();
            wire::response(&verdict, answer::answer(&verdict, &query), &mut ours);
            let theirs = to_proto::response(&verdict, answer::answer(&verdict, &query));
            prop_assert_eq!(&ours[..], &theirs.encode_to_vec()[..]);
        }
    }
}
