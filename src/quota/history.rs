//! What was used of windows that have closed, for those who bill.
//!
//! A window belongs to the export in which its end lies, the beginning included and the end not. So
//! exports that follow one another tell each window once, and what is still open is in none.

use std::sync::Arc;

use crate::calendar;
use crate::gate::Gate;
use crate::rules::{Domain, Shown};
use crate::store::ledger::{Archive, Closed, Kind, LEDGER_SHARDS, Note};
use crate::time::Timestamp;

use super::{Quota, Refusal, Subject, moment, resolve};

/// Which windows are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    pub from: &'a str,
    /// Now, if nothing is said.
    pub until: Option<&'a str>,
    /// Rule and limit name; all if none is named.
    pub limit: Option<&'a str>,
}

/// One closed window of one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedWindow {
    pub domain: String,
    /// Rule and limit name.
    pub limit: String,
    /// The values that its counter counts by, as they may be shown.
    pub values: Vec<(String, String)>,
    pub start: String,
    pub end: String,
    pub used: u64,
    /// The budget at the last charge; none if there was no end to it.
    pub requests: Option<u64>,
}

/// An export, to be taken part by part: a server may have archived more than fits into one answer.
#[derive(Debug)]
pub struct History {
    gate: Arc<Gate>,
    shown: Shown,
    domain: String,
    entries: Vec<(String, String)>,
    limit: Option<String>,
    from: Timestamp,
    until: Timestamp,
}

impl Quota {
    /// The windows of a domain that closed within a span.
    pub fn history(&self, subject: &Subject<'_>, span: Span<'_>) -> Result<History, Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let domain = resolve::named(&rules, subject.domain)?;
        let from = moment(span.from, "from")?;
        let until = span.until.map_or(Ok(now), |until| moment(until, "until"))?;
        if now < until {
            let what = format!(
                "until is {}, and windows may yet close before that; leave it out, or write {} at \
                 most",
                calendar::rfc3339(until),
                calendar::rfc3339(now)
            );
            return Err(Refusal::Invalid(what));
        }
        if until < from {
            return Err(Refusal::Invalid("until is ahead of from".into()));
        }
        if let Some(label) = span.limit {
            archived(domain, label)?;
        }
        let entry = |it: crate::query::Entry<'_>| (it.key.to_owned(), it.value.to_owned());
        Ok(History {
            gate: self.gate.clone(),
            shown: domain.shown().clone(),
            domain: domain.name.to_string(),
            entries: subject.entries.distinct().map(entry).collect(),
            limit: span.limit.map(str::to_owned),
            from,
            until,
        })
    }
}

/// Whether there is such a limit, and it keeps an archive.
fn archived(domain: &Domain, label: &str) -> Result<(), Refusal> {
    let limit = domain.limit(label).ok_or_else(|| {
        Refusal::NotFound(format!("domain `{}` has no limit `{label}`", domain.name))
    })?;
    if limit.archive {
        return Ok(());
    }
    let what = format!("limit `{label}` archives nothing; add `archive: true` to it");
    Err(Refusal::NotFound(what))
}

impl History {
    /// In how many parts it comes.
    pub const PARTS: usize = LEDGER_SHARDS;

    /// The end of the span, with which the next may begin.
    pub fn until(&self) -> String {
        calendar::rfc3339(self.until)
    }

    /// One part, numbered from 0 to [`History::PARTS`] exclusive; windows of a counter stand
    /// together, the oldest first.
    pub fn part(&self, number: usize) -> Vec<ClosedWindow> {
        let memory = self.gate.memory();
        let notes = memory.ledger().of_shard(number, Kind::Archive, self.gate.now());
        let mut windows = Vec::new();
        for (_, _, note) in notes {
            if let Note::Archive(archive) = note
                && self.wants(&archive)
            {
                let closed = archive.windows.iter().filter(|window| self.holds(window));
                windows.extend(closed.map(|window| self.told(&archive, window)));
            }
        }
        windows
    }

    fn wants(&self, archive: &Archive) -> bool {
        archive.domain == self.domain
            && self.limit.as_ref().is_none_or(|limit| *limit == archive.label)
            && self.entries.iter().all(|entry| archive.values.contains(entry))
    }

    fn holds(&self, window: &Closed) -> bool {
        (self.from.as_micros()..self.until.as_micros()).contains(&window.end_us)
    }

    fn told(&self, archive: &Archive, window: &Closed) -> ClosedWindow {
        let moment = |us| calendar::rfc3339(Timestamp::from_micros(us));
        let named = |(key, value): &(String, String)| (key.clone(), self.shown.named(key, value));
        ClosedWindow {
            domain: archive.domain.clone(),
            limit: archive.label.clone(),
            values: archive.values.iter().map(named).collect(),
            start: moment(window.start_us),
            end: moment(window.end_us),
            used: window.used,
            requests: window.requests,
        }
    }
}
