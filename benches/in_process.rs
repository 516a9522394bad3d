//! One decision in process beside an update of a plain hash table: what a call costs over the least
//! that any counter must cost.
//!
//! `cargo bench --bench in_process [KEYS...]`. Two ways are measured: from a query to a verdict,
//! and from a message as Envoy sends it to the bytes of the answer, statuses and all. Each figure
//! is the least of several alternating rounds, of which each counts as its median batch: keys are
//! drawn uniformly, and figures are ratios to the update in the same run, because times of
//! different runs do not compare.

use std::hint::black_box;
use std::thread;
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
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::Timestamp;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);

/// Rules of the domain; each call matches one of them.
const RULES: u64 = 500;

/// Calls in a round: enough that a table's cache misses show, and a round is short.
const ROUND: usize = 1_000_000;
const ROUNDS: u64 = 7;

/// Calls that are written ahead of the clock: enough that reading it does not count, and few enough
/// that they lie in the processor's first cache, as a call that has just come in does.
const BATCH: usize = 64;

/// How many keys there are, unless the command line says otherwise.
const KEYS: [u64; 2] = [1_000_000, 10_000_000];

/// A plain table of the smallest state there can be: a window's end and a count.
type Plain = hashbrown::HashMap<u128, [u64; 2], foldhash::fast::FixedState>;

/// Draws numbers that look random and repeat from run to run.
struct Draw(u64);

impl Draw {
    fn of_round(round: u64) -> Draw {
        Draw(0x9e37_79b9_7f4a_7c15 ^ (round << 32))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Rules, counters, and a table to compare them with.
struct Bench {
    keys: u64,
    rules: RuleSet,
    store: Memory,
    plain: Plain,
}

fn main() {
    // `cargo test` runs benches too, to see that they start.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let asked = std::env::args().filter_map(|word| word.parse().ok()).collect::<Vec<u64>>();
    let sizes = if asked.is_empty() { KEYS.to_vec() } else { asked };
    for keys in sizes {
        Bench::of(keys).run();
    }
}

impl Bench {
    fn of(keys: u64) -> Bench {
        let mut plain = Plain::with_capacity_and_hasher(keys as usize, Default::default());
        let (rules, store) = (rules(), Memory::new());
        for number in 0..keys {
            plain.insert(u128::from(number), [0; 2]);
            decide(&rules, &store, &query(&key(number)));
        }
        Bench { keys, rules, store, plain }
    }

    fn run(mut self) {
        let mut least = [Duration::MAX; 3];
        for round in 0..ROUNDS {
            let took = [self.updates(round), self.decisions(round), self.calls(round)];
            least = std::array::from_fn(|way| least[way].min(took[way]));
        }
        let [update, decision, call] = least.map(|took| took.as_secs_f64() * 1e9);
        let keys = self.size();
        println!("{keys} keys: update {update:.1} ns, decision {decision:.1}, call {call:.1}");
        println!("figure decision-{keys} {:.2} updates", decision / update);
        println!("figure bytes-to-bytes-{keys} {:.2} updates", call / update);
        println!("figure two-cores-{keys} {:.2} ratio", self.two_cores());
    }

    fn size(&self) -> String {
        match self.keys {
            keys if keys.is_multiple_of(1_000_000) => format!("{}m", keys / 1_000_000),
            keys => keys.to_string(),
        }
    }

    fn updates(&mut self, round: u64) -> Duration {
        let plain = &mut self.plain;
        timed(self.keys, round, |number| number, |number| update(plain, *number))
    }

    fn decisions(&self, round: u64) -> Duration {
        timed(self.keys, round, key, |key| decide(&self.rules, &self.store, &query(key)))
    }

    /// From the bytes of a message to those of its answer.
    fn calls(&self, round: u64) -> Duration {
        let (message, key_at) = message();
        let written = |number| {
            let mut message = message.clone();
            message[key_at..key_at + KEY_BYTES].copy_from_slice(&key(number));
            message
        };
        let mut out = BytesMut::with_capacity(1024);
        timed(self.keys, round, written, |message| {
            let query = wire::query(message).expect("a message");
            let verdict = limiter::decide(&self.rules, &self.store, &query, NOW);
            out.clear();
            wire::response(&verdict, answer::answer(&verdict, &query), &mut out);
            black_box(&out);
        })
    }

    /// How many times as many decisions two threads make as one does.
    fn two_cores(&self) -> f64 {
        let (mut alone, mut both) = (Duration::MAX, Duration::MAX);
        for round in 0..ROUNDS {
            alone = alone.min(self.decisions(round));
            both = both.min(thread::scope(|scope| {
                let other = scope.spawn(|| self.decisions(round + ROUNDS));
                self.decisions(round).max(other.join().expect("it ends"))
            }));
        }
        2.0 * alone.as_secs_f64() / both.as_secs_f64()
    }
}

/// The time of a step, each on what `prepare` makes of a key's number ahead of the clock.
fn timed<T>(
    keys: u64,
    round: u64,
    prepare: impl Fn(u64) -> T,
    mut step: impl FnMut(&T),
) -> Duration {
    let mut draw = Draw::of_round(round);
    let mut batch = Vec::with_capacity(BATCH);
    let mut batches: Vec<Duration> = (0..ROUND / BATCH)
        .map(|_| {
            batch.clear();
            batch.extend((0..BATCH).map(|_| prepare(draw.below(keys))));
            clocked(|| batch.iter().for_each(&mut step))
        })
        .collect();
    batches.sort_unstable();
    batches[batches.len() / 2] / BATCH as u32
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn clocked(steps: impl FnOnce()) -> Duration {
    let start = Instant::now();
    steps();
    start.elapsed()
}

fn update(table: &mut Plain, number: u64) {
    if let Some([end, used]) = table.get_mut(&u128::from(number)) {
        *used = if *end < 7 { *used + 1 } else { 0 };
        black_box(*used);
    }
}

/// Rules, each for an endpoint of its own.
fn rules() -> RuleSet {
    let mut text = String::from("domain: bench\nrules:\n");
    for number in 0..RULES {
        text += &format!(
            "  - name: r{number}\n    match: {{ endpoint: /v1/resource/{number} }}\n    \
             count_by: [key]\n    limits: [{{ requests: 1_000_000_000, per: minute }}]\n"
        );
    }
    let source = Source { name: "bench.yaml".into(), text };
    let rules = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

const KEY_BYTES: usize = 14;

fn key(number: u64) -> [u8; KEY_BYTES] {
    let mut key = *b"key-0000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// The entries of a call. One of them is the key.
fn entries(key: &str) -> [(&str, &str); 3] {
    [("key", key), ("plan", "free"), ("endpoint", "/v1/resource/123")]
}

fn query(key: &[u8]) -> Query<'_> {
    let key = std::str::from_utf8(key).expect("digits are text");
    let entries = entries(key).into_iter().collect();
    let descriptor = Descriptor { entries, hits: Hits::Take(1), limit: None };
    let descriptors = [descriptor].into_iter().collect();
    Query { domain: "bench", descriptors, receipt: None }
}

fn decide(rules: &RuleSet, store: &Memory, query: &Query<'_>) {
    black_box(limiter::decide(rules, store, query, NOW).admitted);
}

/// A message as Envoy sends it, and where in it the key stands.
fn message() -> (Vec<u8>, usize) {
    let key = key(0);
    let text = std::str::from_utf8(&key).expect("digits are text");
    let entry = |(key, value): (&str, &str)| Entry { key: key.into(), value: value.into() };
    let entries = entries(text).into_iter().map(entry).collect();
    let descriptors = vec![RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }];
    let request = RateLimitRequest { domain: "bench".to_owned(), descriptors, hits_addend: 0 };
    let message = request.encode_to_vec();
    let key_at = message.windows(KEY_BYTES).position(|bytes| bytes == key);
    (message, key_at.expect("the key stands in the message"))
}
