//! What people do to counters: see what is used, reset, adjust and erase it.
//!
//! Entries lead to counters in the same way as they do in a decision. One implementation for JSON
//! and for gRPC; knows neither. A change is written to the audit log at once, and is on disk where
//! its limit is kept there, before it is told.

mod bans;
mod describe;
mod directory;
mod erase;
mod resolve;
mod usage;
mod words;

pub use self::bans::{BANS_MAX, BANS_USUAL, BanCount, BanInForce, Bans, Sentence};
pub use self::describe::{DomainRules, LimitInForce, RuleInForce, Status};
pub use self::directory::{Origin, PAGE_MAX, PAGE_USUAL, Page, RowInForce, RowSet};
pub use self::erase::{Erased, Unreachable};
pub use self::usage::{Usage, Use};

use std::sync::Arc;

use crate::audit::{Audit, Counter, Entry, Who};
use crate::gate::Gate;
use crate::query::Entries;
use crate::store::journal::Ticket;
use crate::store::{Change, Impossible, Memory};
use crate::time::{Stopwatch, Timestamp};

use self::resolve::Target;

/// Whose counters are meant.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    pub domain: &'a str,
    pub entries: Entries<'a>,
}

/// How a counter is adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Set(u64),
    Add(i64),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Unavailable(String),
}

impl From<Impossible> for Refusal {
    fn from(impossible: Impossible) -> Refusal {
        Refusal::Invalid(impossible.to_string())
    }
}

/// One counter that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Rule and limit name, as in `per-key.minute`.
    pub limit: String,
    pub before: u64,
    pub after: u64,
}

/// Changes that are made, but may not be on disk.
#[derive(Debug)]
struct Made {
    at: Timestamp,
    counters: Vec<Changed>,
    ticket: Option<Ticket>,
}

/// A gate as people use it.
#[derive(Debug)]
pub struct Quota {
    gate: Arc<Gate>,
    audit: Audit,
    started: Stopwatch,
}

impl Quota {
    pub fn new(gate: Arc<Gate>, audit: Audit) -> Quota {
        Quota { gate, audit, started: Stopwatch::start() }
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// How every limit of these entries stands. Charges nothing.
    pub fn usage(&self, subject: &Subject<'_>) -> Result<Usage, Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        usage::usage(resolve::domain(&rules, subject)?, self.gate.memory(), subject, now)
    }

    /// Makes the limits of these entries, or the one that is named, as if nobody had used them.
    pub async fn reset(
        &self,
        who: Who,
        subject: &Subject<'_>,
        limit: Option<&str>,
    ) -> Result<Vec<Changed>, Refusal> {
        let made = self.change(subject, limit, Change::Remove)?;
        self.settle(who, "reset", subject, made).await
    }

    /// Says what is used of one limit of these entries.
    pub async fn adjust(
        &self,
        who: Who,
        subject: &Subject<'_>,
        limit: &str,
        amount: Amount,
    ) -> Result<Changed, Refusal> {
        let change = match amount {
            Amount::Set(used) => Change::Set(used),
            Amount::Add(hits) if hits < 0 => Change::TakeBack(hits.unsigned_abs()),
            Amount::Add(hits) => Change::Add(hits.unsigned_abs()),
        };
        let made = self.change(subject, Some(limit), change)?;
        let mut changed = self.settle(who, "adjust", subject, made).await?;
        changed.pop().ok_or_else(|| Refusal::NotFound(format!("there is no limit `{limit}`")))
    }

    /// Removes every counter that these entries lead to, whatever the plan and the conditions, and
    /// says which others may hold something of them.
    pub async fn erase(&self, who: Who, subject: &Subject<'_>) -> Result<Erased, Refusal> {
        let (made, unreachable) = self.remove_all(subject)?;
        let erased = self.settle(who, "erase", subject, made).await?;
        Ok(Erased { erased, unreachable })
    }

    /// The rules are held for this long and no longer: not across a wait.
    fn change(
        &self,
        subject: &Subject<'_>,
        limit: Option<&str>,
        change: Change,
    ) -> Result<Made, Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let found = resolve::held(resolve::domain(&rules, subject)?, subject, now)?;
        let targets = match limit {
            Some(name) => vec![found.named(name)?],
            None => found.targets,
        };
        make(self.gate.memory(), &targets, change, now)
    }

    fn remove_all(&self, subject: &Subject<'_>) -> Result<(Made, Vec<Unreachable>), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let found = erase::find(resolve::domain(&rules, subject)?, subject, now)?;
        let mut made = make(self.gate.memory(), &found.targets, Change::Remove, now)?;
        made.counters.retain(|counter| counter.before > 0);
        made.ticket = made.ticket.max(found.forget_bans(self.gate.memory()));
        Ok((made, found.unreachable))
    }

    /// Writes changes down and waits until they are on disk. The line is handed to a thread that
    /// may wait for a disk before anything is awaited: whoever asked may go away meanwhile, and the
    /// change is made and written down all the same.
    async fn settle(
        &self,
        who: Who,
        what: &str,
        subject: &Subject<'_>,
        made: Made,
    ) -> Result<Vec<Changed>, Refusal> {
        let line = Entry {
            at: made.at,
            who,
            what,
            domain: subject.domain,
            entries: subject.entries.iter().map(|entry| (entry.key, entry.value)).collect(),
            counters: made.counters.iter().map(audited).collect(),
            row: None,
            ban: None,
        };
        self.write_down(line.to_line().map_err(|e| unaudited(&e))?).await?;
        on_disk(&self.gate, made.ticket).await?;
        Ok(made.counters)
    }

    async fn write_down(&self, line: String) -> Result<(), Refusal> {
        let audit = self.audit.clone();
        let written = tokio::task::spawn_blocking(move || audit.append(&line)).await;
        written
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
            .map_err(|e| unaudited(&e))
    }

    /// Until the counters are back from disk, what they hold is not known.
    fn restored(&self) -> Result<(), Refusal> {
        if self.gate.is_open() {
            return Ok(());
        }
        Err(Refusal::Unavailable("starting: the counters are not back from disk yet".into()))
    }
}

/// Ends when a change is on disk, if it is to be there.
async fn on_disk(gate: &Gate, ticket: Option<Ticket>) -> Result<(), Refusal> {
    let Some(ticket) = ticket else { return Ok(()) };
    gate.written(ticket).await.map_err(|_| {
        let why = "the change is in force in memory, but could not be put on disk";
        Refusal::Unavailable(why.into())
    })
}

fn make(
    memory: &Memory,
    targets: &[Target<'_>],
    change: Change,
    now: Timestamp,
) -> Result<Made, Refusal> {
    let mut made = Made { at: now, counters: Vec::new(), ticket: None };
    for target in targets {
        let mended = memory.mend(target.key, &target.terms, change, now)?;
        made.ticket = made.ticket.max(mended.ticket);
        made.counters.push(Changed {
            limit: target.label().to_owned(),
            before: mended.before.used,
            after: mended.after.used,
        });
    }
    Ok(made)
}

fn audited(changed: &Changed) -> Counter<'_> {
    Counter { limit: &changed.limit, before: changed.before, after: changed.after }
}

fn unaudited(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, "the audit log cannot be written");
    Refusal::Unavailable("the change is in force, but could not be written to the audit log".into())
}
