//! The people's port: HTTP/1.1 and HTTP/2 for a few peers at a time, told apart by their first
//! words.

use std::pin::pin;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::audit::Who;

use super::{Bounds, Drained, accept_until_stopped, preface, stopped};

/// People and their programs are few; beyond this, new ones wait in the listener's queue.
const CONNECTIONS_MAX: usize = 256;

/// Requests in flight on one connection.
const STREAMS_MAX: u32 = 64;

/// How long a peer of HTTP/1 may take to say what it wants, also between two requests.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);

/// Headers of one request: entries may stand in its path, and a proxy forwards 60 KiB at most.
const HEADER_BYTES_MAX: usize = 128 << 10;

/// After this silence a peer of HTTP/2 is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// How long it may take to say so.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves `router` until `stop` turns true, then ends as the data side does.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: watch::Receiver<bool>,
    drain_deadline: Duration,
) -> Drained {
    let bounds = Bounds { connections_max: CONNECTIONS_MAX, drain_deadline };
    let serve = |stream| connection(stream, router.clone(), stop.clone());
    accept_until_stopped(listener, stop.clone(), bounds, serve).await
}

/// Serves until the peer leaves, or until told to stop and all its requests are answered.
async fn connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    // A peer without an address has left already.
    let Ok(peer) = stream.peer_addr() else { return };
    let greeted = tokio::select! {
        greeted = preface::either(stream) => greeted,
        () = stopped(&mut stop) => return,
    };
    let stream = match greeted {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "connection refused");
            return;
        }
    };
    let service = TowerToHyperService::new(router.layer(Extension(Who(peer))));
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "connection ended");
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}
