//! The hot call on its streams: its message gathered, its answer sent.

use bytes::BytesMut;

use super::call::Call;
use super::flow::SendWindow;
use super::frame::{self, HEAD_BYTES, Head, PAYLOAD_BYTES_MAX, Reason, flag, kind};
use super::reply::{self, MESSAGE_HEAD_BYTES};
use super::session::Session;
use super::streams::{Sending, Stream, Way};
use super::{Answered, Method, Outbox, Refusal};

/// Longer messages are left to the library. The longest header that Envoy forwards fits twice.
const MESSAGE_BYTES_MAX: usize = 128 << 10;

impl<M: Method> Session<M> {
    #[inline]
    pub(super) fn data(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut Outbox,
    ) -> Result<(), Reason> {
        self.receive.take(head.length)?;
        let body = frame::unpadded(head, payload)?;
        let is_next = |(stream, _): &mut (u32, _)| *stream == head.stream;
        if head.has(flag::END_STREAM)
            && let Some(message) = only_message(body)
            && let Some((stream, call)) = self.fresh.take_if(is_next)
        {
            self.answer(stream, self.new_window(), &call, message, out);
            self.give_back(head.length, &mut out.peer);
            return Ok(());
        }
        self.park();
        self.part(head, body, out)
    }

    /// A part of a message, on whichever way its stream is.
    fn part(&mut self, head: Head, body: &[u8], out: &mut Outbox) -> Result<(), Reason> {
        let ends = head.has(flag::END_STREAM);
        let is_idle = self.is_idle(head.stream);
        match self.streams.get_mut(&head.stream).map(|it| &mut it.way) {
            // It was reset, or answered before its end, while this was on its way.
            None if !is_idle => self.give_back(head.length, &mut out.peer),
            None => return Err(Reason::Protocol),
            Some(Way::Gathering(gathering)) => {
                gathering.held += head.length;
                gathering.body.extend_from_slice(body);
                let is_long = gathering.body.len() > MESSAGE_BYTES_MAX + MESSAGE_HEAD_BYTES;
                if ends {
                    self.gathered(head.stream, out);
                } else if is_long {
                    self.hand_over(head.stream, false, out);
                }
            }
            Some(Way::Relayed(_)) => {
                self.relay_data(head.stream, body, ends, out);
                self.give_back(head.length - body.len(), &mut out.peer);
            }
            Some(Way::Waiting | Way::Sending(_)) => {
                self.give_back(head.length, &mut out.peer);
                self.abandon(head.stream, Reason::StreamClosed, out);
            }
        }
        Ok(())
    }

    /// Answers a call whose message came in parts.
    fn gathered(&mut self, stream: u32, out: &mut Outbox) {
        let is_gathered = |it: &Stream| match &it.way {
            Way::Gathering(gathering) => only_message(&gathering.body).is_some(),
            _ => false,
        };
        if !self.streams.get(&stream).is_some_and(is_gathered) {
            return self.hand_over(stream, true, out);
        }
        let Some(Stream { way: Way::Gathering(gathering), window }) = self.streams.remove(&stream)
        else {
            return;
        };
        if let Some(message) = only_message(&gathering.body) {
            self.answer(stream, window, &gathering.call, message, out);
        }
        self.give_back(gathering.held, &mut out.peer);
    }

    #[inline]
    fn answer(
        &mut self,
        stream: u32,
        window: SendWindow,
        call: &Call,
        message: &[u8],
        out: &mut Outbox,
    ) {
        let begin = out.peer.len();
        let owed = self.owed();
        reply::push_headers(&mut out.peer, stream, owed);
        let start = out.peer.len();
        reply::open_message(&mut out.peer);
        match self.method.answer(message, call.timeout(), &mut out.peer) {
            Answered::Now => self.send_message(stream, window, start, &mut out.peer),
            Answered::Refused(refusal) => {
                out.peer.truncate(begin);
                reply::push_refusal(&mut out.peer, stream, owed, &refusal);
            }
            Answered::Later(later) => {
                out.peer.truncate(begin);
                self.owe(owed);
                self.streams.insert(stream, Stream { way: Way::Waiting, window });
                out.later.push((stream, later));
            }
        }
    }

    /// Answers a call that was waited for.
    pub fn complete(&mut self, stream: u32, answer: Result<BytesMut, Refusal>, out: &mut Outbox) {
        // Who has given up meanwhile is told nothing.
        if !self.streams.get(&stream).is_some_and(|it| matches!(it.way, Way::Waiting)) {
            return;
        }
        let Some(Stream { window, .. }) = self.streams.remove(&stream) else { return };
        let owed = self.owed();
        match answer {
            Ok(message) => {
                reply::push_headers(&mut out.peer, stream, owed);
                let start = out.peer.len();
                reply::open_message(&mut out.peer);
                out.peer.extend_from_slice(&message);
                self.send_message(stream, window, start, &mut out.peer);
            }
            Err(refusal) => reply::push_refusal(&mut out.peer, stream, owed, &refusal),
        }
    }

    /// Sends a message that stands at `start` behind the room left for its heads, or as much of it
    /// as the peer has room for.
    #[inline]
    fn send_message(&mut self, stream: u32, window: SendWindow, start: usize, out: &mut BytesMut) {
        reply::close_message(out, start, stream);
        let length = out.len() - start - HEAD_BYTES;
        let room = self.send.room().min(window.room()).min(PAYLOAD_BYTES_MAX);
        if length <= room {
            self.send.take(length);
            reply::push_trailers(out, stream);
            return;
        }
        let rest = out.split_off(start + HEAD_BYTES);
        out.truncate(start);
        let way = Way::Sending(Sending { rest, in_line: false });
        self.streams.insert(stream, Stream { way, window });
        self.send_more(stream, out);
    }

    /// Sends as much more of an answer as the peer has room for.
    pub(super) fn send_more(&mut self, stream: u32, out: &mut BytesMut) {
        let Some(Stream { way: Way::Sending(sending), window }) = self.streams.get_mut(&stream)
        else {
            return;
        };
        loop {
            let room = self.send.room().min(window.room()).min(PAYLOAD_BYTES_MAX);
            let length = sending.rest.len().min(room);
            if length == 0 {
                break;
            }
            frame::push(out, kind::DATA, 0, stream, &sending.rest.split_to(length));
            self.send.take(length);
            window.take(length);
        }
        if sending.rest.is_empty() {
            reply::push_trailers(out, stream);
            self.streams.remove(&stream);
        } else if window.room() > 0 && !sending.in_line {
            sending.in_line = true;
            self.line.push_back(stream);
        }
    }

    /// Sends of the answers that wait for the connection's window, first come first served.
    pub(super) fn send_in_line(&mut self, out: &mut BytesMut) {
        while self.send.room() > 0
            && let Some(stream) = self.line.pop_front()
        {
            if let Some(Stream { way: Way::Sending(sending), .. }) = self.streams.get_mut(&stream) {
                sending.in_line = false;
                self.send_more(stream, out);
            }
        }
    }
}

/// The message, if a body is that and nothing else, and it is not compressed.
#[inline]
fn only_message(body: &[u8]) -> Option<&[u8]> {
    let (head, message) = body.split_first_chunk::<MESSAGE_HEAD_BYTES>()?;
    let [0, length @ ..] = head else { return None };
    let is_whole = u32::from_be_bytes(*length) as usize == message.len();
    (is_whole && message.len() <= MESSAGE_BYTES_MAX).then_some(message)
}
