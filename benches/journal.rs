//! What the journal costs, beside memory alone and in the same run.
//!
//! `cargo bench --bench journal` prints the time to restore ten million counters, the CPU that a
//! decision pays for being kept, and how many strict charges a second reach the disk, beside the
//! disk's own rate. `TMPDIR` says which disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tollgate::algorithm::State;
use tollgate::algorithm::window::Count;
use tollgate::config::{self, Source};
use tollgate::gate::Gate;
use tollgate::key::{CounterKey, HashKey};
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::rules::RuleSet;
use tollgate::store::journal::disk::Directory;
use tollgate::store::journal::{self, Shared};
use tollgate::store::{Memory, SHARDS};
use tollgate::time::{Clock, SECOND_US, Stopwatch};

const RESTORED: u64 = 10_000_000;
const KEYS: u64 = 1_000_000;

/// Decisions a second in the measurement of CPU: what one core does when each call also costs
/// what gRPC costs.
const PACE: u64 = 150_000;
const SPAN: Duration = Duration::from_secs(4);
const IN_FLIGHT: usize = 64;

/// CPU ticks are a hundredth of a second on Linux.
const TICK: Duration = Duration::from_millis(10);

fn main() {
    // `cargo test` runs benches too, to see that they start.
    if std::env::args().any(|argument| argument == "--bench") {
        restore();
        overhead();
        strict();
    }
}

fn directory(folder: &TempDir) -> Arc<Directory> {
    Arc::new(Directory::at(folder.path().join("journal")).expect("a writable folder"))
}

/// A 128-bit number that looks as random as a fingerprint.
fn key(number: u64) -> CounterKey {
    let low = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let high = (low ^ low >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    CounterKey::from_u128(u128::from(high) << 64 | u128::from(low))
}

fn restore() {
    let folder = TempDir::new().expect("a folder");
    let (clock, shared) = (Clock::system(), Arc::new(Shared::new()));
    let memory = Arc::new(Memory::kept(shared.clone(), 0));
    let end = clock.now().plus(30 * 86_400 * SECOND_US);
    for number in 0..RESTORED {
        let state = State::Window(Count { end, used: number });
        memory.restore(key(number), end, state, clock.now());
    }
    let opened = journal::open(directory(&folder), memory, shared.clone(), clock.clone());
    let mut writer = opened.expect("an empty journal").0;
    let part = folder.path().join("journal/snapshot.part");
    writer.step(shared.take(Duration::ZERO), SHARDS, true);
    while part.exists() {
        writer.step(shared.take(Duration::ZERO), SHARDS, true);
    }
    drop(writer);
    let bytes: u64 = fs::read_dir(folder.path().join("journal"))
        .expect("the journal")
        .map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len())
        .sum();
    let memory = Arc::new(Memory::new());
    let watch = Stopwatch::start();
    let opened = journal::open(directory(&folder), memory.clone(), shared, clock);
    opened.expect("the snapshot just written");
    let took = watch.elapsed().as_secs_f64();
    let count = memory.len();
    println!("restore: {count} counters from {} MB in {took:.2} s", bytes >> 20);
}

fn rules(limit: &str) -> RuleSet {
    let text = format!(
        "{{domain: d, rules: [{{name: r, count_by: [key], limits: [{{requests: 1_000_000_000, \
         per: day{limit}}}]}}]}}"
    );
    let source = Source { name: "bench.yaml".into(), text };
    let loaded = config::compile_all(HashKey::from_bytes([1; 16]), &[source]);
    loaded.rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

fn charge(gate: &Gate, key: &str) -> Option<journal::Ticket> {
    let entries = [("key", key)].into_iter().collect();
    let descriptor = Descriptor { entries, hits: Hits::Take(1), limit: None };
    let query =
        Query { domain: "d", descriptors: [descriptor].into_iter().collect(), receipt: None };
    gate.decide(&gate.rules(), &query).ticket
}

/// A gate whose counters are kept below `folder`, with its writer running.
fn kept(folder: &TempDir, limit: &str) -> (Gate, thread::JoinHandle<()>) {
    let (clock, shared) = (Clock::system(), Arc::new(Shared::new()));
    let gate = Gate::kept(rules(limit), clock.clone(), shared.clone(), 0);
    let opened = journal::open(directory(folder), gate.memory().clone(), shared, clock);
    let writer = opened.expect("an empty journal").0;
    (gate, thread::spawn(move || writer.run()))
}

/// CPU time of this process so far, from what the kernel shows of it.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().expect("a name in brackets");
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u32>().expect("a number of ticks");
    TICK * (ticks(11) + ticks(12))
}

/// What a decision costs, in nanoseconds: of CPU on the average, and in all but one of a hundred.
#[derive(Clone, Copy)]
struct Cost {
    cpu_ns: f64,
    p99_ns: f64,
}

/// Decides at `PACE` over `KEYS` keys.
fn paced(gate: &Gate) -> Cost {
    let (watch, before) = (Stopwatch::start(), cpu());
    let mut done = 0u64;
    let mut took: Vec<u32> = Vec::new();
    while watch.elapsed() < SPAN {
        let due = (watch.elapsed().as_secs_f64() * PACE as f64) as u64;
        while done < due {
            let number = done.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let key = format!("key-{:08}", number % KEYS);
            let each = Stopwatch::start();
            charge(gate, &key);
            took.push(each.elapsed().subsec_nanos());
            done += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let cpu_ns = (cpu() - before).as_nanos() as f64 / done as f64;
    took.sort_unstable();
    Cost { cpu_ns, p99_ns: f64::from(took[took.len() / 100 * 99]) }
}

fn fill(gate: &Gate) {
    for number in 0..KEYS {
        charge(gate, &format!("key-{number:08}"));
    }
}

fn overhead() {
    let folder = TempDir::new().expect("a folder");
    let memory = Gate::new(rules(""), Clock::system());
    let (journal, writer) = kept(&folder, "");
    fill(&memory);
    fill(&journal);
    let rounds: Vec<[Cost; 2]> = (0..3).map(|_| [paced(&memory), paced(&journal)]).collect();
    let least = |of: fn(&[Cost; 2]) -> f64| rounds.iter().map(of).fold(f64::MAX, f64::min);
    let cpu = [least(|round| round[0].cpu_ns), least(|round| round[1].cpu_ns)];
    let p99 = [least(|round| round[0].p99_ns), least(|round| round[1].p99_ns)];
    println!("at {PACE} decisions a second over {KEYS} keys, memory alone and with the journal:");
    println!("  CPU per decision: {:.0} and {:.0} ns", cpu[0], cpu[1]);
    println!("  p99: {:.0} and {:.0} ns, {:.2} times", p99[0], p99[1], p99[1] / p99[0]);
    journal.journal().expect("it has one").stop();
    writer.join().expect("the writer ends");
}

fn strict() {
    let folder = TempDir::new().expect("a folder");
    let alone = fdatasync_rate(&folder);
    let (gate, writer) = kept(&folder, ", durability: strict");
    let (gate, done) = (Arc::new(gate), Arc::new(AtomicU64::new(0)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..IN_FLIGHT {
            let (gate, done) = (gate.clone(), done.clone());
            callers.spawn(async move {
                let watch = Stopwatch::start();
                while watch.elapsed() < SPAN {
                    let ticket = charge(&gate, &format!("key-{caller}")).expect("a strict charge");
                    gate.written(ticket).await.expect("a working disk");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        callers.join_all().await;
    });
    let rate = done.load(Ordering::Relaxed) as f64 / SPAN.as_secs_f64();
    println!(
        "strict: {rate:.0} acknowledged charges a second with {IN_FLIGHT} in flight, {:.1} times \
         the disk's own {alone:.0} fdatasyncs",
        rate / alone
    );
    gate.journal().expect("it has one").stop();
    writer.join().expect("the writer ends");
}

/// How often a second this disk makes 64 bytes last.
fn fdatasync_rate(folder: &TempDir) -> f64 {
    let mut file = File::create(folder.path().join("probe")).expect("a writable folder");
    let (watch, mut count) = (Stopwatch::start(), 0);
    while watch.elapsed() < SPAN {
        file.write_all(&[0; 64]).and_then(|()| file.sync_data()).expect("a working disk");
        count += 1;
    }
    f64::from(count) / SPAN.as_secs_f64()
}
