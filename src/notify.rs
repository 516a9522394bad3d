//! Alerts on their way to people: a bounded queue, and the worker that posts what is in it.
//!
//! Whoever raises an alert never waits. Knows nothing of limits and counters, and decides nothing:
//! once per threshold, window and counter is for whoever raises.

mod courier;
mod desk;
mod form;
mod outcome;
mod patience;
mod resolver;
mod signature;

pub use self::courier::{Courier, Unbuildable};
pub use self::outcome::Counts;
pub use self::patience::Patience;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::alert::Alert;

use self::desk::Desk;
use self::outcome::Tally;

/// So many alerts may be raised before the worker takes the first: a burst in which every
/// customer of a plan crosses a threshold within one turn of the worker, at half a megabyte.
pub const QUEUE_MAX: usize = 1024;

/// The end at which alerts are raised.
#[derive(Debug)]
pub struct Notifier {
    sender: mpsc::Sender<Alert>,
    tally: Arc<Tally>,
}

/// The end at which they are taken.
#[derive(Debug)]
pub struct Queue {
    receiver: mpsc::Receiver<Alert>,
    tally: Arc<Tally>,
}

/// The two ends of a new queue.
pub fn queue() -> (Notifier, Queue) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let tally = Arc::new(Tally::default());
    (Notifier { sender, tally: tally.clone() }, Queue { receiver, tally })
}

impl Notifier {
    /// Hands an alert to the worker. Never waits: what finds no place is dropped and counted.
    pub fn raise(&self, alert: Alert) {
        match self.sender.try_send(alert) {
            Ok(()) => {}
            Err(TrySendError::Full(alert)) => {
                self.tally.dropped(&alert, alert.at, "too many alerts wait");
            }
            Err(TrySendError::Closed(alert)) => {
                self.tally.dropped(&alert, alert.at, "the server is ending");
            }
        }
    }

    /// What became of the alerts so far.
    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }
}

impl Queue {
    /// Delivers what is raised until `stop` ends, then for at most `drain_max` what still waits.
    ///
    /// Several alerts are on their way at once, to different receivers, so that one that hangs
    /// does not hold up the others. Must run where timers and sockets work.
    pub async fn deliver(
        mut self,
        courier: Courier,
        stop: impl Future<Output = ()>,
        drain_max: Duration,
    ) {
        let mut stop = pin!(stop);
        let mut desk = Desk::new(&courier, &self.tally);
        loop {
            tokio::select! {
                alert = self.receiver.recv(), if desk.has_room() => match alert {
                    Some(alert) => desk.take(alert),
                    None => break,
                },
                () = desk.delivered() => {}
                () = stop.as_mut() => break,
            }
        }
        self.receiver.close();
        let rest = async {
            loop {
                while desk.has_room()
                    && let Ok(alert) = self.receiver.try_recv()
                {
                    desk.take(alert);
                }
                if desk.len() == 0 {
                    return;
                }
                desk.delivered().await;
            }
        };
        if tokio::time::timeout(drain_max, rest).await.is_err() {
            self.tally.cut_short(desk.len() + self.receiver.len());
        }
    }
}
