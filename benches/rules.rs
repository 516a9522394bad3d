//! What many rules cost: a call among ten and among ten thousand of them, and reading so many.
//!
//! `cargo bench --bench rules`. Each call matches one rule, and calls are spread over all. The
//! number of counters is the same throughout, so that only matching differs. Each figure is the
//! least of several alternating rounds, as a ratio of ten thousand rules to ten in the same run.

use std::hint::black_box;
use std::time::{Duration, Instant};

use prost::Message;
use prost::bytes::BytesMut;
use tollgate::answer;
use tollgate::config::{self, Source};
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use tollgate::grpc::wire;
use tollgate::key::HashKey;
use tollgate::limiter;
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::Timestamp;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);
const FEW: u64 = 10;
const MANY: u64 = 10_000;
const KEYS: u64 = 1_000_000;

const ROUNDS: u64 = 7;
const BATCHES: u64 = 4000;
/// Calls that are written ahead of the clock.
const BATCH: u64 = 64;

/// The rules of one size, and their counters.
struct Side {
    count: u64,
    rules: RuleSet,
    store: Memory,
    /// What follows upon the part of a path that a rule asks for.
    tail: &'static str,
}

fn main() {
    // `cargo test` runs benches too, to see that they start.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    for (kind, pattern, tail) in [("exact", "", ""), ("prefix", "*", "/details/7")] {
        let sides = [FEW, MANY].map(|count| Side::of(count, pattern, tail));
        let mut least = [[Duration::MAX; 2]; 2];
        for round in 0..ROUNDS {
            for (side, least) in sides.iter().zip(&mut least) {
                let took = side.round(round);
                *least = [least[0].min(took[0]), least[1].min(took[1])];
            }
        }
        let [few, many] = least.map(|ways| ways.map(|took| took.as_secs_f64() * 1e9));
        println!(
            "{kind}: decision {:.1} and {:.1} ns, call {:.1} and {:.1}",
            few[0], many[0], few[1], many[1]
        );
        println!("figure rules-{kind}-decision-{MANY} {:.3} ratio", many[0] / few[0]);
        println!("figure rules-{kind}-{MANY} {:.3} ratio", many[1] / few[1]);
    }
    let text = text(MANY, "");
    let least = (0..ROUNDS).map(|_| clocked(|| drop(black_box(compile(text.clone()))))).min();
    let ms = least.unwrap_or_default().as_secs_f64() * 1e3;
    println!("figure compile-{MANY} {ms:.1} ms");
}

impl Side {
    fn of(count: u64, pattern: &str, tail: &'static str) -> Side {
        let side = Side { count, rules: compile(text(count, pattern)), store: Memory::new(), tail };
        (0..KEYS).for_each(|key| side.decide(&side.message(key)));
        side
    }

    /// A call of this key, which is always for the same rule.
    fn message(&self, key: u64) -> Vec<u8> {
        let endpoint = format!("/v1/resource/{}{}", key % self.count, self.tail);
        let entries =
            [("key", format!("key-{key:010}")), ("plan", "free".into()), ("endpoint", endpoint)];
        let entries = entries.map(|(key, value)| Entry { key: key.into(), value }).into();
        let descriptors = vec![RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }];
        RateLimitRequest { domain: "bench".to_owned(), descriptors, hits_addend: 0 }.encode_to_vec()
    }

    fn decide(&self, message: &[u8]) {
        let query = wire::query(message).expect("a message");
        black_box(limiter::decide(&self.rules, &self.store, &query, NOW).admitted);
    }

    /// The usual time of a decision, and of a call from bytes to bytes.
    fn round(&self, round: u64) -> [Duration; 2] {
        let mut draw = 0x9e37_79b9_7f4a_7c15 ^ (round << 32);
        let mut out = BytesMut::with_capacity(1024);
        let mut took: [Vec<Duration>; 2] = Default::default();
        for batch in 0..BATCHES {
            let messages: Vec<_> =
                (0..BATCH).map(|_| self.message(below(&mut draw, KEYS))).collect();
            if batch % 2 == 0 {
                let queries: Vec<_> =
                    messages.iter().map(|it| wire::query(it).expect("a message")).collect();
                took[0].push(clocked(|| {
                    for query in &queries {
                        black_box(limiter::decide(&self.rules, &self.store, query, NOW).admitted);
                    }
                }));
            } else {
                took[1].push(clocked(|| messages.iter().for_each(|it| self.call(it, &mut out))));
            }
        }
        took.map(|mut batches| {
            batches.sort_unstable();
            batches[batches.len() / 2] / BATCH as u32
        })
    }

    /// From the bytes of a message to those of its answer.
    fn call(&self, message: &[u8], out: &mut BytesMut) {
        let query = wire::query(message).expect("a message");
        let verdict = limiter::decide(&self.rules, &self.store, &query, NOW);
        out.clear();
        wire::response(&verdict, answer::answer(&verdict, &query), out);
        black_box(out);
    }
}

/// Rules, each for endpoints of its own.
fn text(count: u64, pattern: &str) -> String {
    let mut text = String::from("domain: bench\nrules:\n");
    for number in 0..count {
        let path = match pattern {
            "" => format!("/v1/resource/{number}"),
            pattern => format!("/v1/resource/{number}/{pattern}"),
        };
        text += &format!(
            "  - name: r{number}\n    match: {{ endpoint: \"{path}\" }}\n    \
             count_by: [key]\n    limits: [{{ requests: 1_000_000_000, per: minute }}]\n"
        );
    }
    text
}

fn compile(text: String) -> RuleSet {
    let source = Source { name: "bench.yaml".into(), text };
    let rules = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

/// A number that looks random and repeats from run to run.
fn below(draw: &mut u64, bound: u64) -> u64 {
    *draw ^= *draw << 13;
    *draw ^= *draw >> 7;
    *draw ^= *draw << 17;
    *draw % bound
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn clocked(steps: impl FnOnce()) -> Duration {
    let start = Instant::now();
    steps();
    start.elapsed()
}
