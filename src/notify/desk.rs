//! Which alerts are on their way and which wait: a fair share for each receiver.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::alert::Alert;

use super::courier::Courier;
use super::outcome::Tally;

/// Alerts on their way at once: so many receivers may be slow before they delay another.
const ON_THEIR_WAY_MAX: usize = 32;

/// Of these to one receiver. A few, because most of the time goes by in waiting for it; and few,
/// because who is told of limits should not be overrun.
const ON_THEIR_WAY_EACH_MAX: usize = 4;

/// Alerts that wait for their turn, beside those that are still in the queue.
const WAITING_MAX: usize = 1024;

/// Of these for one receiver: one that is away for long must leave room for the others.
const WAITING_EACH_MAX: usize = 256;

/// The worker's view of its work.
pub struct Desk<'c> {
    courier: &'c Courier,
    tally: &'c Tally,
    waiting: VecDeque<Waiting>,
    on_their_way: Vec<OnItsWay<'c>>,
}

struct Waiting {
    /// The receiver's scheme, host and port.
    origin: String,
    alert: Alert,
}

struct OnItsWay<'c> {
    origin: String,
    delivery: Pin<Box<dyn Future<Output = ()> + Send + 'c>>,
}

impl<'c> Desk<'c> {
    pub fn new(courier: &'c Courier, tally: &'c Tally) -> Desk<'c> {
        Desk { courier, tally, waiting: VecDeque::new(), on_their_way: Vec::new() }
    }

    pub fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    /// How many alerts are waiting or on their way.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.on_their_way.len()
    }

    /// Sends an alert on its way as soon as its receiver's turn comes.
    pub fn take(&mut self, alert: Alert) {
        let origin = alert.to.webhook().origin();
        let alike = self.waiting.iter().filter(|waiting| waiting.origin == origin).count();
        if WAITING_EACH_MAX <= alike {
            self.tally.dropped(&alert, self.courier.now(), "too many alerts wait for the receiver");
            return;
        }
        self.waiting.push_back(Waiting { origin, alert });
        self.send();
    }

    /// Ends when one delivery has ended, well or not; never while none is on its way. Nothing is
    /// lost if this is given up meanwhile.
    pub async fn delivered(&mut self) {
        poll_fn(|context| self.poll(context)).await;
        self.send();
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // All are asked, since any of them may have been woken; there are only a few.
        let mut all = self.on_their_way.iter_mut();
        match all.position(|one| one.delivery.as_mut().poll(context).is_ready()) {
            Some(ended) => {
                self.on_their_way.swap_remove(ended);
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }

    fn send(&mut self) {
        while self.on_their_way.len() < ON_THEIR_WAY_MAX {
            let next = self.waiting.iter().position(|waiting| self.has_turn(&waiting.origin));
            let Some(Waiting { origin, alert }) =
                next.and_then(|position| self.waiting.remove(position))
            else {
                return;
            };
            let delivery = Box::pin(deliver(self.courier, self.tally, alert));
            self.on_their_way.push(OnItsWay { origin, delivery });
        }
    }

    fn has_turn(&self, origin: &str) -> bool {
        let alike = self.on_their_way.iter().filter(|one| one.origin == origin);
        alike.count() < ON_THEIR_WAY_EACH_MAX
    }
}

async fn deliver(courier: &Courier, tally: &Tally, alert: Alert) {
    match courier.deliver(&alert).await {
        Ok(()) => tally.delivered(),
        Err(why) => tally.failed(&alert, courier.now(), &why),
    }
}

impl fmt::Debug for Desk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, on_their_way) = (self.waiting.len(), self.on_their_way.len());
        write!(f, "Desk({waiting} waiting, {on_their_way} on their way)")
    }
}
