//! What the journal promises, over a disk that loses power, runs full and goes bad.
//!
//! The writer's steps are taken by the tests themselves, so a crash can come between any two.

mod harness;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness::disk::TestDisk;
use harness::{NOON, rules};
use proptest::prelude::*;
use tollgate::limit::Durability;
use tollgate::limiter::{self, Standing};
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::rules::RuleSet;
use tollgate::store::journal::disk::{Directory, Disk as _};
use tollgate::store::journal::{self, Condition, Shared, Ticket, Writer};
use tollgate::store::ledger::{Grant, Kind, Note};
use tollgate::store::{Memory, NoteKey, SHARDS};
use tollgate::time::{ManualClock, SECOND_US};

const BUDGET: u64 = 10_000;
const KINDS: [&str; 6] = ["fixed", "calendar", "log", "bucket", "pair", "strict"];
const STRICT: usize = 5;

fn every_kind() -> RuleSet {
    let rule = |name: &str, limit: &str| {
        let limits = format!("[{{requests: {BUDGET}, {limit}}}]");
        format!("{{name: {name}, match: {{kind: {name}}}, count_by: [key], limits: {limits}}}")
    };
    let all = [
        rule("fixed", "per: hour"),
        rule("calendar", "per: month"),
        rule("log", "per: hour, algorithm: sliding_log"),
        rule("bucket", "per: day, algorithm: token_bucket"),
        rule("pair", "per: hour, algorithm: sliding_window"),
        rule("strict", "per: day, durability: strict"),
        rule("brief", "per: 30s"),
    ];
    let hold = "hold: {by: id, settle: {phase: done}, estimate: 100}";
    let held = rule("held", "per: day").replacen("count_by", &format!("{hold}, count_by"), 1);
    rules(&format!("{{domain: d, rules: [{}, {held}]}}", all.join(", ")))
}

/// Memory with a journal, as one process has them.
struct Process {
    rules: RuleSet,
    clock: ManualClock,
    memory: Arc<Memory>,
    shared: Arc<Shared>,
    writer: Writer,
    damage: Vec<String>,
}

impl Process {
    fn start(disk: &TestDisk) -> Process {
        Process::try_start(disk).expect("a readable journal")
    }

    fn try_start(disk: &TestDisk) -> Result<Process, journal::Error> {
        let (rules, clock) = (every_kind(), ManualClock::starting_at(NOON));
        let shared = Arc::new(Shared::new());
        let memory = Arc::new(Memory::kept(shared.clone(), 60 * SECOND_US));
        let (writer, restored) =
            journal::open(Arc::new(disk.clone()), memory.clone(), shared.clone(), clock.clock())?;
        Ok(Process { rules, clock, memory, shared, writer, damage: restored.damage })
    }

    fn ask(&self, kind: &str, key: &str, hits: Hits) -> (u64, Option<Ticket>) {
        self.decide(&[("kind", kind), ("key", key)], hits)
    }

    fn decide(&self, entries: &[(&str, &str)], hits: Hits) -> (u64, Option<Ticket>) {
        let entries = entries.iter().copied().collect();
        let descriptors = [Descriptor { entries, hits, limit: None }].into_iter().collect();
        let query = Query { domain: "d", descriptors, receipt: None };
        let verdict = limiter::decide(&self.rules, &self.memory, &query, self.clock.now());
        match verdict.statuses[0].standing {
            Standing::Limited { remaining, .. } => (BUDGET - remaining, verdict.ticket),
            // The end of a hold is held to no limit.
            Standing::Bare => (0, verdict.ticket),
            other => panic!("every kind has a limit, yet {other:?} is shown"),
        }
    }

    fn charge(&self, kind: &str, key: &str, hits: u64) -> Option<Ticket> {
        self.ask(kind, key, Hits::Take(hits)).1
    }

    /// What a counter has used: a peek shows one more, unless nothing fits any more.
    fn used(&self, kind: &str, key: &str) -> u64 {
        self.ask(kind, key, Hits::Peek).0 - 1
    }

    /// One step of the writer: with a flush, or only for those who wait.
    fn step(&mut self, flush: bool) {
        let batch = self.shared.take(Duration::ZERO);
        self.writer.step(batch, if flush { SHARDS } else { 0 }, flush);
    }

    /// Steps until a snapshot that is in the making is whole.
    fn settle(&mut self, disk: &TestDisk) {
        self.step(true);
        while disk.names().iter().any(|name| name == "snapshot.part") {
            self.step(true);
        }
    }
}

/// The first file of a kind.
fn name_of(disk: &TestDisk, kind: &str) -> String {
    let names = disk.names();
    names.into_iter().find(|name| name.starts_with(kind)).expect("a file of that kind")
}

fn charge_all(process: &Process, hits: u64) {
    for kind in KINDS {
        process.charge(kind, "k", hits);
    }
}

fn assert_used(process: &Process, used: u64) {
    for kind in KINDS {
        assert_eq!(process.used(kind, "k"), used, "{kind}");
    }
}

#[test]
fn what_was_written_is_there_after_a_crash_whatever_the_algorithm() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    charge_all(&process, 7);
    process.charge("brief", "k", 7);
    process.step(true);
    charge_all(&process, 100);
    disk.lose_power(0.0);
    let process = Process::start(&disk);
    assert_used(&process, 7);
    assert_eq!(process.used("brief", "k"), 0, "windows below a minute are not kept");
    assert_eq!(process.damage, Vec::<String>::new());
}

#[test]
fn what_expired_meanwhile_is_not_restored() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    charge_all(&process, 7);
    process.settle(&disk);
    assert_eq!(process.memory.len(), KINDS.len());
    let clock = ManualClock::starting_at(NOON.plus(3600 * SECOND_US));
    let (memory, shared) = (Arc::new(Memory::new()), Arc::new(Shared::new()));
    journal::open(Arc::new(disk), memory.clone(), shared, clock.clock()).expect("readable");
    // The hours are over and the bucket is empty; the day and the month are not, and of the sliding
    // hour some still counts.
    assert_eq!(memory.len(), 3, "the month's, the strict day's and the sliding hour's");
}

#[test]
fn a_snapshot_replaces_what_came_before_it() {
    let disk = TestDisk::default();
    for round in 1..=3 {
        let mut process = Process::start(&disk);
        charge_all(&process, 1);
        process.settle(&disk);
        assert_used(&process, round);
        assert_eq!(disk.names().len(), 2, "one log and one snapshot: {:?}", disk.names());
        disk.lose_power(0.0);
    }
}

#[test]
fn a_torn_tail_is_cut_wherever_it_tears() {
    for cut in 1..120 {
        let disk = TestDisk::default();
        let mut process = Process::start(&disk);
        charge_all(&process, 7);
        process.step(true);
        charge_all(&process, 1);
        process.step(true);
        let log = name_of(&disk, "log");
        disk.tamper(&log, |bytes| bytes.truncate(bytes.len() - cut));
        let process = Process::start(&disk);
        assert_used(&process, 7);
        assert!(process.damage[0].contains("torn write"), "{:?}", process.damage);
    }
}

#[test]
fn a_flipped_bit_costs_its_block_and_is_named() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    charge_all(&process, 7);
    process.step(true);
    process.charge("fixed", "lost", 1);
    process.step(true);
    process.charge("fixed", "kept", 1);
    process.step(true);
    let log = name_of(&disk, "log");
    // The last block holds one counter and so does the one before it.
    disk.tamper(&log, |bytes| {
        let middle_of_lost = bytes.len() - 45 - 10;
        bytes[middle_of_lost] ^= 4;
    });
    let process = Process::start(&disk);
    assert_used(&process, 7);
    assert_eq!((process.used("fixed", "lost"), process.used("fixed", "kept")), (0, 1));
    let [damage] = &process.damage[..] else { panic!("{:?}", process.damage) };
    assert!(damage.contains(&log) && damage.contains("skipped"), "{damage}");
}

#[test]
fn a_damaged_head_costs_nothing_but_a_word() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    charge_all(&process, 7);
    process.settle(&disk);
    let snapshot = name_of(&disk, "snapshot");
    disk.tamper(&snapshot, |bytes| bytes[13] ^= 1);
    let process = Process::start(&disk);
    assert_used(&process, 7);
    assert!(process.damage[0].contains("from byte 0 to 24"), "{:?}", process.damage);
}

#[test]
fn a_snapshot_cut_between_two_blocks_is_told() {
    // Nothing is torn there, and no checksum is wrong: only the end is missing.
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    charge_all(&process, 7);
    process.settle(&disk);
    let snapshot = name_of(&disk, "snapshot");
    disk.tamper(&snapshot, |bytes| bytes.truncate(24));
    let mut process = Process::start(&disk);
    assert!(process.damage[0].contains("has no end"), "{:?}", process.damage);
    // It is put aside, not removed, when it is not needed any more.
    process.settle(&disk);
    assert!(disk.names().contains(&format!("damaged-{snapshot}")), "{:?}", disk.names());
}

#[tokio::test]
async fn a_snapshot_that_does_not_fit_leaves_the_log_at_work() {
    // A half-written snapshot once took the log down with it, and the room of both.
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    for key in 0..100 {
        process.charge("fixed", &key.to_string(), 1);
    }
    process.settle(&disk);
    disk.lose_power(0.0);
    disk.set_room(Some(1000));
    let mut process = Process::start(&disk);
    (0..300).for_each(|_| process.step(true));
    assert!(!disk.names().contains(&"snapshot.part".to_owned()), "half a snapshot is no use");
    disk.set_room(Some(1000));
    let ticket = process.charge("strict", "k", 1).expect("a strict charge waits");
    process.step(false);
    assert_eq!(process.shared.written(ticket).await, Ok(()), "the log has room");
    assert_eq!(process.shared.status.get(), Condition::Whole);
    disk.lose_power(0.0);
    let process = Process::start(&disk);
    assert_eq!((process.used("fixed", "99"), process.used("strict", "k")), (1, 1));
}

#[test]
fn names_that_are_not_quite_ours_are_left_alone() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    charge_all(&process, 7);
    process.settle(&disk);
    for name in ["log-5", "log-18446744073709551615", "log-000000000000000x"] {
        disk.create(name).expect("a working disk");
    }
    assert_used(&Process::start(&disk), 7);
}

#[test]
fn a_newer_format_is_refused_with_a_sentence() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    charge_all(&process, 1);
    process.settle(&disk);
    let snapshot = name_of(&disk, "snapshot");
    disk.tamper(&snapshot, |bytes| {
        bytes[8] = 99;
        let sum = crc32fast::hash(&bytes[..20]).to_le_bytes();
        bytes[20..24].copy_from_slice(&sum);
    });
    let error = Process::try_start(&disk).err().expect("refused").to_string();
    assert!(error.contains("newer release (format 99)"), "{error}");
}

#[tokio::test]
async fn a_full_disk_fails_strict_calls_and_recovers_by_itself() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    charge_all(&process, 1);
    process.settle(&disk);
    disk.set_room(Some(20));
    let ticket = process.charge("strict", "k", 1).expect("a strict charge waits");
    process.charge("fixed", "k", 1);
    process.step(true);
    assert!(process.shared.written(ticket).await.is_err(), "no promise without a disk");
    assert_eq!(process.shared.status.get(), Condition::Failing);
    assert_eq!(process.used("fixed", "k"), 2, "ordinary limits go on in memory");
    disk.set_room(None);
    while process.shared.status.get() == Condition::Failing {
        // The disk is tried again once a second.
        tokio::time::sleep(Duration::from_millis(50)).await;
        process.step(true);
    }
    let ticket = process.charge("strict", "k", 1).expect("a strict charge waits");
    process.step(false);
    assert_eq!(process.shared.written(ticket).await, Ok(()));
    disk.lose_power(0.0);
    let process = Process::start(&disk);
    assert_eq!(process.used("fixed", "k"), 2, "the snapshot has what could not be written");
    assert_eq!(process.used("strict", "k"), 3);
}

/// Something that happens to a process with a journal.
#[derive(Clone, Debug)]
enum Event {
    Charge { kind: usize, key: u8, hits: u64 },
    Step { flush: bool },
    LosePower { survives: f64 },
}

fn event() -> impl Strategy<Value = Event> {
    let charge = (0..KINDS.len(), 0..3u8, 1..5u64);
    prop_oneof![
        8 => charge.prop_map(|(kind, key, hits)| Event::Charge { kind, key, hits }),
        4 => any::<bool>().prop_map(|flush| Event::Step { flush }),
        1 => (0.0..=1.0f64).prop_map(|survives| Event::LosePower { survives }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// After a crash each counter holds at least what it held at the last flush, strict ones at
    /// least what was acknowledged, and none more than was ever charged.
    #[test]
    fn a_crash_costs_no_more_than_promised(events in prop::collection::vec(event(), 1..80)) {
        let disk = TestDisk::default();
        let mut process = Process::start(&disk);
        let mut safe = [[0u64; 3]; KINDS.len()];
        for event in events {
            match event {
                Event::Charge { kind, key, hits } => {
                    process.charge(KINDS[kind], &key.to_string(), hits);
                }
                Event::Step { flush } => {
                    process.step(flush);
                    for (kind, keys) in safe.iter_mut().enumerate() {
                        for (key, used) in keys.iter_mut().enumerate() {
                            if flush || kind == STRICT {
                                *used = process.used(KINDS[kind], &key.to_string());
                            }
                        }
                    }
                }
                Event::LosePower { survives } => {
                    let before = process;
                    disk.lose_power(survives);
                    process = Process::start(&disk);
                    for (kind, keys) in safe.iter_mut().enumerate() {
                        for (key, used) in keys.iter_mut().enumerate() {
                            let name = key.to_string();
                            let charged = before.used(KINDS[kind], &name);
                            let restored = process.used(KINDS[kind], &name);
                            prop_assert!(*used <= restored, "{} lost hits", KINDS[kind]);
                            prop_assert!(restored <= charged, "{} gained hits", KINDS[kind]);
                            *used = restored;
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn files_of_format_1_are_read() {
    // Written by the release that introduced the format: a snapshot with five hits of each kind
    // and a log with two more, under the secret of the tests and with the clock at their noon.
    // There was no sliding window yet.
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal-1");
    let (rules, clock) = (every_kind(), ManualClock::starting_at(NOON));
    let shared = Arc::new(Shared::new());
    let memory = Arc::new(Memory::kept(shared.clone(), 60 * SECOND_US));
    let disk = Arc::new(Directory::at(data).expect("the files are there"));
    let (writer, restored) =
        journal::open(disk, memory.clone(), shared.clone(), clock.clock()).expect("readable");
    assert_eq!(restored.damage, Vec::<String>::new());
    let process = Process { rules, clock, memory, shared, writer, damage: restored.damage };
    for kind in KINDS.into_iter().filter(|kind| *kind != "pair") {
        assert_eq!(process.used(kind, "k"), 7, "{kind}");
    }
}

/// A note that says this number.
fn note(left: u64) -> Note {
    let (domain, label, values) = ("d".into(), "r.month".into(), Vec::new());
    Note::Grant(Grant { domain, label, values, granted: 10, left, since_us: 1 })
}

fn put(process: &Process, key: NoteKey, left: u64, durability: Durability) -> Option<Ticket> {
    let expires_at = NOON.plus(3600 * SECOND_US);
    process.memory.ledger().open(&[key]).put(key, note(left), expires_at, durability)
}

fn remove(process: &Process, key: NoteKey) {
    let (found, _) = process.memory.ledger().open(&[key]).remove(key, Durability::Ordinary);
    assert!(found);
}

#[tokio::test]
async fn notes_are_kept_as_counters_are() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    let [changed, strict, gone, late] = [1, 2, 3, 4].map(NoteKey::from_u128);
    put(&process, changed, 9, Durability::Ordinary);
    put(&process, gone, 1, Durability::Ordinary);
    process.settle(&disk);
    put(&process, changed, 8, Durability::Ordinary);
    remove(&process, gone);
    process.step(true);
    let ticket = put(&process, strict, 7, Durability::Strict).expect("a strict note has a ticket");
    process.step(false);
    assert_eq!(process.shared.written(ticket).await, Ok(()));
    put(&process, late, 6, Durability::Ordinary);
    disk.lose_power(0.0);
    let process = Process::start(&disk);
    let ledger = process.memory.ledger();
    assert_eq!(process.damage, Vec::<String>::new());
    assert_eq!(ledger.get(changed, NOON), Some(note(8)));
    assert_eq!(ledger.get(strict, NOON), Some(note(7)));
    assert_eq!((ledger.get(gone, NOON), ledger.get(late, NOON)), (None, None));
    assert_eq!(ledger.count(Kind::Grant), 2);
    let after = NOON.plus(3600 * SECOND_US);
    assert_eq!(ledger.get(strict, after), None);
    (0..SHARDS).for_each(|shard| _ = process.memory.sweep(shard, after));
    assert_eq!((ledger.count(Kind::Grant), ledger.len()), (0, 0));
}

#[test]
fn a_hold_is_never_kept_without_the_charge_that_it_speaks_of() {
    // Notes and counters were written at different moments of one round. A hold whose charge was
    // lost gave back, once it was settled, what had been used and written long before.
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    let keys: Vec<String> = (0..64).map(|number| number.to_string()).collect();
    let open = |process: &Process, id: &str| {
        for key in &keys {
            let entries = [("kind", "held"), ("key", key), ("id", &format!("{id}{key}"))];
            process.decide(&entries, Hits::Take(1));
        }
    };
    open(&process, "old ");
    process.settle(&disk);
    open(&process, "new ");
    let batch = process.shared.take(Duration::ZERO);
    process.writer.step(batch, SHARDS / 2, true);
    disk.lose_power(0.0);
    let process = Process::start(&disk);
    assert!(process.memory.ledger().count(Kind::Receipt) > keys.len(), "some new ones are kept");
    for key in &keys {
        process.decide(&[("phase", "done"), ("id", &format!("new {key}"))], Hits::Peek);
        let looked = process.ask("held", key, Hits::Peek).0;
        assert!(looked >= 100 + 100, "of {key} the look alone shows 100, and {looked} is there");
    }
}
