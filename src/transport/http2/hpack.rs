//! Header blocks, decoded (RFC 7541).
//!
//! A block is decoded into a block: the same fields, each written out, with no index and no Huffman
//! code in it. That form needs no table, so it can be looked through, kept, and handed on as it
//! is. Answers are written in it as well. Knows no field by its name.

use super::huffman;
use super::table::{TABLE_BYTES_MAX, Table};

/// What a field counts beside its name and value (RFC 9113, section 10.5.1).
const FIELD_BYTES: usize = 32;

/// A number of more than this many bytes says nothing that could be meant.
const NUMBER_BYTES_MAX: usize = 5;

/// The block cannot be read, and with it none that follows on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header block cannot be decoded")]
pub struct Malformed;

impl From<huffman::Malformed> for Malformed {
    fn from(_: huffman::Malformed) -> Malformed {
        Malformed
    }
}

/// Decodes the blocks of one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// Decoded fields beyond this size are told and not kept.
    list_bytes_max: usize,
    /// Where names and values are decoded to.
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Whether all fields of a block were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    Whole,
    /// There were more of them than may be. The table is as if they had been kept.
    TooLarge,
}

impl Decoder {
    /// For lists of fields of up to so many bytes, counted as in HTTP/2's settings.
    pub fn new(list_bytes_max: usize) -> Decoder {
        Decoder { table: Table::new(), list_bytes_max, name: Vec::new(), value: Vec::new() }
    }

    /// How often the table has changed. A block of nothing but indices means the same as long as
    /// this is the same.
    pub fn changes(&self) -> u64 {
        self.table.changes()
    }

    /// Appends the fields of a block to `plain`, in the form that needs no table.
    ///
    /// # Errors
    ///
    /// If it is not a whole block. The connection cannot go on then.
    pub fn decode(&mut self, block: &[u8], plain: &mut Vec<u8>) -> Result<Fields, Malformed> {
        let mut rest = block;
        while let Some(size) = resize(&mut rest)? {
            self.table.resize(size);
        }
        let (mut list_bytes, list_bytes_max) = (0, self.list_bytes_max);
        while let Some(&first) = rest.first() {
            let (name, value) = match first {
                0x80.. => {
                    let index = number(&mut rest, 7)?;
                    self.table.get(index).ok_or(Malformed)?
                }
                // Only at the beginning of a block may the table change its size.
                0x20..0x40 => return Err(Malformed),
                _ => self.literal(&mut rest, first)?,
            };
            list_bytes += name.len() + value.len() + FIELD_BYTES;
            if list_bytes <= list_bytes_max {
                push(plain, name, value);
            }
        }
        let is_whole = list_bytes <= list_bytes_max;
        Ok(if is_whole { Fields::Whole } else { Fields::TooLarge })
    }

    /// A field that is written out, and kept in the table if it says so.
    fn literal(&mut self, rest: &mut &[u8], first: u8) -> Result<(&[u8], &[u8]), Malformed> {
        let is_kept = first & 0x40 != 0;
        let index = number(rest, if is_kept { 6 } else { 4 })?;
        self.name.clear();
        self.value.clear();
        if index == 0 {
            text(rest, &mut self.name)?;
        } else {
            let (name, _) = self.table.get(index).ok_or(Malformed)?;
            self.name.extend_from_slice(name);
        }
        text(rest, &mut self.value)?;
        if is_kept {
            self.table.insert(&self.name, &self.value);
        }
        Ok((&self.name, &self.value))
    }
}

/// The fields of a block in the form that needs no table.
pub fn fields(plain: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = plain;
    std::iter::from_fn(move || {
        rest = rest.get(1..)?;
        Some((bare(&mut rest)?, bare(&mut rest)?))
    })
}

/// Writes one field so that it needs no table.
pub fn push(plain: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    plain.push(0);
    for text in [name, value] {
        push_number(plain, text.len(), 7);
        plain.extend_from_slice(text);
    }
}

/// A number whose beginning is in the low bits of the first byte (RFC 7541, section 5.1); what else
/// that byte holds is zero.
fn push_number(plain: &mut Vec<u8>, number: usize, bits: u32) {
    let full = (1 << bits) - 1;
    let Some(mut rest) = number.checked_sub(full) else {
        plain.push(number as u8);
        return;
    };
    plain.push(full as u8);
    while rest >= 0x80 {
        plain.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    plain.push(rest as u8);
}

/// A text of a plain block, which is never in Huffman's code.
fn bare<'p>(rest: &mut &'p [u8]) -> Option<&'p [u8]> {
    let length = number(rest, 7).ok()?;
    rest.split_off(..length)
}

/// The new size of the table, if a block says so next.
fn resize(rest: &mut &[u8]) -> Result<Option<usize>, Malformed> {
    if !matches!(rest.first(), Some(0x20..0x40)) {
        return Ok(None);
    }
    let size = number(rest, 5)?;
    if size <= TABLE_BYTES_MAX { Ok(Some(size)) } else { Err(Malformed) }
}

fn text(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let is_coded = rest.first().ok_or(Malformed)? & 0x80 != 0;
    let length = number(rest, 7)?;
    let text = rest.split_off(..length).ok_or(Malformed)?;
    if is_coded {
        huffman::decode(text, out)?;
    } else {
        out.extend_from_slice(text);
    }
    Ok(())
}

/// A number that begins in so many low bits of the next byte.
fn number(rest: &mut &[u8], bits: u32) -> Result<usize, Malformed> {
    let full = (1 << bits) - 1;
    let first = rest.split_off_first().ok_or(Malformed)?;
    let mut number = usize::from(*first) & full;
    if number < full {
        return Ok(number);
    }
    for position in 0..NUMBER_BYTES_MAX {
        let byte = *rest.split_off_first().ok_or(Malformed)?;
        number += usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST_BYTES_MAX: usize = 1 << 16;

    fn decoder() -> Decoder {
        Decoder::new(LIST_BYTES_MAX)
    }

    fn told(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
        let mut plain = Vec::new();
        decoder.decode(block, &mut plain)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(fields(&plain).map(|(name, value)| (text(name), text(value))).collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, Malformed> {
        Ok(pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect())
    }

    #[test]
    fn the_requests_of_the_standard_are_read() {
        let mut decoder = decoder();
        let first = [
            0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab,
            0x90, 0xf4, 0xff,
        ];
        let base = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ];
        assert_eq!(told(&mut decoder, &first), pairs(&base));
        let second = [0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        let with = [&base[..], &[("cache-control", "no-cache")]].concat();
        assert_eq!(told(&mut decoder, &second), pairs(&with));
        let third = [
            0x82, 0x87, 0x85, 0xbf, 0x40, 0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f,
            0x89, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf,
        ];
        let last = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ];
        assert_eq!(told(&mut decoder, &third), pairs(&last));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let bad: [&[u8]; 9] = [
            &[0x80],                                     // index 0
            &[0xbe],                                     // beyond an empty table
            &[0x3f, 0xe2, 0x1f],                         // a table of 4,097 bytes
            &[0x82, 0x20],                               // a new size behind a field
            &[0xff],                                     // half a number
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], // a number without end
            &[0x00, 0x01],                               // a name that is not there
            &[0x00, 0x01, b'a', 0x05, b'b'],             // half a value
            &[0x00, 0x81, 0x1e, 0x00],                   // a name with odd padding
        ];
        for block in bad {
            assert_eq!(told(&mut decoder(), block), Err(Malformed), "{block:x?}");
        }
    }

    #[test]
    fn too_large_a_list_is_told_and_leaves_the_table_as_it_should_be() {
        let mut decoder = Decoder::new(100);
        let mut block = vec![0x40];
        block.extend([1, b'a', 1, b'b']);
        let mut twice = block.repeat(4);
        let mut plain = Vec::new();
        assert_eq!(decoder.decode(&twice, &mut plain), Ok(Fields::TooLarge));
        twice = vec![0xc1];
        plain.clear();
        assert_eq!(decoder.decode(&twice, &mut plain), Ok(Fields::Whole));
        assert_eq!(fields(&plain).collect::<Vec<_>>(), [(&b"a"[..], &b"b"[..])]);
    }

    proptest! {
        #[test]
        fn a_plain_block_says_itself(
            list in prop::collection::vec(("[a-z:]{0,200}", ".{0,300}"), 0..8),
        ) {
            let mut plain = Vec::new();
            list.iter().for_each(|(name, value)| {
                push(&mut plain, name.as_bytes(), value.as_bytes());
            });
            prop_assert_eq!(told(&mut decoder(), &plain), Ok(list));
        }

        #[test]
        fn arbitrary_blocks_do_no_harm(
            blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8),
        ) {
            let mut decoder = decoder();
            for block in blocks {
                let mut plain = Vec::new();
                if decoder.decode(&block, &mut plain).is_ok() {
                    let mut again = Vec::new();
                    fields(&plain).for_each(|(name, value)| push(&mut again, name, value));
                    prop_assert_eq!(again, plain);
                }
            }
        }
    }
}
