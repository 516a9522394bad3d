//! The directory through the wire: a proxy sends a key and nothing else.

mod harness;

use std::fs;

use harness::{Client, NOON, Server};
use tempfile::TempDir;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::RateLimitOverride;
use tollgate::grpc::proto::envoy::r#type::v3::RateLimitUnit;
use tollgate::time::{SECOND_US, Timestamp};

const OK: i32 = 1;
const OVER: i32 = 2;

const RULES: &str = "
domain: d
plans:
  free: { limits: [{ name: day, requests: 3, per: day }] }
  pro: { limits: [{ name: day, requests: 10, per: day }] }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
  - { name: team, count_by: [team], limits: [{ name: day, requests: 6, per: day }] }
";

/// A server whose directory is a file of this text.
async fn server(rules: &str, file: &str, rows: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join(file);
    fs::write(&path, rows).expect("a file");
    let directory = format!("directory: {{ by: key, from: {} }}\n", path.display());
    (Server::start(&format!("{rules}{directory}")).await, folder)
}

/// How many of so many calls pass.
async fn passing(client: &mut Client, entries: &str, calls: usize) -> usize {
    let mut passed = 0;
    for _ in 0..calls {
        passed += usize::from(client.ask("d", &[entries]).await.overall_code == OK);
    }
    passed
}

#[tokio::test]
async fn a_proxy_that_sends_only_the_key_gets_the_keys_plan() {
    let rows = "key,plan,limit:per-key.day\nalice,pro,\nbob,,5\n";
    let (server, _folder) = server(RULES, "keys.csv", rows).await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=alice", 12).await, 10);
    assert_eq!(passing(&mut client, "key=bob", 12).await, 5, "a budget of its own");
    assert_eq!(passing(&mut client, "key=stranger", 12).await, 3, "unknown keys are `otherwise`");
    let shown = client.ask("d", &["key=bob"]).await;
    let shown = shown.statuses[0].current_limit.as_ref().expect("a limit");
    assert_eq!((shown.name.as_str(), shown.requests_per_unit), ("per-key.day", 5));
    server.stop().await;
}

#[tokio::test]
async fn the_directory_outranks_what_a_call_says_of_itself() {
    let (server, _folder) = server(RULES, "keys.csv", "key,plan\neve,free\n").await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=eve,plan=pro", 12).await, 3);
    assert_eq!(passing(&mut client, "plan=pro,key=eve", 12).await, 0);
    assert_eq!(passing(&mut client, "key=stranger,plan=pro", 12).await, 10);
    server.stop().await;
}

#[tokio::test]
async fn keys_of_a_team_share_its_counter() {
    let rows = "keys:\n  a: { plan: pro, team: blue }\n  b: { plan: pro, team: blue }\n";
    let (server, _folder) = server(RULES, "keys.yaml", rows).await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=a", 4).await, 4);
    assert_eq!(passing(&mut client, "key=b", 4).await, 2, "six of the team in all");
    server.stop().await;
}

#[tokio::test]
async fn a_budget_that_a_call_brings_along_outranks_the_directory() {
    let (server, _folder) = server(RULES, "keys.csv", "key,plan,team\na,pro,blue\n").await;
    let mut client = server.client().await;
    let mut request = harness::request("d", &["key=a"]);
    let unit = RateLimitUnit::Minute.into();
    let limit = RateLimitOverride { requests_per_unit: 1, unit, unit_multiplier: None };
    request.descriptors[0].limit = Some(limit);
    let mut code = async || client.call(request.clone()).await.expect("an answer").overall_code;
    assert_eq!([code().await, code().await], [OK, OVER]);
    server.stop().await;
}

#[tokio::test]
async fn a_scheduled_change_takes_effect_at_its_moment_and_keeps_what_was_used() {
    let rows = "
keys:
  a:
    plan: free
    stages:
      - { from: 2026-03-10T12:30:00Z, until: 2026-03-10T18:00:00Z, plan: pro }
      - { from: 2026-03-10T13:00:00Z, limits: { per-key.day: 6 } }
";
    let (server, _folder) = server(RULES, "keys.yaml", rows).await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=a", 5).await, 3);
    let half_past = NOON.plus(30 * 60 * SECOND_US);
    server.clock.set(Timestamp::from_micros(half_past.as_micros() - 1));
    assert_eq!(passing(&mut client, "key=a", 1).await, 0);
    server.clock.set(half_past);
    assert_eq!(passing(&mut client, "key=a", 2).await, 2, "five of ten are used");
    server.clock.set(half_past.plus(30 * 60 * SECOND_US));
    assert_eq!(passing(&mut client, "key=a", 3).await, 1, "six of six");
    server.stop().await;
}
