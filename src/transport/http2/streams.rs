//! The streams that are open on one connection, and on which way each of them is.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use foldhash::fast::FixedState;

use super::call::Call;
use super::flow::SendWindow;

/// An open stream.
#[derive(Debug)]
pub struct Stream {
    pub way: Way,
    /// What the peer lets us send on it. The library keeps its own of those relayed to it.
    pub window: SendWindow,
}

/// What is being done about a stream.
#[derive(Debug)]
pub enum Way {
    /// A hot call whose message is not whole yet.
    Gathering(Gathering),
    /// An answer that is waited for.
    Waiting,
    /// An answer for which the peer has no room.
    Sending(Sending),
    /// The library serves it.
    Relayed(Relayed),
}

/// What has come of a hot call.
#[derive(Debug)]
pub struct Gathering {
    pub call: Arc<Call>,
    pub body: Vec<u8>,
    /// What it holds of the connection's window, padding included.
    pub held: usize,
}

/// What is left of an answer.
#[derive(Debug)]
pub struct Sending {
    pub rest: BytesMut,
    /// Whether it stands in the line for the connection's window.
    pub in_line: bool,
}

/// A stream that the library knows by a number of its own.
#[derive(Clone, Copy, Debug)]
pub struct Relayed {
    pub there: u32,
    pub ended_by_peer: bool,
    pub ended_by_library: bool,
}

/// All open streams by number. Peers choose the numbers, but only in ascending order, so that none
/// can be aimed at one place of the table.
pub type Streams = HashMap<u32, Stream, FixedState>;

impl Gathering {
    pub fn of(call: Arc<Call>) -> Gathering {
        Gathering { call, body: Vec::new(), held: 0 }
    }
}

impl Relayed {
    pub fn has_ended(self) -> bool {
        self.ended_by_peer && self.ended_by_library
    }
}
