//! Answers of gRPC as frames.
//!
//! Their headers use no table of HPACK's, so they are the same bytes each time.

use bytes::{BufMut as _, BytesMut};

use super::Refusal;
use super::frame::{HEAD_BYTES, Head, flag, kind};
use super::hpack;

/// What gRPC puts ahead of each message: a flag for compression, and the length.
pub const MESSAGE_HEAD_BYTES: usize = 5;

/// `:status: 200` by its index, and `content-type: application/grpc` with its name by its index.
const HEADERS: &[u8] = b"\x88\x0f\x10\x10application/grpc";

/// `grpc-status: 0`.
const TRAILERS: &[u8] = b"\x00\x0bgrpc-status\x010";

/// `:status: 431`, with its name by its index: the headers of the request are too large.
const TOO_LARGE: &[u8] = b"\x08\x03431";

/// That no table is used, ahead of the first field: what an encoder owes a peer that wants its
/// table smaller (RFC 7541, section 4.2).
pub const NO_TABLE: &[u8] = b"\x20";

/// The beginning of an answer.
#[inline]
pub fn push_headers(out: &mut BytesMut, stream: u32, owed: &[u8]) {
    push_fields(out, stream, 0, owed, HEADERS);
}

/// A frame with the fields of a block, behind what the encoder owes.
#[inline]
pub fn push_fields(out: &mut BytesMut, stream: u32, flags: u8, owed: &[u8], block: &[u8]) {
    let length = owed.len() + block.len();
    let flags = flags | flag::END_HEADERS;
    out.extend_from_slice(&Head { length, kind: kind::HEADERS, flags, stream }.bytes());
    out.extend_from_slice(owed);
    out.extend_from_slice(block);
}

/// The end of an answer that is well.
#[inline]
pub fn push_trailers(out: &mut BytesMut, stream: u32) {
    push_fields(out, stream, flag::END_STREAM, &[], TRAILERS);
}

/// An answer that is nothing but an error.
pub fn push_refusal(out: &mut BytesMut, stream: u32, owed: &[u8], refusal: &Refusal) {
    let mut block = HEADERS.to_vec();
    hpack::push(&mut block, b"grpc-status", refusal.code.to_string().as_bytes());
    hpack::push(&mut block, b"grpc-message", &escaped(&refusal.message));
    push_fields(out, stream, flag::END_STREAM, owed, &block);
}

/// What somebody is told whose headers are too large.
pub fn push_too_large(out: &mut BytesMut, stream: u32, owed: &[u8]) {
    push_fields(out, stream, flag::END_STREAM, owed, TOO_LARGE);
}

/// Leaves room for a message, to be filled in by [`close_message`].
#[inline]
pub fn open_message(out: &mut BytesMut) {
    out.put_bytes(0, HEAD_BYTES + MESSAGE_HEAD_BYTES);
}

/// Puts ahead of a message, which has been written behind the room left for it at `start`, how long
/// it and its frame are.
#[inline]
pub fn close_message(out: &mut BytesMut, start: usize, stream: u32) {
    let length = out.len() - start - HEAD_BYTES;
    let head = Head { length, kind: kind::DATA, flags: 0, stream };
    out[start..start + HEAD_BYTES].copy_from_slice(&head.bytes());
    // Answers are far shorter than what 32 bits hold.
    let message_length = (length - MESSAGE_HEAD_BYTES) as u32;
    out[start + HEAD_BYTES + 1..start + HEAD_BYTES + MESSAGE_HEAD_BYTES]
        .copy_from_slice(&message_length.to_be_bytes());
}

/// As gRPC wants messages of errors: all but what prints, and the sign itself, by its number.
fn escaped(message: &str) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(byte),
            _ => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(block: &[u8]) -> Vec<(String, String)> {
        let mut plain = Vec::new();
        hpack::Decoder::new(1 << 16).decode(block, &mut plain).expect("a sound block");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        hpack::fields(&plain).map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn the_fixed_blocks_say_what_they_are_to() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = [field(":status", "200"), field("content-type", "application/grpc")];
        assert_eq!(shown(HEADERS), headers);
        assert_eq!(shown(TRAILERS), [field("grpc-status", "0")]);
        assert_eq!(shown(TOO_LARGE), [field(":status", "431")]);
        assert_eq!(shown(NO_TABLE), []);
    }

    #[test]
    fn messages_of_errors_are_escaped() {
        assert_eq!(escaped("100 % \u{e4}\n"), b"100 %25 %C3%A4%0A");
    }
}
