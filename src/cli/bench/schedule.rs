//! When each call of a run is sent, and when the run is over. Knows neither calls nor servers.
//!
//! A line is a task that makes one call after the other. Closed, each goes on at once. Open, calls
//! are due at a steady rate, whatever became of those before: a line that is free takes what is
//! due, one that is early goes to sleep, and the pacer wakes as many as there are calls due. So
//! no call costs a timer or a task, and under full load nobody is woken at all.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use crate::time::Stopwatch;

/// The runtime's timers are good to a millisecond, which would be most of a latency measured
/// here. A wait that is shorter than this is spent looking at the clock between other tasks.
const SPIN: Duration = Duration::from_millis(2);

/// The longest sleep, so that being told to stop does not go unheard.
const NAP_MAX: Duration = Duration::from_millis(100);

/// How a run goes, for one thread.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Calls a second; none if each line goes on at once.
    pub rate: Option<f64>,
    pub warm_up: Duration,
    pub until: Until,
}

/// When enough has been measured.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Time(Duration),
    Calls(u64),
}

/// A call that is to be sent now.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// When it was due, from the start of the run.
    pub meant_at: Duration,
    /// Whether the warm-up is over.
    pub measured: bool,
}

/// One thread's run.
#[derive(Debug)]
pub struct Schedule {
    plan: Plan,
    since: Stopwatch,
    stop: Arc<AtomicBool>,
    /// Calls handed out.
    issued: Cell<u64>,
    /// Of those, calls that are measured.
    measured: Cell<u64>,
    /// Lines that sleep, by connection, and whose connection is next: calls are spread over
    /// connections evenly, and over the lines of one so that few are busy and stay in the cache.
    idle: RefCell<Vec<Vec<Waker>>>,
    next: Cell<usize>,
    /// Told when a line goes to sleep.
    freed: Notify,
}

impl Schedule {
    /// Starts a run over so many connections.
    pub fn start(plan: Plan, connections: usize, stop: Arc<AtomicBool>) -> Schedule {
        Schedule {
            plan,
            since: Stopwatch::start(),
            stop,
            issued: Cell::new(0),
            measured: Cell::new(0),
            idle: RefCell::new(vec![Vec::new(); connections]),
            next: Cell::new(0),
            freed: Notify::new(),
        }
    }

    /// How long the run has been going on.
    pub fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// How long the part that is measured has.
    pub fn measured_for(&self) -> Duration {
        self.now().saturating_sub(self.plan.warm_up)
    }

    /// The next call of a line of this connection, as soon as one is due; none at the end.
    pub async fn turn(&self, connection: usize) -> Option<Turn> {
        std::future::poll_fn(|context| {
            let now = self.now();
            self.forget_warm_up(now);
            let Some(meant_at) = self.next_at(now) else {
                // The pacer may wait for a line to be free, and none will be.
                self.freed.notify_one();
                return Poll::Ready(None);
            };
            if meant_at <= now {
                return Poll::Ready(Some(self.issue(meant_at)));
            }
            self.idle.borrow_mut()[connection].push(context.waker().clone());
            self.freed.notify_one();
            Poll::Pending
        })
        .await
    }

    /// Once the warm-up is over, what it owes is not sent any more: a server that is asked for
    /// more than it can would otherwise never come to what is measured.
    fn forget_warm_up(&self, now: Duration) {
        if let (Some(rate), true) = (self.plan.rate, self.plan.warm_up <= now) {
            let owed = (self.plan.warm_up.as_secs_f64() * rate).ceil() as u64;
            self.issued.set(self.issued.get().max(owed));
        }
    }

    fn issue(&self, meant_at: Duration) -> Turn {
        let measured = self.plan.warm_up <= meant_at;
        self.issued.set(self.issued.get() + 1);
        self.measured.set(self.measured.get() + u64::from(measured));
        Turn { meant_at, measured }
    }

    /// When the next call is due; none if there is no further one.
    fn next_at(&self, now: Duration) -> Option<Duration> {
        let next_at = match self.plan.rate {
            Some(rate) => Duration::from_secs_f64(self.issued.get() as f64 / rate),
            None => now,
        };
        let over = match self.plan.until {
            Until::Calls(calls) => calls <= self.measured.get(),
            // What is not sent by the end is not sent at all.
            Until::Time(time) => self.plan.warm_up + time <= now.max(next_at),
        };
        (!over && !self.stop.load(Ordering::Relaxed)).then_some(next_at)
    }

    /// Whether no further call will be sent.
    pub fn is_over(&self) -> bool {
        self.next_at(self.now()).is_none()
    }

    /// Wakes lines as calls fall due, to the end of an open run.
    pub async fn pace(&self) {
        loop {
            let now = self.now();
            let Some(next_at) = self.next_at(now) else { return self.wake(usize::MAX) };
            self.wake(self.due(now));
            if self.idle.borrow().iter().all(Vec::is_empty) {
                self.freed.notified().await;
            } else if let Some(nap) = next_at.checked_sub(now + SPIN) {
                tokio::time::sleep(nap.min(NAP_MAX)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    /// How many calls are due and not sent.
    fn due(&self, now: Duration) -> usize {
        let Some(rate) = self.plan.rate else { return 0 };
        let due = (now.as_secs_f64() * rate) as u64 + 1;
        usize::try_from(due.saturating_sub(self.issued.get())).unwrap_or(usize::MAX)
    }

    /// Calls that an open run owed by now, or by its end, and that were not sent.
    pub fn unsent(&self) -> u64 {
        let until = match self.plan.until {
            Until::Time(time) => self.now().min(self.plan.warm_up + time),
            Until::Calls(_) => return 0,
        };
        let Some(rate) = self.plan.rate else { return 0 };
        ((until.as_secs_f64() * rate) as u64).saturating_sub(self.issued.get())
    }

    /// Wakes so many sleeping lines, or all there are.
    fn wake(&self, lines: usize) {
        let mut idle = self.idle.borrow_mut();
        let (mut left, mut empty, connections) = (lines, 0, idle.len());
        while 0 < left && empty < connections {
            let connection = self.next.get();
            self.next.set((connection + 1) % connections);
            match idle[connection].pop() {
                Some(waker) => {
                    waker.wake();
                    (left, empty) = (left - 1, 0);
                }
                None => empty += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::*;

    const ZERO: Duration = Duration::ZERO;

    fn start(plan: Plan, connections: usize) -> Rc<Schedule> {
        Rc::new(Schedule::start(plan, connections, Arc::default()))
    }

    /// Runs one line for each connection, with the pacer, and returns when their calls were due.
    async fn all_turns(schedule: &Rc<Schedule>, connections: usize) -> Vec<Duration> {
        let turns = Rc::new(RefCell::new(Vec::new()));
        let run = LocalSet::new();
        for connection in 0..connections {
            let (schedule, turns) = (schedule.clone(), turns.clone());
            run.spawn_local(async move {
                while let Some(turn) = schedule.turn(connection).await {
                    turns.borrow_mut().push(turn.meant_at);
                    tokio::task::yield_now().await;
                }
            });
        }
        let pacing = schedule.clone();
        run.spawn_local(async move { pacing.pace().await });
        run.await;
        turns.take()
    }

    #[tokio::test]
    async fn a_closed_run_ends_after_its_calls() {
        let plan = Plan { rate: None, warm_up: ZERO, until: Until::Calls(3) };
        let schedule = start(plan, 1);
        for _ in 0..3 {
            assert!(schedule.turn(0).await.is_some_and(|turn| turn.measured));
        }
        assert!(schedule.turn(0).await.is_none() && schedule.is_over());
    }

    #[tokio::test]
    async fn an_open_run_sends_each_call_once_and_names_when_it_was_due() {
        let plan = Plan { rate: Some(2000.0), warm_up: ZERO, until: Until::Calls(50) };
        let schedule = start(plan, 3);
        let turns = all_turns(&schedule, 3).await;
        let due: Vec<_> = (0..50).map(|call| Duration::from_micros(call * 500)).collect();
        assert_eq!(turns, due);
        assert!(due[49] <= schedule.now(), "no call is sent before it is due");
    }

    #[tokio::test]
    async fn an_open_run_owes_what_it_did_not_send_by_its_end() {
        let time = Duration::from_millis(50);
        let plan = Plan { rate: Some(1000.0), warm_up: ZERO, until: Until::Time(time) };
        let schedule = start(plan, 1);
        // Nobody paces here, so that of all the calls due only the first is sent.
        assert!(schedule.turn(0).await.is_some());
        while !schedule.is_over() {
            tokio::task::yield_now().await;
        }
        assert!(schedule.turn(0).await.is_none());
        assert_eq!(schedule.unsent() + schedule.issued.get(), 50);
    }

    #[tokio::test]
    async fn what_the_warm_up_could_not_send_is_forgotten() {
        let warm_up = Duration::from_millis(5);
        let plan = Plan { rate: Some(1e6), warm_up, until: Until::Calls(1) };
        let schedule = start(plan, 1);
        while schedule.now() < warm_up {
            tokio::task::yield_now().await;
        }
        let turn = schedule.turn(0).await.expect("a call is due");
        assert!(turn.measured && turn.meant_at == warm_up, "{turn:?}");
    }

    #[tokio::test]
    async fn what_is_due_in_the_warm_up_is_sent_and_not_measured() {
        let warm_up = Duration::from_millis(5);
        let plan = Plan { rate: Some(1000.0), warm_up, until: Until::Calls(2) };
        let schedule = start(plan, 1);
        let turns = all_turns(&schedule, 1).await;
        assert_eq!(schedule.measured.get(), 2);
        // On a busy machine the warm-up may end ahead of calls that were due in it.
        assert!((2..=7).contains(&turns.len()), "{turns:?}");
    }

    #[tokio::test]
    async fn being_told_to_stop_ends_a_run_that_sleeps() {
        let plan = Plan { rate: Some(0.001), warm_up: ZERO, until: Until::Calls(2) };
        let schedule = start(plan, 2);
        assert!(schedule.turn(0).await.is_some());
        schedule.stop.store(true, Ordering::Relaxed);
        assert_eq!(all_turns(&schedule, 2).await, []);
    }
}
