//! Writing fields of a message. Knows no message.

use std::fmt::{self, Write as _};

use prost::Message;
use prost::bytes::{BufMut as _, BytesMut};

/// The most digits of a number of 64 bits.
const DIGITS_MAX: usize = 20;

/// Where the fields of one message go. What reads as its absence is not written, as in prost.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut BytesMut,
}

impl<'o> Writer<'o> {
    pub fn to(out: &'o mut BytesMut) -> Writer<'o> {
        Writer { out }
    }

    #[inline]
    pub fn number(&mut self, key: u32, number: u64) {
        if number != 0 {
            self.varint(key.into());
            self.varint(number);
        }
    }

    #[inline]
    pub fn text(&mut self, key: u32, text: &str) {
        if !text.is_empty() {
            self.varint(key.into());
            self.varint(text.len() as u64);
            self.out.put_slice(text.as_bytes());
        }
    }

    /// A text that is made where it stands.
    pub fn shown(&mut self, key: u32, shown: &impl fmt::Display) {
        // Writing into memory does not fail.
        self.message(key, |message| {
            let _ = write!(message.out, "{shown}");
        });
    }

    /// A number in decimal digits.
    pub fn digits(&mut self, key: u32, number: u64) {
        let mut digits = [0; DIGITS_MAX];
        let mut start = DIGITS_MAX;
        let mut rest = number;
        while start == DIGITS_MAX || rest > 0 {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.varint(key.into());
        self.out.put_u8((DIGITS_MAX - start) as u8);
        self.out.put_slice(&digits[start..]);
    }

    /// A message as prost writes it.
    pub fn prost(&mut self, key: u32, message: &impl Message) {
        self.varint(key.into());
        self.varint(message.encoded_len() as u64);
        message.encode(self.out).expect("a buffer that grows has room");
    }

    /// A message within this one. Its length stands ahead of it and is known only behind it. All
    /// but the largest fit into the one byte that is left for it.
    #[inline]
    pub fn message(&mut self, key: u32, fields: impl FnOnce(&mut Writer<'_>)) {
        self.varint(key.into());
        self.out.put_u8(0);
        let start = self.out.len();
        fields(self);
        let length = self.out.len() - start;
        if length < 0x80 {
            self.out[start - 1] = length as u8;
        } else {
            self.lengthen(start, length);
        }
    }

    /// Puts a length of several bytes ahead of what begins here.
    #[cold]
    fn lengthen(&mut self, start: usize, length: usize) {
        let end = self.out.len();
        self.varint(length as u64);
        // Written behind everything, and turned round to where it belongs.
        let length_bytes = self.out.len() - end;
        self.out[start..].rotate_right(length_bytes);
        // The byte that was left for it is one too many.
        self.out.copy_within(start.., start - 1);
        self.out.truncate(self.out.len() - 1);
    }

    #[inline]
    fn varint(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 0x80 {
            self.out.put_u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.out.put_u8(rest as u8);
    }
}
