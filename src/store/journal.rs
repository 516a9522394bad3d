//! The durability of memory: counters that outlive the process.
//!
//! A log of what changed and snapshots of everything, in one directory. Every half second the
//! counters that changed are written; what must not be lost at all is written before its caller
//! is answered. docs/journal.md says what a crash can cost, and describes the files.

pub mod disk;
pub mod format;
mod home;
pub mod lines;
mod names;
mod read;
mod shared;
mod writer;

pub use self::home::{Home, Lock};
pub use self::shared::{Batch, Handed, NotWritten, Shared, Ticket};
pub use self::writer::Writer;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::store::{Memory, SHARDS, Unreadable};
use crate::time::{Clock, Stopwatch, Timestamp};

use self::disk::Disk;
use self::format::{Blocks, Record, read_blocks};
use self::read::{Found, Reader};

/// Whether the files have all that they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Whole,
    /// The disk fails: ordinary limits go on in memory alone, strict ones cannot be promised.
    Failing,
}

/// A writer takes a step every few milliseconds. One that was not heard of for this long waits for
/// a disk that hangs, and hits beyond the promised second are at risk.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// The condition of a running journal, for whoever watches over it.
#[derive(Debug, Default)]
pub struct Status {
    failing: AtomicBool,
    /// Since the writer's last step.
    silence: Mutex<Option<Stopwatch>>,
}

impl Status {
    pub fn get(&self) -> Condition {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = silence.is_some_and(|since| SILENCE_MAX < since.elapsed());
        // The flag stands alone: no other memory is published through it.
        let failing = self.failing.load(Ordering::Relaxed);
        if failing || silent { Condition::Failing } else { Condition::Whole }
    }

    fn set(&self, condition: Condition) {
        self.failing.store(condition == Condition::Failing, Ordering::Relaxed);
    }

    /// The writer has taken a step.
    fn heard(&self) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *silence = Some(Stopwatch::start());
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the journal in {name} cannot be read: {why}")]
    File { name: String, why: String },
    #[error("the journal's directory cannot be read: {0}")]
    Directory(#[from] io::Error),
}

/// What was found on disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Counters in memory now.
    pub counters: usize,
    /// What was damaged, in words.
    pub damage: Vec<String>,
    /// The files it was found in.
    damaged: Vec<String>,
    /// The last generation on disk.
    generation: u64,
}

/// Everything that is on `disk` and has not expired, in no order, for whoever wants to keep it
/// elsewhere. A server may be writing meanwhile: what is torn is cut, as after a crash.
pub fn each_record(
    disk: &dyn Disk,
    now: Timestamp,
    mut each: impl FnMut(Record) -> io::Result<()>,
) -> Result<Vec<String>, Error> {
    let counters = Memory::new();
    let restored = restore(disk, &counters, now)?;
    for shard in 0..SHARDS {
        let mut blocks = Blocks::default();
        counters.copy_kept(shard, now, &mut blocks);
        read_blocks(&blocks.take()).into_iter().try_for_each(&mut each)?;
    }
    Ok(restored.damage)
}

/// What came of adding records.
#[derive(Debug)]
pub struct Added {
    /// Counters and notes on disk now.
    pub live: usize,
    /// Those of them to be added that had expired, and would have wiped what is there.
    pub expired: usize,
    pub damage: Vec<String>,
}

/// Puts records onto a disk that nobody writes to, beside what is there already.
pub fn add(disk: Arc<dyn Disk>, records: Vec<Record>, clock: Clock) -> Result<Added, Error> {
    let (memory, shared) = (Arc::new(Memory::new()), Arc::new(Shared::new()));
    let (writer, restored) = open(disk, memory.clone(), shared, clock.clone())?;
    let (now, mut expired, mut damage) = (clock.now(), 0, restored.damage);
    for record in records {
        if record.expires_at().is_some_and(|expires_at| expires_at <= now) {
            expired += 1;
        } else if let Err(unreadable) = put_back(&memory, record, now) {
            damage.push(unreadable.to_string());
        }
    }
    writer.write_snapshot()?;
    Ok(Added { live: memory.len() + memory.ledger().len(), expired, damage })
}

/// Reads what is on `disk` into `counters`, and returns who will write to it from now on.
pub fn open(
    disk: Arc<dyn Disk>,
    counters: Arc<Memory>,
    shared: Arc<Shared>,
    clock: Clock,
) -> Result<(Writer, Restored), Error> {
    let restored = restore(&*disk, &counters, clock.now())?;
    let (generation, damaged) = (restored.generation, restored.damaged.clone());
    let writer = Writer::new(disk, counters, shared, clock, generation, damaged);
    Ok((writer, restored))
}

/// Reads the last whole snapshot and every log since, in order.
fn restore(disk: &dyn Disk, counters: &Memory, now: Timestamp) -> Result<Restored, Error> {
    let names = disk.list()?;
    let snapshot = names.iter().filter_map(|name| names::snapshot_generation(name)).max();
    let mut logs: Vec<u64> = names.iter().filter_map(|name| names::log_generation(name)).collect();
    logs.retain(|&log| snapshot.is_none_or(|snapshot| snapshot <= log));
    logs.sort_unstable();
    let generation = logs.iter().copied().chain(snapshot).max().unwrap_or_default();
    let mut restored = Restored { generation, ..Restored::default() };
    let files = snapshot.map(names::snapshot).into_iter().chain(logs.into_iter().map(names::log));
    for name in files {
        let before = restored.damage.len();
        read_file(disk, &name, counters, now, &mut restored.damage)
            .map_err(|error| Error::File { why: error.to_string(), name: name.clone() })?;
        if before < restored.damage.len() {
            restored.damaged.push(name);
        }
    }
    restored.counters = counters.len();
    Ok(restored)
}

/// Makes memory what a record says.
fn put_back(memory: &Memory, record: Record, now: Timestamp) -> Result<(), Unreadable> {
    match record {
        Record::Counter { key, expires_at, state } => memory.restore(key, expires_at, state, now),
        Record::Gone { key } => memory.forget(key),
        Record::Note { key, expires_at, bytes } => {
            memory.ledger().restore(key, expires_at, &bytes)?;
        }
        Record::NoteGone { key } => memory.ledger().forget(key),
        Record::End { .. } => {}
    }
    Ok(())
}

fn read_file(
    disk: &dyn Disk,
    name: &str,
    counters: &Memory,
    now: Timestamp,
    damage: &mut Vec<String>,
) -> Result<(), read::Error> {
    let mut reader = Reader::open(disk, name)?;
    // A snapshot says at its end how many records it has; a log has no end.
    let (mut read, mut said) = (0, names::snapshot_generation(name).is_none().then_some(0));
    loop {
        match reader.next()? {
            Found::Records(records) => {
                for record in records {
                    match record {
                        Record::End { records } => said = Some(records),
                        Record::Counter { .. } | Record::Note { .. } => read += 1,
                        Record::Gone { .. } | Record::NoteGone { .. } => {}
                    }
                    if let Err(unreadable) = put_back(counters, record, now) {
                        damage.push(format!("{name}: {unreadable}"));
                    }
                }
            }
            Found::Damage { from, to } => {
                damage.push(format!("{name} is damaged from byte {from} to {to}; skipped"));
            }
            Found::TornTail { from } => {
                damage.push(format!("{name} ends in a torn write at byte {from}; cut"));
            }
            Found::End => break,
        }
    }
    match said {
        Some(said) if names::snapshot_generation(name).is_some() && said != read => {
            damage.push(format!("{name} was written with {said} records, and {read} can be read"));
        }
        None => damage.push(format!("{name} has no end; {read} records of it can be read")),
        Some(_) => {}
    }
    Ok(())
}
