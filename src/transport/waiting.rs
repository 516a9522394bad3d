//! Answers of one connection that are waited for: for room, or for the disk.

use std::collections::HashMap;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::task::{AbortHandle, JoinSet};

use super::http2::{Later, Method, Outbox, Refusal, Session};

/// One task for each; all end with the connection.
#[derive(Default)]
pub struct Waiting {
    answers: JoinSet<(u32, Result<BytesMut, Refusal>)>,
    handles: HashMap<u32, AbortHandle>,
}

impl Waiting {
    /// Takes over what a session wants to be waited for, drops what nobody waits for any more, and
    /// hands in what has come. Says whether anything has.
    pub fn exchange<M: Method>(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session<M>,
        outbox: &mut Outbox,
    ) -> bool {
        for (stream, later) in outbox.later.drain(..) {
            self.wait(stream, later);
        }
        for stream in outbox.gone.drain(..) {
            if let Some(handle) = self.handles.remove(&stream) {
                handle.abort();
            }
        }
        let mut moved = false;
        while !self.answers.is_empty()
            && let Poll::Ready(Some(answer)) = self.answers.poll_join_next(cx)
        {
            // One that was aborted has left the handles already.
            if let Ok((stream, answer)) = answer {
                self.handles.remove(&stream);
                session.complete(stream, answer, outbox);
                moved = true;
            }
        }
        moved
    }

    fn wait(&mut self, stream: u32, later: Later) {
        let handle = self.answers.spawn(async move { (stream, later.await) });
        self.handles.insert(stream, handle);
    }
}
