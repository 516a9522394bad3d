//! Assembly: puts the parts of a server together, starts them, and ends them in order.
//!
//! Spawns what runs beside the calls and joins it; only connections are the transport's own, and
//! reloads the command's. It is handed listeners that are bound already and a future that means
//! "stop", so that a test needs neither port nor signal.

mod keeping;
mod people;
mod workers;

pub use self::keeping::{Data, Error};
pub use self::people::People;

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::MissedTickBehavior;

use crate::gate::Gate;
use crate::grpc::{self, Health};
use crate::store::SHARDS;
use crate::transport::Drained;

use self::keeping::Keeping;
use self::workers::Workers;

/// All counters are looked through once in this time for those that expired.
const SWEEP_ROUND: Duration = Duration::from_secs(60);

/// Sweeping happens this often, a few shards at a time.
const SWEEP_TICK: Duration = Duration::from_millis(100);

/// Shards to a tick, so that a round takes its time.
const SWEEP_SHARDS: usize =
    SHARDS.div_ceil((SWEEP_ROUND.as_millis() / SWEEP_TICK.as_millis()) as usize);

/// What a server is put together from.
#[derive(Debug)]
pub struct Parts {
    /// Where decisions are asked for.
    pub listener: TcpListener,
    pub people: People,
    pub gate: Arc<Gate>,
    pub data: Option<Data>,
    /// Whether `ShouldRateLimit` is answered ahead of tonic's routes, or by them as all else is.
    pub hot: bool,
    /// How many threads serve connections.
    pub threads: NonZeroUsize,
}

/// Serves until `stop` ends, then drains within `drain_deadline`.
///
/// With `data`, what is on disk is restored first, and health says NOT_SERVING until it is. While
/// draining it says so again, and accepted calls are answered. The people's side says so too, and
/// ends after the calls have.
pub async fn run(
    parts: Parts,
    stop: impl Future<Output = ()>,
    drain_deadline: Duration,
) -> Result<Drained, Error> {
    let Parts { listener, people, gate, data, hot, threads } = parts;
    let mut stop = pin!(stop);
    let people = people.start(gate.clone(), drain_deadline).map_err(Error::People)?;
    let mut health = Health::starting().await;
    let routes = grpc::routes(gate.clone(), &health);
    let services = grpc::services(hot.then(|| gate.clone()), routes);
    let (stopping, stopped) = watch::channel(false);
    let workers = Workers::start(threads, services, &stopped, drain_deadline);
    let workers = workers.map_err(Error::Workers)?;
    let mut serving = tokio::spawn(workers.serve(listener, stopped));
    let sweeping = tokio::spawn(sweep(gate.clone()));
    let kept = tokio::select! {
        kept = keep(&gate, data) => Some(kept),
        () = stop.as_mut() => None,
    };
    if let Some(Ok(_)) = kept {
        gate.open();
        health.serving().await;
        tracing::info!("ready");
        tokio::select! {
            () = stop => {}
            // Serving ends before it is told to only by a panic, which must not go unnoticed.
            ended = &mut serving => return Ok(unless_panicked(ended)),
        }
    }
    gate.drain();
    health.ending().await;
    stopping.send_replace(true);
    let drained = unless_panicked(serving.await);
    sweeping.abort();
    people.stop().await;
    // All calls have ended, so what the journal writes now is all there will be.
    if let Some(keeping) = kept.transpose()?.flatten() {
        keeping.close().await;
    }
    Ok(drained)
}

fn unless_panicked<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

async fn keep(gate: &Gate, data: Option<Data>) -> Result<Option<Keeping>, Error> {
    match (data, gate.journal()) {
        (Some(data), Some(journal)) => data.open(gate, journal.clone()).await.map(Some),
        _ => Ok(None),
    }
}

/// Drops expired counters a few shards at a time, for ever.
async fn sweep(gate: Arc<Gate>) {
    let mut ticks = tokio::time::interval(SWEEP_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shards = (0..SHARDS).cycle();
    loop {
        ticks.tick().await;
        gate.watch_space();
        for shard in shards.by_ref().take(SWEEP_SHARDS) {
            gate.sweep(shard);
            // Calls that came in meanwhile go first.
            tokio::task::yield_now().await;
        }
    }
}
