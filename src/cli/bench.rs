//! `tollgate bench`: loads a rate-limit server with calls and says how it answered.
//!
//! This file runs the runs: threads that send, a bar for whoever watches, an early end if asked
//! for. `thread` is one thread of a run, `schedule` says when it sends, `target` sends, `report`
//! and `json` show what came of it. Knows nothing of our own server: any target is measured alike.

mod answer;
mod json;
mod keys;
mod probe;
mod progress;
mod report;
mod schedule;
mod tally;
mod target;
mod template;
mod thread;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use self::keys::Keys;
use self::progress::Bar;
use self::report::Measured;
use self::schedule::{Plan, Until};
use self::tally::Tally;
use self::template::Template;
use self::thread::{OPEN_MAX, Order};
use crate::cli::say::complain;
use crate::settings::{Bench, Target};

/// How often the bar is drawn: often enough to look alive, and no load to speak of.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("error: a descriptor cannot be sent: {0}")]
    Descriptor(#[from] template::Unfit),
    #[error(transparent)]
    Target(#[from] probe::Error),
    #[error("error: the connection to {target} failed: {why}")]
    Connection { target: Target, why: io::Error },
}

/// What is to be printed, and what was wrong for all that.
#[derive(Debug)]
pub struct Done {
    pub report: String,
    /// A server that answered none of the calls.
    pub silent: Option<Target>,
}

/// Measures as told, or until `stop`, and returns what came of it.
pub async fn run(bench: &Bench, stop: impl Future<Output = ()>) -> Result<Done, Error> {
    let template =
        Template::new(&bench.domain, &bench.descriptors, bench.hits.get(), bench.keys.get())?;
    let mut run = Run {
        bench,
        template: Arc::new(template),
        stop: Box::pin(stop),
        stopped: Arc::new(AtomicBool::new(false)),
    };
    let targets: Vec<_> = [&bench.target].into_iter().chain(&bench.compare).collect();
    for target in &targets {
        run.probe(target).await?;
    }
    let measured = run.rounds(&targets).await?;
    let show = if bench.json { json::show } else { report::show };
    let is_silent =
        |measured: &&Measured| !measured.rounds.is_empty() && measured.whole().answered() == 0;
    let silent = measured.iter().find(is_silent).map(|measured| measured.target.clone());
    Ok(Done { report: show(bench, &measured), silent })
}

/// All that the runs of one command have in common.
struct Run<'b, S> {
    bench: &'b Bench,
    template: Arc<Template>,
    stop: Pin<Box<S>>,
    stopped: Arc<AtomicBool>,
}

impl<S: Future<Output = ()>> Run<'_, S> {
    /// Makes one call, so that what would fail for all fails at once and in words.
    async fn probe(&self, target: &Target) -> Result<(), Error> {
        let (target, template) = (target.clone(), self.template.clone());
        let mut keys = self.keys(0);
        let probed =
            tokio::task::spawn_blocking(move || probe::probe(&target, template.fill(&mut keys)));
        Ok(probed.await.expect("a probe does not panic")?)
    }

    /// Loads each target in turn, as often as there are rounds.
    async fn rounds(&mut self, targets: &[&Target]) -> Result<Vec<Measured>, Error> {
        let rounds = if self.bench.compare.is_some() { self.bench.rounds.get() } else { 1 };
        let mut measured: Vec<_> = targets.iter().map(|target| Measured::of(target)).collect();
        for turn in 0..rounds as usize * targets.len() {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let measured = &mut measured[turn % targets.len()];
            let label = match rounds {
                1 => measured.target.to_string(),
                _ => format!("{} of {rounds}: {}", turn / targets.len() + 1, measured.target),
            };
            measured.rounds.push(self.load(&measured.target, label).await?);
        }
        if self.stopped.load(Ordering::Relaxed) {
            complain("stopped early; this is what was measured so far");
        }
        Ok(measured)
    }

    /// One run against one target.
    async fn load(&mut self, target: &Target, label: String) -> Result<Tally, Error> {
        let answered = Arc::new(AtomicU64::new(0));
        let mut threads = JoinSet::new();
        for number in 0..self.threads() {
            let order = self.order(target, number, answered.clone());
            threads.spawn_blocking(move || thread::run(order));
        }
        let mut bar = Bar::new(label, self.plan(0), self.threads());
        let mut ticks = tokio::time::interval(DRAW_EVERY);
        let mut whole = Tally::default();
        loop {
            tokio::select! {
                ended = threads.join_next() => {
                    let Some(ended) = ended else { break };
                    let tally = ended.expect("a thread that sends does not panic");
                    whole.add_beside(&tally.map_err(|why| {
                        Error::Connection { target: target.clone(), why }
                    })?);
                }
                _ = ticks.tick() => bar.draw(answered.load(Ordering::Relaxed)),
                () = &mut self.stop, if !self.stopped.load(Ordering::Relaxed) => {
                    self.stopped.store(true, Ordering::Relaxed);
                }
            }
        }
        bar.clear();
        Ok(whole)
    }

    /// No more threads than connections, since each has some of its own.
    fn threads(&self) -> u64 {
        (self.bench.threads.get() as u64).min(self.bench.connections)
    }

    fn order(&self, target: &Target, number: u64, answered: Arc<AtomicU64>) -> Order {
        let connections = share(self.bench.connections, number, self.threads()) as usize;
        let lines = match self.bench.rate {
            Some(_) => OPEN_MAX.div_ceil(connections),
            None => self.bench.in_flight as usize,
        };
        Order {
            target: target.clone(),
            connections,
            lines,
            plan: self.plan(number),
            template: self.template.clone(),
            keys: self.keys(number),
            stop: self.stopped.clone(),
            answered,
        }
    }

    /// What one of the threads does of the whole.
    fn plan(&self, number: u64) -> Plan {
        let threads = self.threads();
        let until = match self.bench.requests {
            Some(calls) => Until::Calls(share(calls.get(), number, threads)),
            None => Until::Time(self.bench.duration),
        };
        let rate = self.bench.rate.map(|rate| rate / threads as f64);
        Plan { rate, warm_up: self.bench.warm_up, until }
    }

    fn keys(&self, number: u64) -> Keys {
        Keys::new(self.bench.keys.get(), self.bench.choice, number, self.threads())
    }
}

/// One of `parts` nearly equal parts of a whole.
fn share(whole: u64, number: u64, parts: u64) -> u64 {
    whole / parts + u64::from(number < whole % parts)
}
