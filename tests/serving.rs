//! A server's life: health, draining, bounds on what it reads.

mod harness;

use std::time::Duration;

use harness::{Client, PATIENCE, Server, descriptor, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tollgate::grpc::SERVICE;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::transport::Drained;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

const BUDGET: u64 = 1_000_000_000;

const WIDE: &str = "
domain: d
rules: [{ name: r, count_by: [key], limits: [{ requests: 1_000_000_000, per: day }] }]
";

fn health_of(name: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: name.into() }
}

#[tokio::test]
async fn health_answers_to_every_name_that_probes_use() {
    let server = Server::start(WIDE).await;
    let mut health = HealthClient::new(server.channel().await);
    for name in ["", SERVICE, "ratelimit"] {
        let answer = health.check(health_of(name)).await.expect("a known name").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name}");
    }
    let unknown = health.check(health_of("nobody")).await.expect_err("an unknown name");
    assert_eq!(unknown.code(), Code::NotFound);
    drop(health);
    server.stop().await;
}

#[tokio::test]
async fn a_watch_sees_the_drain_and_does_not_hold_it_up() {
    let server = Server::start(WIDE).await;
    let mut health = HealthClient::new(server.channel().await);
    let mut watch = health.watch(health_of("ratelimit")).await.expect("a watch").into_inner();
    let mut next = async || -> Option<ServingStatus> {
        let seen: Option<HealthCheckResponse> = watch.next().await.transpose().expect("a status");
        seen.map(|answer| answer.status())
    };
    assert_eq!(next().await, Some(ServingStatus::Serving));
    let ending = server.begin_stop();
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    assert_eq!(next().await, None, "an endless stream would hold the drain up");
    assert_eq!(ending.await, Drained { cut: 0 });
}

/// Asks until the server is gone, and returns how many answers came.
async fn ask_until_gone(mut client: Client) -> u64 {
    let mut answers = 0;
    while client.call(request("d", &["key=load"])).await.is_ok() {
        answers += 1;
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_call_that_was_charged_is_answered() {
    let server = Server::start(WIDE).await;
    let mut load = JoinSet::new();
    for _ in 0..32 {
        load.spawn(ask_until_gone(server.client().await));
    }
    let gate = server.gate.clone();
    while gate.counters() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.stop().await, Drained { cut: 0 });
    let answered: u64 = load.join_all().await.into_iter().sum();
    assert_eq!(answered, charged(&gate), "answers against charges");
}

/// What the one counter of the load was charged, by the remaining number of a peek.
fn charged(gate: &tollgate::gate::Gate) -> u64 {
    let entries = [("key", "load")].into_iter().collect();
    let descriptor = Descriptor { entries, hits: Hits::Peek, limit: None };
    let query =
        Query { domain: "d", descriptors: [descriptor].into_iter().collect(), receipt: None };
    let rules = gate.rules();
    match gate.decide(&rules, &query).statuses[0].standing {
        tollgate::limiter::Standing::Limited { remaining, .. } => BUDGET - 1 - remaining,
        other => panic!("the counter has a limit, yet shows {other:?}"),
    }
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_hold_the_drain_up() {
    let server = Server::start(WIDE).await;
    let mut silent = TcpStream::connect(server.addr).await.expect("the server accepts");
    // An answer on a second connection shows that the first one has been accepted.
    server.client().await.ask("d", &["key=a"]).await;
    // The drain's deadline is the test's own patience: it must end well before.
    assert_eq!(server.stop().await, Drained { cut: 0 });
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is closed");
}

#[tokio::test]
async fn a_call_that_never_ends_is_cut_at_the_deadline() {
    let server = Server::start_with_drain(WIDE, Duration::from_millis(100)).await;
    let mut reflection = ServerReflectionClient::new(server.channel().await);
    // A stream of questions that stays open is such a call.
    let questions = tokio_stream::pending::<ServerReflectionRequest>();
    let answers = reflection.server_reflection_info(questions).await.expect("a stream");
    assert_eq!(server.stop().await, Drained { cut: 1 });
    drop(answers);
}

#[tokio::test]
async fn whoever_comes_with_http_1_is_told_what_is_spoken_here() {
    let server = Server::start(WIDE).await;
    let mut stream = TcpStream::connect(server.addr).await.expect("the server accepts");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a text");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("gRPC"), "{answer}");
    server.stop().await;
}

async fn code(client: &mut Client, request: RateLimitRequest) -> Code {
    client.call(request).await.map_or_else(|error| error.code(), |_| Code::Ok)
}

#[tokio::test]
async fn input_beyond_the_bounds_is_an_error_and_charges_nothing() {
    let server = Server::start(WIDE).await;
    let mut client = server.client().await;
    // Each has a key of its own, so that a charge would show as a counter.
    let calls = |count: usize| request("d", &vec!["key=calls"; count]);
    let entries = |count: usize| request("d", &[&vec!["key=entries"; count].join(",")]);
    let mut before = 0;
    let text = |bytes: usize| request("d", &[&format!("key={}", "x".repeat(bytes))]);
    let hits = |hits: u64| {
        let mut asked = descriptor("key=hits");
        asked.hits_addend = Some(hits);
        RateLimitRequest { domain: "d".into(), descriptors: vec![asked], hits_addend: 0 }
    };
    for (at, above) in [
        (calls(1000), calls(1001)),
        (entries(256), entries(257)),
        (text(64 << 10), text((64 << 10) + 1)),
        (hits(1), hits(i64::MAX as u64 + 1)),
    ] {
        assert_eq!(code(&mut client, above).await, Code::InvalidArgument);
        assert_eq!(server.gate.counters(), before, "nothing may be charged");
        assert_eq!(code(&mut client, at).await, Code::Ok);
        before = server.gate.counters();
    }
    // A message beyond four mebibytes is not even read. Never UNKNOWN: Envoy would take it for OK.
    let long = format!("key={}", "y".repeat(60_000));
    assert_eq!(code(&mut client, request("d", &vec![long.as_str(); 65])).await, Code::Ok);
    let huge = request("d", &vec![long.as_str(); 75]);
    assert_eq!(code(&mut client, huge).await, Code::OutOfRange);
    server.stop().await;
}

#[tokio::test]
async fn negative_hits_charge_nothing_where_no_rule_takes_them() {
    let server = Server::start(WIDE).await;
    let mut asked = request("d", &["key=a"]);
    asked.descriptors[0].is_negative_hits = true;
    let mut client = server.client().await;
    assert_eq!(code(&mut client, asked).await, Code::Ok);
    assert_eq!(server.gate.counters(), 0);
    server.stop().await;
}

#[tokio::test]
async fn an_override_without_a_unit_is_an_error() {
    use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::RateLimitOverride;
    let server = Server::start(WIDE).await;
    let mut client = server.client().await;
    for (unit, multiplier, expected) in [
        (1, None, Code::Ok),
        (6, Some(10), Code::Ok),
        (0, None, Code::InvalidArgument),
        (7, None, Code::InvalidArgument),
        (2, Some(0), Code::InvalidArgument),
        (6, Some(11), Code::InvalidArgument),
    ] {
        let mut asked = request("d", &["key=a"]);
        let limit = RateLimitOverride { requests_per_unit: 5, unit, unit_multiplier: multiplier };
        asked.descriptors[0].limit = Some(limit);
        assert_eq!(code(&mut client, asked).await, expected, "{multiplier:?} of unit {unit}");
    }
    server.stop().await;
}
