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
pub use self::shared::{Batch, NotWritten, Shared, Ticket};
pub use self::writer::Writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::algorithm::State;
use crate::key::CounterKey;
use crate::store::{Memory, SHARDS};
use crate::time::{Clock, Timestamp};

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

/// The condition of a running journal, for whoever watches over it.
#[derive(Debug, Default)]
pub struct Status(AtomicBool);

impl Status {
    // The flag stands alone: no other memory is published through it.
    pub fn get(&self) -> Condition {
        if self.0.load(Ordering::Relaxed) { Condition::Failing } else { Condition::Whole }
    }

    fn set(&self, condition: Condition) {
        self.0.store(condition == Condition::Failing, Ordering::Relaxed);
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
    /// The last generation on disk.
    generation: u64,
}

/// Everything that is on `disk` and has not expired, in no order, for whoever wants to keep it
/// elsewhere. A server may be writing meanwhile: what is torn is cut, as after a crash.
pub fn each_counter(
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

/// Puts counters onto a disk that nobody writes to, beside what is there already.
pub fn add_counters(
    disk: Arc<dyn Disk>,
    counters: Vec<(CounterKey, Timestamp, State)>,
    clock: Clock,
) -> Result<usize, Error> {
    let (memory, shared) = (Arc::new(Memory::new()), Arc::new(Shared::new()));
    let (mut writer, _) = open(disk, memory.clone(), shared, clock.clone())?;
    let now = clock.now();
    for (key, expires_at, state) in counters {
        memory.restore(key, expires_at, state, now);
    }
    writer.write_snapshot()?;
    Ok(memory.len())
}

/// Reads what is on `disk` into `counters`, and returns who will write to it from now on.
pub fn open(
    disk: Arc<dyn Disk>,
    counters: Arc<Memory>,
    shared: Arc<Shared>,
    clock: Clock,
) -> Result<(Writer, Restored), Error> {
    let restored = restore(&*disk, &counters, clock.now())?;
    let writer = Writer::new(disk, counters, shared, clock, restored.generation);
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
        read_file(disk, &name, counters, now, &mut restored.damage)
            .map_err(|error| Error::File { why: error.to_string(), name })?;
    }
    restored.counters = counters.len();
    Ok(restored)
}

fn read_file(
    disk: &dyn Disk,
    name: &str,
    counters: &Memory,
    now: Timestamp,
    damage: &mut Vec<String>,
) -> Result<(), read::Error> {
    let Some(mut reader) = Reader::open(disk, name)? else {
        damage.push(format!("{name} has no readable head and was skipped"));
        return Ok(());
    };
    loop {
        match reader.next()? {
            Found::Records(records) => records.into_iter().for_each(|record| match record {
                Record::Counter { key, expires_at, state } => {
                    counters.restore(key, expires_at, state, now);
                }
                Record::Gone { key } => counters.forget(key),
                Record::End { .. } => {}
            }),
            Found::Damage { from, to } => {
                damage.push(format!("{name} is damaged from byte {from} to {to}; skipped"));
            }
            Found::TornTail { from } => {
                damage.push(format!("{name} ends in a torn write at byte {from}; cut"));
            }
            Found::End => return Ok(()),
        }
    }
}
