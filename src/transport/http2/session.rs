//! One connection's frames: what comes is understood, what is to be sent is written.
//!
//! Here are the frames that concern the connection and the order in which frames may come; the hot
//! call's own are in `hot`, those of other streams in `relay`.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;

use super::call::Call;
use super::flow::{ReceiveWindow, SendWindow, WINDOW_BYTES};
use super::frame::{self, Head, NUMBER_MAX, Reason, flag, kind, setting};
use super::hpack::{Decoder, Fields};
use super::relay::Relay;
use super::reply;
use super::streams::{Gathering, Stream, Streams, Way};
use super::table::TABLE_BYTES_MAX;
use super::{
    CONNECTION_WINDOW_BYTES, HEADER_BYTES_MAX, Method, Outbox, STREAM_WINDOW_BYTES, STREAMS_MAX,
};

/// A header block as it comes, in all its frames. Compression makes it smaller than what it says.
const BLOCK_BYTES_MAX: usize = HEADER_BYTES_MAX as usize;

/// Frames that a header block may come in. The largest one needs five; more are an attack, which
/// would otherwise cost nothing to those who send frames of no bytes.
const BLOCK_FRAMES_MAX: usize = 32;

/// A block that is longer than this is not worth knowing by heart: proxies repeat short ones.
const KNOWN_BYTES_MAX: usize = 512;

/// What the last ping carries, by whose answer it is known that no call is on its way any more.
const FAREWELL: [u8; 8] = *b"farewell";

/// What a ping carries that asks whether the peer is still there.
const STILL_THERE: [u8; 8] = *b"there yt";

/// The state of one connection.
#[derive(Debug)]
pub struct Session<M> {
    pub(super) method: M,
    decoder: Decoder,
    known: Option<Known>,
    block: Option<Block>,
    /// Where fields are decoded to.
    plain: Vec<u8>,
    /// The hot call of which the headers have come last; its message comes next as a rule, and
    /// then it is answered without having been among the open streams.
    pub(super) fresh: Option<(u32, Arc<Call>)>,
    pub(super) streams: Streams,
    /// The highest stream that the peer has opened.
    last: u32,
    pub(super) receive: ReceiveWindow,
    pub(super) send: SendWindow,
    /// What the peer lets us send on a new stream.
    pub(super) send_initial: u32,
    /// Streams that wait for the connection's window, in order.
    pub(super) line: VecDeque<u32>,
    /// Whether the peer wants its table smaller and has not been told yet that it is.
    owes_no_table: bool,
    pub(super) relay: Relay,
    ending: Ending,
}

/// The last header block of which it is known what it says, as long as the table stays the same.
#[derive(Debug)]
struct Known {
    block: Box<[u8]>,
    changes: u64,
    call: Arc<Call>,
}

/// A header block of which frames are still to come.
#[derive(Debug)]
struct Block {
    head: Head,
    bytes: Vec<u8>,
    frames: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    NotYet,
    /// The peer has been told to open no more streams; some may be on their way.
    Told,
    /// Streams that come now are not looked at.
    Sure,
}

impl<M: Method> Session<M> {
    /// A session whose peer has said the preface, and its first words.
    pub fn start(method: M, out: &mut Outbox) -> Session<M> {
        let settings = [
            (setting::MAX_CONCURRENT_STREAMS, STREAMS_MAX),
            (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES),
            (setting::MAX_HEADER_LIST_SIZE, HEADER_BYTES_MAX),
        ];
        frame::push_settings(&mut out.peer, &settings);
        frame::push_window_update(&mut out.peer, 0, CONNECTION_WINDOW_BYTES - WINDOW_BYTES);
        Session {
            method,
            decoder: Decoder::new(HEADER_BYTES_MAX as usize),
            known: None,
            block: None,
            plain: Vec::new(),
            fresh: None,
            streams: Streams::default(),
            last: 0,
            receive: ReceiveWindow::new(CONNECTION_WINDOW_BYTES),
            send: SendWindow::new(WINDOW_BYTES),
            send_initial: WINDOW_BYTES,
            line: VecDeque::new(),
            owes_no_table: false,
            relay: Relay::default(),
            ending: Ending::NotYet,
        }
    }

    /// Takes in all whole frames that `bytes` begin with, and returns how many bytes these are.
    ///
    /// # Errors
    ///
    /// If the peer breaks the rules so that the connection cannot go on. It is to be told by
    /// [`fail`](Session::fail).
    pub fn receive(&mut self, bytes: &[u8], out: &mut Outbox) -> Result<usize, Reason> {
        let mut rest = bytes;
        while let Some((head, payload)) = frame::next(&mut rest)? {
            self.frame(head, payload, out)?;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Tells the peer why nothing more will be heard.
    pub fn fail(&self, reason: Reason, out: &mut Outbox) {
        frame::push_goaway(&mut out.peer, self.last, reason);
    }

    /// Asks the peer for no more streams. Those that it has opened by the time it hears so are
    /// served to their end.
    pub fn end(&mut self, out: &mut Outbox) {
        self.ending = Ending::Told;
        frame::push_goaway(&mut out.peer, NUMBER_MAX, Reason::NoError);
        frame::push(&mut out.peer, kind::PING, 0, 0, &FAREWELL);
    }

    /// Whether nothing is left to be done since [`end`](Session::end).
    pub fn has_ended(&self) -> bool {
        self.ending == Ending::Sure && self.fresh.is_none() && self.streams.is_empty()
    }

    /// Asks the peer whether it is still there.
    pub fn ping(&self, out: &mut Outbox) {
        frame::push(&mut out.peer, kind::PING, 0, 0, &STILL_THERE);
    }

    fn frame(&mut self, head: Head, payload: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        if self.block.is_some() && head.kind != kind::CONTINUATION {
            return Err(Reason::Protocol);
        }
        match head.kind {
            kind::DATA => self.data(head, payload, out),
            kind::HEADERS => self.headers(head, payload, out),
            kind::CONTINUATION => self.continuation(head, payload, out),
            kind::RST_STREAM => self.reset(head, payload, out),
            kind::WINDOW_UPDATE => self.window_update(head, payload, out),
            kind::SETTINGS => self.settings(head, payload, out),
            kind::PING => self.pinged(head, payload, out),
            kind::PRIORITY if payload.len() != 5 => Err(Reason::FrameSize),
            kind::PRIORITY if head.stream == 0 => Err(Reason::Protocol),
            kind::GOAWAY if head.stream != 0 => Err(Reason::Protocol),
            kind::PUSH_PROMISE => Err(Reason::Protocol),
            // Of streams' order among each other we know nothing, a peer that leaves says so by
            // leaving, and kinds that nobody has heard of are passed over.
            _ => Ok(()),
        }
    }

    fn headers(&mut self, head: Head, payload: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        // Those of clients are odd.
        if head.stream.is_multiple_of(2) {
            return Err(Reason::Protocol);
        }
        let mut block = frame::unpadded(head, payload)?;
        if head.has(flag::PRIORITY) {
            block = block.get(5..).ok_or(Reason::FrameSize)?;
        }
        if head.has(flag::END_HEADERS) {
            return self.fields(head, block, out);
        }
        self.block = Some(Block { head, bytes: block.to_vec(), frames: 1 });
        Ok(())
    }

    fn continuation(&mut self, head: Head, payload: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        let mut block = self.block.take().ok_or(Reason::Protocol)?;
        if head.stream != block.head.stream {
            return Err(Reason::Protocol);
        }
        block.frames += 1;
        block.bytes.extend_from_slice(payload);
        if block.frames > BLOCK_FRAMES_MAX || block.bytes.len() > BLOCK_BYTES_MAX {
            return Err(Reason::EnhanceYourCalm);
        }
        if head.has(flag::END_HEADERS) {
            return self.fields(block.head, &block.bytes, out);
        }
        self.block = Some(block);
        Ok(())
    }

    /// What a whole header block is for: a new stream, or the end of an open one.
    fn fields(&mut self, head: Head, block: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        let call = self.understood(block)?;
        let ends = head.has(flag::END_STREAM);
        if head.stream <= self.last {
            self.park();
            self.trailers(head.stream, call, ends, out);
            return Ok(());
        }
        if self.ending == Ending::Sure {
            return Ok(());
        }
        self.park();
        self.last = head.stream;
        let Some(call) = call else {
            let owed = self.owed();
            reply::push_too_large(&mut out.peer, head.stream, owed);
            // What is still to come of it is not waited for.
            frame::push_reset(&mut out.peer, head.stream, Reason::NoError);
            return Ok(());
        };
        if self.streams.len() >= STREAMS_MAX as usize {
            frame::push_reset(&mut out.peer, head.stream, Reason::RefusedStream);
        } else if call.is_hot && !ends {
            self.fresh = Some((head.stream, call));
        } else {
            self.relay_call(head.stream, &call, ends, out);
        }
        Ok(())
    }

    /// What a header block says; none if that is more than may be.
    fn understood(&mut self, block: &[u8]) -> Result<Option<Arc<Call>>, Reason> {
        let changes = self.decoder.changes();
        if let Some(known) = &self.known
            && known.changes == changes
            && *known.block == *block
        {
            return Ok(Some(known.call.clone()));
        }
        self.plain.clear();
        let fields = self.decoder.decode(block, &mut self.plain);
        if fields.map_err(|_| Reason::Compression)? == Fields::TooLarge {
            return Ok(None);
        }
        let call = Arc::new(Call::read(&self.plain, M::PATH));
        // A block that changed the table means something else when it comes again.
        if changes == self.decoder.changes() && block.len() <= KNOWN_BYTES_MAX {
            self.known = Some(Known { block: block.into(), changes, call: call.clone() });
        }
        Ok(Some(call))
    }

    /// Header fields behind a message: none of gRPC's, so the library may judge them.
    fn trailers(&mut self, stream: u32, call: Option<Arc<Call>>, ends: bool, out: &mut Outbox) {
        match (self.streams.get(&stream).map(|it| &it.way), call) {
            // It may have been reset while this was on its way.
            (None, _) => frame::push_reset(&mut out.peer, stream, Reason::StreamClosed),
            (Some(Way::Gathering(_) | Way::Relayed(_)), Some(call)) if ends => {
                self.hand_over(stream, false, out);
                self.relay_trailers(stream, &call, out);
            }
            (Some(_), _) => self.abandon(stream, Reason::Protocol, out),
        }
    }

    fn reset(&mut self, head: Head, payload: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        frame::number(payload)?;
        if self.is_idle(head.stream) {
            return Err(Reason::Protocol);
        }
        if self.fresh.take_if(|(stream, _)| *stream == head.stream).is_none() {
            self.forget(head.stream, payload, out);
        }
        Ok(())
    }

    /// Ends a stream for a mistake of the peer's.
    pub(super) fn abandon(&mut self, stream: u32, reason: Reason, out: &mut Outbox) {
        frame::push_reset(&mut out.peer, stream, reason);
        self.forget(stream, &(reason as u32).to_be_bytes(), out);
    }

    /// Drops whatever there is of a stream; if the library serves it, it is told the code.
    fn forget(&mut self, stream: u32, code: &[u8], out: &mut Outbox) {
        let Some(forgotten) = self.streams.remove(&stream) else { return };
        match forgotten.way {
            Way::Gathering(gathering) => self.give_back(gathering.held, &mut out.peer),
            Way::Waiting => out.gone.push(stream),
            Way::Sending(sending) if sending.in_line => self.line.retain(|it| *it != stream),
            Way::Sending(_) => {}
            Way::Relayed(relayed) => self.relay_reset(relayed, code, out),
        }
    }

    fn window_update(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut Outbox,
    ) -> Result<(), Reason> {
        let increment = frame::number(payload)?;
        if head.stream == 0 {
            if increment == 0 {
                return Err(Reason::Protocol);
            }
            self.send.change(increment.into())?;
            self.send_in_line(&mut out.peer);
            return Ok(());
        }
        if self.is_idle(head.stream) {
            return Err(Reason::Protocol);
        }
        self.park();
        // One that has ended may have been answered while this was on its way.
        let Some(stream) = self.streams.get_mut(&head.stream) else { return Ok(()) };
        let changed = match (increment, &stream.way) {
            (0, _) => Err(Reason::Protocol),
            (_, Way::Relayed(relayed)) => {
                frame::push_window_update(&mut out.relayed, relayed.there, increment);
                Ok(())
            }
            _ => stream.window.change(increment.into()),
        };
        match changed {
            Ok(()) => self.send_more(head.stream, &mut out.peer),
            Err(reason) => self.abandon(head.stream, reason, out),
        }
        Ok(())
    }

    fn settings(&mut self, head: Head, payload: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::Protocol);
        }
        if head.has(flag::ACK) {
            return if payload.is_empty() { Ok(()) } else { Err(Reason::FrameSize) };
        }
        for (name, value) in frame::settings(payload)? {
            match name {
                setting::HEADER_TABLE_SIZE => {
                    self.owes_no_table |= (value as usize) < TABLE_BYTES_MAX;
                }
                setting::ENABLE_PUSH if value > 1 => return Err(Reason::Protocol),
                setting::INITIAL_WINDOW_SIZE => self.resize_windows(value, out)?,
                // Frames of ours are never longer than what every peer takes.
                setting::MAX_FRAME_SIZE if !(16_384..1 << 24).contains(&value) => {
                    return Err(Reason::Protocol);
                }
                _ => {}
            }
        }
        frame::push(&mut out.peer, kind::SETTINGS, flag::ACK, 0, &[]);
        Ok(())
    }

    /// The peer lets us send another number of bytes on each stream, open ones included.
    fn resize_windows(&mut self, bytes: u32, out: &mut Outbox) -> Result<(), Reason> {
        if bytes > NUMBER_MAX {
            return Err(Reason::FlowControl);
        }
        let by = i64::from(bytes) - i64::from(self.send_initial);
        self.send_initial = bytes;
        self.relay_window(bytes, out);
        let mut sending = Vec::new();
        for (&number, stream) in &mut self.streams {
            stream.window.change(by)?;
            if matches!(stream.way, Way::Sending(_)) {
                sending.push(number);
            }
        }
        sending.sort_unstable();
        sending.into_iter().for_each(|stream| self.send_more(stream, &mut out.peer));
        Ok(())
    }

    fn pinged(&mut self, head: Head, payload: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::Protocol);
        }
        if payload.len() != FAREWELL.len() {
            return Err(Reason::FrameSize);
        }
        if !head.has(flag::ACK) {
            frame::push(&mut out.peer, kind::PING, flag::ACK, 0, payload);
        } else if payload == FAREWELL && self.ending == Ending::Told {
            self.ending = Ending::Sure;
            frame::push_goaway(&mut out.peer, self.last, Reason::NoError);
        }
        Ok(())
    }

    /// Puts the hot call that came last among the open streams, because something else comes
    /// between its headers and its message.
    pub(super) fn park(&mut self) {
        if let Some((stream, call)) = self.fresh.take() {
            let way = Way::Gathering(Gathering::of(call));
            self.streams.insert(stream, Stream { way, window: self.new_window() });
        }
    }

    pub(super) fn new_window(&self) -> SendWindow {
        SendWindow::new(self.send_initial)
    }

    /// Whether the peer has never opened a stream, which then nothing may be said about.
    pub(super) fn is_idle(&self, stream: u32) -> bool {
        let is_ours = stream.is_multiple_of(2);
        is_ours || stream > self.last && self.ending != Ending::Sure
    }

    /// What the next header block to the peer must begin with.
    pub(super) fn owed(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.owes_no_table) { reply::NO_TABLE } else { &[] }
    }

    /// What it was to begin with was not written after all.
    pub(super) fn owe(&mut self, owed: &[u8]) {
        self.owes_no_table |= !owed.is_empty();
    }

    /// So many bytes of what the peer sent are done with.
    #[inline]
    pub(super) fn give_back(&mut self, bytes: usize, out: &mut BytesMut) {
        if let Some(increment) = self.receive.give_back(bytes) {
            frame::push_window_update(out, 0, increment);
        }
    }
}
