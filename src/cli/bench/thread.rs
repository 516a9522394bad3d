//! One thread of a run: its connections, the lines that call over them, and what they measured.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime;
use tokio::task::{JoinSet, LocalSet};

use super::answer::Answer;
use super::keys::Keys;
use super::schedule::{Plan, Schedule, Turn};
use super::tally::Tally;
use super::target::{Caller, Failure};
use super::template::Template;
use crate::settings::Target;

/// Calls that a thread of an open run keeps open at once, over all its connections. A server that
/// stands still for 40 ms at 50,000 calls a second is behind by as many; further calls wait on
/// our side, and their time counts as well.
pub const OPEN_MAX: usize = 2048;

/// A server that answers none of its open calls for this long will not answer them.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long the last calls may take after the end of a run.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// How often it is looked whether the server still answers.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// What one thread does.
#[derive(Debug)]
pub struct Order {
    pub target: Target,
    pub connections: usize,
    /// Lines on each connection.
    pub lines: usize,
    pub plan: Plan,
    pub template: Arc<Template>,
    pub keys: Keys,
    /// Set when the run is to end early.
    pub stop: Arc<AtomicBool>,
    /// Calls that were answered, for whoever watches.
    pub answered: Arc<AtomicU64>,
}

/// What the lines of a thread share.
#[derive(Debug)]
struct Shared {
    schedule: Schedule,
    template: Arc<Template>,
    keys: RefCell<Keys>,
    tally: RefCell<Tally>,
    open: Cell<u64>,
    answered: Arc<AtomicU64>,
}

/// Loads the target until the plan is fulfilled, and returns what was measured.
pub fn run(order: Order) -> io::Result<Tally> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, load(order))
}

async fn load(order: Order) -> io::Result<Tally> {
    let mut callers = Vec::with_capacity(order.connections);
    for _ in 0..order.connections {
        callers.push(Caller::connect(&order.target).await?);
    }
    let is_open = order.plan.rate.is_some();
    let shared = Rc::new(Shared {
        schedule: Schedule::start(order.plan, order.connections, order.stop),
        template: order.template,
        keys: RefCell::new(order.keys),
        tally: RefCell::default(),
        open: Cell::new(0),
        answered: order.answered,
    });
    let mut lines = JoinSet::new();
    for (connection, caller) in callers.iter().enumerate() {
        for _ in 0..order.lines {
            lines.spawn_local(line(shared.clone(), connection, caller.clone()));
        }
    }
    let mut pacer = JoinSet::new();
    if is_open {
        let shared = shared.clone();
        pacer.spawn_local(async move { shared.schedule.pace().await });
    }
    watch(&shared, &mut lines).await;
    let mut tally = shared.tally.borrow_mut();
    tally.unsent = shared.schedule.unsent();
    tally.unanswered = shared.open.get();
    Ok(std::mem::take(&mut tally))
}

/// Makes one call after the other, until there are no more or the connection is lost.
async fn line(shared: Rc<Shared>, connection: usize, mut caller: Caller) {
    while let Some(turn) = shared.schedule.turn(connection).await {
        let message = shared.template.fill(&mut shared.keys.borrow_mut());
        shared.open.set(shared.open.get() + 1);
        let ended = caller.call(message).await;
        let lost = matches!(ended, Err(Failure::Lost(_)));
        shared.note(turn, ended);
        if lost {
            return;
        }
    }
}

impl Shared {
    fn note(&self, turn: Turn, ended: Result<Answer, Failure>) {
        self.open.set(self.open.get() - 1);
        // One thread writes it, and whoever reads it only wants to see it grow.
        self.answered.fetch_add(1, Ordering::Relaxed);
        if turn.measured {
            let mut tally = self.tally.borrow_mut();
            tally.note(self.schedule.now() - turn.meant_at, ended);
            tally.took = self.schedule.measured_for();
        }
    }
}

/// Waits for the lines to end, or for the server to have been silent for too long.
async fn watch(shared: &Shared, lines: &mut JoinSet<()>) {
    let (mut answered, mut silent) = (0, Duration::ZERO);
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    loop {
        tokio::select! {
            line = lines.join_next() => {
                if line.is_none() {
                    return;
                }
            }
            _ = ticks.tick() => {
                let now = shared.answered.load(Ordering::Relaxed);
                let waits = now == answered && 0 < shared.open.get();
                answered = now;
                silent = if waits { silent + WATCH_EVERY } else { Duration::ZERO };
                let patience =
                    if shared.schedule.is_over() { ENDING_MAX } else { SILENCE_MAX };
                if patience <= silent {
                    return;
                }
            }
        }
    }
}
