//! How long a peer has said nothing, and what follows from it.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::Sleep;

/// After this silence a peer is asked whether it is still there; half-open connections from a
/// vanished host are found and closed.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// How long it may take to say so.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Looks at a peer now and then, and not at each of its words, which would cost every call.
pub struct Silence {
    timer: Pin<Box<Sleep>>,
    has_spoken: bool,
    is_asked: bool,
}

/// What is to be done about a peer's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Ask,
    /// It did not answer.
    Leave,
}

impl Silence {
    pub fn new() -> Silence {
        let timer = Box::pin(tokio::time::sleep(KEEPALIVE_INTERVAL));
        Silence { timer, has_spoken: false, is_asked: false }
    }

    pub fn is_broken(&mut self) {
        self.has_spoken = true;
    }

    /// What is due now. The caller's task is woken when this is to be asked again.
    pub fn due(&mut self, cx: &mut Context<'_>) -> Due {
        let mut is_due = Due::Nothing;
        // Asked again after each reset, because only that has the task woken.
        while self.timer.as_mut().poll(cx).is_ready() {
            let (due, wait) = match (self.has_spoken, self.is_asked) {
                (true, _) => (Due::Nothing, KEEPALIVE_INTERVAL),
                (false, false) => (Due::Ask, KEEPALIVE_TIMEOUT),
                (false, true) => return Due::Leave,
            };
            (self.has_spoken, self.is_asked) = (false, due == Due::Ask);
            let next = self.timer.deadline() + wait;
            self.timer.as_mut().reset(next);
            is_due = due;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    async fn due_after(silence: &mut Silence, wait: Duration) -> Due {
        tokio::time::advance(wait).await;
        poll_fn(|cx| Poll::Ready(silence.due(cx))).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_is_asked_and_then_left() {
        let mut silence = Silence::new();
        assert_eq!(due_after(&mut silence, KEEPALIVE_INTERVAL / 2).await, Due::Nothing);
        assert_eq!(due_after(&mut silence, KEEPALIVE_INTERVAL / 2).await, Due::Ask);
        assert_eq!(due_after(&mut silence, KEEPALIVE_TIMEOUT / 2).await, Due::Nothing);
        assert_eq!(due_after(&mut silence, KEEPALIVE_TIMEOUT / 2).await, Due::Leave);
    }

    /// The timer once was not looked at after it had been set anew, so nothing woke the task of a
    /// peer that had been asked and was gone.
    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_left_without_anything_else_happening() {
        let mut silence = Silence::new();
        let left = poll_fn(|cx| match silence.due(cx) {
            Due::Leave => Poll::Ready(()),
            Due::Ask | Due::Nothing => Poll::Pending,
        });
        let patience = 2 * (KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT);
        tokio::time::timeout(patience, left).await.expect("it is left in time");
    }

    #[tokio::test(start_paused = true)]
    async fn who_speaks_is_left_in_peace() {
        let mut silence = Silence::new();
        for _ in 0..3 {
            silence.is_broken();
            assert_eq!(due_after(&mut silence, KEEPALIVE_INTERVAL).await, Due::Nothing);
        }
        assert_eq!(due_after(&mut silence, KEEPALIVE_INTERVAL).await, Due::Ask);
        silence.is_broken();
        assert_eq!(due_after(&mut silence, KEEPALIVE_TIMEOUT).await, Due::Nothing);
        assert_eq!(due_after(&mut silence, KEEPALIVE_INTERVAL).await, Due::Ask);
    }
}
