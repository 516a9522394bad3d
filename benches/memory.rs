//! What a counter costs in memory, and how long the longest decision takes while they become many.
//!
//! `cargo bench --bench memory [MILLIONS]` fills a store with up to twenty million counters by
//! decisions, each kind in a process of its own, and prints what that process has resident for each
//! counter: all of it, less what it had before the first. Then it times each decision on the way to
//! ten million. Tables grow at the same decisions in each round, so the least of several rounds
//! leaves out what other programs did to this one.

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use tollgate::config::{self, Source};
use tollgate::key::HashKey;
use tollgate::limiter;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::Timestamp;

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);
const MILLION: usize = 1_000_000;

/// Counters, unless the command line says otherwise.
const MILLIONS: usize = 20;

/// What is resident is looked at whenever so many counters have come.
const STEP: usize = MILLION / 4;

/// Counters on the way to which each decision is timed, and how often.
const TIMED: usize = 10 * MILLION;
const ROUNDS: usize = 3;

/// Pages of Linux on the machines that this is run on.
const PAGE_BYTES: usize = 4096;

/// Kinds of limits, as rules write them.
const KINDS: [(&str, &str); 2] = [
    ("window", "requests: 1000, per: minute"),
    ("bucket", "requests: 1000, per: minute, burst: 9"),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    // `cargo test` runs benches too, to see that they start.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    match words.first().and_then(|word| KINDS.iter().find(|(kind, _)| kind == word)) {
        Some((kind, limit)) => measure(kind, &rules(limit), millions(words.get(1))),
        None => {
            for (kind, _) in KINDS {
                let this = std::env::current_exe().expect("a program knows its file");
                let millions = millions(words.first()).to_string();
                let child = Command::new(this).args([kind, &millions, "--bench"]).status();
                assert!(child.expect("it starts").success());
            }
        }
    }
}

fn millions(word: Option<&String>) -> usize {
    word.and_then(|word| word.parse().ok()).unwrap_or(MILLIONS)
}

fn measure(kind: &str, rules: &RuleSet, millions: usize) {
    resident(kind, rules, millions * MILLION);
    longest(kind, rules, TIMED.min(millions * MILLION));
}

/// Prints what a counter takes at ten million, and where it takes the most from five million on.
fn resident(kind: &str, rules: &RuleSet, counters: usize) {
    let (before, store) = (resident_bytes(), Memory::new());
    let (mut most, mut most_at) = (0.0, 0);
    for number in 0..counters {
        decide(rules, &store, number);
        let count = number + 1;
        if !count.is_multiple_of(STEP) || count < 5 * MILLION {
            continue;
        }
        let each = resident_bytes().saturating_sub(before) as f64 / count as f64;
        if most < each {
            (most, most_at) = (each, count);
        }
        if count.is_multiple_of(5 * MILLION) {
            let counted = store.space().used() as f64 / count as f64;
            println!(
                "{kind}: {count} counters: {each:.1} bytes each, {counted:.1} of them asked for"
            );
        }
    }
    assert_eq!(store.len(), counters);
    println!("{kind}: at most {most:.1} bytes each, at {most_at}");
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
    pages.expect("its second number is what is resident") * PAGE_BYTES
}

/// Prints how long the longest decision took that made a counter.
fn longest(kind: &str, rules: &RuleSet, counters: usize) {
    let mut times = vec![u32::MAX; counters];
    for _ in 0..ROUNDS {
        let store = Memory::new();
        for (number, time) in times.iter_mut().enumerate() {
            *time = timed(|| decide(rules, &store, number)).min(*time);
        }
    }
    times.sort_unstable();
    let us = |place: usize| f64::from(times[place]) / 1000.0;
    let (last, rare) = (us(counters - 1), us(counters - 1 - counters / 10_000));
    println!("{kind}: longest decision {last:.0} us, one in ten thousand above {rare:.1} us");
}

/// Nanoseconds.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn timed(step: impl FnOnce()) -> u32 {
    let start = Instant::now();
    step();
    u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

fn rules(limit: &str) -> RuleSet {
    let text = format!(
        "domain: bench\nrules:\n  - name: per-key\n    count_by: [key]\n    limits: [{{ {limit} }}]\n"
    );
    let source = Source { name: "bench.yaml".into(), text };
    let rules = config::compile_all(HashKey::from_bytes([1; 16]), &[source]).rules;
    rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

fn decide(rules: &RuleSet, store: &Memory, number: usize) {
    let mut key = *b"key-0000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let key = std::str::from_utf8(&key).expect("digits are text");
    let entries = [("key", key)].into_iter().collect();
    let descriptors = [Descriptor { entries, hits: Hits::Take(1), limit: None }];
    let descriptors = descriptors.into_iter().collect();
    let query = Query { domain: "bench", descriptors, receipt: None };
    assert!(black_box(limiter::decide(rules, store, &query, NOW).admitted));
}
