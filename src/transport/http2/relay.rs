//! Streams that are relayed: everything but a plain hot call, frame by frame.
//!
//! The library is a peer in the same process, over a pipe. It is told to use no header table, so
//! that its header blocks can be sent on as they are, and knows each stream by a number of its own,
//! because a call that is found to be odd late would otherwise come after higher numbers. Streams
//! have the flow control of their ends; the connection's is kept here in both directions.

use std::collections::HashMap;

use bytes::BytesMut;
use foldhash::fast::FixedState;

use super::call::Call;
use super::frame::{self, Head, PAYLOAD_BYTES_MAX, Reason, flag, kind, setting};
use super::session::Session;
use super::streams::{Gathering, Relayed, Stream, Way};
use super::{HEADER_BYTES_MAX, Method, Outbox};

/// What every client says first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A library connection ends early only if the peer floods it with what the library does not put
/// up with, and a new one takes its place. Whoever has worn out so many is sent away.
const ENDS_MAX: u32 = 16;

/// What is known of the library's side.
#[derive(Debug)]
pub struct Relay {
    /// Whether there is a connection to it.
    is_open: bool,
    /// The number of the next stream there.
    next: u32,
    /// By the library's numbers, the peer's.
    here: HashMap<u32, u32, FixedState>,
    /// Bytes that it has been sent and has not yet made room for again.
    outstanding: usize,
    /// Bytes of its next frame that have been sent on already.
    sent: usize,
    /// A header block of its, of which frames are still to come.
    block: Option<(Head, Vec<u8>)>,
    /// How many connections to it have ended early.
    ends: u32,
}

impl Default for Relay {
    fn default() -> Relay {
        let here = HashMap::default();
        Relay { is_open: false, next: 1, here, outstanding: 0, sent: 0, block: None, ends: 0 }
    }
}

/// The library has ended its connection, or says what it should not.
#[derive(Debug)]
pub struct LibraryEnded;

impl<M: Method> Session<M> {
    /// Relays a call from its headers on.
    pub(super) fn relay_call(&mut self, stream: u32, call: &Call, ends: bool, out: &mut Outbox) {
        if !self.relay.is_open {
            self.open_library(out);
        }
        let there = self.relay.next;
        self.relay.next += 2;
        self.relay.here.insert(there, stream);
        push_block(&mut out.relayed, there, call.fields(), ends);
        let way = Way::Relayed(Relayed { there, ended_by_peer: ends, ended_by_library: false });
        self.streams.insert(stream, Stream { way, window: self.new_window() });
    }

    /// Relays a call that was thought to be a plain one, if this is one, with all that came of it.
    pub(super) fn hand_over(&mut self, stream: u32, ends: bool, out: &mut Outbox) {
        let is_gathering = |it: &Stream| matches!(it.way, Way::Gathering(_));
        if !self.streams.get(&stream).is_some_and(is_gathering) {
            return;
        }
        let Some(Stream { way: Way::Gathering(gathering), window }) = self.streams.remove(&stream)
        else {
            return;
        };
        let Gathering { call, body, held } = gathering;
        self.relay_call(stream, &call, false, out);
        // What the peer has let us send meanwhile, the library is to know as well.
        let widened = window.room().saturating_sub(self.new_window().room());
        if widened > 0
            && let Some(Stream { way: Way::Relayed(relayed), .. }) = self.streams.get(&stream)
        {
            frame::push_window_update(&mut out.relayed, relayed.there, widened as u32);
        }
        if ends || !body.is_empty() {
            self.relay_data(stream, &body, ends, out);
        }
        self.give_back(held - body.len(), &mut out.peer);
    }

    pub(super) fn relay_data(&mut self, stream: u32, body: &[u8], ends: bool, out: &mut Outbox) {
        let Some(relayed) = self.relayed(stream) else { return };
        relayed.ended_by_peer |= ends;
        let there = relayed.there;
        self.relay.outstanding += body.len();
        let mut parts = body.chunks(PAYLOAD_BYTES_MAX).peekable();
        if parts.peek().is_none() {
            frame::push(&mut out.relayed, kind::DATA, end_flag(ends), there, &[]);
        }
        while let Some(part) = parts.next() {
            let flags = end_flag(ends && parts.peek().is_none());
            frame::push(&mut out.relayed, kind::DATA, flags, there, part);
        }
        self.drop_if_ended(stream);
    }

    pub(super) fn relay_trailers(&mut self, stream: u32, call: &Call, out: &mut Outbox) {
        let Some(relayed) = self.relayed(stream) else { return };
        relayed.ended_by_peer = true;
        push_block(&mut out.relayed, relayed.there, call.fields(), true);
        self.drop_if_ended(stream);
    }

    /// Tells the library that a stream, which is forgotten here, is reset.
    pub(super) fn relay_reset(&mut self, relayed: Relayed, code: &[u8], out: &mut Outbox) {
        self.relay.here.remove(&relayed.there);
        frame::push(&mut out.relayed, kind::RST_STREAM, 0, relayed.there, code);
    }

    /// Tells the library what may be sent on each stream.
    pub(super) fn relay_window(&self, bytes: u32, out: &mut Outbox) {
        if self.relay.is_open {
            frame::push_settings(&mut out.relayed, &[(setting::INITIAL_WINDOW_SIZE, bytes)]);
        }
    }

    /// Sends on what the library says in whole frames, as far as the peer has room for it, and
    /// returns how many bytes of it are done with.
    ///
    /// # Errors
    ///
    /// If it has ended the connection, which [`relay_ended`](Session::relay_ended) is for.
    pub fn relay(&mut self, bytes: &[u8], out: &mut Outbox) -> Result<usize, LibraryEnded> {
        let mut rest = bytes;
        loop {
            let left = rest;
            let Some((head, payload)) = frame::next(&mut rest).map_err(|_| LibraryEnded)? else {
                return Ok(bytes.len() - left.len());
            };
            match head.kind {
                kind::HEADERS => self.relay_back(head, payload, out),
                kind::CONTINUATION => {
                    let Some((first, mut block)) = self.relay.block.take() else { continue };
                    block.extend_from_slice(payload);
                    let flags = first.flags | head.flags;
                    self.relay_back(Head { flags, ..first }, &block, out);
                }
                kind::DATA if !self.relay_data_back(head, payload, out) => {
                    return Ok(bytes.len() - left.len());
                }
                kind::RST_STREAM => self.relay_reset_back(head.stream, payload, out),
                kind::WINDOW_UPDATE => self.relay_room(head.stream, payload, out),
                kind::PING if !head.has(flag::ACK) => {
                    frame::push(&mut out.relayed, kind::PING, flag::ACK, 0, payload);
                }
                kind::GOAWAY => return Err(LibraryEnded),
                _ => {}
            }
        }
    }

    /// The streams of a library connection that has ended are reset, and the next one that is to
    /// be relayed makes another connection.
    ///
    /// # Errors
    ///
    /// If that has happened too often: the peer is to be told and left.
    pub fn relay_ended(&mut self, out: &mut Outbox) -> Result<(), Reason> {
        let ends = self.relay.ends + 1;
        self.give_back(self.relay.outstanding, &mut out.peer);
        let Relay { here, .. } =
            std::mem::replace(&mut self.relay, Relay { ends, ..Relay::default() });
        out.relayed.clear();
        let mut streams: Vec<u32> = here.into_values().collect();
        streams.sort_unstable();
        for stream in streams {
            self.streams.remove(&stream);
            frame::push_reset(&mut out.peer, stream, Reason::Internal);
        }
        if ends < ENDS_MAX { Ok(()) } else { Err(Reason::EnhanceYourCalm) }
    }

    /// The first words to a new connection of the library.
    fn open_library(&mut self, out: &mut Outbox) {
        self.relay.is_open = true;
        out.relayed.extend_from_slice(PREFACE);
        let settings = [
            (setting::HEADER_TABLE_SIZE, 0),
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, self.send_initial),
            (setting::MAX_HEADER_LIST_SIZE, HEADER_BYTES_MAX),
        ];
        frame::push_settings(&mut out.relayed, &settings);
        // Its settings are ours, so they can be agreed to before they come.
        frame::push(&mut out.relayed, kind::SETTINGS, flag::ACK, 0, &[]);
    }

    fn relayed(&mut self, stream: u32) -> Option<&mut Relayed> {
        match &mut self.streams.get_mut(&stream)?.way {
            Way::Relayed(relayed) => Some(relayed),
            _ => None,
        }
    }

    /// Sends on a header block once it is whole, because nothing may come between its frames.
    fn relay_back(&mut self, head: Head, block: &[u8], out: &mut Outbox) {
        if !head.has(flag::END_HEADERS) {
            self.relay.block = Some((head, block.to_vec()));
            return;
        }
        let Some(&stream) = self.relay.here.get(&head.stream) else { return };
        let ends = head.has(flag::END_STREAM);
        match self.owed() {
            [] => push_block(&mut out.peer, stream, block, ends),
            owed => push_block(&mut out.peer, stream, &[owed, block].concat(), ends),
        }
        if ends {
            self.ended_by_library(stream);
        }
    }

    /// Returns whether all of a frame was sent on.
    fn relay_data_back(&mut self, head: Head, payload: &[u8], out: &mut Outbox) -> bool {
        let there = self.relay.here.get(&head.stream).copied();
        if let Some(stream) = there {
            let rest = &payload[self.relay.sent..];
            let length = rest.len().min(self.send.room());
            self.send.take(length);
            if length < rest.len() {
                if length > 0 {
                    frame::push(&mut out.peer, kind::DATA, 0, stream, &rest[..length]);
                    self.relay.sent += length;
                }
                return false;
            }
            let flags = head.flags & flag::END_STREAM;
            frame::push(&mut out.peer, kind::DATA, flags, stream, rest);
            if flags != 0 {
                self.ended_by_library(stream);
            }
        }
        self.relay.sent = 0;
        if !payload.is_empty() {
            frame::push_window_update(&mut out.relayed, 0, payload.len() as u32);
        }
        true
    }

    fn relay_reset_back(&mut self, there: u32, code: &[u8], out: &mut Outbox) {
        let Some(stream) = self.relay.here.remove(&there) else { return };
        self.streams.remove(&stream);
        frame::push(&mut out.peer, kind::RST_STREAM, 0, stream, code);
    }

    /// The library has room again: on a stream, which is the peer's to know, or on the connection.
    fn relay_room(&mut self, there: u32, payload: &[u8], out: &mut Outbox) {
        let Ok(increment) = frame::number(payload) else { return };
        if there == 0 {
            // Some of it may be for the window it begins with, and for nothing that was sent.
            let done = self.relay.outstanding.min(increment as usize);
            self.relay.outstanding -= done;
            self.give_back(done, &mut out.peer);
        } else if let Some(&stream) = self.relay.here.get(&there) {
            frame::push_window_update(&mut out.peer, stream, increment);
        }
    }

    fn ended_by_library(&mut self, stream: u32) {
        if let Some(relayed) = self.relayed(stream) {
            relayed.ended_by_library = true;
        }
        self.drop_if_ended(stream);
    }

    fn drop_if_ended(&mut self, stream: u32) {
        if let Some(&mut relayed) = self.relayed(stream)
            && relayed.has_ended()
        {
            self.relay.here.remove(&relayed.there);
            self.streams.remove(&stream);
        }
    }
}

/// A header block in as many frames as it needs.
fn push_block(out: &mut BytesMut, stream: u32, block: &[u8], ends: bool) {
    let mut rest = block;
    let mut kind = kind::HEADERS;
    let mut flags = end_flag(ends);
    loop {
        let part;
        (part, rest) = rest.split_at(rest.len().min(PAYLOAD_BYTES_MAX));
        flags |= if rest.is_empty() { flag::END_HEADERS } else { 0 };
        frame::push(out, kind, flags, stream, part);
        if rest.is_empty() {
            return;
        }
        (kind, flags) = (kind::CONTINUATION, 0);
    }
}

fn end_flag(ends: bool) -> u8 {
    if ends { flag::END_STREAM } else { 0 }
}
