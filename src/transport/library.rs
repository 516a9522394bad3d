//! The HTTP library, which serves whatever is not answered in place: over a pipe, or all of a
//! connection if nothing is.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use http::{Request, Response};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead as _, AsyncWrite as _, DuplexStream, ReadBuf};
use tokio::task::JoinSet;

use super::http2::{
    CONNECTION_WINDOW_BYTES, HEADER_BYTES_MAX, LibraryEnded, Method, Outbox, STREAM_WINDOW_BYTES,
    STREAMS_MAX, Session,
};
use super::silence::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};

/// Calls that were not looked at yet when they are reset. Envoy gives up after 20 ms by default and
/// resets in bulk; hyper's 20 would then end the connection, and with it every call on it.
const PENDING_RESETS_MAX: usize = 1024;

/// Streams that are reset for an error of the peer's, before the connection is ended: hyper's own
/// bound against floods of bad streams, written out because leaving it to others has lost it.
const ERROR_RESETS_MAX: usize = 1024;

/// Answers that wait for one peer to read them. They are small; a peer that reads nothing must not
/// hold more than this.
const SEND_BUFFER_BYTES_MAX: usize = 256 << 10;

/// What a pipe holds in each direction.
const PIPE_BYTES: usize = 64 << 10;

/// What is taken out of a pipe at once.
const PART_BYTES: usize = 4 << 10;

/// What the library serves on a connection.
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

/// The library at the other end of a pipe.
pub struct Library {
    pipe: DuplexStream,
    /// What it has said and the peer has no room for yet, or not all of a frame.
    unread: BytesMut,
    /// The library itself, which ends when this is dropped.
    _serving: JoinSet<()>,
}

/// The library as it serves a peer of its own.
pub fn of_a_peer() -> http2::Builder<TokioExecutor> {
    let mut builder = behind_a_pipe();
    builder
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}

fn behind_a_pipe() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        // Twice what the peer may send, since it may hear of room before it is there.
        .initial_connection_window_size(2 * CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX);
    builder
}

impl Library {
    pub fn start(services: impl Services) -> Library {
        let (pipe, other_end) = tokio::io::duplex(PIPE_BYTES);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let serving = behind_a_pipe().serve_connection(TokioIo::new(other_end), services);
            if let Err(error) = serving.await {
                tracing::debug!(%error, "relayed calls ended");
            }
        });
        Library { pipe, unread: BytesMut::new(), _serving: serving }
    }

    /// Moves what can be moved in both directions, and says whether anything was.
    ///
    /// # Errors
    ///
    /// If the library has ended the connection.
    pub fn exchange<M: Method>(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session<M>,
        outbox: &mut Outbox,
    ) -> Result<bool, LibraryEnded> {
        let was_unread = self.unread.len();
        let mut moved = false;
        while let Poll::Ready(read) = self.poll_read(cx) {
            if read.map_err(|_| LibraryEnded)? == 0 {
                return Err(LibraryEnded);
            }
            moved = true;
        }
        if !self.unread.is_empty() {
            let done = session.relay(&self.unread, outbox)?;
            self.unread.advance(done);
            moved |= self.unread.len() < was_unread;
        }
        while !outbox.relayed.is_empty()
            && let Poll::Ready(written) = Pin::new(&mut self.pipe).poll_write(cx, &outbox.relayed)
        {
            outbox.relayed.advance(written.map_err(|_| LibraryEnded)?);
            moved = true;
        }
        Ok(moved)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut part = [0; PART_BYTES];
        let mut part = ReadBuf::new(&mut part);
        ready!(Pin::new(&mut self.pipe).poll_read(cx, &mut part))?;
        self.unread.extend_from_slice(part.filled());
        Poll::Ready(Ok(part.filled().len()))
    }
}
