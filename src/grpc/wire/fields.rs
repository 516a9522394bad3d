//! The fields of a message, read one after another from its bytes. Knows no message.

use smallvec::SmallVec;

use super::key::{self, Form};

/// Messages and groups within each other. prost goes no deeper, and what one of two ways accepts
/// and the other refuses would be a call that is decided by how it is read.
const DEPTH_MAX: usize = 100;

/// Bytes in the longest varint: ten times seven bits are the first that hold 64.
const VARINT_BYTES_MAX: usize = 10;

/// No known client sends groups; an array for a few keeps those who do from memory of their own.
const GROUPS_INLINE: usize = 4;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it ends within a field")]
    Cut,
    #[error("a number is longer than 64 bits")]
    Varint,
    #[error("a key is none")]
    Key,
    #[error("a field is not written as its type is")]
    Form,
    #[error("a text is not UTF-8")]
    Text,
    #[error("a group is ended that is not open")]
    GroupEnd,
    #[error("it is nested too deeply")]
    Depth,
}

/// What is still to be read of a message.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    /// The message's own fields have the numbers up to this one.
    known: u32,
    /// How many messages it stands in.
    depth: usize,
}

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8], known: u32) -> Fields<'a> {
        Fields { rest: message, known, depth: 0 }
    }

    /// The key of the next field, none at the end. Whether it is one is checked by
    /// [`Fields::skip`], where all end up that the message does not know.
    #[inline(always)]
    pub fn key(&mut self) -> Result<Option<u32>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed::Key)?;
        Ok(Some(key))
    }

    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            // Nearly all are of one byte: keys, short lengths, small numbers.
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (position, &byte) in self.rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            // Of the tenth byte only the lowest bit has room.
            if position == VARINT_BYTES_MAX - 1 && byte > 1 {
                return Err(Malformed::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte < 0x80 {
                self.rest = &self.rest[position + 1..];
                return Ok(value);
            }
        }
        Err(Malformed::Cut)
    }

    #[inline(always)]
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.delimited()?).map_err(|_| Malformed::Text)
    }

    /// A message within this one, with fields of its own up to this number.
    #[inline(always)]
    pub fn message(&mut self, known: u32) -> Result<Fields<'a>, Malformed> {
        Ok(Fields { rest: self.delimited()?, known, depth: self.depth + 1 })
    }

    #[inline(always)]
    fn delimited(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Cut)?;
        self.bytes(length)
    }

    #[inline(always)]
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Gets past a field that the message does not know. One that it does know is here only if
    /// it is written in another form than its own.
    #[cold]
    pub fn skip(&mut self, key: u32) -> Result<(), Malformed> {
        match key::number(key) {
            0 => Err(Malformed::Key),
            number if number <= self.known => Err(Malformed::Form),
            _ => self.skip_any(key),
        }
    }

    /// Gets past a field, be it known or not.
    pub fn skip_any(&mut self, key: u32) -> Result<(), Malformed> {
        let form = Form::of(key).ok_or(Malformed::Key)?;
        if form == Form::Group { self.skip_group(key) } else { self.skip_value(form) }
    }

    fn skip_value(&mut self, form: Form) -> Result<(), Malformed> {
        match form {
            Form::Varint => self.varint().map(drop),
            Form::EightBytes => self.bytes(8).map(drop),
            Form::Delimited => self.delimited().map(drop),
            Form::FourBytes => self.bytes(4).map(drop),
            Form::Group | Form::GroupEnd => Err(Malformed::GroupEnd),
        }
    }

    /// Gets past a group and all in it. The groups that are open stand in a list, so that a deep
    /// nest of them takes no deep nest of calls.
    fn skip_group(&mut self, key: u32) -> Result<(), Malformed> {
        let mut open = SmallVec::<[u32; GROUPS_INLINE]>::from_slice(&[key::number(key)]);
        while let Some(&innermost) = open.last() {
            let key = self.key()?.ok_or(Malformed::Cut)?;
            let (number, form) = (key::number(key), Form::of(key).ok_or(Malformed::Key)?);
            if form == Form::GroupEnd {
                if number != innermost {
                    return Err(Malformed::GroupEnd);
                }
                open.pop();
                continue;
            }
            if number == 0 {
                return Err(Malformed::Key);
            }
            if self.depth + open.len() == DEPTH_MAX {
                return Err(Malformed::Depth);
            }
            match form {
                Form::Group => open.push(number),
                form => self.skip_value(form)?,
            }
        }
        Ok(())
    }
}
