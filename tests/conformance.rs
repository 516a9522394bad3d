//! What gRPC asks of a server, asked of both ways on which the hot call is answered: in place, and
//! by the gRPC library. Each case is one text for both, and both must give the same answer.

mod harness;

use std::time::Duration;

use h2::Reason;
use harness::raw::{Answer, HOT, Raw, Windows, framed, framed_request, read};
use harness::{PATIENCE, Server, request};
use http::{HeaderValue, Method, Request};
use prost::Message as _;
use prost::bytes::Bytes;
use tokio::task::JoinSet;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use tollgate::limiter::Standing;
use tollgate::query::{Descriptor, Hits, Query};

const RULES: &str = "
domain: d
rules:
  - { name: r, count_by: [key], limits: [{ name: day, requests: 1000, per: day }] }
  - name: queued
    match: { queue: '*' }
    count_by: [queue]
    limits:
      - { requests: 1, per: minute, on_exceed: { queue: { wait: 10s, depth: 5 } } }
";

/// The server by both ways, and a connection to each.
struct Ways {
    servers: [Server; 2],
    raws: [Raw; 2],
}

impl Ways {
    async fn start() -> Ways {
        let servers = [Server::start_way(RULES, true).await, Server::start_way(RULES, false).await];
        let raws = [Raw::connect(servers[0].addr).await, Raw::connect(servers[1].addr).await];
        Ways { servers, raws }
    }

    /// Says the same on both ways, and returns what both answered.
    async fn ask(&self, spoil: impl Fn(&mut Request<()>), parts: &[Bytes]) -> Answer {
        let mut answers = Vec::new();
        for raw in &self.raws {
            let mut request = raw.request(HOT);
            spoil(&mut request);
            let answer = raw.call(request, parts);
            let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
            let answer = answer.expect("an answer");
            // What was wrong with a message each way says in its own words.
            answers.push(Answer { grpc_message: None, ..answer });
        }
        assert_eq!(answers[0], answers[1], "in place, and by the library");
        answers.remove(0)
    }

    /// How much of a key's budget is used.
    fn used(&self, key: &str) -> [u64; 2] {
        [0, 1].map(|way| used(&self.servers[way], key))
    }
}

fn used(server: &Server, key: &str) -> u64 {
    let entries = [("key", key)].into_iter().collect();
    let peek = Descriptor { entries, hits: Hits::Peek, limit: None };
    let query = Query { domain: "d", descriptors: [peek].into_iter().collect(), receipt: None };
    let rules = server.gate.rules();
    let verdict = server.gate.decide(&rules, &query);
    let Standing::Limited { remaining, .. } = &verdict.statuses[0].standing else {
        panic!("a limit is shown");
    };
    // A peek shows what one hit would leave.
    999 - remaining
}

fn ask_for(key: &str) -> Bytes {
    framed_request(&request("d", &[&format!("key={key}")]))
}

fn is_well(answer: &Answer) -> bool {
    answer.status == 200 && answer.grpc_status.as_deref() == Some("0")
}

fn message(answer: &Answer) -> RateLimitResponse {
    RateLimitResponse::decode(&answer.body[5..]).expect("a message of ours")
}

#[tokio::test]
async fn a_plain_call_is_answered_the_same() {
    let ways = Ways::start().await;
    let answer = ways.ask(|_| {}, &[ask_for("a")]).await;
    assert!(is_well(&answer), "{answer:?}");
    assert_eq!(message(&answer).statuses[0].limit_remaining, 999);
    assert_eq!(ways.used("a"), [1, 1]);
}

#[tokio::test]
async fn a_message_may_come_in_any_number_of_parts() {
    let ways = Ways::start().await;
    let whole = ask_for("a");
    let bytes: Vec<_> = whole.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
    let halves = [whole.slice(..7), whole.slice(7..)];
    let trailing = [whole.clone(), Bytes::new()];
    for parts in [&bytes[..], &halves, &trailing] {
        assert!(is_well(&ways.ask(|_| {}, parts).await));
    }
    assert_eq!(ways.used("a"), [3, 3]);
}

#[tokio::test]
async fn what_cannot_be_read_as_one_message_is_an_error_and_charges_nothing() {
    let ways = Ways::start().await;
    let whole = ask_for("a");
    let mut compressed = whole.to_vec();
    compressed[0] = 1;
    let mut odd_flag = whole.to_vec();
    odd_flag[0] = 7;
    let garbage = framed(&[0xff; 40]);
    let not_text = framed(b"\x0a\x02\xc3\x28");
    let cases = [compressed, odd_flag, garbage.to_vec(), not_text.to_vec(), Vec::new()];
    for case in cases {
        let answer = ways.ask(|_| {}, &[Bytes::from(case.clone())]).await;
        let code = answer.grpc_status.as_deref();
        assert!(!matches!(code, None | Some("0" | "2")), "{code:?} to {case:?}");
    }
    // Nothing but headers.
    let answer = ways.ask(|_| {}, &[]).await;
    assert_ne!(answer.grpc_status.as_deref(), Some("0"));
    assert_eq!(ways.used("a"), [0, 0]);
}

#[tokio::test]
async fn of_two_messages_the_first_counts() {
    let ways = Ways::start().await;
    let answer = ways.ask(|_| {}, &[ask_for("a").repeat(2).into()]).await;
    assert!(is_well(&answer), "{answer:?}");
    assert_eq!(ways.used("a"), [1, 1]);
}

#[tokio::test]
async fn a_message_that_breaks_off_is_an_error() {
    let ways = Ways::start().await;
    for length in [1, 5, 9] {
        let answer = ways.ask(|_| {}, &[ask_for("a").slice(..length)]).await;
        assert_ne!(answer.grpc_status.as_deref(), Some("0"), "{length} bytes");
    }
    assert_eq!(ways.used("a"), [0, 0]);
}

#[tokio::test]
async fn large_messages_are_read_and_too_large_ones_refused() {
    let ways = Ways::start().await;
    // Of what Envoy can forward; beyond what a value may be; beyond what a message may be.
    for (length, code) in [(60_000, Some("0")), (200_000, Some("3")), (5_000_000, None)] {
        let value = "x".repeat(length);
        let whole = framed_request(&request("d", &[&format!("other={value}")]));
        let parts: Vec<_> = whole.chunks(16_000).map(Bytes::copy_from_slice).collect();
        for raw in &ways.raws {
            let answer = raw.hot(&parts).await.ok().and_then(|it| it.grpc_status);
            match code {
                Some(code) => assert_eq!(answer.as_deref(), Some(code), "{length} bytes"),
                // It is refused before its end, and the rest may meet a closed stream.
                None => assert_ne!(answer.as_deref(), Some("0"), "{length} bytes"),
            }
        }
    }
}

#[tokio::test]
async fn headers_decide_who_may_ask() {
    let ways = Ways::start().await;
    let set = |name: &'static str, value: &'static str| {
        move |it: &mut Request<()>| {
            it.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    };
    for (name, value) in
        [("content-type", "application/grpc+proto"), ("traceparent", "00-1-2-3"), ("x-a", "b")]
    {
        assert!(is_well(&ways.ask(set(name, value), &[ask_for("a")]).await), "{name}: {value}");
    }
    assert_eq!(ways.used("a"), [3, 3]);
    ways.ask(set("content-type", "application/json"), &[ask_for("b")]).await;
    ways.ask(set("grpc-encoding", "gzip"), &[ask_for("b")]).await;
    ways.ask(|it| *it.method_mut() = Method::GET, &[ask_for("b")]).await;
    let unknown = |it: &mut Request<()>| {
        *it.uri_mut() = it.uri().to_string().replace("Should", "Would").parse().expect("a path");
    };
    assert_eq!(ways.ask(unknown, &[ask_for("b")]).await.grpc_status.as_deref(), Some("12"));
}

#[tokio::test]
async fn an_impatient_caller_is_refused_at_once_where_others_wait() {
    let ways = Ways::start().await;
    let call = framed_request(&request("d", &["queue=a"]));
    assert!(is_well(&ways.ask(|_| {}, std::slice::from_ref(&call)).await));
    let hasty = |it: &mut Request<()>| {
        it.headers_mut().insert("grpc-timeout", HeaderValue::from_static("20m"));
    };
    let answer = ways.ask(hasty, &[call]).await;
    assert_eq!(message(&answer).overall_code, 2, "over the limit");
}

#[tokio::test]
async fn answers_pass_through_the_smallest_windows() {
    for hot in [true, false] {
        let server = Server::start_way(RULES, hot).await;
        for stream in [1, 3, 30] {
            let raw =
                Raw::connect_within(server.addr, Windows { stream, connection: 65_535 }).await;
            let mut calls = JoinSet::new();
            for _ in 0..20 {
                let raw = raw.clone();
                calls.spawn(async move { raw.hot(&[ask_for("a")]).await.expect("an answer") });
            }
            while let Some(answer) = calls.join_next().await {
                assert!(is_well(&answer.expect("no panic")));
            }
        }
        assert_eq!(used(&server, "a"), 60);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_call_that_is_reset_before_its_end_charges_nothing() {
    let ways = Ways::start().await;
    for raw in &ways.raws {
        for _ in 0..50 {
            let (_response, mut body) = raw.begin(raw.request(HOT), false).await;
            body.send_data(ask_for("reset").slice(..9), false).expect("an open stream");
            body.send_reset(Reason::CANCEL);
        }
        // The connection is none the worse, and all that was said on it has been heard.
        assert!(is_well(&raw.hot(&[ask_for("after")]).await.expect("an answer")));
    }
    assert_eq!((ways.used("reset"), ways.used("after")), ([0, 0], [1, 1]));
}

#[tokio::test]
async fn a_call_that_waits_may_be_cancelled_and_leaves_its_place() {
    for hot in [true, false] {
        let server = Server::start_way(RULES, hot).await;
        let raw = Raw::connect(server.addr).await;
        let call = framed_request(&request("d", &["queue=a"]));
        assert!(is_well(&raw.hot(std::slice::from_ref(&call)).await.expect("an answer")));
        // Five seconds ahead of the minute's end, a call waits.
        server.advance_s(55);
        for _ in 0..10 {
            let (response, mut body) = raw.begin(raw.request(HOT), false).await;
            body.send_data(call.clone(), true).expect("an open stream");
            until(|| server.gate.lines().waiting() == 1).await;
            body.send_reset(Reason::CANCEL);
            drop(response);
            until(|| server.gate.lines().waiting() == 0).await;
        }
        server.stop().await;
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, so).await.expect("it comes to be so");
}

#[tokio::test]
async fn calls_of_both_kinds_share_a_connection() {
    let server = Server::start_way(RULES, true).await;
    let raw = Raw::connect(server.addr).await;
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let raw = raw.clone();
        calls.spawn(async move {
            if number % 2 == 0 {
                return raw.hot(&[ask_for("a")]).await.expect("an answer");
            }
            let check = raw.request("/grpc.health.v1.Health/Check");
            raw.call(check, &[framed(&[])]).await.expect("an answer")
        });
    }
    while let Some(answer) = calls.join_next().await {
        assert!(is_well(&answer.expect("no panic")));
    }
    assert_eq!(used(&server, "a"), 100);
    server.stop().await;
}

#[tokio::test]
async fn a_client_may_ask_before_it_hears_the_servers_settings() {
    let ways = Ways::start().await;
    for raw in &ways.raws {
        let (response, mut body) = raw.begin(raw.request(HOT), false).await;
        body.send_data(ask_for("a"), true).expect("an open stream");
        assert!(is_well(&read(response.await.expect("an answer")).await.expect("all of it")));
    }
}
