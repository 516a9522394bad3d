//! One HTTP/2 connection, from its first byte to its last.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::preface;

/// Calls in flight on one connection. Envoy's circuit breaker holds back at 1,024 by default, so
/// that a proxy meets its own bound first.
const STREAMS_MAX: u32 = 2048;

/// Calls reset before they were looked at. Envoy gives up after 20 ms by default and resets in
/// bulk; hyper's 20 would then end the connection, and with it every call on it.
const PENDING_RESETS_MAX: usize = 1024;

/// Streams that we reset for an error of the peer's, before the connection is ended: hyper's own
/// bound against floods of bad streams, written out because leaving it to others has lost it.
const ERROR_RESETS_MAX: usize = 1024;

/// Headers of one call, decoded. A proxy sends a few hundred bytes; tracing and metadata more.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// What one call may send ahead of our reading it: all that a request may be.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// The same for a connection, over all its calls.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Answers waiting for one peer to read them. They are small; a peer that reads nothing must not
/// hold more than this.
const SEND_BUFFER_BYTES_MAX: usize = 256 << 10;

/// After this silence a peer is asked whether it is still there; half-open connections from a
/// vanished host are found and closed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// How long it may take to say so.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// What is served on a connection.
pub trait Services:
    Service<
        Request<Incoming>,
        Response = Response<Self::Reply>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
    type Reply: Body<Data = Bytes, Error: Error + Send + Sync> + Send + 'static;
}

impl<S, B> Services for S
where
    S: Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Error + Send + Sync> + Send + 'static,
{
    type Reply = B;
}

/// Serves until the peer leaves, or until told to stop and all accepted calls are answered.
pub async fn serve(stream: TcpStream, services: impl Services, mut stop: watch::Receiver<bool>) {
    let greeted = tokio::select! {
        greeted = preface::read(stream) => greeted,
        // Who has not said a word yet has asked nothing.
        () = super::stopped(&mut stop) => return,
    };
    let stream = match greeted {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "connection refused");
            return;
        }
    };
    let mut connection = pin!(builder().serve_connection(TokioIo::new(stream), services));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = super::stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A peer that goes away or speaks another protocol is no fault of ours.
        tracing::debug!(%error, "connection ended");
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}
