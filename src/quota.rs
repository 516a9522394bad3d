//! What people do to counters: see what is used, charge, hold, refund, reset, adjust and erase it.
//!
//! Entries lead to counters in the same way as they do in a decision. One implementation for JSON
//! and for gRPC; knows neither. A change is written to the audit log at once, and is on disk where
//! its limit is kept there, before it is told.

mod bans;
mod charge;
mod describe;
mod directory;
mod erase;
mod grant;
mod history;
mod id;
mod made;
mod mend;
mod own;
mod resolve;
mod settle;
mod switch;
mod usage;
mod words;

pub use self::bans::{BANS_MAX, BANS_USUAL, BanCount, BanInForce, Bans, Sentence, WHICH_BAN};
pub use self::charge::{Charge, Charged, Reserve, Reserved, Stand};
pub use self::describe::{DomainRules, LimitInForce, RuleInForce, Status};
pub use self::directory::{Origin, PAGE_MAX, PAGE_USUAL, Page, RowInForce};
pub use self::erase::{Erased, Unreachable};
pub use self::grant::{Granted, Revoked};
pub use self::history::{ClosedWindow, History, Span};
pub use self::own::{OwnLimit, OwnUsage, Past};
pub use self::settle::{Refunded, Settled, SettledLimit};
pub use self::switch::Switched;
pub use self::usage::{Usage, Use};

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::audit::{Audit, Who};
use crate::calendar;
use crate::gate::Gate;
use crate::query::Entries;
use crate::store::{Change, Impossible};
use crate::time::{Stopwatch, Timestamp};

use self::made::Made;

/// Whose counters are meant.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    pub domain: &'a str,
    pub entries: Entries<'a>,
}

impl Subject<'_> {
    /// Whether these values are among those meant: every given entry has the value that counts.
    fn has(&self, values: &[(String, String)]) -> bool {
        self.entries.distinct().all(|entry| {
            values.iter().any(|(key, value)| *key == *entry.key && *value == *entry.value)
        })
    }
}

/// A moment as people write it, or what is wrong with it.
fn moment(text: &str, name: &str) -> Result<Timestamp, Refusal> {
    calendar::moment(text, &TimeZone::UTC).ok_or_else(|| {
        let what = format!("{name} is `{text}`; write a moment such as 2026-04-01T00:00:00Z");
        Refusal::Invalid(what)
    })
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
    /// Something else was done under the same id.
    #[error("{0}")]
    Exists(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
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

    /// How values of an entry are shown in this domain, for those who have the values.
    pub fn shown_as(
        &self,
        domain: &str,
        entry: &str,
        values: &[String],
    ) -> Result<Vec<String>, Refusal> {
        let rules = self.gate.rules();
        let domain = resolve::named(&rules, domain)?;
        Ok(values.iter().map(|value| domain.shown().named(entry, value)).collect())
    }

    /// Makes the limits of these entries, or the one that is named, as if nobody had used them.
    pub async fn reset(
        &self,
        who: Who,
        subject: &Subject<'_>,
        limit: Option<&str>,
    ) -> Result<Vec<Changed>, Refusal> {
        let made = self.change(subject, limit, Change::Remove)?;
        Ok(self.write(who, "reset", made).await?.counters)
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
        let mut changed = self.write(who, "adjust", made).await?.counters;
        changed.pop().ok_or_else(|| Refusal::NotFound(format!("there is no limit `{limit}`")))
    }

    /// Removes every counter that these entries lead to, whatever the plan and the conditions, and
    /// says which others may hold something of them.
    pub async fn erase(&self, who: Who, subject: &Subject<'_>) -> Result<Erased, Refusal> {
        let (made, unreachable) = self.remove_all(subject)?;
        let erased = self.write(who, "erase", made).await?.counters;
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
        let domain = resolve::domain(&rules, subject)?;
        let found = resolve::held(domain, subject, now)?;
        let targets = match limit {
            Some(name) => vec![found.named(name)?],
            None => found.targets,
        };
        mend::mend(self.gate.memory(), &targets, change, Made::of(domain, subject, now))
    }

    fn remove_all(&self, subject: &Subject<'_>) -> Result<(Made, Vec<Unreachable>), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let domain = resolve::domain(&rules, subject)?;
        let found = erase::find(domain, subject, now)?;
        let made = Made::of(domain, subject, now);
        let mut made = mend::erase(self.gate.memory(), &found.targets, made)?;
        made.counters.retain(|counter| counter.before > 0);
        made.ticket = made.ticket.max(found.forget_bans(self.gate.memory()));
        Ok((made, found.unreachable))
    }

    /// Until the counters are back from disk, what they hold is not known.
    fn restored(&self) -> Result<(), Refusal> {
        if self.gate.is_open() {
            return Ok(());
        }
        Err(Refusal::Unavailable("starting: the counters are not back from disk yet".into()))
    }
}
