//! A server's data directory in use: from waiting for its lock to the last write.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::gate::Gate;
use crate::store::journal::{self, Home, Lock, Shared};
use crate::time::Stopwatch;

/// How often the lock is asked for while another server holds it. A rolling update waits for it,
/// and this is what the hand-over costs on top of the old server's drain.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Where state is kept, and how long to wait for a predecessor to let go of it.
#[derive(Debug)]
pub struct Data {
    pub home: Home,
    pub lock_wait: Duration,
}

/// Why a server could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "another server still uses {path} after {waited:?}; stop it, give this one a directory of \
         its own, or wait longer with --lock-wait-seconds",
        path = path.display()
    )]
    InUse { path: PathBuf, waited: Duration },
    #[error("cannot use {path}: {why}", path = path.display())]
    Unusable { path: PathBuf, why: io::Error },
    #[error("cannot start the side for people: {0}")]
    People(io::Error),
    #[error("cannot start the threads that serve calls: {0}")]
    Workers(io::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

/// How long the last write may take. A disk that hangs must not keep a process from ending.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// A directory in use. The writer holds its lock.
#[derive(Debug)]
pub struct Keeping {
    writer: JoinHandle<()>,
    journal: Arc<Shared>,
}

impl Data {
    /// Waits for the lock, puts what is on disk into the gate's counters, and starts the writer.
    pub async fn open(self, gate: &Gate, journal: Arc<Shared>) -> Result<Keeping, Error> {
        let lock = self.lock().await?;
        let path = self.home.path().to_owned();
        let unusable = |why| Error::Unusable { path: path.clone(), why };
        let disk = Arc::new(self.home.disk().map_err(unusable)?);
        let (counters, clock) = (gate.memory().clone(), gate.clock().clone());
        let (shared, watch) = (journal.clone(), Stopwatch::start());
        let reading =
            tokio::task::spawn_blocking(move || journal::open(disk, counters, shared, clock));
        // A panic while reading must not be taken for an empty journal.
        let opened = reading.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        let (writer, restored) = opened?;
        for damage in &restored.damage {
            tracing::warn!("the journal: {damage}");
        }
        let (counters, ms) = (restored.counters, watch.elapsed().as_millis());
        tracing::info!(counters, ms, path = %path.display(), "restored");
        let space = gate.memory().space();
        if space.ceiling() < space.used() {
            tracing::warn!(
                bytes = space.used(),
                ceiling = space.ceiling(),
                "what was restored takes more than --max-memory; it is kept, and new keys share \
                 counters until enough of it has expired"
            );
        }
        let thread = thread::Builder::new().name("journal".into());
        // The lock goes with the writer: as long as one may still write, no other may begin.
        let run = move || {
            writer.run();
            drop(lock);
        };
        let writer = thread.spawn(run).map_err(unusable)?;
        Ok(Keeping { writer, journal })
    }

    async fn lock(&self) -> Result<Lock, Error> {
        let waiting = Stopwatch::start();
        let path = || self.home.path().to_owned();
        let mut said = false;
        loop {
            match self.home.try_lock() {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) if self.lock_wait <= waiting.elapsed() => {
                    return Err(Error::InUse { path: path(), waited: self.lock_wait });
                }
                Ok(None) => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::info!(path = %path().display(), "waiting for another server");
                    }
                    tokio::time::sleep(LOCK_POLL).await;
                }
                Err(why) => return Err(Error::Unusable { path: path(), why }),
            }
        }
    }
}

impl Keeping {
    /// Writes what is left, and lets go of the directory.
    pub async fn close(self) {
        self.journal.stop();
        let ended = tokio::task::spawn_blocking(move || self.writer.join());
        match tokio::time::timeout(CLOSE_MAX, ended).await {
            Ok(Ok(Ok(()))) => {}
            Ok(_) => tracing::error!("the journal's writer ended before its time"),
            Err(_) => tracing::error!("the disk hangs; the last hits may not be kept"),
        }
    }
}
