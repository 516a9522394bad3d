//! Rows of the directory that people see, set and remove while the server runs.
//!
//! A row that is set is held to what files are held to. It is kept as a note, and is on disk
//! before it is told.

use std::sync::Arc;

use crate::audit::Who;
use crate::directory::{Directory, Fault, Found, Reader, Row, Written};
use crate::key::Identity;
use crate::limit::Durability;
use crate::rules::{Domain, RuleSet};
use crate::store::NoteKey;
use crate::store::journal::Ticket;
use crate::store::ledger::{self, Kind, Note};
use crate::time::Timestamp;

use super::made::Made;
use super::{Quota, Refusal};

/// Rows of one answer.
pub const PAGE_MAX: usize = 1000;

/// And so many where the question does not say.
pub const PAGE_USUAL: usize = 100;

/// Rows of one domain that people may set. A hundred thousand customers are a large API; ten times
/// that are better kept in a file, and a script that runs away is stopped before the memory ends.
const ROWS_MAX: usize = 1_000_000;

/// A key beyond this length is no key: a call's entry has room for no more.
const KEY_BYTES_MAX: usize = 64 << 10;

/// So many faults of a row are told at once.
const FAULTS_TOLD_MAX: usize = 5;

/// Rows that are set count until they are removed.
const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);

/// Who gave a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    File,
    Api,
}

/// A row in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowInForce {
    pub key: String,
    pub origin: Origin,
    pub row: Written,
}

/// Rows by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entry whose value is the key.
    pub by: String,
    pub rows: Vec<RowInForce>,
    /// The last key of these, if there are more behind it.
    pub next: Option<String>,
}

impl Quota {
    /// So many rows of a domain, from the first key behind `after` on.
    pub fn directory(
        &self,
        domain: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, Refusal> {
        self.restored()?;
        let rules = self.gate.rules();
        let of = of(&rules, domain)?;
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Refusal::Invalid(format!("limit is {limit}; write 1 to {PAGE_MAX}")));
        }
        let after = after.map(|after| of.behind(after)).transpose()?;
        let mut keys = keys_after(of.directory, after.as_deref());
        let more = limit < keys.len();
        if more {
            keys.select_nth_unstable(limit);
            keys.truncate(limit);
        }
        keys.sort_unstable();
        let rows = keys.iter().filter_map(|key| of.in_force(key)).collect();
        let next = more.then(|| keys.last().map(|key| of.cursor(key))).flatten();
        Ok(Page { by: of.directory.by.to_string(), rows, next })
    }

    /// The row of one key.
    pub fn directory_row(&self, domain: &str, key: &str) -> Result<RowInForce, Refusal> {
        self.restored()?;
        let rules = self.gate.rules();
        of(&rules, domain)?.in_force(key).ok_or_else(nothing_known)
    }

    /// Sets the row of one key, in place of the file's and of any that was set before.
    pub async fn set_directory_row(
        &self,
        who: Who,
        domain: &str,
        key: &str,
        written: &Written,
    ) -> Result<RowInForce, Refusal> {
        let (set, mut made) = self.put_row(domain, key, written)?;
        made.row = Some(set.row.clone().for_log().to_text());
        self.write(who, "directory-set", made).await?;
        Ok(set)
    }

    /// Removes the row that was set for a key. What is in force then, if anything, is the file's.
    pub async fn remove_directory_row(
        &self,
        who: Who,
        domain: &str,
        key: &str,
    ) -> Result<Option<RowInForce>, Refusal> {
        let (left, made) = self.take_row(domain, key)?;
        self.write(who, "directory-remove", made).await?;
        Ok(left)
    }

    fn put_row(
        &self,
        domain: &str,
        key: &str,
        written: &Written,
    ) -> Result<(RowInForce, Made), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let of = of(&rules, domain)?;
        let directory = of.directory;
        if key.is_empty() || KEY_BYTES_MAX < key.len() {
            return Err(Refusal::Invalid(format!("a key has 1 to {KEY_BYTES_MAX} bytes")));
        }
        if ROWS_MAX <= directory.live().len() && directory.live().get(key).is_none() {
            let what = format!("{ROWS_MAX} rows are set already; put them into a file");
            return Err(Refusal::Invalid(what));
        }
        let row = read(directory, written)?;
        let text = row.to_text();
        let note = Note::Row(ledger::Row { domain: domain.into(), key: key.into(), text });
        let name = of.note(key);
        // The note is locked meanwhile, so that of two changes memory and disk keep the same one.
        let mut open = self.gate.memory().ledger().open(&[name]);
        let ticket = open.put(name, note, NEVER, Durability::Strict);
        let row = Arc::new(row);
        directory.live().set(key, row.clone());
        drop(open);
        Ok((of.shown(key, Origin::Api, &row), of.made(key, ticket, now)))
    }

    fn take_row(&self, domain: &str, key: &str) -> Result<(Option<RowInForce>, Made), Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let of = of(&rules, domain)?;
        let (directory, name) = (of.directory, of.note(key));
        let mut open = self.gate.memory().ledger().open(&[name]);
        let (_, ticket) = open.remove(name, Durability::Strict);
        let was = directory.live().remove(key);
        drop(open);
        if !was {
            let what = "no row is set for this key; one of a file is removed there";
            return Err(Refusal::NotFound(what.into()));
        }
        Ok((of.in_force(key), of.made(key, ticket, now)))
    }
}

/// The directory of a domain under some rules.
#[derive(Clone, Copy)]
struct Of<'r> {
    rules: &'r RuleSet,
    domain: &'r Domain,
    directory: &'r Directory,
}

fn of<'r>(rules: &'r RuleSet, name: &str) -> Result<Of<'r>, Refusal> {
    let domain = rules
        .domain(name)
        .ok_or_else(|| Refusal::NotFound(format!("no rules are loaded for domain `{name}`")))?;
    let directory = domain.directory.as_ref().ok_or_else(|| {
        let what = "keeps no directory; add `directory: { by: key }` to its rules";
        Refusal::NotFound(format!("domain `{name}` {what}"))
    })?;
    Ok(Of { rules, domain, directory })
}

impl Of<'_> {
    fn note(self, key: &str) -> NoteKey {
        NoteKey::of_identity(Kind::Row, self.identity(key))
    }

    fn identity(self, key: &str) -> Identity {
        self.rules.row_identity(&self.domain.name, key)
    }

    /// A change of the row of a key.
    fn made(self, key: &str, ticket: Option<Ticket>, now: Timestamp) -> Made {
        let by = &self.directory.by;
        let entries = vec![(by.to_string(), self.domain.shown().value(by, key))];
        Made { entries, ticket, ..Made::in_domain(&self.domain.name, now) }
    }

    fn is_secret(self) -> bool {
        self.domain.shown().is_secret(&self.directory.by)
    }

    fn in_force(self, key: &str) -> Option<RowInForce> {
        match self.directory.row(key)? {
            Found::Live(row) => Some(self.shown(key, Origin::Api, &row)),
            Found::Filed(row) => Some(self.shown(key, Origin::File, row)),
        }
    }

    /// The row as people see it: a list of keys must name them, and so it does where the domain
    /// calls nothing a secret.
    fn shown(self, key: &str, origin: Origin, row: &Row) -> RowInForce {
        let shown = self.domain.shown();
        let row = Written::from(row).with_values(|entry, value| shown.named(entry, value));
        let key = if self.is_secret() { shown.value(&self.directory.by, key) } else { key.into() };
        RowInForce { key, origin, row }
    }

    /// What stands for a key as the end of a page: itself, or where keys are secret its name.
    fn cursor(self, key: &str) -> String {
        if self.is_secret() { format!("{:032x}", self.identity(key).to_u128()) } else { key.into() }
    }

    /// The key that a cursor stands for.
    fn behind(self, cursor: &str) -> Result<Box<str>, Refusal> {
        if !self.is_secret() {
            return Ok(cursor.into());
        }
        let all = keys_after(self.directory, None);
        let key = all.into_iter().find(|key| self.cursor(key) == cursor);
        let what = "`after` is none of this directory's keys by now; begin with the first page";
        key.ok_or_else(|| Refusal::Invalid(what.into()))
    }
}

fn nothing_known() -> Refusal {
    Refusal::NotFound("the directory has no row for this key".into())
}

/// All keys behind `after`, in no order and each once.
fn keys_after(directory: &Directory, after: Option<&str>) -> Vec<Box<str>> {
    let behind = |key: &str| after.is_none_or(|after| after < key);
    let filed = directory.filed().keys().filter(|key| behind(key));
    let mut keys: Vec<Box<str>> = filed.cloned().collect();
    directory.live().each_key(|key| {
        if behind(key) && !directory.filed().contains_key(key) {
            keys.push(key.into());
        }
    });
    keys
}

/// The row that is meant.
fn read(directory: &Directory, written: &Written) -> Result<Row, Refusal> {
    let mut reader = Reader::new(&directory.by, &directory.known);
    let row = reader.row(&written.draft());
    let sentence = |fault: &Fault| format!("{}: {}", fault.what, fault.remedy);
    if reader.faults.is_empty() {
        return Ok(row);
    }
    let told: Vec<_> = reader.faults.iter().take(FAULTS_TOLD_MAX).map(sentence).collect();
    Err(Refusal::Invalid(told.join(". ")))
}
