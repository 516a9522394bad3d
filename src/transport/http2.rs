//! HTTP/2 as far as the hot call needs it; all else is relayed to the HTTP library.
//!
//! A session is one connection without its input and output: it is given bytes and says which are
//! to be sent. The one hot call is answered from the bytes it came in: its headers are known by
//! heart after the first call, its message is read where it lies, and its answer is written behind
//! those of the calls before it. Every other stream, and a hot call with anything odd about it, is
//! relayed frame by frame to a connection of the HTTP library, which judges and serves it. So what
//! is here is frames, flow control and header compression, and no meaning of HTTP beyond that.

mod call;
mod flow;
mod frame;
mod hot;
mod hpack;
mod huffman;
mod relay;
mod reply;
mod session;
mod streams;
mod table;
#[cfg(test)]
mod tests;

pub use self::frame::Reason;
pub use self::relay::{LibraryEnded, PREFACE};
pub use self::session::Session;

use std::pin::Pin;

use bytes::BytesMut;

/// Streams open at a time on one connection. Envoy's circuit breaker holds back at 1,024 by
/// default, so that a proxy meets its own bound first.
pub const STREAMS_MAX: u32 = 2048;

/// Headers of one call, decoded. A proxy sends a few hundred bytes; tracing and metadata more.
pub const HEADER_BYTES_MAX: u32 = 64 << 10;

/// What one call may send ahead of our reading it.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// The same for a connection, over all its calls.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// The one method that is answered in place.
pub trait Method: Clone + Send + 'static {
    /// As it stands in a request.
    const PATH: &'static str;

    /// Answers a message, or says how it will be. `timeout` is the `grpc-timeout` that the call
    /// brought along. An answer is appended to `out`, without the head that gRPC puts ahead of it;
    /// of all other outcomes nothing is left there that counts.
    fn answer(&self, message: &[u8], timeout: Option<&[u8]>, out: &mut BytesMut) -> Answered;
}

/// What became of a call.
#[expect(missing_debug_implementations, reason = "a future cannot be shown")]
pub enum Answered {
    Now,
    Refused(Refusal),
    /// The future is dropped if the caller gives up.
    Later(Later),
}

/// An answer that is waited for.
pub type Later = Pin<Box<dyn Future<Output = Result<BytesMut, Refusal>> + Send>>;

/// An error in gRPC's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of gRPC's codes, never 0.
    pub code: u8,
    pub message: String,
}

/// What a session wants to be done.
#[derive(Default)]
pub struct Outbox {
    /// Bytes for the peer.
    pub peer: BytesMut,
    /// Bytes for the HTTP library.
    pub relayed: BytesMut,
    /// Answers to wait for, by stream.
    pub later: Vec<(u32, Later)>,
    /// Streams whose answers nobody waits for any more.
    pub gone: Vec<u32>,
}
