//! Sessions without input and output: bytes in, frames out.

mod relayed;

use proptest::prelude::*;

use super::frame::{HEAD_BYTES, Head, NUMBER_MAX, PAYLOAD_BYTES_MAX, flag, kind, setting};
use super::*;

const ENDS: u8 = flag::END_STREAM;
const WHOLE: u8 = flag::END_HEADERS;

/// Answers with the message itself, after "later" later, and not at all to "refuse".
#[derive(Clone, Debug)]
struct Echo;

impl Method for Echo {
    const PATH: &'static str = "/echo";

    fn answer(&self, message: &[u8], timeout: Option<&[u8]>, out: &mut BytesMut) -> Answered {
        match message {
            b"refuse" => Answered::Refused(Refusal { code: 3, message: "no".into() }),
            b"later" => Answered::Later(Box::pin(std::future::pending())),
            b"timeout" => {
                out.extend_from_slice(timeout.unwrap_or(b"none"));
                Answered::Now
            }
            _ => {
                out.extend_from_slice(message);
                Answered::Now
            }
        }
    }
}

/// A session, and what it has said.
struct Peer {
    session: Session<Echo>,
    out: Outbox,
}

/// A frame as it was sent.
type Sent = (u8, u8, u32, Vec<u8>);

impl Peer {
    fn new() -> Peer {
        let mut out = Outbox::default();
        let session = Session::start(Echo, &mut out);
        out.peer.clear();
        Peer { session, out }
    }

    fn says(&mut self, bytes: &[u8]) -> Result<Vec<Sent>, Reason> {
        let done = self.session.receive(bytes, &mut self.out)?;
        assert_eq!(done, bytes.len(), "whole frames are taken in whole");
        Ok(self.hears())
    }

    fn hears(&mut self) -> Vec<Sent> {
        frames(&std::mem::take(&mut self.out.peer))
    }

    /// What has been said to the library.
    fn relayed(&mut self) -> Vec<Sent> {
        let said = std::mem::take(&mut self.out.relayed);
        frames(said.strip_prefix(PREFACE).unwrap_or(&said))
    }

    fn relay_says(&mut self, bytes: &[u8]) -> (usize, Vec<Sent>) {
        let done = self.session.relay(bytes, &mut self.out).expect("the library goes on");
        (done, self.hears())
    }
}

fn frames(mut bytes: &[u8]) -> Vec<Sent> {
    let next = || frame::next(&mut bytes).expect("a frame that is not too long");
    let frames = std::iter::from_fn(next);
    frames.map(|(head, payload)| (head.kind, head.flags, head.stream, payload.to_vec())).collect()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::push(&mut out, kind, flags, stream, payload);
    out.to_vec()
}

fn block(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a|b"),
        ("content-type", "application/grpc"),
    ];
    let mut block = Vec::new();
    for (name, value) in usual.iter().chain(more) {
        hpack::push(&mut block, name.as_bytes(), value.as_bytes());
    }
    block
}

fn headers(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, WHOLE, stream, &block("/echo", &[]))
}

fn message(text: &[u8]) -> Vec<u8> {
    [&[0], &(text.len() as u32).to_be_bytes()[..], text].concat()
}

fn call(stream: u32, text: &[u8]) -> Vec<u8> {
    [headers(stream), frame(kind::DATA, ENDS, stream, &message(text))].concat()
}

fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::push_settings(&mut out, settings);
    out.to_vec()
}

fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

/// Kinds and streams, where the payloads are told elsewhere.
fn outline(sent: &[Sent]) -> Vec<(u8, u32)> {
    sent.iter().map(|(kind, _, stream, _)| (*kind, *stream)).collect()
}

/// The message of the answer to a stream.
fn answered(sent: &[Sent], stream: u32) -> Vec<u8> {
    let data = sent.iter().filter(|it| it.0 == kind::DATA && it.2 == stream);
    data.flat_map(|it| it.3.clone()).collect()
}

#[test]
fn calls_of_one_read_are_answered_in_order() {
    let mut peer = Peer::new();
    let sent = peer.says(&[call(1, b"one"), call(3, b"two")].concat()).expect("answers");
    let answer = |stream| [(kind::HEADERS, stream), (kind::DATA, stream), (kind::HEADERS, stream)];
    assert_eq!(outline(&sent), [answer(1), answer(3)].concat());
    assert_eq!(answered(&sent, 3), message(b"two"));
    assert_eq!((sent[0].1, sent[1].1, sent[2].1), (WHOLE, 0, WHOLE | ENDS));
    assert!(peer.session.streams.is_empty());
}

#[test]
fn a_message_may_come_in_parts_with_padding_and_among_others() {
    let mut peer = Peer::new();
    let whole = message(b"parts");
    let padded = [&[3][..], &whole[2..], &[0; 3]].concat();
    let bytes = [
        headers(1),
        frame(kind::DATA, 0, 1, &whole[..2]),
        call(3, b"between"),
        frame(kind::DATA, flag::PADDED, 1, &padded),
        frame(kind::DATA, ENDS, 1, &[]),
    ];
    let sent = peer.says(&bytes.concat()).expect("answers");
    assert_eq!(answered(&sent, 3), message(b"between"));
    assert_eq!(answered(&sent, 1), whole);
}

#[test]
fn errors_are_an_answer_without_a_message() {
    let mut peer = Peer::new();
    let sent = peer.says(&call(1, b"refuse")).expect("an answer");
    assert_eq!(outline(&sent), [(kind::HEADERS, 1)]);
    assert_eq!(sent[0].1, WHOLE | ENDS);
    let fields: Vec<_> = sent[0].3.windows(12).filter(|it| it.ends_with(b"\x013")).collect();
    assert!(!fields.is_empty(), "the code is there: {:?}", sent[0].3);
}

#[test]
fn the_timeout_is_handed_on() {
    let mut peer = Peer::new();
    let block = block("/echo", &[("grpc-timeout", "20m")]);
    let bytes =
        [frame(kind::HEADERS, WHOLE, 1, &block), frame(kind::DATA, ENDS, 1, &message(b"timeout"))];
    assert_eq!(answered(&peer.says(&bytes.concat()).expect("an answer"), 1), message(b"20m"));
}

#[test]
fn an_answer_waits_for_the_windows_of_stream_and_connection() {
    let mut peer = Peer::new();
    let mut sent = peer.says(&settings(&[(setting::INITIAL_WINDOW_SIZE, 4)])).expect("an ack");
    assert_eq!(outline(&sent), [(kind::SETTINGS, 0)]);
    sent = peer.says(&call(1, b"twelve bytes")).expect("a part");
    assert_eq!(answered(&sent, 1), message(b"twelve bytes")[..4]);
    sent = peer.says(&window_update(1, 5)).expect("a part");
    assert_eq!(answered(&sent, 1), message(b"twelve bytes")[4..9]);
    sent = peer.says(&settings(&[(setting::INITIAL_WINDOW_SIZE, 1000)])).expect("the rest");
    assert_eq!(answered(&sent, 1), message(b"twelve bytes")[9..]);
    assert!(sent.iter().any(|it| (it.0, it.1) == (kind::HEADERS, WHOLE | ENDS)));
    assert!(peer.session.streams.is_empty());
}

#[test]
fn answers_that_the_connection_has_no_room_for_go_out_in_order() {
    let mut peer = Peer::new();
    peer.says(&settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)])).expect("an ack");
    let text = vec![b'x'; 50_000];
    let parts = |stream| {
        let whole = message(&text);
        let parts: Vec<_> =
            whole.chunks(16_000).map(|it| frame(kind::DATA, 0, stream, it)).collect();
        [headers(stream), parts.concat(), frame(kind::DATA, ENDS, stream, &[])].concat()
    };
    let mut sent = peer.says(&[parts(1), parts(3), parts(5)].concat()).expect("some of it");
    let length = |sent: &[Sent]| [1, 3, 5].map(|stream| answered(sent, stream).len());
    assert_eq!(length(&sent), [50_005, 65_535 - 50_005, 0]);
    assert!(sent.iter().all(|it| it.3.len() <= PAYLOAD_BYTES_MAX));
    // Whoever leaves the line holds up nobody.
    sent = peer.says(&[reset(3), window_update(0, 50_005)].concat()).expect("the rest");
    assert_eq!(length(&sent), [0, 0, 50_005]);
    assert!(peer.session.line.is_empty() && peer.session.streams.is_empty());
}

#[test]
fn a_call_that_is_reset_is_not_answered_and_its_window_comes_back() {
    let mut peer = Peer::new();
    for stream in (1..2000).step_by(2) {
        let part = frame(kind::DATA, 0, stream, &[0; 10_000]);
        let sent = peer.says(&[headers(stream), part, reset(stream)].concat()).expect("no fault");
        assert!(sent.iter().all(|it| it.0 == kind::WINDOW_UPDATE), "{sent:?}");
    }
    assert!(peer.session.streams.is_empty());
    let sent = peer.says(&[headers(2001), reset(2001), call(2003, b"on")].concat());
    assert_eq!(answered(&sent.expect("an answer"), 2003), message(b"on"));
}

#[test]
fn an_answer_that_is_waited_for_may_come_or_be_given_up() {
    let mut peer = Peer::new();
    let sent = peer.says(&[call(1, b"later"), call(3, b"later")].concat()).expect("nothing yet");
    assert_eq!(sent, []);
    assert_eq!(peer.out.later.iter().map(|it| it.0).collect::<Vec<_>>(), [1, 3]);
    peer.says(&reset(3)).expect("no fault");
    assert_eq!(peer.out.gone, [3]);
    for stream in [1, 3] {
        peer.session.complete(stream, Ok(BytesMut::from(&b"now"[..])), &mut peer.out);
    }
    let sent = peer.hears();
    assert_eq!((answered(&sent, 1), answered(&sent, 3)), (message(b"now"), vec![]));
}

#[test]
fn a_peer_that_wants_no_table_is_told_that_there_is_none() {
    let mut peer = Peer::new();
    peer.says(&settings(&[(setting::HEADER_TABLE_SIZE, 0)])).expect("an ack");
    let sent = peer.says(&[call(1, b"later"), call(3, b"a"), call(5, b"b")].concat());
    let sent = sent.expect("answers");
    assert_eq!((sent[0].2, sent[0].3[0]), (3, reply::NO_TABLE[0]));
    assert_eq!((sent[3].2, sent[3].3[0]), (5, 0x88));
}

#[test]
fn headers_that_are_too_large_are_an_answer_and_the_connection_goes_on() {
    let mut peer = Peer::new();
    // Each is one byte, and counts as much as it says once it is in the table.
    let mut huge = vec![0x40];
    huge.extend([1, b'x', 0x7f, 0xe1, 0x1c]);
    huge.extend([b'v'; 3808]);
    huge.extend([0xbe; 20]);
    let sent = peer.says(&[frame(kind::HEADERS, WHOLE, 1, &huge), call(3, b"on")].concat());
    let sent = sent.expect("answers");
    assert_eq!(outline(&sent[..2]), [(kind::HEADERS, 1), (kind::RST_STREAM, 1)]);
    assert_eq!(answered(&sent, 3), message(b"on"));
}

#[test]
fn more_streams_than_agreed_are_refused_one_by_one() {
    let mut peer = Peer::new();
    let all: Vec<_> = (0..STREAMS_MAX).map(|number| headers(2 * number + 1)).collect();
    let one_more = headers(2 * STREAMS_MAX + 1);
    let sent = peer.says(&[all.concat(), one_more].concat()).expect("no fault");
    // The last of them stands alone until something follows it.
    assert_eq!(outline(&sent), [(kind::RST_STREAM, 2 * STREAMS_MAX + 1)]);
    let refused = (Reason::RefusedStream as u32).to_be_bytes();
    assert_eq!(sent[0].3, refused);
}

#[test]
fn the_end_is_told_and_what_was_begun_is_finished() {
    let mut peer = Peer::new();
    peer.says(&headers(1)).expect("no fault");
    peer.session.end(&mut peer.out);
    let sent = peer.hears();
    assert_eq!(outline(&sent), [(kind::GOAWAY, 0), (kind::PING, 0)]);
    let farewell = sent[1].3.clone();
    // A call that was on its way is still served.
    let sent = peer.says(&call(3, b"late")).expect("an answer");
    assert_eq!(answered(&sent, 3), message(b"late"));
    let sent = peer.says(&frame(kind::PING, flag::ACK, 0, &farewell)).expect("no fault");
    assert_eq!(sent[0].3[..4], 3u32.to_be_bytes(), "the last stream that is served");
    assert!(!peer.session.has_ended());
    let bytes = [call(5, b"too late"), frame(kind::DATA, ENDS, 1, &message(b"begun"))];
    let sent = peer.says(&bytes.concat()).expect("an answer");
    assert_eq!((answered(&sent, 1), answered(&sent, 5)), (message(b"begun"), vec![]));
    assert!(peer.session.has_ended());
}

#[test]
fn pings_and_settings_are_acknowledged() {
    let mut peer = Peer::new();
    let sent = peer.says(&[frame(kind::PING, 0, 0, b"12345678"), settings(&[])].concat());
    let ack = |kind, payload: &[u8]| (kind, flag::ACK, 0, payload.to_vec());
    assert_eq!(sent, Ok(vec![ack(kind::PING, b"12345678"), ack(kind::SETTINGS, b"")]));
}

#[test]
fn whoever_breaks_the_rules_is_told_which() {
    use Reason::{Compression, EnhanceYourCalm, FlowControl, FrameSize, Protocol};
    let long = Head { length: PAYLOAD_BYTES_MAX + 1, kind: kind::DATA, flags: 0, stream: 1 };
    let open = frame(kind::HEADERS, 0, 1, &[]);
    let flood = [open.clone(), frame(kind::CONTINUATION, 0, 1, &[]).repeat(100)].concat();
    let heavy = [open.clone(), frame(kind::CONTINUATION, 0, 1, &[0; 16_000]).repeat(8)].concat();
    let window = |stream| {
        let part = frame(kind::DATA, 0, stream, &[0; 16_000]);
        part.repeat(CONNECTION_WINDOW_BYTES as usize / 16_000 + 1)
    };
    let most = window_update(0, NUMBER_MAX);
    let cases: Vec<(Vec<u8>, Reason)> = vec![
        (long.bytes().to_vec(), FrameSize),
        (headers(2), Protocol),
        (headers(0), Protocol),
        (frame(kind::DATA, 0, 0, b"x"), Protocol),
        (frame(kind::DATA, 0, 1, b"x"), Protocol),
        (reset(1), Protocol),
        (reset(0), Protocol),
        (frame(kind::RST_STREAM, 0, 1, b"x"), FrameSize),
        (window_update(1, 1), Protocol),
        (window_update(0, 0), Protocol),
        (frame(kind::WINDOW_UPDATE, 0, 0, b"x"), FrameSize),
        ([most.clone(), most].concat(), FlowControl),
        (frame(kind::SETTINGS, 0, 1, &[]), Protocol),
        (frame(kind::SETTINGS, 0, 0, b"x"), FrameSize),
        (frame(kind::SETTINGS, flag::ACK, 0, b"x"), FrameSize),
        (settings(&[(setting::ENABLE_PUSH, 2)]), Protocol),
        (settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)]), FlowControl),
        (settings(&[(setting::MAX_FRAME_SIZE, 16_383)]), Protocol),
        (frame(kind::PING, 0, 0, b"x"), FrameSize),
        (frame(kind::PING, 0, 1, b"12345678"), Protocol),
        (frame(kind::PRIORITY, 0, 1, b"x"), FrameSize),
        (frame(kind::PRIORITY, 0, 0, b"12345"), Protocol),
        (frame(kind::GOAWAY, 0, 1, &[0; 8]), Protocol),
        (frame(kind::PUSH_PROMISE, 0, 1, &[]), Protocol),
        (frame(kind::CONTINUATION, WHOLE, 1, &[]), Protocol),
        ([open.clone(), frame(kind::PING, 0, 0, b"12345678")].concat(), Protocol),
        ([open, frame(kind::CONTINUATION, 0, 3, &[])].concat(), Protocol),
        (flood, EnhanceYourCalm),
        (heavy, EnhanceYourCalm),
        (frame(kind::HEADERS, WHOLE, 1, &[0x80]), Compression),
        (frame(kind::HEADERS, WHOLE | flag::PADDED, 1, &[9]), Protocol),
        (frame(kind::HEADERS, WHOLE | flag::PRIORITY, 1, &[9]), FrameSize),
        ([frame(kind::HEADERS, WHOLE, 1, &block("/other", &[])), window(1)].concat(), FlowControl),
    ];
    for (number, (bytes, reason)) in cases.into_iter().enumerate() {
        let mut peer = Peer::new();
        let said = peer.session.receive(&bytes, &mut peer.out);
        assert_eq!(said, Err(reason), "case {number}");
        peer.out.peer.clear();
        peer.session.fail(reason, &mut peer.out);
        assert_eq!(outline(&peer.hears()), [(kind::GOAWAY, 0)]);
    }
}

#[test]
fn mistakes_on_one_stream_end_that_stream_alone() {
    let cases: Vec<(Vec<u8>, Reason)> = vec![
        (window_update(1, 0), Reason::Protocol),
        (window_update(1, NUMBER_MAX), Reason::FlowControl),
        (frame(kind::DATA, 0, 1, b"more"), Reason::StreamClosed),
        (frame(kind::HEADERS, WHOLE | ENDS, 1, &[]), Reason::Protocol),
    ];
    for (bytes, reason) in cases {
        let mut peer = Peer::new();
        let sent = peer.says(&[call(1, b"later"), bytes, call(3, b"on")].concat());
        let sent = sent.expect("the connection goes on");
        let code = (reason as u32).to_be_bytes().to_vec();
        assert_eq!(sent[0], (kind::RST_STREAM, 0, 1, code));
        assert_eq!(answered(&sent, 3), message(b"on"));
        assert_eq!(peer.out.gone, [1]);
    }
}

/// Frames that mean something together more often than arbitrary bytes do.
fn some_frames() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop::sample::select(vec![0u32, 1, 1, 3, 3, 5, 7, 9]);
    let payload = prop_oneof![
        Just(block("/echo", &[])),
        Just(block("/other", &[])),
        Just(message(b"some")),
        Just(message(b"later")),
        Just(1000u32.to_be_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    let flags = prop_oneof![Just(WHOLE), Just(ENDS), Just(WHOLE | ENDS), Just(0), any::<u8>()];
    let one = (0u8..11, flags, stream, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload));
    let calls = (1u32..20).prop_map(|number| call(2 * number + 1, b"some"));
    prop::collection::vec(prop_oneof![one, calls], 0..20).prop_map(|frames| frames.concat())
}

proptest! {
    /// However the network cuts what a peer says, it is understood alike.
    #[test]
    fn cuts_between_reads_change_nothing(
        bytes in some_frames(), cuts in prop::collection::vec(0usize..400, 0..12),
    ) {
        let mut at_once = Peer::new();
        let whole = at_once.session.receive(&bytes, &mut at_once.out).map(|_| ());
        let mut cut_up = Peer::new();
        let mut unread = Vec::new();
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut parts = Ok(());
        for cut in cuts.windows(2) {
            unread.extend_from_slice(&bytes[cut[0]..cut[1]]);
            parts = cut_up.session.receive(&unread, &mut cut_up.out).map(|done| {
                unread.drain(..done);
            });
            if parts.is_err() {
                break;
            }
        }
        prop_assert_eq!(parts, whole);
        prop_assert_eq!(&cut_up.out.peer, &at_once.out.peer);
        prop_assert_eq!(&cut_up.out.relayed, &at_once.out.relayed);
    }

    /// Nothing that either side says makes a session panic, or forget that it is empty.
    #[test]
    fn whatever_is_said_does_no_harm(
        peer_says in prop::collection::vec(some_frames(), 0..4), relay_says in some_frames(),
    ) {
        let mut peer = Peer::new();
        for bytes in &peer_says {
            let goes_on = peer.session.receive(bytes, &mut peer.out).is_ok();
            let relayed = peer.session.relay(&relay_says, &mut peer.out).is_ok();
            if !goes_on || !relayed && peer.session.relay_ended(&mut peer.out).is_err() {
                break;
            }
        }
        let waiting: Vec<_> = peer.out.later.drain(..).map(|it| it.0).collect();
        for stream in waiting {
            peer.session.complete(stream, Ok(BytesMut::new()), &mut peer.out);
        }
        let mut rest = &peer.out.peer[..];
        while let Some((head, _)) = frame::next(&mut rest).expect("frames of a lawful length") {
            prop_assert!(head.length <= PAYLOAD_BYTES_MAX);
        }
        prop_assert!(rest.len() < HEAD_BYTES);
    }
}
