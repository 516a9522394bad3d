//! Files of every format that a release ever wrote go on being read.

mod harness;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use harness::NOON;
use tollgate::algorithm::State;
use tollgate::algorithm::concurrency::{Slot, Slots};
use tollgate::algorithm::sliding_window::Pair;
use tollgate::key::CounterKey;
use tollgate::store::journal::disk::Directory;
use tollgate::store::journal::format::Record;
use tollgate::store::journal::{self, Shared};
use tollgate::store::ledger::Note;
use tollgate::store::{Memory, NoteKey};
use tollgate::time::{ManualClock, Timestamp};

/// Notes as format 2 writes them, one of each kind.
const NOTES: [&str; 9] = [
    r#"{"Receipt":{"domain":"d","items":[{"counter":340282366920938463463374607431768211455,
        "label":"r.month","requests":50,"cost":2,"taken":3,"granted":1,"put_back":1,"kept":0,
        "mark":{"Window":{"end_us":1774000000000000}}},
        {"counter":7,"label":"r.at_once","requests":null,"cost":1,"taken":1,"granted":0,
        "mark":{"Slot":{"id":9}}}],"arguments":12,"hits":2,"open":true}}"#,
    r#""Once""#,
    r#"{"Grant":{"domain":"d","label":"r.month","values":[["key","a"]],"granted":10,"left":4}}"#,
    r#"{"Archive":{"domain":"d","label":"r.month","values":[["key","a"]],"windows":[
        {"start_us":1769904000000000,"end_us":1772323200000000,"used":7,"requests":50},
        {"start_us":1772323200000000,"end_us":1775001600000000,"used":1,"requests":null}]}}"#,
    r#"{"Alerted":{"percent":90}}"#,
    r#"{"Ban":{"domain":"d","rule":"r","values":[["key","a"]],"why":"20 refusals","since_us":1,
        "until_us":2,"strikes":3,"shadow":true}}"#,
    r#"{"Offences":{"stamps":[[5,1],[9,2]],"seen":[{"since_us":3,"few":"00000000000000ff"}]}}"#,
    r#"{"Row":{"domain":"d","key":"a","text":"{\"plan\":\"pro\"}"}}"#,
    r#"{"Switch":{"domain":"d","rule":"r","mode":"shadow"}}"#,
];

/// Two counters of kinds that format 1 did not have.
const PAIR: CounterKey = CounterKey::from_u128(101);
const SLOTS: CounterKey = CounterKey::from_u128(102);

/// Long after the last reader of these files.
const NEVER: Timestamp = Timestamp::from_secs(99_999_999_999);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal-2")
}

fn note(json: &str) -> Note {
    serde_json::from_str(json).expect("a note")
}

fn key(position: usize) -> NoteKey {
    NoteKey::from_u128(u128::try_from(position).expect("a small number") + 1)
}

fn pair() -> State {
    State::Pair(Pair { end: NEVER, previous: 3, current: 4 })
}

fn slots() -> State {
    let slot = |id| Slot { id, hits: 1, expires_at: NEVER };
    State::Slots(Slots::from_held(vec![slot(1), slot(u128::MAX)]))
}

#[test]
fn files_of_format_2_are_read() {
    let (memory, shared) = (Arc::new(Memory::new()), Arc::new(Shared::new()));
    let disk = Arc::new(Directory::at(folder()).expect("the files are there"));
    let clock = ManualClock::starting_at(NOON).clock();
    let (_, restored) = journal::open(disk.clone(), memory.clone(), shared, clock).expect("read");
    assert_eq!(restored.damage, Vec::<String>::new());
    for (position, json) in NOTES.iter().enumerate() {
        assert_eq!(memory.ledger().get(key(position), NOON), Some(note(json)), "{json}");
    }
    let mut counters = Vec::new();
    let each = |record| {
        if let Record::Counter { key, state, .. } = record {
            counters.push((key, state));
        }
        Ok(())
    };
    journal::each_record(&*disk, NOON, each).expect("read");
    counters.sort_by_key(|(key, _)| *key);
    assert_eq!(counters, [(PAIR, pair()), (SLOTS, slots())]);
}

/// How the files of format 2 were made. Once a release has them, they are never made again.
#[test]
#[ignore = "it writes the files that the other test reads"]
fn write_files_of_format_2() {
    let disk = Arc::new(Directory::at(folder()).expect("a writable folder"));
    let counter = |key, state| Record::Counter { key, expires_at: NEVER, state };
    let mut records = vec![counter(PAIR, pair()), counter(SLOTS, slots())];
    records.extend(NOTES.iter().enumerate().map(|(position, json)| Record::Note {
        key: key(position),
        expires_at: NEVER,
        bytes: serde_json::to_vec(&note(json)).expect("JSON").into(),
    }));
    journal::add(disk, records, ManualClock::starting_at(NOON).clock()).expect("written");
}
