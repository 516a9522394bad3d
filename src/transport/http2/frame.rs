//! Frames of HTTP/2 (RFC 9113, sections 4 and 6): their heads, and those that are written here.
//!
//! Knows how a frame looks, and nothing of when one may come.

use bytes::{BufMut as _, BytesMut};

/// What every frame begins with.
pub const HEAD_BYTES: usize = 9;

/// The longest frame that a peer may send as long as nothing else was agreed on, and nothing is.
pub const PAYLOAD_BYTES_MAX: usize = 16_384;

/// Identifiers and increments have one bit less than their field, which is reserved.
pub const NUMBER_MAX: u32 = (1 << 31) - 1;

/// Kinds of frames.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Parameters of a connection that either side announces.
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// Why a stream or a connection ends (RFC 9113, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    NoError = 0,
    Protocol = 1,
    Internal = 2,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Compression = 9,
    EnhanceYourCalm = 11,
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Head {
    #[inline]
    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Head {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Head {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & NUMBER_MAX,
        }
    }

    #[inline]
    pub fn bytes(self) -> [u8; HEAD_BYTES] {
        // No frame of ours is longer than what three bytes hold.
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    #[inline]
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The next whole frame of `bytes`, which begin with it; none if more of it is to come.
///
/// # Errors
///
/// If it is longer than a frame may be.
#[inline]
pub fn next<'b>(bytes: &mut &'b [u8]) -> Result<Option<(Head, &'b [u8])>, Reason> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let head = Head::read(head);
    if head.length > PAYLOAD_BYTES_MAX {
        return Err(Reason::FrameSize);
    }
    let Some((payload, rest)) = rest.split_at_checked(head.length) else { return Ok(None) };
    *bytes = rest;
    Ok(Some((head, payload)))
}

/// A payload without its padding.
///
/// # Errors
///
/// If there is more padding than payload.
#[inline]
pub fn unpadded(head: Head, payload: &[u8]) -> Result<&[u8], Reason> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let (&padding, rest) = payload.split_first().ok_or(Reason::FrameSize)?;
    let length = rest.len().checked_sub(padding.into()).ok_or(Reason::Protocol)?;
    Ok(&rest[..length])
}

/// The number that a payload is, without its reserved bit.
pub fn number(payload: &[u8]) -> Result<u32, Reason> {
    let bytes = payload.try_into().map_err(|_| Reason::FrameSize)?;
    Ok(u32::from_be_bytes(bytes) & NUMBER_MAX)
}

/// The settings of a payload: each with its value.
///
/// # Errors
///
/// If one of them is not whole.
pub fn settings(payload: &[u8]) -> Result<impl Iterator<Item = (u16, u32)>, Reason> {
    let (settings, rest) = payload.as_chunks::<6>();
    let read = |&[a, b, c, d, e, f]: &[u8; 6]| {
        (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
    };
    if rest.is_empty() { Ok(settings.iter().map(read)) } else { Err(Reason::FrameSize) }
}

pub fn push(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&Head { length: payload.len(), kind, flags, stream }.bytes());
    out.extend_from_slice(payload);
}

pub fn push_settings(out: &mut BytesMut, settings: &[(u16, u32)]) {
    let length = settings.len() * 6;
    let head = Head { length, kind: kind::SETTINGS, flags: 0, stream: 0 };
    out.extend_from_slice(&head.bytes());
    for &(name, value) in settings {
        out.put_u16(name);
        out.put_u32(value);
    }
}

pub fn push_window_update(out: &mut BytesMut, stream: u32, increment: u32) {
    push(out, kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
}

pub fn push_reset(out: &mut BytesMut, stream: u32, reason: Reason) {
    push(out, kind::RST_STREAM, 0, stream, &(reason as u32).to_be_bytes());
}

/// Says that no stream above `last` was or will be looked at.
pub fn push_goaway(out: &mut BytesMut, last: u32, reason: Reason) {
    let [a, b, c, d] = last.to_be_bytes();
    let [e, f, g, h] = (reason as u32).to_be_bytes();
    push(out, kind::GOAWAY, 0, 0, &[a, b, c, d, e, f, g, h]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn padding_is_taken_off() {
        let head = Head { length: 0, kind: kind::DATA, flags: flag::PADDED, stream: 1 };
        assert_eq!(unpadded(head, &[2, 7, 0, 0]), Ok(&[7][..]));
        assert_eq!(unpadded(head, &[0]), Ok(&[][..]));
        assert_eq!(unpadded(head, &[1]), Err(Reason::Protocol));
        assert_eq!(unpadded(head, &[]), Err(Reason::FrameSize));
    }

    #[test]
    fn a_frame_waits_until_it_is_whole_and_is_refused_if_it_is_too_long() {
        let mut bytes = BytesMut::new();
        push_window_update(&mut bytes, 7, 9);
        for length in 0..bytes.len() {
            assert_eq!(next(&mut &bytes[..length]), Ok(None));
        }
        let mut rest = &bytes[..];
        let (head, payload) = next(&mut rest).expect("short enough").expect("whole");
        assert_eq!((head.kind, head.stream, number(payload)), (kind::WINDOW_UPDATE, 7, Ok(9)));
        assert!(rest.is_empty());
        let long = Head { length: PAYLOAD_BYTES_MAX + 1, kind: kind::DATA, flags: 0, stream: 1 };
        assert_eq!(next(&mut &long.bytes()[..]), Err(Reason::FrameSize));
    }

    proptest! {
        #[test]
        fn a_head_is_read_as_it_was_written(
            length in 0usize..1 << 24, kind: u8, flags: u8, stream in 0..=NUMBER_MAX,
        ) {
            let head = Head { length, kind, flags, stream };
            prop_assert_eq!(Head::read(&head.bytes()), head);
        }
    }
}
