//! The bytes of the journal: files of checksummed blocks of records.
//!
//! Pure: from records to bytes and back, with no file in sight. docs/journal.md describes the
//! format for people; a file written by this release is kept in `tests/data` so that every later
//! one goes on reading it.

use crate::algorithm::State;
use crate::algorithm::concurrency::{Slot, Slots};
use crate::algorithm::sliding_log::Log;
use crate::algorithm::sliding_window::Pair;
use crate::algorithm::token_bucket::Bucket;
use crate::algorithm::window::Count;
use crate::key::CounterKey;
use crate::store::NoteKey;
use crate::time::Timestamp;

/// The format that this release writes. It reads this one and every older one.
///
/// A new kind of record is a new format: a release that does not know it would take a block with
/// one for damage, skip it with all counters in it, and hand out their budgets again. Format 2
/// brought pairs and notes.
pub const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"tollgate";
pub const HEADER_BYTES: usize = 24;

/// Marks the start of a block, so that reading can go on behind a damaged one.
pub const BLOCK_MAGIC: [u8; 4] = *b"TgBk";
pub const BLOCK_HEAD_BYTES: usize = 12;

/// A block is closed when it has grown to this: large enough that its head costs nothing, small
/// enough that a damaged one loses little.
pub const BLOCK_BYTES: usize = 64 << 10;

/// No block is larger: a full one and the largest record, a sliding log of ten thousand stamps.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;

const WINDOW: u8 = 1;
const BUCKET: u8 = 2;
const LOG: u8 = 3;
const GONE: u8 = 4;
const END: u8 = 5;
const PAIR: u8 = 6;
const NOTE: u8 = 7;
const NOTE_GONE: u8 = 8;
const SLOTS: u8 = 9;

/// What one entry of the journal says. The last one of a key counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// All that a counter holds, and until when it matters.
    Counter { key: CounterKey, expires_at: Timestamp, state: State },
    /// The counter was taken away.
    Gone { key: CounterKey },
    /// A note as it is encoded, and until when it counts.
    Note { key: NoteKey, expires_at: Timestamp, bytes: Box<[u8]> },
    /// The note was taken away.
    NoteGone { key: NoteKey },
    /// A snapshot is whole, with so many records ahead of this one.
    End { records: u64 },
}

impl Record {
    /// Until when what it says counts, if it says for how long.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Record::Counter { expires_at, .. } | Record::Note { expires_at, .. } => {
                Some(*expires_at)
            }
            Record::Gone { .. } | Record::NoteGone { .. } | Record::End { .. } => None,
        }
    }
}

/// Why the head of a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// Not one of our files, or its head is damaged.
    Damaged,
    /// Written by a newer release.
    Newer(u32),
}

pub fn header(generation: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&generation.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..20]);
    bytes[20..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The generation that a file belongs to.
pub fn read_header(bytes: &[u8; HEADER_BYTES]) -> Result<u64, BadHeader> {
    let mut fields = Fields(bytes);
    let read = (|| {
        let (magic, version) = (fields.take::<8>()?, fields.u32()?);
        Some((magic, version, fields.u64()?, fields.u32()?))
    })();
    match read {
        Some((MAGIC, version, generation, sum)) if sum == crc32fast::hash(&bytes[..20]) => {
            if version <= VERSION {
                Ok(generation)
            } else {
                Err(BadHeader::Newer(version))
            }
        }
        _ => Err(BadHeader::Damaged),
    }
}

/// Records as they are gathered into blocks.
#[derive(Debug, Default)]
pub struct Blocks {
    bytes: Vec<u8>,
    /// Where the open block begins; none is open if it is the end.
    open: usize,
    pub records: u64,
}

impl Blocks {
    pub fn push(&mut self, record: &Record) {
        match record {
            Record::Counter { key, expires_at, state } => self.counter(*key, *expires_at, state),
            Record::Gone { key } => self.write(|bytes| put_key(bytes, GONE, key.to_u128())),
            Record::Note { key, expires_at, bytes } => self.note(*key, *expires_at, bytes),
            Record::NoteGone { key } => {
                self.write(|bytes| put_key(bytes, NOTE_GONE, key.to_u128()));
            }
            Record::End { records } => self.write(|bytes| {
                bytes.push(END);
                put_u64(bytes, *records);
            }),
        }
    }

    /// Adds a counter without making a record of it first.
    pub fn counter(&mut self, key: CounterKey, expires_at: Timestamp, state: &State) {
        self.write(|bytes| put_counter(bytes, key, expires_at, state));
    }

    /// Adds a note as it is encoded.
    pub fn note(&mut self, key: NoteKey, expires_at: Timestamp, note: impl AsRef<[u8]>) {
        let note = note.as_ref();
        self.write(|bytes| {
            put_key(bytes, NOTE, key.to_u128());
            put_u64(bytes, expires_at.as_micros());
            // Notes are bounded by whoever writes them, far below what 32 bits say.
            bytes.extend_from_slice(&(note.len() as u32).to_le_bytes());
            bytes.extend_from_slice(note);
        });
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The finished bytes; what is gathered after this begins anew.
    pub fn take(&mut self) -> Vec<u8> {
        self.close();
        self.open = 0;
        std::mem::take(&mut self.bytes)
    }

    fn write(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        if self.open == self.bytes.len() {
            self.bytes.extend_from_slice(&[0; BLOCK_HEAD_BYTES]);
        }
        put(&mut self.bytes);
        self.records += 1;
        if self.open + BLOCK_BYTES <= self.bytes.len() {
            self.close();
        }
    }

    fn close(&mut self) {
        if self.open == self.bytes.len() {
            return;
        }
        let (head, body) = self.bytes[self.open..].split_at_mut(BLOCK_HEAD_BYTES);
        head[..4].copy_from_slice(&BLOCK_MAGIC);
        // A block is closed long before its length could leave 32 bits.
        head[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
        head[8..].copy_from_slice(&block_sum(body).to_le_bytes());
        self.open = self.bytes.len();
    }
}

/// The length that a block's head promises, if these bytes can be a block's head.
pub fn read_block_head(bytes: &[u8; BLOCK_HEAD_BYTES]) -> Option<(usize, u32)> {
    let mut fields = Fields(bytes);
    let (magic, length, sum) = (fields.take()?, fields.u32()? as usize, fields.u32()?);
    (magic == BLOCK_MAGIC && length <= BLOCK_BYTES_MAX).then_some((length, sum))
}

/// The checksum of a block's body. Its length is part of it through the number of bytes summed.
pub fn block_sum(body: &[u8]) -> u32 {
    crc32fast::hash(body)
}

/// The records of a block whose checksum is right; nothing if they make no sense all the same.
pub fn read_block(body: &[u8]) -> Option<Vec<Record>> {
    let mut fields = Fields(body);
    let mut records = Vec::new();
    while !fields.0.is_empty() {
        records.push(fields.record()?);
    }
    Some(records)
}

/// The records of whole blocks that were just gathered.
pub fn read_blocks(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk() {
        let Some((length, _)) = read_block_head(head) else { break };
        let Some((body, rest)) = rest.split_at_checked(length) else { break };
        records.extend(read_block(body).into_iter().flatten());
        bytes = rest;
    }
    records
}

fn put_u64(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_key(bytes: &mut Vec<u8>, kind: u8, key: u128) {
    bytes.push(kind);
    bytes.extend_from_slice(&key.to_le_bytes());
}

fn put_counter(bytes: &mut Vec<u8>, key: CounterKey, expires_at: Timestamp, state: &State) {
    let key = key.to_u128();
    match state {
        State::Window(Count { end, used }) => {
            put_key(bytes, WINDOW, key);
            put_u64(bytes, end.as_micros());
            put_u64(bytes, *used);
        }
        State::Bucket(bucket) => {
            put_key(bytes, BUCKET, key);
            put_u64(bytes, expires_at.as_micros());
            bytes.extend_from_slice(&bucket.level().to_le_bytes());
            put_u64(bytes, bucket.at().as_micros());
        }
        State::Slots(slots) => {
            put_key(bytes, SLOTS, key);
            put_u64(bytes, expires_at.as_micros());
            // A concurrency limit is bounded far below what 32 bits say.
            bytes.extend_from_slice(&(slots.held().len() as u32).to_le_bytes());
            for slot in slots.held() {
                bytes.extend_from_slice(&slot.id.to_le_bytes());
                put_u64(bytes, slot.hits);
                put_u64(bytes, slot.expires_at.as_micros());
            }
        }
        State::Log(log) => {
            put_key(bytes, LOG, key);
            put_u64(bytes, expires_at.as_micros());
            // A log holds ten thousand stamps at most.
            bytes.extend_from_slice(&(log.hits().len() as u32).to_le_bytes());
            for (stamp, hits) in log.hits() {
                put_u64(bytes, stamp.as_micros());
                put_u64(bytes, hits);
            }
        }
        State::Pair(Pair { end, previous, current }) => {
            put_key(bytes, PAIR, key);
            put_u64(bytes, expires_at.as_micros());
            put_u64(bytes, end.as_micros());
            put_u64(bytes, *previous);
            put_u64(bytes, *current);
        }
    }
}

/// Bytes being read, field by field; nothing if they end too soon.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        self.u64().map(Timestamp::from_micros)
    }

    fn key(&mut self) -> Option<CounterKey> {
        self.take().map(u128::from_le_bytes).map(CounterKey::from_u128)
    }

    fn slot(&mut self) -> Option<Slot> {
        let id = u128::from_le_bytes(self.take()?);
        Some(Slot { id, hits: self.u64()?, expires_at: self.timestamp()? })
    }

    fn note_key(&mut self) -> Option<NoteKey> {
        self.take().map(u128::from_le_bytes).map(NoteKey::from_u128)
    }

    fn record(&mut self) -> Option<Record> {
        let [kind] = self.take()?;
        match kind {
            WINDOW => {
                let (key, end, used) = (self.key()?, self.timestamp()?, self.u64()?);
                let state = State::Window(Count { end, used });
                Some(Record::Counter { key, expires_at: end, state })
            }
            BUCKET => {
                let (key, expires_at) = (self.key()?, self.timestamp()?);
                let level = u128::from_le_bytes(self.take()?);
                let state = State::Bucket(Bucket::new(level, self.timestamp()?));
                Some(Record::Counter { key, expires_at, state })
            }
            LOG => {
                let (key, expires_at, count) = (self.key()?, self.timestamp()?, self.u32()?);
                let hits = (0..count).map(|_| Some((self.timestamp()?, self.u64()?)));
                let log = Log::from_hits(hits.collect::<Option<Vec<_>>>()?);
                let state = State::Log(log);
                Some(Record::Counter { key, expires_at, state })
            }
            PAIR => {
                let (key, expires_at) = (self.key()?, self.timestamp()?);
                let (end, previous, current) = (self.timestamp()?, self.u64()?, self.u64()?);
                let state = State::Pair(Pair { end, previous, current });
                Some(Record::Counter { key, expires_at, state })
            }
            SLOTS => {
                let (key, expires_at, count) = (self.key()?, self.timestamp()?, self.u32()?);
                let slots = (0..count).map(|_| self.slot()).collect::<Option<Vec<_>>>()?;
                let state = State::Slots(Slots::from_held(slots));
                Some(Record::Counter { key, expires_at, state })
            }
            GONE => self.key().map(|key| Record::Gone { key }),
            NOTE => {
                let (key, expires_at, count) = (self.note_key()?, self.timestamp()?, self.u32()?);
                let (note, rest) = self.0.split_at_checked(count as usize)?;
                self.0 = rest;
                Some(Record::Note { key, expires_at, bytes: note.into() })
            }
            NOTE_GONE => self.note_key().map(|key| Record::NoteGone { key }),
            END => self.u64().map(|records| Record::End { records }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let at = Timestamp::from_secs;
        let key = |number: u128| CounterKey::from_u128(number << 64 | number);
        let counter =
            |number, state| Record::Counter { key: key(number), expires_at: at(9), state };
        vec![
            counter(1, State::Window(Count { end: at(9), used: u64::MAX })),
            counter(2, State::Bucket(Bucket::new(u128::MAX, at(3)))),
            counter(3, State::Log(Log::from_hits(vec![(at(1), 2), (at(5), 1)]))),
            counter(4, State::Pair(Pair { end: at(8), previous: 7, current: u64::MAX })),
            Record::Gone { key: key(1) },
            Record::Note { key: NoteKey::from_u128(5), expires_at: at(7), bytes: (*b"{}").into() },
            Record::NoteGone { key: NoteKey::from_u128(6) },
            Record::End { records: 5 },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let mut blocks = Blocks::default();
        records().iter().for_each(|record| blocks.push(record));
        let bytes = blocks.take();
        let (head, body) = bytes.split_first_chunk().expect("a block");
        assert_eq!(read_block_head(head), Some((body.len(), block_sum(body))));
        assert_eq!(read_block(body), Some(records()));
        assert!(blocks.is_empty());
    }

    #[test]
    fn blocks_are_closed_before_they_grow_large() {
        let mut blocks = Blocks::default();
        let (count, each) = (10_000, 33);
        for _ in 0..count {
            blocks.push(&records()[0]);
        }
        let bytes = blocks.take();
        let closed = (bytes.len() - count * each) / BLOCK_HEAD_BYTES;
        assert_eq!(closed, (count * each).div_ceil(BLOCK_BYTES));
    }

    #[test]
    fn a_block_cut_anywhere_is_not_read() {
        let mut blocks = Blocks::default();
        records()[..3].iter().for_each(|record| blocks.push(record));
        let bytes = blocks.take();
        let body = &bytes[BLOCK_HEAD_BYTES..];
        let ends = [33, 33 + 49, body.len()];
        for length in (1..body.len()).filter(|length| !ends.contains(length)) {
            assert_eq!(read_block(&body[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        assert_eq!(read_header(&header(7)), Ok(7));
        let mut newer = header(7);
        newer[8] += 1;
        let sum = crc32fast::hash(&newer[..20]);
        newer[20..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(read_header(&newer), Err(BadHeader::Newer(VERSION + 1)));
        newer[9] ^= 1;
        assert_eq!(read_header(&newer), Err(BadHeader::Damaged));
    }
}
