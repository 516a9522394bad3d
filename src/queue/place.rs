//! The place of one call that waits.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::key::CounterKey;

use super::Lines;

/// A call's place in its lines. Dropping it leaves them: that is how a call that is cancelled, and
/// whose future goes with everything in it, is no longer waited for.
#[derive(Debug)]
pub struct Place {
    pub(super) lines: Arc<Lines>,
    pub(super) number: u64,
    pub(super) keys: SmallVec<[CounterKey; 2]>,
    pub(super) woken: Arc<Notify>,
    /// Whether it has been left already.
    pub(super) over: bool,
    waited_us: u64,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Admitted,
    Refused,
    Cancelled,
}

impl Ended {
    pub(super) const COUNT: usize = 3;
}

impl Place {
    pub(super) fn new(lines: Arc<Lines>, number: u64) -> Place {
        let (keys, woken) = (SmallVec::new(), Arc::new(Notify::new()));
        Place { lines, number, keys, woken, over: false, waited_us: 0 }
    }

    /// Ends when something has changed, or may have, other than by time; a change since the last
    /// look counts.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Microseconds that the call has stood here.
    pub fn waited_us(&self) -> u64 {
        self.waited_us
    }

    pub fn has_waited(&mut self, us: u64) {
        self.waited_us = self.waited_us.saturating_add(us);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.over {
            let lines = self.lines.clone();
            lines.open().end(self, Ended::Cancelled);
        }
    }
}
