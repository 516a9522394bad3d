//! The one who writes: batches that callers wait for, counters that changed, and snapshots.
//!
//! Runs on a thread of its own, because it waits for the disk. Each step is a plain call, so that
//! a test can take the steps itself, over a disk of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Condition;
use super::disk::{Append, Disk};
use super::format::{Blocks, Record, header};
use super::names;
use super::shared::{Batch, Shared};
use crate::store::{Memory, SHARDS};
use crate::time::{Clock, Stopwatch};

/// In this time every shard is asked once for what changed: half of the second that a crash may
/// cost, so that the other half is left for the disk.
const ROUND: Duration = Duration::from_millis(500);

/// A round is made of many small steps, for a long one would hold up calls on the same core.
const STEP: Duration = Duration::from_millis(10);

/// What was appended is made to last this often, if nobody asks for it sooner.
const SYNC_EVERY: Duration = Duration::from_millis(200);

/// After a failure, the disk is tried again this often.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Shards that a snapshot takes in one step, so that callers wait for no more than that.
const SNAPSHOT_SHARDS: usize = 16;

/// Between two such steps the core is left to calls.
const SNAPSHOT_PAUSE: Duration = Duration::from_millis(1);

/// A log is replaced by a snapshot when it has grown to this, or to the size of the last snapshot
/// if that is larger: so the disk holds twice what is live, and a restart reads no more.
const LOG_BYTES_MIN: u64 = 64 << 20;

pub struct Writer {
    disk: Arc<dyn Disk>,
    counters: Arc<Memory>,
    shared: Arc<Shared>,
    clock: Clock,
    /// The log in use; none while the disk fails.
    log: Option<File>,
    generation: u64,
    snapshot: Option<Snapshot>,
    snapshot_bytes: u64,
    /// The shard that is asked next for what changed.
    next_shard: usize,
    /// Whether the log has bytes that may not last yet.
    unsynced: bool,
    /// Since when the disk fails, if it does.
    failed: Option<Stopwatch>,
    /// What memory holds and the files lack: only a whole snapshot makes up for a failed write.
    hole: bool,
}

/// A file and how much was written to it.
struct File {
    append: Box<dyn Append>,
    bytes: u64,
}

/// A snapshot in the making.
struct Snapshot {
    file: File,
    next_shard: usize,
    records: u64,
}

impl Drop for Writer {
    /// However the writer ends, nobody must go on waiting for it.
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl File {
    fn create(disk: &dyn Disk, name: &str, generation: u64) -> io::Result<File> {
        let mut file = File { append: disk.create(name)?, bytes: 0 };
        file.append(&header(generation))?;
        Ok(file)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.append.append(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Writer {
    /// A writer that begins after `generation`, the last one on disk.
    pub fn new(
        disk: Arc<dyn Disk>,
        counters: Arc<Memory>,
        shared: Arc<Shared>,
        clock: Clock,
        generation: u64,
    ) -> Writer {
        Writer {
            disk,
            counters,
            shared,
            clock,
            log: None,
            generation,
            snapshot: None,
            snapshot_bytes: 0,
            next_shard: 0,
            unsynced: false,
            failed: None,
            hole: false,
        }
    }

    /// Writes until told to stop, and then everything that is left.
    pub fn run(mut self) {
        let (mut since_step, mut since_sync) = (Stopwatch::start(), Stopwatch::start());
        loop {
            let patience = match (&self.log, &self.snapshot) {
                (None, _) => RETRY_EVERY,
                (Some(_), Some(_)) => SNAPSHOT_PAUSE,
                (Some(_), None) => STEP.saturating_sub(since_step.elapsed()),
            };
            let batch = self.shared.take(patience);
            let stopping = batch.stopping;
            let shards = if stopping { SHARDS } else { share_of_round(since_step.elapsed()) };
            let sync = stopping || SYNC_EVERY <= since_sync.elapsed();
            if 0 < shards {
                since_step = Stopwatch::start();
            }
            if sync {
                since_sync = Stopwatch::start();
            }
            self.step(batch, shards, sync);
            if stopping {
                return self.end();
            }
        }
    }

    /// What memory has and the files lack is written before the end, if the disk lets us.
    fn end(mut self) {
        while self.hole && self.snapshot.is_some() {
            if let Err(error) = self.advance_snapshot() {
                return self.fail(&error);
            }
        }
    }

    /// Writes a snapshot of everything at once, for a journal that no server uses.
    pub fn write_snapshot(&mut self) -> io::Result<()> {
        self.begin_generation()?;
        while self.snapshot.is_some() {
            self.advance_snapshot()?;
        }
        Ok(())
    }

    /// One step: a batch, what changed in so many of the shards, and a part of a snapshot. It lasts
    /// if `sync` is set, or if somebody waits for the batch.
    pub fn step(&mut self, batch: Batch, shards: usize, sync: bool) {
        let ticket = batch.ticket;
        let lately = |failed: &Stopwatch| failed.elapsed() < RETRY_EVERY;
        if !batch.stopping && self.failed.as_ref().is_some_and(lately) {
            // Callers are told at once, and the disk is not asked for each of them.
            return self.shared.settle(ticket, false);
        }
        let written = self.write(batch, shards, sync);
        self.shared.settle(ticket, written.is_ok());
        let advanced = written.and_then(|()| self.advance_snapshot());
        if let Err(error) = advanced {
            self.fail(&error);
        }
    }

    fn write(&mut self, batch: Batch, shards: usize, sync: bool) -> io::Result<()> {
        if self.log.is_none() {
            self.begin_generation()?;
        }
        self.failed = None;
        let mut blocks = Blocks::default();
        self.counters.copy_keys(&batch.keys, &mut blocks);
        for _ in 0..shards {
            self.counters.take_changed(self.next_shard, &mut blocks);
            self.next_shard = (self.next_shard + 1) % SHARDS;
        }
        let bytes = blocks.take();
        if let Some(log) = &mut self.log
            && !bytes.is_empty()
        {
            log.append(&bytes)?;
            self.unsynced = true;
        }
        if sync || !batch.keys.is_empty() { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        match &mut self.log {
            Some(log) if std::mem::take(&mut self.unsynced) => log.append.sync(),
            _ => Ok(()),
        }
    }

    /// Begins a log, and with it a snapshot if the files so far lack something or grew long.
    fn begin_generation(&mut self) -> io::Result<()> {
        // Else a power loss could cost more of the old log than of the new one.
        self.sync()?;
        let generation = self.generation + 1;
        let log = File::create(&*self.disk, &names::log(generation), generation)?;
        let part = File::create(&*self.disk, names::PART, generation)?;
        self.disk.sync_names()?;
        self.generation = generation;
        self.log = Some(log);
        self.snapshot = Some(Snapshot { file: part, next_shard: 0, records: 0 });
        Ok(())
    }

    fn advance_snapshot(&mut self) -> io::Result<()> {
        let log_bytes = self.log.as_ref().map_or(0, |log| log.bytes);
        if self.snapshot.is_none() && LOG_BYTES_MIN.max(self.snapshot_bytes) <= log_bytes {
            self.begin_generation()?;
        }
        let Some(snapshot) = &mut self.snapshot else { return Ok(()) };
        let now = self.clock.now();
        let shards = snapshot.next_shard..SHARDS.min(snapshot.next_shard + SNAPSHOT_SHARDS);
        snapshot.next_shard = shards.end;
        let mut blocks = Blocks::default();
        shards.for_each(|shard| self.counters.copy_kept(shard, now, &mut blocks));
        snapshot.records += std::mem::take(&mut blocks.records);
        if snapshot.next_shard == SHARDS {
            blocks.push(&Record::End { records: snapshot.records });
        }
        snapshot.file.append(&blocks.take())?;
        if snapshot.next_shard == SHARDS { self.finish_snapshot() } else { Ok(()) }
    }

    /// Puts the snapshot in place of everything older.
    fn finish_snapshot(&mut self) -> io::Result<()> {
        let Some(mut snapshot) = self.snapshot.take() else { return Ok(()) };
        snapshot.file.append.sync()?;
        self.disk.rename(names::PART, &names::snapshot(self.generation))?;
        self.disk.sync_names()?;
        self.snapshot_bytes = snapshot.file.bytes;
        for name in self.disk.list()? {
            if names::generation(&name).is_some_and(|generation| generation < self.generation) {
                self.disk.remove(&name)?;
            }
        }
        if std::mem::take(&mut self.hole) {
            tracing::info!("the journal is whole again");
        }
        self.shared.status.set(Condition::Whole);
        Ok(())
    }

    /// Goes on without the disk. What was to be written stays in memory, and the snapshot that
    /// begins once the disk works again will have it.
    fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.hole, true) {
            tracing::error!(%error, "the journal cannot be written; limits go on in memory alone");
        }
        self.failed = Some(Stopwatch::start());
        self.unsynced = false;
        self.log = None;
        self.snapshot = None;
        self.shared.status.set(Condition::Failing);
    }
}

/// So many shards are due after this much of a round.
fn share_of_round(elapsed: Duration) -> usize {
    let share = elapsed.as_micros() * SHARDS as u128 / ROUND.as_micros();
    usize::try_from(share).unwrap_or(SHARDS).min(SHARDS)
}
