//! kill -9 at random points, on the real binary and a real disk, under load.
//!
//! Every hit that was acknowledged is written down with its time. After each restart strict
//! counters must hold all of them, ordinary ones all that were acknowledged a second before the
//! kill, and neither more than was sent. A short form runs with the other tests; as many rounds
//! as wanted run with `TOLLGATE_CRASH_ROUNDS=200 cargo test --test crash`.

mod harness;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::program::{Program, client};
use harness::{PATIENCE, request};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tollgate::time::Stopwatch;
use tonic::transport::Channel;

const RULES: &str = "
domain: d
rules:
  - { name: strict, match: { kind: strict }, count_by: [key],
      limits: [{ requests: 1_000_000_000, per: year, durability: strict }] }
  - { name: ordinary, match: { kind: ordinary }, count_by: [key],
      limits: [{ requests: 1_000_000_000, per: year }] }
";

const BUDGET: u64 = 1_000_000_000;

/// Rounds in the short form.
const ROUNDS: u64 = 6;

/// Callers of each kind, each with one call in flight.
const CALLERS: usize = 4;

/// What a crash may cost an ordinary limit.
const LOSS: Duration = Duration::from_secs(1);

async fn start(folder: &Path) -> (Program, Channel) {
    let mut program = Program::start(folder, &[]);
    let channel = program.connect().await;
    program.line_with("ready").await;
    program.leave_log();
    (program, channel)
}

/// What one caller got answered, by when, and how many calls it sent.
#[derive(Default)]
struct Tally {
    acknowledged: Vec<Duration>,
    sent: u64,
}

/// Calls until the server is gone or the time is up.
async fn call(channel: Channel, kind: &str, since: Stopwatch, stop: Arc<AtomicBool>) -> Tally {
    let mut client = client(&channel);
    let (mut tally, entries) = (Tally::default(), format!("kind={kind},key=k"));
    while !stop.load(Ordering::Relaxed) {
        tally.sent += 1;
        match client.call(request("d", &[&entries])).await {
            Ok(_) => tally.acknowledged.push(since.elapsed()),
            Err(_) => break,
        }
    }
    tally
}

async fn used(channel: &Channel, kind: &str) -> u64 {
    let mut asked = request("d", &[&format!("kind={kind},key=k")]);
    asked.descriptors[0].hits_addend = Some(0);
    let mut client = client(channel);
    let patience = tokio::time::timeout(PATIENCE, async {
        loop {
            // Until the counters are back from disk, calls are told to come again.
            if let Ok(answer) = client.call(asked.clone()).await {
                return answer;
            }
        }
    });
    let answer = patience.await.expect("an answer");
    BUDGET - 1 - u64::from(answer.statuses[0].limit_remaining)
}

/// Runs callers of one kind against a server.
fn callers(channel: &Channel, kind: &'static str, since: Stopwatch) -> JoinSet<Tally> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut set = JoinSet::new();
    for _ in 0..CALLERS {
        set.spawn(call(channel.clone(), kind, since, stop.clone()));
    }
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_costs_no_more_than_promised() {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("rules.yaml"), RULES).expect("a writable folder");
    let rounds = std::env::var("TOLLGATE_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok());
    let (mut strict, mut ordinary) = (0, 0);
    for round in 0..rounds.unwrap_or(ROUNDS) {
        let (mut program, channel) = start(folder.path()).await;
        let since = Stopwatch::start();
        let set = [callers(&channel, "strict", since), callers(&channel, "ordinary", since)];
        // From hardly begun to well after a second, differently in each round.
        tokio::time::sleep(Duration::from_millis(20 + round * 379 % 1900)).await;
        let killed = since.elapsed();
        program.child.start_kill().expect("it runs");
        program.child.wait().await.expect("it ends");
        let [strict_calls, ordinary_calls] = set.map(|set| async { set.join_all().await });
        let (strict_calls, ordinary_calls) = (strict_calls.await, ordinary_calls.await);
        let (_program, channel) = start(folder.path()).await;
        let safe = |tallies: &[Tally], by: Duration| -> u64 {
            let acknowledged = tallies.iter().flat_map(|tally| &tally.acknowledged);
            acknowledged.filter(|at| **at <= by).count() as u64
        };
        let sent = |tallies: &[Tally]| tallies.iter().map(|tally| tally.sent).sum::<u64>();
        let (was, is) = (strict, used(&channel, "strict").await);
        assert!(was + safe(&strict_calls, killed * 2) <= is, "round {round}: a strict hit is lost");
        assert!(is <= was + sent(&strict_calls), "round {round}: a strict hit is made up");
        strict = is;
        let (was, is) = (ordinary, used(&channel, "ordinary").await);
        let safe = safe(&ordinary_calls, killed.saturating_sub(LOSS));
        assert!(was + safe <= is, "round {round}: {safe} safe, {} there", is - was);
        assert!(is <= was + sent(&ordinary_calls), "round {round}: an ordinary hit is made up");
        ordinary = is;
    }
    assert!(0 < strict && 0 < ordinary, "calls were made");
}
