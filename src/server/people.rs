//! The people's side of a server: a thread and a runtime of its own.
//!
//! So it answers when the data path is full, and nothing that people ask for delays a decision.
//! Alerts are delivered here too, for the same reason: what a receiver costs in look-ups and TLS is
//! spent on people's thread, whose requests can wait for it, and never on one that decides.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task;

use crate::audit::Audit;
use crate::gate::Gate;
use crate::http::{self, Access};
use crate::notify::{Courier, Patience};
use crate::quota::Quota;
use crate::transport;

/// How long requests in flight may take to end when the calls have: a change waits for the disk and
/// for nothing else.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// How long alerts may take to go out when all else has ended: a try or two of a receiver that
/// answers, and no more than a stop can bear.
const ALERTS_DRAIN_MAX: Duration = Duration::from_secs(3);

/// What the people's side is put together from.
#[derive(Debug)]
pub struct People {
    /// Bound, and not yet any runtime's.
    pub listener: TcpListener,
    pub access: Access,
    pub audit: Audit,
}

/// The people's side, running.
#[derive(Debug)]
pub struct Running {
    stopping: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl People {
    pub fn start(self, gate: Arc<Gate>, drain_deadline: Duration) -> io::Result<Running> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        self.listener.set_nonblocking(true)?;
        let listener = {
            // A listener belongs to the runtime that it is made in.
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener)?
        };
        let (ending, ended) = oneshot::channel::<()>();
        let ended = async { drop(ended.await) };
        let alerting = alerting(&runtime, &gate, ended, drain_deadline)?;
        let quota = Arc::new(Quota::new(gate, self.audit));
        let router = http::router(quota, Arc::new(self.access));
        let (stopping, stopped) = watch::channel(false);
        let deadline = drain_deadline.min(DRAIN_MAX);
        let serve = move || {
            let drained =
                runtime.block_on(transport::people::serve(listener, router, stopped, deadline));
            if drained.cut > 0 {
                tracing::warn!(connections = drained.cut, "requests of people were cut short");
            }
            // Nobody is left who could raise one: calls have ended, and now requests have.
            drop(ending);
            if let Some(alerting) = alerting
                && let Err(error) = runtime.block_on(alerting)
            {
                tracing::error!(%error, "the delivery of alerts ended before its time");
            }
            // A line for the audit log may still wait for a disk that hangs.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("people".into()).spawn(serve)?;
        Ok(Running { stopping, thread })
    }
}

/// Delivers what the gate's decisions raise, until `ended` and a little longer.
fn alerting(
    runtime: &Runtime,
    gate: &Gate,
    ended: impl Future<Output = ()> + Send + 'static,
    drain_deadline: Duration,
) -> io::Result<Option<task::JoinHandle<()>>> {
    let Some(alerts) = gate.alerts_to_deliver() else { return Ok(None) };
    let courier = Courier::new(Patience::default(), gate.clock().clone());
    let courier = courier.map_err(io::Error::other)?;
    let drain_max = drain_deadline.min(ALERTS_DRAIN_MAX);
    Ok(Some(runtime.spawn(alerts.deliver(courier, ended, drain_max))))
}

impl Running {
    /// Takes no more requests, and waits until those that were taken are answered.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        let ended = task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the people's side ended before its time");
        }
    }
}
