//! The plain form of what a journal holds: one record to a line, for backup and for moving.
//!
//! docs/journal.md describes the lines. Numbers are decimal, keys and the secret hexadecimal, so
//! that ordinary tools can read, sort and cut them.

use std::fmt::Write as _;

use crate::algorithm::State;
use crate::algorithm::concurrency::{Slot, Slots};
use crate::algorithm::sliding_log::Log;
use crate::algorithm::sliding_window::Pair;
use crate::algorithm::token_bucket::Bucket;
use crate::algorithm::window::Count;
use crate::key::{CounterKey, HashKey};
use crate::limit::SLIDING_LOG_REQUESTS_MAX;
use crate::store::NoteKey;
use crate::time::Timestamp;

use super::format::Record;

/// The first word of every export, and the version of the lines that follow.
const TITLE: &str = "tollgate-export";
const VERSION: &str = "1";

/// All that an export says.
#[derive(Debug)]
pub struct Export {
    pub key: HashKey,
    pub records: Vec<Record>,
}

/// A line that cannot be read: which, counted from 1, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    pub line: usize,
    pub why: String,
}

/// The lines ahead of the records.
pub fn head(key: HashKey) -> String {
    format!("{TITLE} {VERSION}\nhash-key {:032x}\n", u128::from_be_bytes(key.to_bytes()))
}

/// The line of one record; nothing for those that only make sense in a journal.
pub fn line(record: &Record) -> Option<String> {
    match record {
        Record::Counter { key, expires_at, state } => Some(counter_line(*key, *expires_at, state)),
        Record::Note { key, expires_at, bytes } => {
            // JSON without line breaks, as notes are encoded.
            let (key, expires) = (key.to_u128(), expires_at.as_micros());
            Some(format!("note {key:032x} {expires} {}\n", str::from_utf8(bytes).ok()?))
        }
        Record::Gone { .. } | Record::NoteGone { .. } | Record::End { .. } => None,
    }
}

fn counter_line(key: CounterKey, expires_at: Timestamp, state: &State) -> String {
    let (key, expires) = (key.to_u128(), expires_at.as_micros());
    match state {
        State::Window(Count { end, used }) => {
            format!("window {key:032x} {} {used}\n", end.as_micros())
        }
        State::Bucket(bucket) => {
            let (level, at) = (bucket.level(), bucket.at().as_micros());
            format!("bucket {key:032x} {expires} {level} {at}\n")
        }
        State::Slots(slots) => {
            let mut line = format!("slots {key:032x} {expires}");
            for slot in slots.held() {
                let (id, until) = (slot.id, slot.expires_at.as_micros());
                // Writing to a string cannot fail.
                let _ = write!(line, " {id:032x}:{}:{until}", slot.hits);
            }
            line + "\n"
        }
        State::Log(log) => {
            let mut line = format!("log {key:032x} {expires}");
            for (stamp, hits) in log.hits() {
                // Writing to a string cannot fail.
                let _ = write!(line, " {}:{hits}", stamp.as_micros());
            }
            line + "\n"
        }
        State::Pair(Pair { end, previous, current }) => {
            format!("pair {key:032x} {expires} {} {previous} {current}\n", end.as_micros())
        }
    }
}

/// The last line: without it, an export was cut short.
pub fn tail(records: usize) -> String {
    format!("end {records}\n")
}

/// Reads a whole export, or says which line is bad; nothing is used of one that has a bad line.
pub fn read(text: &str) -> Result<Export, BadLine> {
    let mut lines = (1..).zip(text.lines());
    let bad = |line, why: &str| BadLine { line, why: why.into() };
    match lines.next() {
        Some((_, first)) if first == format!("{TITLE} {VERSION}") => {}
        Some((line, first)) if first.starts_with(TITLE) => {
            return Err(bad(line, "it was exported by a newer release"));
        }
        _ => return Err(bad(1, "this is no export of tollgate's: its first line is another")),
    }
    let key = lines.next().and_then(|(_, line)| line.strip_prefix("hash-key "));
    let key = key.and_then(hex).ok_or_else(|| bad(2, "expected `hash-key` and 32 digits"))?;
    let key = HashKey::from_bytes(key.to_be_bytes());
    let mut records = Vec::new();
    for (number, line) in lines.by_ref() {
        if let Some(count) = line.strip_prefix("end ") {
            return match (count.parse() == Ok(records.len()), lines.next()) {
                (true, None) => Ok(Export { key, records }),
                (false, _) => Err(bad(number, "it counts other lines than there are")),
                (true, Some((after, _))) => Err(bad(after, "nothing may follow the last line")),
            };
        }
        let record = note(line).or_else(|| counter(line));
        records.push(record.ok_or_else(|| bad(number, "this is neither counter nor note"))?);
    }
    Err(bad(records.len() + 3, "the last line, `end` and a number, is missing"))
}

fn note(line: &str) -> Option<Record> {
    let (key, rest) = line.strip_prefix("note ")?.split_once(' ')?;
    let (expires_at, json) = rest.split_once(' ')?;
    let (key, expires_at) = (NoteKey::from_u128(hex(key)?), moment(expires_at)?);
    Some(Record::Note { key, expires_at, bytes: json.as_bytes().into() })
}

fn counter(line: &str) -> Option<Record> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let key = CounterKey::from_u128(hex(words.next()?)?);
    let expires_at = moment(words.next()?)?;
    let state = match kind {
        "window" => State::Window(Count { end: expires_at, used: words.next()?.parse().ok()? }),
        "bucket" => {
            let level = words.next()?.parse().ok()?;
            State::Bucket(Bucket::new(level, moment(words.next()?)?))
        }
        "log" => {
            let hit = |word: &str| {
                let (stamp, hits) = word.split_once(':')?;
                Some((moment(stamp)?, hits.parse().ok()?))
            };
            let hits: Vec<_> = words.by_ref().map(hit).collect::<Option<_>>()?;
            let bounded = hits.len() as u64 <= SLIDING_LOG_REQUESTS_MAX;
            if !bounded || !hits.is_sorted_by(|a: &(Timestamp, u64), b| a.0 < b.0) {
                return None;
            }
            State::Log(Log::from_hits(hits))
        }
        "pair" => {
            let (end, previous) = (moment(words.next()?)?, words.next()?.parse().ok()?);
            State::Pair(Pair { end, previous, current: words.next()?.parse().ok()? })
        }
        "slots" => {
            let slots = words.by_ref().map(slot).collect::<Option<Vec<_>>>()?;
            State::Slots(Slots::from_held(slots))
        }
        _ => return None,
    };
    words.next().is_none().then_some(Record::Counter { key, expires_at, state })
}

fn slot(word: &str) -> Option<Slot> {
    let mut parts = word.split(':');
    let (id, hits) = (hex(parts.next()?)?, parts.next()?.parse().ok()?);
    Some(Slot { id, hits, expires_at: moment(parts.next()?)? })
}

fn hex(word: &str) -> Option<u128> {
    (word.len() == 32).then(|| u128::from_str_radix(word, 16).ok())?
}

fn moment(word: &str) -> Option<Timestamp> {
    word.parse().ok().map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let at = Timestamp::from_secs;
        let state = [
            State::Window(Count { end: at(9), used: 7 }),
            State::Bucket(Bucket::new(u128::MAX, at(3))),
            State::Log(Log::from_hits(vec![(at(1), 2), (at(5), 1)])),
            State::Log(Log::default()),
            State::Pair(Pair { end: at(8), previous: 7, current: 5 }),
        ];
        let key = CounterKey::from_u128(0xabc);
        let line = |state| line(&Record::Counter { key, expires_at: at(9), state });
        let lines: String = state.into_iter().filter_map(line).collect();
        let note = format!("note {:032x} 9000000 \"Once\"\n", 5);
        head(HashKey::from_bytes([7; 16])) + &lines + &note + &tail(6)
    }

    #[test]
    fn what_is_exported_is_read() {
        let export = read(&text()).expect("a good export");
        assert_eq!(export.key.to_bytes(), [7; 16]);
        let again: String = export.records.iter().filter_map(line).collect();
        assert_eq!(head(export.key) + &again + &tail(6), text());
    }

    #[test]
    fn a_bad_line_is_named() {
        let bad = |from: &str, to: &str| read(&text().replace(from, to)).expect_err("bad").line;
        assert_eq!(bad("export 1", "export 2"), 1);
        assert_eq!(bad("hash-key 07", "hash-key 7"), 2);
        assert_eq!(bad("window ", "widow "), 3);
        assert_eq!(bad("bucket 0", "bucket z"), 4);
        assert_eq!(bad(":1\n", ":1 \n"), 5);
        assert_eq!(bad("1000000:2 5000000:1", "5000000:2 5000000:1"), 5);
        assert_eq!(bad(" 7 5\n", " 7\n"), 7);
        assert_eq!(bad("note 0", "note z"), 8);
        assert_eq!(bad("end 6", "end 5"), 9);
        assert_eq!(bad("end 6\n", ""), 9);
        assert_eq!(bad("end 6\n", "end 6\nmore\n"), 10);
    }
}
