//! Bytes on their way between a peer, its session, and the HTTP library.
//!
//! What came with one read is answered with one write. While a peer does not read its answers,
//! nothing more is read from it, so that what one connection holds is bounded whatever its peer
//! does. The library gets a pipe of its own when there is something for it, and not before.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;

use super::http2::{Method, Outbox, Reason, Session};
use super::library::{Library, Services};
use super::silence::{Due, Silence};
use super::waiting::Waiting;

/// What is read at once: some three hundred calls.
const READ_BYTES: usize = 64 << 10;

/// Nothing is read while so much waits to be written: to a peer that is slow to read its answers,
/// or to the library.
const UNWRITTEN_BYTES_MAX: usize = 256 << 10;

/// A buffer that has grown beyond this for once is not kept.
const SPARE_BYTES_MAX: usize = 256 << 10;

/// Turns in one go, each with a read, before other connections of the thread have theirs.
const TURNS_MAX: usize = 4;

/// How long a peer that is sent away may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

thread_local! {
    /// Where everything is read to, so that a connection at rest holds no buffer.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
    /// Where answers are written, for the same reason. A connection whose peer does not read keeps
    /// it until it does.
    static SPARE: RefCell<BytesMut> = RefCell::default();
}

/// A connection and all that serves it.
pub struct Exchange<I, M, S> {
    stream: I,
    session: Session<M>,
    outbox: Outbox,
    /// The beginning of a frame whose rest has not come.
    unread: BytesMut,
    services: S,
    backend: Option<Library>,
    waiting: Waiting,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    silence: Silence,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Serving,
    /// Told to stop: what was accepted is still answered.
    Ending,
    /// Nothing more is read.
    Leaving,
}

impl<I, M, S> Exchange<I, M, S>
where
    I: AsyncRead + AsyncWrite + Unpin,
    M: Method,
    S: Services,
{
    /// An exchange with a peer that has said the preface.
    pub fn new(
        stream: I,
        method: M,
        services: S,
        mut stop: watch::Receiver<bool>,
    ) -> Exchange<I, M, S> {
        let mut outbox = Outbox::default();
        let session = Session::start(method, &mut outbox);
        Exchange {
            stream,
            session,
            outbox,
            unread: BytesMut::new(),
            services,
            backend: None,
            waiting: Waiting::default(),
            stop: Box::pin(async move { super::stopped(&mut stop).await }),
            silence: Silence::new(),
            state: State::Serving,
        }
    }

    /// Serves until the peer leaves, or until told to stop and all accepted calls are answered.
    pub async fn run(mut self) {
        if let Err(error) = std::future::poll_fn(|cx| self.poll(cx)).await {
            // A peer that goes away is no fault of ours.
            tracing::debug!(%error, "connection ended");
            return;
        }
        let farewell = async {
            self.stream.write_all_buf(&mut self.outbox.peer).await?;
            self.stream.shutdown().await
        };
        // Whoever does not read why it is left is not waited for.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    /// Ready when the peer has left, or is to be.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state == State::Serving && self.stop.as_mut().poll(cx).is_ready() {
            self.state = State::Ending;
            self.session.end(&mut self.outbox);
        }
        match self.silence.due(cx) {
            Due::Nothing => {}
            Due::Ask => self.session.ping(&mut self.outbox),
            Due::Leave => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
        self.borrow_buffer();
        for _ in 0..TURNS_MAX {
            let moved = self.turn(cx)?;
            if self.is_over() {
                return Poll::Ready(Ok(()));
            }
            if !moved {
                self.return_buffer();
                return Poll::Pending;
            }
        }
        self.return_buffer();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves what can be moved, and says whether there may be more.
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let may_read = self.may_read();
        let mut moved = may_read && self.poll_read(cx)?.is_ready();
        moved |= self.waiting.exchange(cx, &mut self.session, &mut self.outbox);
        moved |= self.exchange_with_library(cx);
        self.write(cx)?;
        // What may be read only now has to be asked for, or nothing would wake this task for it.
        Ok(moved || !may_read && self.may_read())
    }

    fn is_over(&self) -> bool {
        let has_ended = self.state == State::Ending && self.session.has_ended();
        self.state == State::Leaving || has_ended && self.outbox.peer.is_empty()
    }

    fn may_read(&self) -> bool {
        let unwritten = self.outbox.peer.len().max(self.outbox.relayed.len());
        unwritten < UNWRITTEN_BYTES_MAX
    }

    /// Reads once, and lets the session take in what came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        READ.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                self.state = State::Leaving;
            }
            self.silence.is_broken();
            self.receive(read.filled());
            Poll::Ready(Ok(()))
        })
    }

    fn receive(&mut self, read: &[u8]) {
        let received = if self.unread.is_empty() {
            self.session.receive(read, &mut self.outbox).map(|done| {
                self.unread.extend_from_slice(&read[done..]);
            })
        } else {
            self.unread.extend_from_slice(read);
            self.session.receive(&self.unread, &mut self.outbox).map(|done| {
                self.unread.advance(done);
            })
        };
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        if let Err(reason) = received {
            self.leave(reason);
        }
    }

    fn leave(&mut self, reason: Reason) {
        tracing::debug!(?reason, "the peer broke the rules of HTTP/2");
        self.session.fail(reason, &mut self.outbox);
        self.state = State::Leaving;
    }

    fn exchange_with_library(&mut self, cx: &mut Context<'_>) -> bool {
        if self.backend.is_none() {
            if self.outbox.relayed.is_empty() {
                return false;
            }
            self.backend = Some(Library::start(self.services.clone()));
        }
        let Some(library) = &mut self.backend else { return false };
        let moved = library.exchange(cx, &mut self.session, &mut self.outbox);
        moved.unwrap_or_else(|_| {
            self.backend = None;
            if let Err(reason) = self.session.relay_ended(&mut self.outbox) {
                self.leave(reason);
            }
            true
        })
    }

    /// Writes as much as the peer takes.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let unwritten = &mut self.outbox.peer;
        let mut written = 0;
        while written < unwritten.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &unwritten[written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(bytes) => written += bytes?,
                Poll::Pending => break,
            }
        }
        if written == unwritten.len() {
            unwritten.clear();
        } else {
            unwritten.advance(written);
        }
        // What a stream holds back to fill a record is to go out as well.
        if let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) {
            flushed?;
        }
        Ok(())
    }

    fn borrow_buffer(&mut self) {
        if self.outbox.peer.is_empty() {
            self.outbox.peer = SPARE.take();
        }
    }

    fn return_buffer(&mut self) {
        if self.outbox.peer.is_empty() && self.outbox.peer.capacity() <= SPARE_BYTES_MAX {
            SPARE.set(std::mem::take(&mut self.outbox.peer));
        }
    }
}
