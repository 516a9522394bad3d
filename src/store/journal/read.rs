//! Reading a file of the journal back, past whatever is damaged in it.

use std::io;

use super::disk::{Disk, ReadAt};
use super::format::{
    BLOCK_BYTES_MAX, BLOCK_HEAD_BYTES, BLOCK_MAGIC, BadHeader, HEADER_BYTES, Record, block_sum,
    read_block, read_block_head, read_header,
};

/// So much is read at a time: at least the largest block with its head.
const CHUNK_BYTES: usize = 4 << 20;
const _: () = assert!(BLOCK_HEAD_BYTES + BLOCK_BYTES_MAX <= CHUNK_BYTES);

/// The next thing found in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Records(Vec<Record>),
    /// Bytes that are no block, with sound blocks behind them: something was changed on disk.
    Damage {
        from: u64,
        to: u64,
    },
    /// Bytes at the end that are no whole block: the last write was cut short.
    TornTail {
        from: u64,
    },
    End,
}

/// Reads one file from its start to its end.
pub struct Reader {
    file: Box<dyn ReadAt>,
    length: u64,
    offset: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
    /// Whether the head is damaged, and this was not told yet.
    bad_head: bool,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(
        "it was written by a newer release (format {0}); start that release again, or export \
         from it and import here"
    )]
    Newer(u32),
}

impl Reader {
    /// Opens a file. A damaged head is told as the first thing found, and blocks behind it are
    /// read: only a sound head of a newer format is refused.
    pub fn open(disk: &dyn Disk, name: &str) -> Result<Reader, Error> {
        let file = disk.open(name)?;
        let length = file.length()?;
        let offset = HEADER_BYTES as u64;
        let mut reader =
            Reader { file, length, offset, chunk: Vec::new(), chunk_at: 0, bad_head: false };
        let header = reader.bytes(0, HEADER_BYTES)?.and_then(|bytes| bytes.first_chunk().copied());
        match header.map_or(Err(BadHeader::Damaged), |header| read_header(&header)) {
            Ok(_) => {}
            Err(BadHeader::Damaged) if length < offset => reader.offset = 0,
            Err(BadHeader::Damaged) => reader.bad_head = true,
            Err(BadHeader::Newer(version)) => return Err(Error::Newer(version)),
        }
        Ok(reader)
    }

    pub fn next(&mut self) -> io::Result<Found> {
        let from = self.offset;
        if std::mem::take(&mut self.bad_head) {
            return Ok(Found::Damage { from: 0, to: from });
        }
        if from == self.length {
            return Ok(Found::End);
        }
        if let Some((records, end)) = self.block(from)? {
            self.offset = end;
            return Ok(Found::Records(records));
        }
        match self.next_sound(from + 1)? {
            Some(to) => {
                self.offset = to;
                Ok(Found::Damage { from, to })
            }
            None => {
                self.offset = self.length;
                Ok(Found::TornTail { from })
            }
        }
    }

    /// The block that begins at `offset` and where it ends, if a sound one does.
    fn block(&mut self, offset: u64) -> io::Result<Option<(Vec<Record>, u64)>> {
        let head = self.bytes(offset, BLOCK_HEAD_BYTES)?.and_then(|head| head.first_chunk());
        let Some((length, sum)) = head.and_then(read_block_head) else { return Ok(None) };
        let body_at = offset + BLOCK_HEAD_BYTES as u64;
        let Some(body) = self.bytes(body_at, length)? else { return Ok(None) };
        if block_sum(body) != sum {
            return Ok(None);
        }
        let records = read_block(body);
        Ok(records.map(|records| (records, body_at + length as u64)))
    }

    /// Where the next sound block begins, at `offset` or behind it.
    fn next_sound(&mut self, mut offset: u64) -> io::Result<Option<u64>> {
        while offset + BLOCK_HEAD_BYTES as u64 <= self.length {
            let rest = usize::try_from(self.length - offset).unwrap_or(CHUNK_BYTES);
            let Some(bytes) = self.bytes(offset, rest.min(CHUNK_BYTES / 2))? else { break };
            let found = bytes.windows(BLOCK_MAGIC.len()).position(|four| *four == BLOCK_MAGIC);
            match found {
                Some(position) => {
                    offset += position as u64;
                    if self.block(offset)?.is_some() {
                        return Ok(Some(offset));
                    }
                    offset += 1;
                }
                // The mark may lie across the border of two chunks.
                None => offset += (bytes.len() - BLOCK_MAGIC.len() + 1) as u64,
            }
        }
        Ok(None)
    }

    /// These bytes of the file; nothing if it ends before them.
    fn bytes(&mut self, offset: u64, count: usize) -> io::Result<Option<&[u8]>> {
        let end = offset + count as u64;
        if self.length < end {
            return Ok(None);
        }
        let chunk_end = self.chunk_at + self.chunk.len() as u64;
        if offset < self.chunk_at || chunk_end < end {
            let rest = usize::try_from(self.length - offset).unwrap_or(CHUNK_BYTES);
            self.chunk.resize(rest.min(CHUNK_BYTES.max(count)), 0);
            self.chunk_at = offset;
            self.file.read_at(offset, &mut self.chunk)?;
        }
        let start = usize::try_from(offset - self.chunk_at).unwrap_or(usize::MAX);
        Ok(self.chunk.get(start..start + count))
    }
}
