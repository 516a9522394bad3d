//! kill -9 on the real binary while calls open holds, take slots and bring ids that are charged
//! once: what was promised of them is there after a restart, and nobody gains by the crash.

mod harness;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::program::{Program, client};
use harness::{Client, PATIENCE, request};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use tonic::transport::Channel;

/// What `base` uses stands on the counters of `held`, so that something is there to be lost.
const RULES: &str = "
domain: d
rules:
  - name: held
    match: { kind: held }
    count_by: [key]
    hold: { by: id, settle: { phase: done }, estimate: 100, expires: 1h }
    limits: [{ name: year, requests: 1_000_000_000, per: year }]
  - name: base
    match: { kind: base }
    counter: held
    limits: [{ name: year, requests: 1_000_000_000, per: year }]
  - name: strict
    match: { kind: strict }
    count_by: [key]
    hold: { by: id, settle: { phase: done }, estimate: 100, expires: 1h }
    dedupe: { by: id, for: 1h }
    limits:
      - { name: year, requests: 1_000_000_000, per: year, durability: strict, archive: true }
      - { name: at-once, requests: 10_000, algorithm: concurrency, durability: strict,
          on_exceed: shadow }
";

const BUDGET: u64 = 1_000_000_000;
const BASE: u32 = 5000;
const ESTIMATE: u64 = 100;

/// Rounds of each test: kills from hardly begun to well after a second.
const ROUNDS: u64 = 4;

/// Callers at the same time, each with one call in flight.
const CALLERS: usize = 4;

/// Ids that are settled in one call.
const BATCH: usize = 500;

fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("rules.yaml"), RULES).expect("a writable folder");
    folder
}

async fn start(folder: &Path) -> (Program, Channel) {
    let mut program = Program::start(folder, &[]);
    let channel = program.connect().await;
    program.line_with("ready").await;
    program.leave_log();
    (program, channel)
}

async fn kill(mut program: Program) {
    program.child.start_kill().expect("it runs");
    program.child.wait().await.expect("it ends");
}

/// One call; until what was on disk is back, calls are told to come again.
async fn ask(client: &mut Client, descriptors: &[&str], hits: u64) -> RateLimitResponse {
    let mut asked = request("d", descriptors);
    asked.descriptors.iter_mut().for_each(|descriptor| descriptor.hits_addend = Some(hits));
    let patience = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Ok(answer) = client.call(asked.clone()).await {
                return answer;
            }
        }
    });
    patience.await.expect("an answer")
}

async fn used(client: &mut Client, kind: &str, one: u64) -> u64 {
    let answer = ask(client, &[&format!("kind={kind},key=k")], 0).await;
    BUDGET - one - u64::from(answer.statuses[0].limit_remaining)
}

/// Ids that were sent, and of these the ones that were answered.
#[derive(Default)]
struct Sent {
    sent: Vec<String>,
    answered: Vec<String>,
}

/// Opens holds from all sides for a while, and kills the server in the middle of it.
async fn open_and_kill(folder: &Path, kind: &'static str, round: u64) -> Sent {
    let (program, channel) = start(folder).await;
    let (mut callers, opened) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for caller in 0..CALLERS {
        let (mut client, opened) = (client(&channel), opened.clone());
        callers.spawn(async move {
            let mut own = Sent::default();
            for number in 0.. {
                let id = format!("{round}-{caller}-{number}");
                own.sent.push(id.clone());
                match client.call(request("d", &[&format!("kind={kind},key=k,id={id}")])).await {
                    Ok(answer) => assert_eq!(answer.overall_code(), Code::Ok),
                    Err(_) => break,
                }
                own.answered.push(id);
                opened.fetch_add(1, Ordering::Relaxed);
            }
            own
        });
    }
    tokio::time::sleep(Duration::from_millis(30 + round * 379 % 1300)).await;
    while opened.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    kill(program).await;
    let mut all = Sent::default();
    for own in callers.join_all().await {
        all.sent.extend(own.sent);
        all.answered.extend(own.answered);
    }
    all
}

/// Ends the calls of these ids, which then have cost nothing.
async fn settle(client: &mut Client, ids: &[String]) {
    let texts: Vec<String> = ids.iter().map(|id| format!("phase=done,id={id}")).collect();
    for batch in texts.chunks(BATCH) {
        ask(client, &batch.iter().map(String::as_str).collect::<Vec<_>>(), 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_never_kept_without_the_charge_that_it_speaks_of() {
    // Notes and counters were written at different moments of the same half second. A hold whose
    // charge was lost gave back, once it was settled, what others had used long before.
    let folder = folder();
    let (program, channel) = start(folder.path()).await;
    ask(&mut client(&channel), &["kind=base,key=k"], u64::from(BASE)).await;
    assert_eq!(program.stop().await, 0);
    let mut floor = u64::from(BASE);
    for round in 0..ROUNDS {
        let Sent { sent, .. } = open_and_kill(folder.path(), "held", round).await;
        let (program, channel) = start(folder.path()).await;
        let mut client = client(&channel);
        let before = used(&mut client, "base", 1).await;
        settle(&mut client, &sent).await;
        let after = used(&mut client, "base", 1).await;
        assert!(floor <= after, "round {round}: {after} left of {before}, {floor} are older");
        assert_eq!(program.stop().await, 0);
        floor = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_strict_limits_no_hold_no_slot_and_no_id_is_lost() {
    let folder = folder();
    // Of calls that were not answered when the process was killed, the charge may be on disk and
    // the receipt not: nothing was promised of them, and what they took stays taken.
    let (mut stuck, mut stuck_slots) = (0, 0);
    for round in 0..ROUNDS {
        let Sent { sent, answered } = open_and_kill(folder.path(), "strict", round).await;
        assert!(!answered.is_empty(), "calls were made");
        let (program, channel) = start(folder.path()).await;
        let mut client = client(&channel);
        let held = used(&mut client, "strict", ESTIMATE).await;
        let (least, most) = (answered.len() as u64, sent.len() as u64);
        let taken = (held - stuck) / ESTIMATE;
        assert!((least..=most).contains(&taken), "round {round}: {taken} of {least}");
        let slots = slots_held(&exported(folder.path()).await) as u64 - stuck_slots;
        assert!((least..=most).contains(&slots), "round {round}: {slots} slots of {least}");
        // Each id is known, as a hold and as one that was charged.
        for batch in answered.chunks(BATCH) {
            let texts: Vec<String> =
                batch.iter().map(|id| format!("kind=strict,key=k,id={id}")).collect();
            ask(&mut client, &texts.iter().map(String::as_str).collect::<Vec<_>>(), 1).await;
        }
        assert_eq!(used(&mut client, "strict", ESTIMATE).await, held, "round {round}");
        settle(&mut client, &sent).await;
        let left = used(&mut client, "strict", ESTIMATE).await;
        let unanswered = most - least;
        assert!(left - stuck <= unanswered * ESTIMATE, "round {round}: {left} after {stuck}");
        let left_slots = slots_held(&exported(folder.path()).await) as u64;
        assert!(left_slots - stuck_slots <= unanswered, "round {round}: {left_slots} slots");
        (stuck, stuck_slots) = (left, left_slots);
        // Settled, and still known as charged.
        let again = format!("kind=strict,key=k,id={}", answered[0]);
        ask(&mut client, &[&again], 1).await;
        assert_eq!(used(&mut client, "strict", ESTIMATE).await, stuck, "round {round}");
        kill(program).await;
    }
    let exported = exported(folder.path()).await;
    assert!(exported.contains("Archive"), "closed windows are kept: {exported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_of_ordinary_holds_is_there_after_the_kill() {
    let folder = folder();
    let (program, channel) = start(folder.path()).await;
    for id in ["1", "2"] {
        ask(&mut client(&channel), &[&format!("kind=held,key=k,id={id}")], 1).await;
    }
    // Within a second it is on disk, by its own promise.
    let written = tokio::time::timeout(PATIENCE, async {
        while exported(folder.path()).await.matches("Receipt").count() < 2 {}
    });
    written.await.expect("holds are written");
    kill(program).await;
    let (_program, channel) = start(folder.path()).await;
    let mut client = client(&channel);
    assert_eq!(used(&mut client, "base", 1).await, 2 * ESTIMATE);
    ask(&mut client, &["kind=held,key=k,id=1"], 1).await;
    assert_eq!(used(&mut client, "base", 1).await, 2 * ESTIMATE, "it is open still");
    ask(&mut client, &["phase=done,id=1"], 30).await;
    assert_eq!(used(&mut client, "base", 1).await, ESTIMATE + 30);
}

/// Calls that hold slots, by an export.
fn slots_held(export: &str) -> usize {
    let lines = export.lines().filter(|line| line.starts_with("slots "));
    lines.map(|line| line.split(' ').skip(3).count()).sum()
}

/// What is on disk, as `export` tells it; it may run beside a server.
async fn exported(folder: &Path) -> String {
    let mut export = tokio::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let export = export.arg("export").arg("--data").arg(folder.join("data"));
    let output = export.output().await.expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}
