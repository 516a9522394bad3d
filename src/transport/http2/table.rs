//! The two tables that HPACK's indices point into (RFC 7541, sections 2.3 and 4, appendix A).

use std::collections::VecDeque;

/// What a dynamic table may hold by the sum of its entries' sizes: the size that every peer may
/// reckon with, as we announce no other.
pub const TABLE_BYTES_MAX: usize = 4096;

/// What an entry counts beside its name and value (RFC 7541, section 4.1).
const ENTRY_BYTES: usize = 32;

/// Fields that have a number by themselves; the first is number one.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"),
    (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"), (":status", "200"),
    (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""),
    ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""),
    ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
    ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""),
    ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
    ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
    ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""),
    ("via", ""), ("www-authenticate", ""),
];

/// The fields that one peer has told us to keep.
#[derive(Debug)]
pub struct Table {
    /// The newest first, each with its name's length: both texts lie in one piece.
    entries: VecDeque<(usize, Box<[u8]>)>,
    size: usize,
    size_max: usize,
    /// How often entries came or went, by which it is known that an index means what it meant.
    changes: u64,
}

impl Table {
    pub fn new() -> Table {
        Table { entries: VecDeque::new(), size: 0, size_max: TABLE_BYTES_MAX, changes: 0 }
    }

    /// Name and value of an index, if there is one.
    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        let (name_bytes, texts) = self.entries.get(index - STATIC.len())?;
        Some(texts.split_at(*name_bytes))
    }

    pub fn insert(&mut self, name: &[u8], value: &[u8]) {
        self.changes += 1;
        let size = size(name.len() + value.len());
        self.evict(self.size_max.saturating_sub(size));
        // One that is larger than the table empties it, and that is all.
        if size <= self.size_max {
            self.size += size;
            self.entries.push_front((name.len(), [name, value].concat().into()));
        }
    }

    pub fn resize(&mut self, size_max: usize) {
        self.changes += 1;
        self.size_max = size_max;
        self.evict(size_max);
    }

    pub fn changes(&self) -> u64 {
        self.changes
    }

    fn evict(&mut self, size_max: usize) {
        while self.size > size_max
            && let Some((_, texts)) = self.entries.pop_back()
        {
            self.size -= size(texts.len());
        }
    }
}

fn size(text_bytes: usize) -> usize {
    text_bytes + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_go_through_the_static_table_and_on_to_the_newest_entry() {
        let mut table = Table::new();
        assert_eq!(table.get(0), None);
        assert_eq!(table.get(3), Some((&b":method"[..], &b"POST"[..])));
        assert_eq!(table.get(61), Some((&b"www-authenticate"[..], &b""[..])));
        assert_eq!(table.get(62), None);
        table.insert(b"a", b"1");
        table.insert(b"b", b"2");
        assert_eq!(table.get(62), Some((&b"b"[..], &b"2"[..])));
        assert_eq!(table.get(63), Some((&b"a"[..], &b"1"[..])));
    }

    #[test]
    fn the_oldest_entries_make_room() {
        let mut table = Table::new();
        table.resize(2 * size(2));
        for name in [b"a", b"b", b"c"] {
            table.insert(name, b"-");
        }
        assert_eq!(table.get(63), Some((&b"b"[..], &b"-"[..])));
        assert_eq!(table.get(64), None);
        table.insert(b"too", &[b'-'; 100]);
        assert_eq!(table.get(62), None, "what does not fit at all leaves nothing");
        assert_eq!(table.size, 0);
    }
}
