//! Streams that are relayed to the library, which a test plays.

use super::*;

#[test]
fn what_is_not_hot_is_relayed_and_comes_back_under_its_own_number() {
    let mut peer = Peer::new();
    let other = frame(kind::HEADERS, WHOLE, 5, &block("/other", &[]));
    peer.says(&[call(3, b"hot"), other, frame(kind::DATA, ENDS, 5, b"body")].concat())
        .expect("an answer");
    let there = peer.relayed();
    let expected = [kind::SETTINGS, kind::SETTINGS, kind::HEADERS, kind::DATA];
    assert_eq!(there.iter().map(|it| it.0).collect::<Vec<_>>(), expected);
    assert_eq!((there[3].1, there[3].2, &there[3].3[..]), (ENDS, 1, &b"body"[..]));
    let answer = [
        frame(kind::HEADERS, WHOLE, 1, b"\x88"),
        frame(kind::DATA, 0, 1, b"answer"),
        frame(kind::HEADERS, ENDS, 1, b"\x88"),
        frame(kind::CONTINUATION, WHOLE, 1, b"\x88"),
    ];
    let (done, sent) = peer.relay_says(&answer.concat());
    assert_eq!(done, answer.concat().len());
    let whole = vec![
        (kind::HEADERS, WHOLE, 5, b"\x88".to_vec()),
        (kind::DATA, 0, 5, b"answer".to_vec()),
        (kind::HEADERS, WHOLE | ENDS, 5, b"\x88\x88".to_vec()),
    ];
    assert_eq!(sent, whole);
    assert!(peer.session.streams.is_empty());
    assert_eq!(outline(&peer.relayed()), [(kind::WINDOW_UPDATE, 0)]);
}

#[test]
fn a_hot_call_with_something_odd_about_it_is_relayed_from_its_beginning() {
    let compressed = [&[1][..], &message(b"x")[1..]].concat();
    let twice = message(b"x").repeat(2);
    let half = message(b"xyz")[..6].to_vec();
    for body in [compressed, twice, half, Vec::new()] {
        let mut peer = Peer::new();
        let sent = peer.says(&[headers(7), frame(kind::DATA, ENDS, 7, &body)].concat());
        assert_eq!(sent, Ok(vec![]));
        let there = peer.relayed();
        assert_eq!(outline(&there[2..]), [(kind::HEADERS, 1), (kind::DATA, 1)]);
        assert_eq!((there[3].1, &there[3].3), (ENDS, &body));
    }
}

#[test]
fn a_relayed_answer_is_cut_to_the_connections_window() {
    let mut peer = Peer::new();
    peer.says(&frame(kind::HEADERS, WHOLE | ENDS, 1, &block("/other", &[]))).expect("no fault");
    let begin = frame(kind::HEADERS, WHOLE, 1, b"\x88");
    let part = frame(kind::DATA, 0, 1, &[7; 16_000]);
    let last = frame(kind::DATA, ENDS, 1, &[7; 16_000]);
    let answer = [begin, part.repeat(4), last.clone()].concat();
    let (done, sent) = peer.relay_says(&answer);
    assert_eq!(answered(&sent, 1).len(), 65_535);
    assert_eq!(answer.len() - done, last.len(), "a frame that is not done with comes again");
    peer.says(&window_update(0, 10)).expect("no fault");
    let (again, sent) = peer.relay_says(&answer[done..]);
    assert_eq!((again, answered(&sent, 1).len()), (0, 10));
    peer.says(&window_update(0, 1 << 20)).expect("no fault");
    let (again, sent) = peer.relay_says(&answer[done..]);
    assert_eq!((again, answered(&sent, 1).len()), (last.len(), 80_000 - 65_545));
    assert_eq!(sent.last().map(|it| it.1), Some(ENDS));
}

#[test]
fn resets_and_room_go_both_ways() {
    let mut peer = Peer::new();
    for stream in [1, 3] {
        let other = frame(kind::HEADERS, WHOLE, stream, &block("/other", &[]));
        peer.says(&[other, frame(kind::DATA, 0, stream, &[0; 9000])].concat()).expect("no fault");
    }
    peer.relayed();
    peer.says(&[window_update(3, 77), reset(1)].concat()).expect("no fault");
    assert_eq!(outline(&peer.relayed()), [(kind::WINDOW_UPDATE, 3), (kind::RST_STREAM, 1)]);
    let bytes =
        [window_update(3, 9000), window_update(1, 9000), window_update(0, 18_000), reset(3)];
    let (_, sent) = peer.relay_says(&bytes.concat());
    assert_eq!(outline(&sent), [(kind::WINDOW_UPDATE, 3), (kind::RST_STREAM, 3)]);
    assert!(peer.session.streams.is_empty());
}

#[test]
fn a_library_that_ends_takes_its_streams_along_and_nothing_else() {
    let mut peer = Peer::new();
    let other = |stream| frame(kind::HEADERS, WHOLE, stream, &block("/other", &[]));
    peer.says(&[other(1), headers(3), other(5)].concat()).expect("no fault");
    assert!(peer.session.relay(&frame(kind::GOAWAY, 0, 0, &[0; 8]), &mut peer.out).is_err());
    peer.session.relay_ended(&mut peer.out).expect("once is not too often");
    assert_eq!(outline(&peer.hears()), [(kind::RST_STREAM, 1), (kind::RST_STREAM, 5)]);
    let sent = peer.says(&frame(kind::DATA, ENDS, 3, &message(b"on"))).expect("an answer");
    assert_eq!(answered(&sent, 3), message(b"on"));
    peer.says(&other(7)).expect("no fault");
    assert_eq!(peer.relayed()[2].2, 1, "a new connection counts anew");
    let ended = (0..100).map(|_| peer.session.relay_ended(&mut peer.out));
    assert!(ended.into_iter().any(|it| it == Err(Reason::EnhanceYourCalm)));
}
