//! The audit log: what people changed, a line of JSON for each change, written before its answer.
//!
//! Values of entries may be the keys of an API's customers, so long ones are shown by their end
//! alone. The file is opened for each line: changes are rare, and whoever rotates the log needs to
//! tell nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::calendar;
use crate::time::Timestamp;

/// Of values longer than this the end is shown, of others nothing: any of them may be a secret,
/// and the end of a short one would be half of it.
const SHORT_CHARS_MAX: usize = 8;

/// What is shown of a longer value: enough to tell one's own key from another.
const SHOWN_CHARS: usize = 4;

/// Who asked for a change: the address that the request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who(pub SocketAddr);

/// One change.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub at: Timestamp,
    pub who: Who,
    /// What was asked for: reset, adjust, erase, a change of the directory or of a ban.
    pub what: &'a str,
    pub domain: &'a str,
    pub entries: Vec<(&'a str, &'a str)>,
    pub counters: Vec<Counter<'a>>,
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
    entries: Vec<(&'a str, String)>,
    counters: &'a [Counter<'a>],
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

    /// Writes a line down and waits for the disk, which may take as long as the disk likes.
    pub fn append(&self, line: &str) -> io::Result<()> {
        match self {
            Audit::File(path) => {
                let mut file = open(path)?;
                file.write_all(format!("{line}\n").as_bytes())?;
                file.sync_data()
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
        entries: entry.entries.iter().map(|(key, value)| (*key, shown(value))).collect(),
        counters: &entry.counters,
        row: entry.row,
        ban: entry.ban,
    }
}

fn shown(value: &str) -> String {
    let chars = value.chars().count();
    if chars <= SHORT_CHARS_MAX {
        return "…".to_owned();
    }
    let end: String = value.chars().skip(chars - SHOWN_CHARS).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_shown_whole() {
        assert_eq!(shown("free"), "…");
        assert_eq!(shown("12345678"), "…");
        assert_eq!(shown("sk_live_8842_4f9a"), "…4f9a");
        assert_eq!(shown("schlüsselwört"), "…wört");
    }
}
