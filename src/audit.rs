//! The audit log: what people changed, a line of JSON for each change, written before its answer.
//!
//! Values of entries may be the keys of an API's customers, so they come here as they may be shown.
//! The file is opened for each line: changes are rare, and whoever rotates the log needs to
//! tell nobody.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::calendar;
use crate::time::Timestamp;

/// Who asked for a change: the address that the request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who(pub SocketAddr);

/// One change.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub at: Timestamp,
    pub who: Who,
    /// What was asked for, such as reset or grant.
    pub what: &'a str,
    pub domain: &'a str,
    /// Whose counters were meant, as they may be shown.
    pub entries: Vec<(String, String)>,
    pub counters: Vec<Counter<'a>>,
    /// What else was said, by name.
    pub details: Vec<(&'a str, String)>,
    /// A row of the directory that was set, as JSON.
    pub row: Option<&'a str>,
    /// A ban that was set or lifted.
    pub ban: Option<Ban<'a>>,
}

/// What is written of a ban.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ban<'a> {
    pub rule: &'a str,
    pub why: &'a str,
    pub until: &'a str,
}

/// What a change did to one counter.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counter<'a> {
    pub limit: &'a str,
    pub before: u64,
    pub after: u64,
}

/// The line of an entry, in the order in which it is read.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    who: SocketAddr,
    what: &'a str,
    domain: &'a str,
    entries: &'a [(String, String)],
    counters: &'a [Counter<'a>],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ban: Option<Ban<'a>>,
}

/// Where changes are written down.
#[derive(Clone, Debug)]
pub enum Audit {
    File(PathBuf),
    /// Among the lines of the ordinary log.
    Log,
}

impl Audit {
    /// A log in this file, which is made if it is not there.
    pub fn file(path: &Path) -> io::Result<Audit> {
        open(path)?;
        Ok(Audit::File(path.to_owned()))
    }

    /// Writes a line down and, if it is to be `synced`, waits for the disk, which may take as long
    /// as the disk likes.
    pub fn append(&self, line: &str, synced: bool) -> io::Result<()> {
        match self {
            Audit::File(path) => {
                let mut file = open(path)?;
                file.write_all(format!("{line}\n").as_bytes())?;
                if synced { file.sync_data() } else { Ok(()) }
            }
            Audit::Log => {
                tracing::info!(change = line, "audit");
                Ok(())
            }
        }
    }
}

impl Entry<'_> {
    /// The entry as it is written down.
    pub fn to_line(&self) -> io::Result<String> {
        Ok(serde_json::to_string(&line(self))?)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn line<'a>(entry: &'a Entry<'a>) -> Line<'a> {
    Line {
        time: calendar::rfc3339(entry.at),
        who: entry.who.0,
        what: entry.what,
        domain: entry.domain,
        entries: &entry.entries,
        counters: &entry.counters,
        details: entry.details.iter().map(|(name, value)| (*name, value.as_str())).collect(),
        row: entry.row,
        ban: entry.ban,
    }
}
