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

/// Values up to this length are shown whole: names of plans and endpoints, not secrets.
const SHOWN_CHARS_MAX: usize = 8;

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
    /// What was asked for: reset, adjust or erase.
    pub what: &'a str,
    pub domain: &'a str,
    pub entries: Vec<(&'a str, &'a str)>,
    pub counters: Vec<Counter<'a>>,
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

    /// Writes an entry down, whole and at once. What is returned is yet to be synced.
    pub fn write(&self, entry: &Entry<'_>) -> io::Result<Unsynced> {
        let line = serde_json::to_string(&line(entry))?;
        match self {
            Audit::File(path) => {
                let mut file = open(path)?;
                file.write_all(format!("{line}\n").as_bytes())?;
                Ok(Unsynced(Some(file)))
            }
            Audit::Log => {
                tracing::info!(change = line, "audit");
                Ok(Unsynced(None))
            }
        }
    }
}

/// An entry that has left this process, but may not have reached the disk.
#[derive(Debug)]
#[must_use = "a line that was not synced may be lost with the machine's power"]
pub struct Unsynced(Option<File>);

impl Unsynced {
    /// Waits for the disk.
    pub fn sync(self) -> io::Result<()> {
        self.0.map_or(Ok(()), |file| file.sync_data())
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
    }
}

fn shown(value: &str) -> String {
    let chars = value.chars().count();
    if chars <= SHOWN_CHARS_MAX {
        return value.to_owned();
    }
    let end: String = value.chars().skip(chars - SHOWN_CHARS).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shown_by_their_end() {
        assert_eq!(shown("free"), "free");
        assert_eq!(shown("12345678"), "12345678");
        assert_eq!(shown("sk_live_8842_4f9a"), "…4f9a");
        assert_eq!(shown("schlüsselwört"), "…wört");
    }
}
