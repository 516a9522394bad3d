//! What the quota service answered is there after kill -9, with the real binary and a real disk.

mod harness;

use std::path::Path;

use harness::http::Http;
use harness::program::{Program, client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::Channel;

const RULES: &str = "
domain: d
rules:
  - name: per-key
    count_by: [key]
    limits: [{ name: year, requests: 10, per: year }]
  - name: closed
    match: { endpoint: /closed }
    limits: [{ name: year, requests: 0, per: year }]
";

/// A server over a folder, with its two sides.
async fn start(folder: &Path) -> (Program, Http, Channel) {
    let mut program = Program::start(folder, &[]);
    let line = program.line_with("serving people").await;
    let address = line.split("addr=").nth(1).expect("the line names the address");
    let address = address.split(' ').next().expect("a text has a first word");
    let http = Http::new(address.parse().expect("an address"));
    let channel = program.connect().await;
    program.line_with("ready").await;
    program.leave_log();
    (program, http, channel)
}

/// What one key has used of its year, and how much of that a grant has left to give.
async fn stands(http: &Http, key: &str) -> (u64, Value) {
    let usage = http.get(&format!("/v1/usage?domain=d&entries=key={key}")).await.good();
    let year = &usage["limits"][0];
    (year["used"].as_u64().expect("a number"), year["granted"].clone())
}

async fn ask(http: &Http, what: &str, key: &str, more: Value) -> harness::http::Answer {
    let mut body = json!({ "domain": "d", "entries": { "key": key } });
    let members = body.as_object_mut().expect("members");
    members.extend(more.as_object().expect("members").clone());
    http.post(&format!("/v1/{what}"), body).await
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_answered() {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("rules.yaml"), RULES).expect("a writable folder");
    let (mut program, http, _) = start(folder.path()).await;
    let (charge, hold) = (json!({ "hits": 3, "id": "a" }), json!({ "hits": 6, "id": "b" }));
    ask(&http, "charge", "alice", charge.clone()).await.good();
    ask(&http, "reserve", "bob", hold.clone()).await.good();
    let grant = json!({ "limit": "per-key.year", "hits": 5, "until": "2999-01-01T00:00:00Z" });
    ask(&http, "grant", "carol", grant).await.good();
    let closed = json!({ "domain": "d", "rule": "closed", "mode": "off" });
    http.post("/v1/switch", closed).await.good();
    program.child.kill().await.expect("it is killed");

    let (mut program, http, channel) = start(folder.path()).await;
    // The id is known, and what was charged under it is there.
    let again = ask(&http, "charge", "alice", charge).await.good();
    assert_eq!((&again["repeated"], stands(&http, "alice").await.0), (&json!(true), 3));
    assert_eq!(ask(&http, "charge", "alice", json!({ "id": "a" })).await.status, 409);
    assert_eq!(ask(&http, "reserve", "bob", hold).await.good()["repeated"], true);
    assert_eq!(stands(&http, "bob").await.0, 6);
    assert_eq!(stands(&http, "carol").await, (0, json!(5)));
    let passed = client(&channel).ask("d", &["endpoint=/closed"]).await;
    assert_eq!(passed.overall_code, 1);
    // What was open can be settled, and what was charged refunded.
    ask(&http, "commit", "bob", json!({ "hits": 2, "id": "b" })).await.good();
    ask(&http, "refund", "alice", json!({ "hits": 1, "id": "a" })).await.good();
    program.child.kill().await.expect("it is killed");

    let (program, http, _) = start(folder.path()).await;
    let settled = ask(&http, "commit", "bob", json!({ "hits": 2, "id": "b" })).await.good();
    assert_eq!((&settled["repeated"], stands(&http, "bob").await.0), (&json!(true), 2));
    let refunded = ask(&http, "refund", "alice", json!({ "hits": 1, "id": "a" })).await.good();
    assert_eq!((&refunded["repeated"], stands(&http, "alice").await.0), (&json!(true), 2));
    assert_eq!(http.get("/v1/switches").await.good()["switches"][0]["mode"], "off");
    assert_eq!(program.stop().await, 0);
}
