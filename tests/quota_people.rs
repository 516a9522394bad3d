//! What has closed, what a customer sees, and what is switched, through the people's port.

mod harness;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::http::Http;
use harness::{NOON, PeopleOf, Server, rules};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::grpc::proto::tollgate::v1;
use tollgate::grpc::proto::tollgate::v1::quotas_client::QuotasClient;
use tollgate::query::{Descriptor, Hits, Query};
use tonic::Code;

const TRACKER: &str = "
domain: tracker
my_usage: true
directory: { by: key }
plans:
  free:
    limits:
      - { name: minute, requests: 10, per: minute }
      - { name: month, requests: 50, per: month, archive: true }
  premium:
    limits:
      - { name: month, requests: unlimited, per: month, archive: true }
rules:
  - { name: jobs, count_by: [key], plan: { from: plan, otherwise: free } }
  - { name: team, count_by: [team], limits: [{ requests: 500, per: month, archive: true }] }
  - { name: trial, count_by: [key], limits: [{ requests: 3, per: hour, on_exceed: shadow }] }
";

/// The same, with keys that nobody is to see.
fn secret() -> String {
    format!("{TRACKER}secret_entries: [key]\n")
}

const DAY_S: u64 = 86_400;

async fn charge(http: &Http, key: &str, hits: u64) {
    let body = json!({ "domain": "tracker", "entries": { "key": key }, "hits": hits });
    assert_eq!(http.post("/v1/charge", body).await.good()["admitted"], true);
}

async fn row(http: &Http, key: &str, row: Value) {
    let body = json!({ "domain": "tracker", "key": key, "row": row }).to_string();
    http.ask(Method::PUT, "/v1/directory", body).await.good();
}

/// The lines of an export.
async fn export(http: &Http, query: &str) -> Vec<Value> {
    let answer = http.get(&format!("/v1/history?domain=tracker&{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn exports_that_follow_one_another_tell_each_closed_window_once() {
    let server = Server::start(TRACKER).await;
    let http = Http::new(server.http);
    row(&http, "bob", json!({ "plan": "premium" })).await;
    charge(&http, "alice", 7).await;
    charge(&http, "bob", 700).await;
    // What is open is in no export.
    assert_eq!(export(&http, "from=2026-01-01").await, Vec::<Value>::new());
    server.advance_s(22 * DAY_S);
    charge(&http, "alice", 2).await;
    server.advance_s(30 * DAY_S);
    let mut march = export(&http, "from=2026-03-01&until=2026-04-30T23:59:59Z").await;
    march.sort_by_key(|line| line["used"].as_u64());
    let alice = json!({
        "domain": "tracker", "limit": "jobs.month", "values": { "key": "alice" },
        "start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z", "used": 7, "requests": 50,
    });
    assert_eq!(march[0], alice);
    assert_eq!((&march[1]["values"]["key"], &march[1]["requests"]), (&json!("bob"), &json!(-1)));
    assert_eq!(march.len(), 2);
    // The end of April lies on the edge, and belongs to what follows.
    let edge = export(&http, "from=2026-03-01&until=2026-05-01").await;
    assert_eq!(edge.len(), 2);
    let april = export(&http, "from=2026-05-01").await;
    assert_eq!((april.len(), &april[0]["used"]), (1, &json!(2)));
    let of = |query: &'static str| export(&http, query);
    assert_eq!(of("from=2026-01-01&entries=key=alice").await.len(), 2);
    assert_eq!(of("from=2026-01-01&entries=key=carol").await.len(), 0);
    assert_eq!(of("from=2026-01-01&limit=jobs.month&entries=key=bob").await.len(), 1);
    for query in [
        "from=2026-01-01&until=2027-01-01",
        "from=2026-03-01&until=2026-02-01",
        "from=then",
        "until=2026-02-01",
    ] {
        let path = format!("/v1/history?domain=tracker&{query}");
        assert_eq!(http.get(&path).await.refused().0, 400, "{query}");
    }
    for query in ["limit=jobs.minute", "limit=jobs.year"] {
        let path = format!("/v1/history?domain=tracker&from=2026-01-01&{query}");
        assert_eq!(http.get(&path).await.refused().0, 404, "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn history_knows_what_people_put_right_and_what_was_refunded() {
    let server = Server::start(TRACKER).await;
    let http = Http::new(server.http);
    let alice = |more: Value| {
        let mut body = json!({ "domain": "tracker", "entries": { "key": "alice" } });
        body.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        body
    };
    http.post("/v1/charge", alice(json!({ "hits": 8, "id": "a" }))).await.good();
    http.post("/v1/refund", alice(json!({ "hits": 3, "id": "a" }))).await.good();
    http.post("/v1/adjust", alice(json!({ "limit": "jobs.month", "add": 20 }))).await.good();
    // A counter that people alone have touched has a history as well.
    let bob = json!({
        "domain": "tracker", "entries": { "key": "bob" }, "limit": "jobs.month", "set": 9,
    });
    http.post("/v1/adjust", bob).await.good();
    server.advance_s(22 * DAY_S);
    // The window has closed: what comes back now comes back nowhere.
    http.post("/v1/refund", alice(json!({ "id": "a" }))).await.refused();
    let used = async |key: &str| {
        let lines = export(&http, &format!("from=2026-01-01&entries=key={key}")).await;
        lines.iter().map(|line| line["used"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!((used("alice").await, used("bob").await), (vec![25], vec![9]));
    http.post("/v1/erase", alice(json!({}))).await.good();
    assert_eq!(used("alice").await, Vec::<u64>::new());
    server.stop().await;
}

#[tokio::test]
async fn history_is_a_stream_of_grpc_and_names_secret_keys_by_their_fingerprint() {
    let server = Server::start(&secret()).await;
    let http = Http::new(server.http);
    charge(&http, "sk_live_0815_4f9a", 3).await;
    server.advance_s(22 * DAY_S);
    let url = format!("http://{}", server.http);
    let mut grpc = QuotasClient::connect(url).await.expect("a connection");
    let asked = v1::HistoryRequest {
        domain: "tracker".into(),
        from: "2026-01-01T00:00:00Z".into(),
        ..v1::HistoryRequest::default()
    };
    let mut windows = grpc.history(asked.clone()).await.expect("a stream").into_inner();
    let window = windows.message().await.expect("no error").expect("a window");
    assert_eq!((window.used, window.requests), (3, 50));
    assert!(windows.message().await.expect("no error").is_none());
    let values = vec!["sk_live_0815_4f9a".to_owned()];
    let (domain, entry) = ("tracker".into(), "key".into());
    let shown = grpc.fingerprint(v1::FingerprintRequest { domain, entry, values }).await;
    let shown = shown.expect("an answer").into_inner().shown.remove(0);
    assert!(shown.ends_with("…4f9a") && !shown.contains("live"), "{shown}");
    assert_eq!(window.values[0].value, shown);
    let body = json!({ "domain": "tracker", "entry": "key", "values": ["sk_live_0815_4f9a"] });
    assert_eq!(http.post("/v1/fingerprint", body).await.good(), json!({ "shown": [shown] }));
    let later = v1::HistoryRequest { until: Some("2030-01-01T00:00:00Z".into()), ..asked };
    assert_eq!(grpc.history(later).await.expect_err("not yet").code(), Code::InvalidArgument);
    server.stop().await;
}

const MINE: &str = "/v1/my/usage?domain=tracker";

#[tokio::test]
async fn a_customer_sees_what_their_own_key_has_used() {
    let server = Server::start(TRACKER).await;
    let http = Http::new(server.http);
    row(&http, "alice", json!({ "team": "a" })).await;
    row(&http, "bob", json!({ "plan": "premium", "team": "a" })).await;
    charge(&http, "alice", 5).await;
    charge(&http, "bob", 60).await;
    let own = http.with_token("alice").get(MINE).await.good();
    let limits = own["limits"].as_array().expect("limits");
    // Neither what the whole team used is told, nor what is in shadow.
    let names: Vec<_> = limits.iter().map(|it| it["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["minute", "month"]);
    let month = json!({
        "name": "month", "per": "month", "used": 5, "limit": 50, "remaining": 45,
        "reset_seconds": 1857600, "reset_at": "2026-04-01T00:00:00Z", "reset_date": "2026-04-01",
    });
    assert_eq!(limits[1], month);
    server.advance_s(22 * DAY_S);
    charge(&http, "bob", 1).await;
    let own = http.with_token("bob").get(MINE).await.good();
    let month = &own["limits"][0];
    assert_eq!((&month["limit"], &month["remaining"]), (&json!(-1), &json!(-1)));
    assert_eq!(month["used"], 1);
    let past = json!([{
        "start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z", "used": 60, "limit": -1,
    }]);
    assert_eq!(month["past"], past);
    server.stop().await;
}

const TOKEN: &str = "a-token-of-some-length";

fn token() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("token");
    fs::write(&path, TOKEN).expect("a writable folder");
    (folder, path)
}

#[tokio::test]
async fn only_keys_of_the_directory_see_their_own_and_nothing_else_opens() {
    let (_folder, path) = token();
    for token_file in [None, Some(&*path)] {
        let people = PeopleOf { beyond_loopback: true, token_file, ..PeopleOf::default() };
        let server = Server::start_for(TRACKER, people).await;
        let http = Http::new(server.http);
        let directory = server.gate.rules().domain("tracker").map(|domain| {
            let directory = domain.directory.as_ref().expect("a directory");
            directory.live().set("alice", std::sync::Arc::default());
        });
        assert!(directory.is_some());
        let alice = http.with_token("alice");
        assert_eq!(alice.get(MINE).await.good()["limits"][0]["used"], 0);
        let wrong = http.with_token("mallory").get(MINE).await;
        assert_eq!(wrong.status, 401);
        // What is wrong about a domain is told in the same words.
        assert_eq!(alice.get("/v1/my/usage?domain=other").await, wrong);
        assert_eq!(http.get(MINE).await.status, 401);
        let shut = if token_file.is_some() { 401 } else { 403 };
        assert_eq!(alice.get("/v1/usage?domain=tracker&entries=key=alice").await.status, shut);
        let metrics = http.get("/metrics").await.text;
        let failures = if token_file.is_some() { 4 } else { 3 };
        let line = format!("tollgate_auth_failures_total {failures}\n");
        assert!(metrics.contains(&line), "{metrics}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_domain_shows_nobody_their_own_unless_its_rules_say_so() {
    let server = Server::start(&TRACKER.replace("my_usage: true", "")).await;
    let http = Http::new(server.http);
    row(&http, "alice", json!({})).await;
    assert_eq!(http.with_token("alice").get(MINE).await.status, 401);
    server.stop().await;
}

async fn passes(http: &Http, key: &str, hits: u64) -> Value {
    let body = json!({ "domain": "tracker", "entries": { "key": key }, "hits": hits });
    http.post("/v1/charge", body).await.good()["admitted"].clone()
}

async fn switch(http: &Http, rule: &str, mode: &str) -> harness::http::Answer {
    let body = json!({ "domain": "tracker", "rule": rule, "mode": mode });
    http.post("/v1/switch", body).await
}

#[tokio::test]
async fn a_rule_is_switched_off_and_on_and_stays_so_over_a_reload() {
    let server = Server::start(TRACKER).await;
    let http = Http::new(server.http);
    assert_eq!(passes(&http, "alice", 11).await, false);
    let shadow = json!({ "domain": "tracker", "rule": "jobs", "mode": "shadow", "loaded": true });
    assert_eq!(switch(&http, "jobs", "shadow").await.good(), json!({ "switch": shadow }));
    assert_eq!(passes(&http, "alice", 11).await, true);
    let usage = http.get("/v1/usage?domain=tracker&entries=key=alice").await.good();
    assert_eq!(usage["limits"][0]["on_exceed"], "shadow");
    server.gate.replace(rules(TRACKER));
    assert_eq!(passes(&http, "alice", 11).await, true);
    switch(&http, "jobs", "off").await.good();
    assert_eq!(http.get("/v1/switches").await.good()["switches"][0]["mode"], "off");
    let usage = http.get("/v1/usage?domain=tracker&entries=key=alice").await.good();
    assert_eq!(usage["limits"].as_array().map(Vec::len), Some(1));
    let of_rule = http.get("/v1/rules").await.good()["domains"][0]["rules"][0].clone();
    assert_eq!((&of_rule["mode"], &of_rule["enforce"]), (&json!("off"), &json!("100%")));
    // A switch outlives its rule, and can be taken away.
    server.gate.replace(rules(&TRACKER.replace("name: jobs", "name: works")));
    assert_eq!(http.get("/v1/switches").await.good()["switches"][0]["loaded"], false);
    assert_eq!(passes(&http, "alice", 11).await, false);
    server.gate.replace(rules(TRACKER));
    assert_eq!(passes(&http, "alice", 11).await, true);
    switch(&http, "jobs", "on").await.good();
    assert_eq!(passes(&http, "alice", 11).await, false);
    assert_eq!(http.get("/v1/switches").await.good()["switches"], json!([]));
    assert_eq!(switch(&http, "jobs", "of").await.refused().0, 400);
    assert_eq!(switch(&http, "works", "on").await.refused().0, 404);
    server.stop().await;
}

#[tokio::test]
async fn no_call_meets_a_switched_rule_while_rules_are_reloaded() {
    // The new rules were put in force first and switched behind that, so that calls in between were
    // refused by a rule that people had taken out.
    let many: String = (0..200)
        .map(|number| {
            let limits = "limits: [{ requests: 0, per: hour }]";
            format!("  - {{ name: r{number}, match: {{ key: k{number} }}, {limits} }}\n")
        })
        .collect();
    let text = format!("domain: tracker\nrules:\n{many}");
    let server = Server::start(&text).await;
    let http = Http::new(server.http);
    for number in 0..200 {
        switch(&http, &format!("r{number}"), "off").await.good();
    }
    let (gate, over) = (server.gate.clone(), AtomicBool::new(false));
    let refused = std::thread::scope(|scope| {
        let deciding = scope.spawn(|| {
            let mut refused = 0;
            while !over.load(Ordering::Relaxed) {
                let entries = [("key", "k199")].into_iter().collect();
                let descriptors = [Descriptor { entries, hits: Hits::Take(1), limit: None }];
                let descriptors = descriptors.into_iter().collect();
                let query = Query { domain: "tracker", descriptors, receipt: None };
                refused += u64::from(!gate.decide(&gate.rules(), &query).admitted);
            }
            refused
        });
        (0..50).for_each(|_| drop(gate.replace(rules(&text))));
        over.store(true, Ordering::Relaxed);
        deciding.join().expect("the thread ends")
    });
    assert_eq!(refused, 0);
    server.stop().await;
}

fn lines(path: &Path) -> Vec<Value> {
    let log = fs::read_to_string(path).expect("an audit log");
    log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_with_secrets_by_their_fingerprint() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("audit.log");
    let people = PeopleOf { audit_log: Some(&path), ..PeopleOf::default() };
    let server = Server::start_for(&secret(), people).await;
    let http = Http::new(server.http);
    let whom = |more: Value| {
        let entries = json!({ "key": "sk_live_0815_4f9a", "plan": "free" });
        let mut body = json!({ "domain": "tracker", "entries": entries });
        body.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        body
    };
    let until = tollgate::calendar::rfc3339(NOON.plus(3_600_000_000));
    for (what, more) in [
        ("charge", json!({ "id": "a" })),
        ("charge", json!({ "id": "a" })),
        ("charge", json!({ "hits": 0 })),
        ("charge", json!({ "hits": 99 })),
        ("refund", json!({ "id": "a" })),
        ("reserve", json!({ "id": "b", "hits": 2 })),
        ("commit", json!({ "id": "b", "hits": 1 })),
        ("grant", json!({ "limit": "jobs.month", "hits": 1, "until": until })),
    ] {
        http.post(&format!("/v1/{what}"), whom(more)).await.good();
    }
    switch(&http, "jobs", "off").await.good();
    let lines = lines(&path);
    let what: Vec<_> = lines.iter().map(|line| line["what"].as_str().expect("a word")).collect();
    assert_eq!(what, ["charge", "refund", "reserve", "commit", "grant", "switch"]);
    for line in &lines[..5] {
        let key = line["entries"][0][1].as_str().expect("a value");
        assert!(key.ends_with("…4f9a") && !key.contains("live"), "{line}");
        assert_eq!(line["entries"][1], json!(["plan", "free"]), "{line}");
    }
    assert_eq!(lines[0]["counters"][0], json!({ "limit": "jobs.minute", "before": 0, "after": 1 }));
    assert_eq!(lines[4]["details"]["limit"], "jobs.month");
    assert_eq!(lines[5]["details"], json!({ "rule": "jobs", "mode": "off", "before": "on" }));
    server.stop().await;
}
