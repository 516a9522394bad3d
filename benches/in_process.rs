//! One decision in process beside an update of a plain hash table: what matching and counting
//! cost over the least that any counter must cost.
//!
//! `cargo bench --bench in_process [KEYS...]`. Each line is the least of several alternating rounds
//! over uniformly drawn keys, so that lines of one run compare; figures of different runs do not.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tollgate::config::{self, Source};
use tollgate::key::HashKey;
use tollgate::limiter;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);

/// Rules of the domain; each call matches one of them.
const RULES: u64 = 500;

/// Calls in a round: enough that a table's cache misses show, and a round is short.
const ROUND: u64 = 1_000_000;
const ROUNDS: usize = 7;

/// How many keys there are, unless the command line says otherwise.
const KEYS: [u64; 2] = [1_000_000, 10_000_000];

/// A plain table of the smallest state there can be: a window's end and a count.
type Plain = hashbrown::HashMap<u128, [u64; 2], foldhash::fast::FixedState>;

/// Draws numbers that look random and repeat from run to run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn main() {
    let asked = std::env::args().filter_map(|word| word.parse().ok()).collect::<Vec<u64>>();
    let sizes = if asked.is_empty() { KEYS.to_vec() } else { asked };
    for keys in sizes {
        compare(keys);
    }
}

/// Prints what an update and a decision cost over so many keys.
fn compare(keys: u64) {
    let mut plain = Plain::with_capacity_and_hasher(keys as usize, Default::default());
    let (rules, store) = (rules(), Memory::new());
    for number in 0..keys {
        plain.insert(u128::from(number), [0; 2]);
        decide(&rules, &store, number);
    }
    let (mut least_plain, mut least_decide) = (Duration::MAX, Duration::MAX);
    for round in 0..ROUNDS as u64 {
        least_plain = least_plain.min(timed(keys, round, |number| update(&mut plain, number)));
        let decision = timed(keys, round, |number| decide(&rules, &store, number));
        least_decide = least_decide.min(decision);
    }
    let ns = |round: Duration| round.as_nanos() as f64 / ROUND as f64;
    let ratio = ns(least_decide) / ns(least_plain);
    println!("{keys} keys: update {:.1} ns", ns(least_plain));
    println!("{keys} keys: decision {:.1} ns, {ratio:.2} updates", ns(least_decide));
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn timed(keys: u64, round: u64, mut step: impl FnMut(u64)) -> Duration {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15 ^ (round << 32));
    let start = Instant::now();
    for _ in 0..ROUND {
        step(draw.below(keys));
    }
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

fn decide(rules: &RuleSet, store: &Memory, number: u64) {
    let mut key = *b"key-0000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let key = std::str::from_utf8(&key).expect("digits are text");
    let entries = [("key", key), ("plan", "free"), ("endpoint", "/v1/resource/123")];
    let entries = entries.into_iter().collect();
    let descriptor = Descriptor { entries, hits: Hits::Take(1), limit: None };
    let descriptors = [descriptor].into_iter().collect();
    let query = Query { domain: "bench", descriptors, receipt: None };
    black_box(limiter::decide(rules, store, &query, NOW).admitted);
}
