//! What the callers and the journal's writer share: counters that must be on disk before an answer
//! leaves, and how far the disk has come.
//!
//! Callers hand over keys, not states: the writer reads the state when it writes, so what it
//! writes of a counter is never older than what it wrote before.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Status;
use crate::key::CounterKey;
use crate::store::NoteKey;

/// A disk that takes longer than this is as good as one that fails. Callers have mostly given up
/// long before; this is for those who set no deadline.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of a batch: everything that was handed over until it is written together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The disk could not keep a record: what depends on it must not be promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written")]
pub struct NotWritten;

/// How far the disk has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// All batches up to this one are decided.
    decided: Ticket,
    /// All up to this one are lost, unless a later snapshot has them.
    failed: Ticket,
    /// The writer has ended: nothing more will be decided.
    closed: bool,
}

/// What is to be written as soon as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    Counter(CounterKey),
    Note(NoteKey),
}

/// Callers wait for what they hand over, so this is bounded by the calls in flight.
#[derive(Debug, Default)]
struct Waiting {
    keys: Vec<Handed>,
    /// The batch that is being gathered.
    batch: u64,
    stopping: bool,
}

/// One batch, as the writer takes it.
#[derive(Debug)]
pub struct Batch {
    pub keys: Vec<Handed>,
    pub ticket: Ticket,
    /// No further batch will come but what is gathered until the writer ends.
    pub stopping: bool,
}

/// The place where callers and the writer meet.
#[derive(Debug)]
pub struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    progress: watch::Sender<Progress>,
    pub status: Status,
}

impl Shared {
    pub fn new() -> Shared {
        let waiting = Waiting { batch: 1, ..Waiting::default() };
        Shared {
            waiting: Mutex::new(waiting),
            arrived: Condvar::new(),
            progress: watch::Sender::new(Progress::default()),
            status: Status::default(),
        }
    }

    /// Asks for something to be written as soon as can be. The ticket tells when it is.
    pub fn hand_over(&self, key: Handed) -> Ticket {
        let mut waiting = self.lock();
        waiting.keys.push(key);
        let ticket = Ticket(waiting.batch);
        drop(waiting);
        self.arrived.notify_one();
        ticket
    }

    /// Ends when the batch is on disk, or is known not to be, or when patience ends.
    pub async fn written(&self, ticket: Ticket) -> Result<(), NotWritten> {
        let mut progress = self.progress.subscribe();
        let decided = progress.wait_for(|now| now.closed || ticket <= now.decided);
        match tokio::time::timeout(PATIENCE, decided).await {
            Ok(Ok(now)) if ticket <= now.decided && now.failed < ticket => Ok(()),
            _ => Err(NotWritten),
        }
    }

    /// The writer's side: it has ended.
    pub fn close(&self) {
        self.progress.send_modify(|progress| progress.closed = true);
    }

    /// Tells the writer to write what there is and end.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.arrived.notify_one();
    }

    /// The writer's side: the next batch, as soon as anything is handed over, or an empty one
    /// when the time is up.
    pub fn take(&self, patience: Duration) -> Batch {
        let waiting = self.lock();
        let idle = |waiting: &mut Waiting| waiting.keys.is_empty() && !waiting.stopping;
        let waited = self.arrived.wait_timeout_while(waiting, patience, idle);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        let ticket = Ticket(waiting.batch);
        waiting.batch += 1;
        Batch { keys: std::mem::take(&mut waiting.keys), ticket, stopping: waiting.stopping }
    }

    /// The writer's side: what became of a batch.
    pub fn settle(&self, ticket: Ticket, written: bool) {
        self.progress.send_modify(|progress| {
            progress.decided = ticket;
            if !written {
                progress.failed = ticket;
            }
        });
    }

    /// A poisoned lock means that a caller died between two whole steps; what it guards is sound.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Shared {
    fn default() -> Shared {
        Shared::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Handed = Handed::Counter(CounterKey::from_u128(1));

    #[tokio::test]
    async fn callers_learn_what_became_of_their_own_batch() {
        let shared = Shared::new();
        let (first, same) = (shared.hand_over(KEY), shared.hand_over(KEY));
        assert_eq!(first, same);
        let batch = shared.take(Duration::ZERO);
        let second = shared.hand_over(KEY);
        assert!(first < second);
        shared.settle(batch.ticket, true);
        assert_eq!(shared.written(first).await, Ok(()));
        let batch = shared.take(Duration::ZERO);
        shared.settle(batch.ticket, false);
        assert_eq!(shared.written(second).await, Err(NotWritten));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_writer_that_has_ended() {
        let shared = Shared::new();
        let before = shared.hand_over(KEY);
        shared.close();
        assert_eq!(shared.written(before).await, Err(NotWritten));
        assert_eq!(shared.written(shared.hand_over(KEY)).await, Err(NotWritten));
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_does_not_answer_is_not_waited_for_for_ever() {
        let shared = Shared::new();
        assert_eq!(shared.written(shared.hand_over(KEY)).await, Err(NotWritten));
    }
}
