//! The directory: reading a hundred thousand keys, finding one in a decision, changing one.
//!
//! `cargo bench --bench directory` prints how long files of 100,000 rows take to be read, compiled
//! and put in place, as `check` and a reload do it; a decision without a directory, with one that
//! adds a plan to the call, and with a budget beside it; and one change among so many rows.

use std::fs;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tempfile::TempDir;
use tollgate::audit::{Audit, Who};
use tollgate::config;
use tollgate::directory::Written;
use tollgate::gate::Gate;
use tollgate::key::HashKey;
use tollgate::limiter;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::quota::Quota;
use tollgate::rules::RuleSet;
use tollgate::store::Memory;
use tollgate::time::{ManualClock, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_773_144_000);
const ROWS: usize = 100_000;

const RULES: &str = "
domain: bench
plans:
  free: { limits: [{ name: month, requests: 1_000_000_000, per: month }] }
  pro: { limits: [{ name: month, requests: 2_000_000_000, per: month }] }
rules: [{ name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }]
";

fn key(number: usize) -> String {
    format!("sk_live_{number:016x}")
}

fn csv() -> String {
    let line = |number| match number % 2 {
        0 => format!("{},pro,team-{},\n", key(number), number % 1000),
        _ => format!("{},free,team-{},5_000_000\n", key(number), number % 1000),
    };
    "key,plan,team,limit:per-key.month\n".to_owned() + &(0..ROWS).map(line).collect::<String>()
}

fn yaml() -> String {
    let line = |number| {
        let limits = if number % 2 == 0 { "" } else { ", limits: { per-key.month: 5_000_000 }" };
        format!("  {}: {{ plan: pro, team: team-{}{limits} }}\n", key(number), number % 1000)
    };
    "keys:\n".to_owned() + &(0..ROWS).map(line).collect::<String>()
}

/// A folder of rules beside this directory.
fn folder(file: &str, rows: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join(file), rows).expect("a file");
    let rules = format!("{RULES}directory: {{ by: key, from: {file} }}\n");
    fs::write(folder.path().join("rules.yaml"), rules).expect("a file");
    folder
}

fn load(folder: &TempDir) -> RuleSet {
    let path = folder.path().join("rules.yaml");
    let rules = config::load(HashKey::from_bytes([1; 16]), &[path]).rules;
    rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read 100,000 rows");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (file, text) in [("keys.csv", csv()), ("keys.yaml", yaml())] {
        let folder = folder(file, &text);
        group.bench_function(file, |bencher| bencher.iter(|| black_box(load(&folder))));
    }
    group.finish();
}

fn decisions(criterion: &mut Criterion) {
    let folder = folder("keys.csv", &csv());
    let without = config::Source { name: "bench.yaml".into(), text: RULES.into() };
    let without = config::compile_all(HashKey::from_bytes([1; 16]), &[without]).rules;
    let without = without.unwrap_or_else(|rejected| panic!("{rejected}"));
    let with = load(&folder);
    let mut group = criterion.benchmark_group("decision");
    // Even keys have a plan, odd ones a plan and a budget.
    for (name, rules, first, own) in [
        ("no directory", &without, 0, true),
        ("plan from a row", &with, 0, false),
        ("plan and budget from a row", &with, 1, false),
        ("key of no row", &with, ROWS, true),
    ] {
        let store = Memory::new();
        let keys: Vec<String> = (0..10_000).map(|number| key(first + 2 * number)).collect();
        let mut turns = keys.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let key = turns.next().expect("a cycle has no end");
                let plan = own.then_some(("plan", "pro"));
                let entries = [("key", key.as_str())].into_iter().chain(plan).collect();
                let descriptor = Descriptor { entries, hits: Hits::Take(1), limit: None };
                let descriptors = [descriptor].into_iter().collect();
                let query = Query { domain: "bench", descriptors, receipt: None };
                black_box(limiter::decide(rules, &store, &query, NOW).admitted)
            });
        });
    }
    group.finish();
}

fn changing(criterion: &mut Criterion) {
    let folder = folder("keys.csv", &csv());
    let gate = Gate::new(load(&folder), ManualClock::starting_at(NOW).clock());
    // What the disk takes for the audit log and the journal is the disk's own.
    let quota = Quota::new(Arc::new(gate), Audit::Log);
    let who = Who(SocketAddr::from(([127, 0, 0, 1], 1)));
    let row = serde_json::json!({ "plan": "pro", "limits": { "per-key.month": 7 } });
    let row = Written::from_json(&row).expect("a row");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut numbers = (0..ROWS).cycle();
    let mut set = || {
        let key = key(numbers.next().expect("a cycle has no end"));
        let set = quota.set_directory_row(who, "bench", &key, &row);
        runtime.block_on(set).expect("a sound row")
    };
    // Changes are made among a hundred thousand that people set, not among none.
    for _ in 0..ROWS {
        set();
    }
    criterion.bench_function("change one of 100,000 rows", |bencher| bencher.iter(&mut set));
}

criterion_group!(benches, reading, decisions, changing);
criterion_main!(benches);
