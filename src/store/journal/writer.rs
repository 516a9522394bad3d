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
const SNAPSHOT_SHARDS: usize = 64;

/// Between two such steps the core is left to calls.
const SNAPSHOT_PAUSE: Duration = Duration::from_millis(1);

/// After a snapshot failed, most often for want of room, the next is tried this much later: while
/// the log works there is no haste.
const SNAPSHOT_RETRY_EVERY: Duration = Duration::from_secs(30);

/// A snapshot is synced piece by piece, for one long sync at its end would hold up the log.
const SNAPSHOT_SYNC_BYTES: u64 = 8 << 20;

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
    /// Whether the log in use waits for a snapshot that makes everything older needless.
    snapshot_due: bool,
    /// Since when a snapshot could not be written, if the last one could not.
    snapshot_failed: Option<Stopwatch>,
    snapshot_bytes: u64,
    /// Files that were found damaged: put aside rather than removed when they are not needed.
    damaged: Vec<String>,
    ended: bool,
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
    synced_bytes: u64,
}

impl Drop for Writer {
    /// However the writer ends, nobody must go on waiting for it, or believe that all is well.
    fn drop(&mut self) {
        self.shared.close();
        if !self.ended {
            self.shared.status.set(Condition::Failing);
            tracing::error!("the journal's writer is gone; limits go on in memory alone");
        }
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
        damaged: Vec<String>,
    ) -> Writer {
        Writer {
            disk,
            counters,
            shared,
            clock,
            log: None,
            generation,
            snapshot: None,
            snapshot_due: false,
            snapshot_failed: None,
            snapshot_bytes: 0,
            damaged,
            ended: false,
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
            self.advance_snapshot();
        }
        if self.hole {
            tracing::error!("the disk failed to the end; the last hits are not kept");
        }
        self.ended = true;
    }

    /// Writes a snapshot of everything at once, for a journal that no server uses.
    pub fn write_snapshot(mut self) -> io::Result<()> {
        self.begin_generation()?;
        self.begin_snapshot()?;
        while self.snapshot.is_some() {
            self.extend_snapshot()?;
        }
        self.ended = true;
        Ok(())
    }

    /// One step: a batch, what changed in so many of the shards, and a part of a snapshot. It lasts
    /// if `sync` is set, or if somebody waits for the batch.
    pub fn step(&mut self, batch: Batch, shards: usize, sync: bool) {
        self.shared.status.heard();
        let ticket = batch.ticket;
        let lately = |failed: &Stopwatch| failed.elapsed() < RETRY_EVERY;
        if !batch.stopping && self.failed.as_ref().is_some_and(lately) {
            // Callers are told at once, and the disk is not asked for each of them. What changed
            // need not be remembered: the snapshot to come has it all.
            self.take_changed(shards);
            return self.shared.settle(ticket, false);
        }
        let written = self.write(batch, shards, sync);
        self.shared.settle(ticket, written.is_ok());
        match written {
            Ok(()) => self.advance_snapshot(),
            Err(error) => self.fail(&error),
        }
    }

    fn write(&mut self, batch: Batch, shards: usize, sync: bool) -> io::Result<()> {
        if self.log.is_none() {
            self.begin_generation()?;
        }
        self.failed = None;
        let mut blocks = self.take_changed(shards);
        self.counters.copy_keys(&batch.keys, &mut blocks);
        let bytes = blocks.take();
        if let Some(log) = &mut self.log
            && !bytes.is_empty()
        {
            log.append(&bytes)?;
            self.unsynced = true;
        }
        if sync || !batch.keys.is_empty() { self.sync() } else { Ok(()) }
    }

    /// What changed in the next so many shards.
    fn take_changed(&mut self, shards: usize) -> Blocks {
        let mut blocks = Blocks::default();
        for _ in 0..shards {
            self.counters.take_changed(self.next_shard, &mut blocks);
            self.next_shard = (self.next_shard + 1) % SHARDS;
        }
        blocks
    }

    fn sync(&mut self) -> io::Result<()> {
        match &mut self.log {
            Some(log) if std::mem::take(&mut self.unsynced) => log.append.sync(),
            _ => Ok(()),
        }
    }

    /// Begins a log, which a snapshot is then to make the only one needed.
    fn begin_generation(&mut self) -> io::Result<()> {
        // Else a power loss could cost more of the old log than of the new one.
        self.sync()?;
        let generation = self.generation + 1;
        let name = names::log(generation);
        let begun = File::create(&*self.disk, &name, generation)
            .and_then(|log| self.disk.sync_names().map(|()| log));
        let log = begun.inspect_err(|_| {
            // A log without a head is worth nothing, and what holds it may be full.
            let _ = self.disk.remove(&name);
        })?;
        self.generation = generation;
        self.log = Some(log);
        self.snapshot_due = true;
        Ok(())
    }

    fn begin_snapshot(&mut self) -> io::Result<()> {
        let file = File::create(&*self.disk, names::PART, self.generation)?;
        self.snapshot = Some(Snapshot { file, next_shard: 0, records: 0, synced_bytes: 0 });
        Ok(())
    }

    /// Takes the next step towards a snapshot, if one is due. A failure costs the snapshot alone:
    /// the log goes on, and grows until there is room for another.
    fn advance_snapshot(&mut self) {
        let lately = |failed: &Stopwatch| failed.elapsed() < SNAPSHOT_RETRY_EVERY;
        if !self.hole && self.snapshot_failed.as_ref().is_some_and(lately) {
            return;
        }
        if let Err(error) = self.step_snapshot() {
            tracing::warn!(%error, "a snapshot of the journal cannot be written; the log goes on");
            self.give_snapshot_up();
            self.snapshot_failed = Some(Stopwatch::start());
            // With a hole, only a snapshot helps, and the next try is that of the log.
            if self.hole {
                self.fail(&error);
            }
        }
    }

    fn step_snapshot(&mut self) -> io::Result<()> {
        let log_bytes = self.log.as_ref().map_or(0, |log| log.bytes);
        match self.snapshot {
            Some(_) => self.extend_snapshot(),
            None if self.snapshot_due => self.begin_snapshot(),
            None if LOG_BYTES_MIN.max(self.snapshot_bytes) <= log_bytes => self.begin_generation(),
            None => Ok(()),
        }
    }

    fn extend_snapshot(&mut self) -> io::Result<()> {
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
        if snapshot.synced_bytes + SNAPSHOT_SYNC_BYTES <= snapshot.file.bytes {
            snapshot.synced_bytes = snapshot.file.bytes;
            snapshot.file.append.sync()?;
        }
        if snapshot.next_shard == SHARDS { self.finish_snapshot() } else { Ok(()) }
    }

    /// Removes what there is of a snapshot: half a one only takes up room.
    fn give_snapshot_up(&mut self) {
        self.snapshot = None;
        // If it cannot be removed either, the next one begins in its place.
        let _ = self.disk.remove(names::PART);
    }

    /// Puts the snapshot in place of everything older.
    fn finish_snapshot(&mut self) -> io::Result<()> {
        let Some(mut snapshot) = self.snapshot.take() else { return Ok(()) };
        snapshot.file.append.sync()?;
        self.disk.rename(names::PART, &names::snapshot(self.generation))?;
        self.disk.sync_names()?;
        self.snapshot_bytes = snapshot.file.bytes;
        (self.snapshot_due, self.snapshot_failed) = (false, None);
        for name in self.disk.list()? {
            let old = names::generation(&name).is_some_and(|number| number < self.generation);
            if old && self.damaged.contains(&name) {
                self.disk.rename(&name, &names::damaged(&name))?;
            } else if old {
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
        self.give_snapshot_up();
        self.shared.status.set(Condition::Failing);
    }
}

/// So many shards are due after this much of a round.
fn share_of_round(elapsed: Duration) -> usize {
    let share = elapsed.as_micros() * SHARDS as u128 / ROUND.as_micros();
    usize::try_from(share).unwrap_or(SHARDS).min(SHARDS)
}
