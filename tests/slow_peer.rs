//! A peer that sends calls and does not read their answers is not read from either; once it reads,
//! it gets all of them.

mod harness;

use std::time::Duration;

use harness::raw::{HOT, framed_request};
use harness::{PATIENCE, Server, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const RULES: &str = "
domain: d
rules: [{ name: r, count_by: [key], limits: [{ requests: 1_000_000, per: day }] }]
";

/// Far more than what sockets and the server hold of calls and answers.
const CALLS: u32 = 100_000;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers as gRPC wants them, each written out.
fn block() -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", HOT),
        ("content-type", "application/grpc"),
    ];
    let written = |(name, value): (&str, &str)| {
        [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
    };
    fields.into_iter().flat_map(written).collect()
}

/// What the peer says: that it takes any amount of answers, and all its calls.
fn said() -> Vec<u8> {
    let call = framed_request(&request("d", &["key=a"]));
    let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    said.extend(frame(SETTINGS, 0, 0, &[]));
    said.extend(frame(WINDOW_UPDATE, 0, 0, &(1u32 << 30).to_be_bytes()));
    for number in 0..CALLS {
        said.extend(frame(HEADERS, END_HEADERS, 2 * number + 1, &block()));
        said.extend(frame(DATA, END_STREAM, 2 * number + 1, &call));
    }
    said
}

#[tokio::test]
async fn whoever_reads_late_gets_all_answers() {
    let server = Server::start(RULES).await;
    let stream = TcpStream::connect(server.addr).await.expect("the server accepts");
    let (mut reader, mut writer) = stream.into_split();
    let said = said();
    let mut sent = 0;
    // Says as much as is taken without reading a word.
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(500), writer.write(&said[sent..])).await
    {
        sent += written.expect("an open connection");
        assert!(sent < said.len(), "the server reads on and on while nobody reads its answers");
    }
    let rest = said[sent..].to_vec();
    tokio::spawn(async move {
        writer.write_all(&rest).await.expect("an open connection");
        // Closing it would end the connection before its answers.
        std::future::pending::<()>().await;
    });
    let mut ends = 0;
    let mut unread = Vec::new();
    while ends < CALLS {
        let read = tokio::time::timeout(PATIENCE, reader.read_buf(&mut unread)).await;
        assert_ne!(read.expect("answers go on").expect("an open connection"), 0);
        ends += take_ends(&mut unread);
    }
    assert_eq!(ends, CALLS);
}

/// Takes whole frames off, and counts those that end an answer.
fn take_ends(unread: &mut Vec<u8>) -> u32 {
    let (mut done, mut ends) = (0, 0);
    while let Some(&[a, b, c, kind, flags, ..]) = unread.get(done..).filter(|it| it.len() >= 9) {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if unread.len() < done + 9 + length {
            break;
        }
        ends += u32::from(kind == HEADERS && flags & END_STREAM != 0);
        done += 9 + length;
    }
    unread.drain(..done);
    ends
}
