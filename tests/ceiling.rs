//! A server with little memory under a flood of fresh keys: known keys are counted exactly, the
//! flood is limited as a crowd, nothing is lost, and it is told of.

mod harness;

use std::collections::BTreeMap;

use harness::http::Http;
use harness::{Client, Server, request};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::Code;

const RULES: &str = "
domain: shop
rules:
  - name: per-key
    count_by: [key]
    limits:
      - { name: minute, requests: 5, per: minute }
      - { name: hour, requests: 100, per: hour, burst: 100 }
";

/// So little that some thousands of counters use it up.
const CEILING: usize = 1 << 20;

/// More keys than there is memory for.
const FLOOD: usize = 30_000;

/// Descriptors to a call: the flood's calls may carry many, to be over soon.
const DESCRIPTORS: usize = 50;

async fn start() -> (Server, Client) {
    let server = Server::start(RULES).await;
    server.gate.memory().space().limit_to(CEILING);
    let client = server.client().await;
    (server, client)
}

async fn passes(client: &mut Client, key: &str) -> bool {
    let answer = client.ask("shop", &[&format!("key={key}")]).await;
    answer.overall_code == Code::Ok as i32
}

/// Asks once for each of many keys that nobody has seen; returns how many calls passed.
async fn flood(client: &mut Client, name: &str, keys: usize) -> usize {
    let mut passed = 0;
    for first in (0..keys).step_by(DESCRIPTORS) {
        let texts: Vec<_> =
            (first..first + DESCRIPTORS).map(|at| format!("key={name}-{at}")).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let answer = client.call(request("shop", &texts)).await.expect("an answer");
        passed += usize::from(answer.overall_code == Code::Ok as i32);
    }
    passed
}

/// The numbers of `/metrics` whose names begin so.
async fn metrics(server: &Server, prefix: &str) -> BTreeMap<String, u64> {
    let text = Http::new(server.http).get("/metrics").await.text;
    let lines = text.lines().filter(|line| line.starts_with(prefix));
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

#[tokio::test]
async fn known_keys_are_counted_exactly_through_a_flood() {
    let (server, mut client) = start().await;
    for _ in 0..3 {
        assert!(passes(&mut client, "victim").await);
    }
    flood(&mut client, "fresh", FLOOD).await;
    let space = server.gate.memory().space();
    assert!(space.crowded() > 0, "the flood is larger than the memory");
    assert!(space.used() <= CEILING, "{} bytes", space.used());
    for _ in 3..5 {
        assert!(passes(&mut client, "victim").await);
    }
    assert!(!passes(&mut client, "victim").await);
    flood(&mut client, "more", FLOOD / 10).await;
    assert!(!passes(&mut client, "victim").await);
    server.stop().await;
}

#[tokio::test]
async fn a_flood_is_limited_as_a_crowd() {
    let (server, mut client) = start().await;
    flood(&mut client, "fresh", FLOOD).await;
    // Sixteen shared counters of five each, of which the flood has used some; each key that found
    // room may use its own five. One call for each key beyond that is refused.
    let (mut passed, before) = (0, server.gate.memory().len());
    for number in 0..400 {
        passed += usize::from(passes(&mut client, &format!("late-{number}")).await);
    }
    let found_room = server.gate.memory().len() - before;
    assert!(passed <= 16 * 5 + found_room, "{passed} passed, {found_room} counters more");
    // The windows end, those of the crowd as well.
    server.advance_s(3 * 3600);
    for number in 0..20 {
        assert!(passes(&mut client, &format!("late-{number}")).await);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_numbers_tell_of_it() {
    let (server, mut client) = start().await;
    let before = metrics(&server, "tollgate_").await;
    assert_eq!(before["tollgate_memory_ceiling_bytes"], CEILING as u64);
    assert_eq!(before["tollgate_crowded_decisions_total"], 0);
    flood(&mut client, "fresh", FLOOD).await;
    let after = metrics(&server, "tollgate_").await;
    assert!(after["tollgate_crowded_decisions_total"] > 0);
    assert!(after["tollgate_memory_bytes"] <= CEILING as u64);
    assert!(after["tollgate_memory_bytes"] > CEILING as u64 / 2);
    assert!(after["tollgate_counters"] > 1000);
    server.stop().await;
}
