//! A change that is made: written into the audit log, and waited for until it is on disk.

use crate::audit::{Ban, Counter, Entry, Who};
use crate::gate::Gate;
use crate::rules::Domain;
use crate::store::journal::Ticket;
use crate::time::Timestamp;

use super::{Changed, Quota, Refusal, Subject};

/// A change that is in force, but may not be on disk.
#[derive(Debug)]
pub struct Made {
    pub at: Timestamp,
    pub domain: String,
    /// Whose counters were meant, as the log may show it.
    pub entries: Vec<(String, String)>,
    pub counters: Vec<Changed>,
    /// What else the log is to say, by name.
    pub details: Vec<(&'static str, String)>,
    /// A row of the directory that was set, as JSON.
    pub row: Option<String>,
    pub ban: Option<ToldBan>,
    /// Whether its line is waited for as well. Traffic has too many, and is in the journal.
    pub synced: bool,
    pub ticket: Option<Ticket>,
}

/// What the log says of a ban that was set or lifted.
#[derive(Debug)]
pub struct ToldBan {
    pub rule: String,
    pub why: String,
    pub until: String,
}

impl Made {
    /// A change of what these entries lead to.
    pub fn of(domain: &Domain, subject: &Subject<'_>, at: Timestamp) -> Made {
        let shown = domain.shown();
        let entry = |it: crate::query::Entry<'_>| (it.key.into(), shown.value(it.key, it.value));
        let entries = subject.entries.iter().map(entry).collect();
        Made { entries, ..Made::in_domain(&domain.name, at) }
    }

    /// A change of a domain.
    pub fn in_domain(domain: &str, at: Timestamp) -> Made {
        Made {
            at,
            domain: domain.to_owned(),
            entries: Vec::new(),
            counters: Vec::new(),
            details: Vec::new(),
            row: None,
            ban: None,
            synced: true,
            ticket: None,
        }
    }

    fn line(&self, who: Who, what: &str) -> std::io::Result<String> {
        let entry = Entry {
            at: self.at,
            who,
            what,
            domain: &self.domain,
            entries: self.entries.clone(),
            counters: self.counters.iter().map(audited).collect(),
            details: self.details.clone(),
            row: self.row.as_deref(),
            ban: self.ban.as_ref().map(|it| Ban { rule: &it.rule, why: &it.why, until: &it.until }),
        };
        entry.to_line()
    }
}

impl Quota {
    /// Writes a change down and waits until it is on disk. The line is handed to a thread that
    /// may wait for a disk before anything is awaited: whoever asked may go away meanwhile, and the
    /// change is made and written down all the same.
    pub(super) async fn write(&self, who: Who, what: &str, made: Made) -> Result<Made, Refusal> {
        let line = made.line(who, what).map_err(|e| unaudited(&e))?;
        let (audit, synced) = (self.audit.clone(), made.synced);
        let written = tokio::task::spawn_blocking(move || audit.append(&line, synced)).await;
        written
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
            .map_err(|e| unaudited(&e))?;
        on_disk(&self.gate, made.ticket).await?;
        Ok(made)
    }
}

/// Ends when a change is on disk, if it is to be there.
pub async fn on_disk(gate: &Gate, ticket: Option<Ticket>) -> Result<(), Refusal> {
    let Some(ticket) = ticket else { return Ok(()) };
    gate.written(ticket).await.map_err(|_| {
        let why = "the change is in force in memory, but could not be put on disk";
        Refusal::Unavailable(why.into())
    })
}

fn audited(changed: &Changed) -> Counter<'_> {
    Counter { limit: &changed.limit, before: changed.before, after: changed.after }
}

fn unaudited(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, "the audit log cannot be written");
    Refusal::Unavailable("the change is in force, but could not be written to the audit log".into())
}
