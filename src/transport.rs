//! Listening, accepting, serving connections, and draining them.
//!
//! Our own loop rather than tonic's, which spins when file descriptors run out, has no end to its
//! drain, and erases hyper's bounds. Knows bytes and connections, and nothing of what is served.

mod accept;
mod connection;
mod desk;
mod exchange;
mod http2;
mod library;
pub mod people;
mod preface;
mod silence;
mod unix;
mod waiting;

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::accept::Backoff;
pub use self::connection::Served;
pub use self::desk::{Desk, Listeners, desk, distribute, work};
pub use self::http2::{Answered, Later, Method, Refusal};
pub use self::library::Services;
pub use self::unix::Unix;

/// Open connections. A mesh opens one for each worker of each proxy, so this serves thousands of
/// proxies; beyond it, new ones wait in the listener's queue instead of taking memory.
const CONNECTIONS_MAX: usize = 16_384;

/// What became of the connections when serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections cut at the deadline with calls still open.
    pub cut: usize,
}

/// How much is accepted, and how long the end may take.
#[derive(Clone, Copy)]
struct Bounds {
    connections_max: usize,
    drain_deadline: Duration,
}

/// Runs `serve` for each connection until told to stop, and then until all have ended.
async fn accept_until_stopped<F>(
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    bounds: Bounds,
    serve: impl Fn(TcpStream) -> F,
) -> Drained
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut backoff = Backoff::default();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            stream = accept::accept(&listener, &mut backoff),
                if connections.len() < bounds.connections_max =>
            {
                connections.spawn(serve(stream));
            }
        }
    }
    drop(listener);
    drain(connections, bounds.drain_deadline).await
}

/// Ends when the other side says stop, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

async fn drain(mut connections: JoinSet<()>, deadline: Duration) -> Drained {
    let all = async { while connections.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout(deadline, all).await;
    let cut = if in_time.is_ok() { 0 } else { connections.len() };
    connections.shutdown().await;
    Drained { cut }
}
