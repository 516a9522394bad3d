//! The people's side through real sockets: what is seen is what decisions go by, and what is
//! changed is changed for them.

mod harness;

use std::fs;
use std::time::Duration;

use harness::http::Http;
use harness::program::Program;
use harness::{NOON, PATIENCE, PeopleOf, Server};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollgate::calendar::rfc3339;

const SHOP: &str = "
domain: shop
plans:
  free:
    limits:
      - { name: minute, requests: 10, per: minute, algorithm: sliding_log }
      - { name: month, requests: 5000, per: month }
  pro:
    limits:
      - { name: rate, requests: 100, per: minute, burst: 120 }
      - { name: month, requests: unlimited, per: month, on_exceed: allow }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
  - name: search
    match: { endpoint: /search }
    count_by: [key]
    limits: [{ name: day, requests: 50, per: day }]
  - name: per-endpoint
    count_by: [key, endpoint]
    limits: [{ name: hour, requests: 30, per: 2 hours }]
  - name: all
    match: { endpoint: { present: true } }
    limits: [{ name: s, requests: 9, per: s }]
";

const ALICE: &str = "/v1/usage?domain=shop&entries=key=alice";

fn alice() -> Value {
    json!({ "domain": "shop", "entries": { "key": "alice" } })
}

/// The same with more members.
fn with(mut body: Value, more: Value) -> Value {
    let more = more.as_object().expect("members").clone();
    body.as_object_mut().expect("members").extend(more);
    body
}

/// What one limit shows of a member.
fn of<'a>(usage: &'a Value, limit: &str, member: &str) -> &'a Value {
    let limits = usage["limits"].as_array().expect("limits");
    let found = limits.iter().find(|it| it["limit"] == limit);
    &found.unwrap_or_else(|| panic!("no {limit} in {usage}"))[member]
}

#[tokio::test]
async fn usage_shows_what_a_decision_shows_and_charges_nothing() {
    let server = Server::start(SHOP).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    let never = http.get(ALICE).await.good();
    let minute = json!({
        "rule": "per-key", "limit": "minute", "used": 0, "requests": 10, "per": "minute",
        "remaining": 10, "on_exceed": "deny", "reset_seconds": 0, "reset_at": rfc3339(NOON),
    });
    assert_eq!(never["limits"][0], minute);
    assert_eq!(server.gate.counters(), 0, "looking at counters does not make any");
    for _ in 0..3 {
        client.ask("shop", &["key=alice"]).await;
    }
    server.advance_s(20);
    let shown = client.ask("shop", &["key=alice"]).await.statuses.remove(0);
    let usage = http.get(ALICE).await.good();
    assert_eq!(usage, http.get(ALICE).await.good());
    assert_eq!(*of(&usage, "minute", "used"), 4);
    assert_eq!(*of(&usage, "minute", "remaining"), shown.limit_remaining);
    let reset = shown.duration_until_reset.expect("a wait").seconds;
    assert_eq!(*of(&usage, "minute", "reset_seconds"), reset);
    assert_eq!(*of(&usage, "month", "used"), 4);
    assert_eq!(*of(&usage, "month", "reset_at"), "2026-04-01T00:00:00Z");
    server.stop().await;
}

#[tokio::test]
async fn unlimited_budgets_are_minus_one_and_counted() {
    let server = Server::start(SHOP).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    client.ask("shop", &["key=alice,plan=pro"]).await;
    let usage = http.get(&format!("{ALICE},plan=pro")).await.good();
    let (requests, used) = (of(&usage, "month", "requests"), of(&usage, "month", "used"));
    assert_eq!((requests, used), (&json!(-1), &json!(1)));
    assert_eq!(*of(&usage, "month", "remaining"), -1);
    // A burst holds more than the budget, and no more than the budget is shown.
    assert_eq!(*of(&usage, "rate", "remaining"), 100);
    // The month is one counter under either plan.
    let free = http.get(ALICE).await.good();
    assert_eq!(*of(&free, "month", "used"), 1);
    server.stop().await;
}

#[tokio::test]
async fn what_is_adjusted_and_reset_decides() {
    let server = Server::start(SHOP).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    let month = with(alice(), json!({ "limit": "per-key.month" }));
    let set = http.post("/v1/adjust", with(month.clone(), json!({ "set": 5000 }))).await.good();
    let expected = json!({ "limit": "per-key.month", "before": 0, "after": 5000 });
    assert_eq!(set, json!({ "adjusted": expected }));
    let over = client.ask("shop", &["key=alice"]).await;
    assert_eq!((over.overall_code, over.statuses[0].limit_remaining), (2, 0));
    http.post("/v1/adjust", with(month.clone(), json!({ "add": -2 }))).await.good();
    http.post("/v1/adjust", with(month.clone(), json!({ "add": 1 }))).await.good();
    assert_eq!(client.ask("shop", &["key=alice"]).await.overall_code, 1);
    assert_eq!(client.ask("shop", &["key=alice"]).await.overall_code, 2);
    let reset = http.post("/v1/reset", month).await.good();
    assert_eq!(reset["reset"][0], json!({ "limit": "per-key.month", "before": 5000, "after": 0 }));
    assert_eq!(client.ask("shop", &["key=alice"]).await.overall_code, 1);
    let all = http.post("/v1/reset", alice()).await.good();
    assert_eq!(all["reset"].as_array().map(Vec::len), Some(2));
    let usage = http.get(ALICE).await.good();
    assert_eq!((of(&usage, "minute", "used"), of(&usage, "month", "used")), (&0.into(), &0.into()));
    server.stop().await;
}

#[tokio::test]
async fn erasing_reaches_every_plan_and_names_what_it_cannot_reach() {
    let server = Server::start(SHOP).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    client.ask("shop", &["key=alice,plan=pro", "key=alice,endpoint=/search", "key=bob"]).await;
    let erased = http.post("/v1/erase", alice()).await.good();
    let limits: Vec<_> = erased["erased"].as_array().expect("a list").iter().collect();
    let named: Vec<_> = limits.iter().map(|it| it["limit"].as_str().expect("a name")).collect();
    assert_eq!(named, ["per-key.minute", "per-key.month", "per-key.rate", "search.day"]);
    let unreachable = json!([{
        "limit": "per-endpoint.hour", "missing": ["endpoint"], "expires_by": "2026-03-10T14:00:00Z"
    }]);
    assert_eq!(erased["unreachable"], unreachable);
    let usage = http.get(&format!("{ALICE},endpoint=/search")).await.good();
    let used = |limit| of(&usage, limit, "used").as_u64();
    assert_eq!((used("minute"), used("day"), used("hour")), (Some(0), Some(0), Some(1)));
    // A counter that all share is nobody's, and other keys are others' business.
    assert_eq!(used("s"), Some(1));
    let bob = http.get("/v1/usage?domain=shop&entries=key=bob").await.good();
    assert_eq!(*of(&bob, "minute", "used"), 1);
    server.stop().await;
}

#[tokio::test]
async fn what_nobody_knows_is_not_found_and_bad_input_is_refused() {
    let server = Server::start(SHOP).await;
    let http = Http::new(server.http);
    let get = |path: &'static str| async { http.get(path).await.refused().0 };
    assert_eq!(get("/v1/usage?domain=other&entries=key=a").await, 404);
    assert_eq!(get("/v1/usage?domain=shop&entries=user=a").await, 404);
    assert_eq!(get("/v1/nothing").await, 404);
    assert_eq!(get("/v1/usage?domain=shop").await, 400);
    assert_eq!(get("/v1/usage?domain=shop&entries=key").await, 400);
    assert_eq!(get("/v1/usage?domain=shop&entries=").await, 400);
    assert_eq!(get("/v1/reset").await, 405);
    let month = with(alice(), json!({ "limit": "per-key.month" }));
    for (status, path, body) in [
        (404, "/v1/reset", with(alice(), json!({ "limit": "per-key.year" }))),
        (404, "/v1/erase", json!({ "domain": "shop", "entries": { "user": "a" } })),
        (400, "/v1/adjust", month.clone()),
        (400, "/v1/adjust", with(alice(), json!({ "set": 1 }))),
        (400, "/v1/adjust", with(month.clone(), json!({ "set": 1, "add": 1 }))),
        (400, "/v1/adjust", with(month.clone(), json!({ "set": -1 }))),
        (400, "/v1/adjust", with(month.clone(), json!({ "set": 1.5 }))),
        (400, "/v1/adjust", with(month.clone(), json!({ "set": u64::MAX }))),
        (400, "/v1/adjust", with(month.clone(), json!({ "add": i64::MIN }))),
        (400, "/v1/adjust", with(month.clone(), json!({ "add": -1 }))),
        (400, "/v1/adjust", with(month.clone(), json!({ "sett": 1 }))),
        (400, "/v1/erase", month.clone()),
        (400, "/v1/reset", json!({ "domain": "shop", "entries": { "key": 7 } })),
        (413, "/v1/reset", json!({ "domain": "x".repeat(70_000) })),
    ] {
        let (refused, message) = http.post(path, body.clone()).await.refused();
        assert_eq!(refused, status, "{body}: {message}");
    }
    let text = "{\"domain\": \"shop\"".to_owned();
    assert_eq!(http.ask(Method::POST, "/v1/reset", text).await.status, 400);
    http.post("/v1/adjust", with(month.clone(), json!({ "set": i64::MAX }))).await.good();
    let beyond = http.post("/v1/adjust", with(month, json!({ "add": 1 }))).await;
    assert_eq!(beyond.status, 400);
    server.stop().await;
}

/// A folder with a token file in it.
fn token(text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("token");
    fs::write(&path, text).expect("a writable folder");
    (folder, path)
}

const TOKEN: &str = "a-token-of-some-length";

#[tokio::test]
async fn beyond_loopback_only_the_token_opens() {
    let shut = PeopleOf { beyond_loopback: true, ..PeopleOf::default() };
    let server = Server::start_for(SHOP, shut).await;
    let http = Http::new(server.http);
    assert_eq!(http.get("/healthcheck").await.status, 200);
    assert_eq!(http.get("/metrics").await.status, 200);
    for http in [http.clone(), http.with_token(TOKEN)] {
        let (status, message) = http.get(ALICE).await.refused();
        assert!(status == 403 && message.contains("--token-file"), "{message}");
    }
    server.stop().await;
    let (_folder, path) = token(&format!("{TOKEN}\n"));
    for beyond_loopback in [true, false] {
        let people = PeopleOf { beyond_loopback, token_file: Some(&path), audit_log: None };
        let server = Server::start_for(SHOP, people).await;
        let http = Http::new(server.http);
        assert_eq!(http.get("/healthcheck").await.status, 200);
        assert_eq!(http.get(ALICE).await.refused().0, 401);
        assert_eq!(http.with_token("another-token-of-some").get(ALICE).await.refused().0, 401);
        assert_eq!(http.with("authorization", TOKEN).get(ALICE).await.refused().0, 401);
        http.with_token(TOKEN).get(ALICE).await.good();
        // With a token, the server may be called whatever a proxy in front of it is called.
        http.with_token(TOKEN).with("host", "tollgate.example").get(ALICE).await.good();
        server.stop().await;
    }
}

#[tokio::test]
async fn wrong_tokens_are_counted_and_slowed() {
    let (_folder, path) = token(TOKEN);
    let people = PeopleOf { token_file: Some(&path), ..PeopleOf::default() };
    let server = Server::start_for(SHOP, people).await;
    let http = Http::new(server.http);
    let wrong = http.with_token("not-the-token-at-all");
    for _ in 0..7 {
        assert_eq!(wrong.get(ALICE).await.status, 401);
    }
    let metrics = http.get("/metrics").await.text;
    assert!(metrics.contains("tollgate_auth_failures_total 7\n"), "{metrics}");
    // The eighth in a row waits for three tenths of a second.
    let slowed = tokio::time::timeout(Duration::from_millis(250), wrong.get(ALICE));
    assert!(slowed.await.is_err(), "a wrong token was answered at once");
    // The right one waits for nothing, and ends the row.
    http.with_token(TOKEN).get(ALICE).await.good();
    let quick = tokio::time::timeout(PATIENCE, wrong.get(ALICE)).await.expect("an answer");
    assert_eq!(quick.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn a_token_file_that_changes_is_read_again_and_an_unfit_one_is_not() {
    let (_folder, path) = token(TOKEN);
    let people = PeopleOf { token_file: Some(&path), ..PeopleOf::default() };
    let server = Server::start_for(SHOP, people).await;
    let (old, new) = (Http::new(server.http).with_token(TOKEN), "a-token-of-another-time");
    fs::write(&path, "short").expect("a writable folder");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    old.get(ALICE).await.good();
    fs::write(&path, new).expect("a writable folder");
    let changed = async {
        while old.with_token(new).get(ALICE).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.expect("the new token is taken up");
    assert_eq!(old.get(ALICE).await.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn pages_in_a_browser_cannot_use_an_open_port() {
    let server = Server::start(SHOP).await;
    let http = Http::new(server.http);
    let port = server.http.port();
    for host in ["evil.example", "localhost.evil.example:80", ""] {
        let answer = http.with("host", host).get(ALICE).await;
        assert_ne!(answer.status, 200, "{host}");
    }
    for host in ["localhost", &format!("localhost:{port}"), "127.0.0.1", &format!("[::1]:{port}")] {
        http.with("host", host).get(ALICE).await.good();
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let answer = http.with("content-type", kind).post("/v1/reset", alice()).await;
        assert_eq!(answer.refused().0, 415, "{kind}");
    }
    let typed = http.with("content-type", "application/json; charset=utf-8");
    typed.post("/v1/reset", alice()).await.good();
    for origin in ["https://evil.example", "null", "http://localhost:1"] {
        let answer = http.with("origin", origin).post("/v1/reset", alice()).await;
        assert_eq!(answer.refused().0, 403, "{origin}");
    }
    let own = format!("http://127.0.0.1:{port}");
    http.with("origin", &own).post("/v1/reset", alice()).await.good();
    server.stop().await;
}

#[tokio::test]
async fn every_change_is_a_line_in_the_audit_log_with_values_masked() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("audit.log");
    let people = PeopleOf { audit_log: Some(&path), ..PeopleOf::default() };
    let server = Server::start_for(SHOP, people).await;
    let http = Http::new(server.http);
    let entries = json!({ "key": "sk_live_0815_4f9a", "plan": "free" });
    let body = json!({ "domain": "shop", "entries": entries, "limit": "per-key.month", "set": 7 });
    http.post("/v1/adjust", body).await.good();
    http.get(ALICE).await.good();
    http.post("/v1/erase", json!({ "domain": "shop", "entries": entries })).await.good();
    let log = fs::read_to_string(&path).expect("an audit log");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    let who = lines[0]["who"].as_str().expect("an address");
    assert!(who.starts_with("127.0.0.1:"), "{who}");
    let line = json!({
        "time": rfc3339(NOON), "who": who, "what": "adjust", "domain": "shop",
        "entries": [["key", "…4f9a"], ["plan", "…"]],
        "counters": [{ "limit": "per-key.month", "before": 0, "after": 7 }],
    });
    assert_eq!(lines[0], line);
    assert_eq!(lines[1]["what"], "erase");
    server.stop().await;
}

#[tokio::test]
async fn health_metrics_rules_and_status_tell_how_the_server_is() {
    let server = Server::start(SHOP).await;
    let http = Http::new(server.http);
    server.client().await.ask("shop", &["key=alice"]).await;
    assert_eq!(http.get("/healthcheck").await.text, "OK");
    let metrics = http.get("/metrics").await.text;
    for line in [
        "tollgate_build_info{version=\"0.1.0\"} 1",
        "tollgate_serving 1",
        "tollgate_decisions_total{outcome=\"admitted\"} 1",
        "tollgate_counters 2",
    ] {
        assert!(metrics.lines().any(|it| it == line), "no `{line}` in:\n{metrics}");
    }
    let rules = http.get("/v1/rules").await.good();
    assert_eq!(rules["domains"][0]["rules"][1]["rule"], "search");
    let month = json!({
        "limit": "month", "plan": "pro", "requests": -1, "per": "month", "algorithm": "calendar",
        "on_exceed": "allow", "charge": "admitted", "durability": "ordinary",
    });
    assert_eq!(rules["domains"][0]["rules"][0]["limits"][3], month);
    let status = http.get("/v1/status").await.good();
    assert_eq!((&status["state"], &status["counters"]), (&"serving".into(), &2.into()));
    assert_eq!(status["rules_loaded_at"], rfc3339(NOON));
    server.gate.drain();
    let draining = http.get("/healthcheck").await;
    assert_eq!((draining.status, draining.text.as_str()), (500, "draining"));
    server.stop().await;
}

#[tokio::test]
async fn what_people_changed_outlives_a_kill() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("rules.yaml"), SHOP).expect("a writable folder");
    let mut program = Program::start(folder.path(), &[]);
    let http = http_of(&mut program).await;
    program.connect().await;
    serving(&http).await;
    let bob = json!({ "domain": "shop", "entries": { "key": "bob" } });
    for body in [alice(), bob.clone()] {
        let body = with(body, json!({ "limit": "per-key.month", "set": 4321 }));
        http.post("/v1/adjust", body).await.good();
    }
    http.post("/v1/erase", bob).await.good();
    program.child.kill().await.expect("it can be killed");
    let mut program = Program::start(folder.path(), &[]);
    let http = http_of(&mut program).await;
    serving(&http).await;
    assert_eq!(*of(&http.get(ALICE).await.good(), "month", "used"), 4321);
    let bob = http.get("/v1/usage?domain=shop&entries=key=bob").await.good();
    assert_eq!(*of(&bob, "month", "used"), 0);
    let audit = fs::read_to_string(folder.path().join("data/audit.log")).expect("an audit log");
    assert_eq!(audit.lines().count(), 3, "{audit}");
}

#[tokio::test]
async fn a_server_that_waits_for_its_data_says_so() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("rules.yaml"), SHOP).expect("a writable folder");
    let mut first = Program::start(folder.path(), &[]);
    let http = http_of(&mut first).await;
    serving(&http).await;
    let mut second = Program::start(folder.path(), &[]);
    let http = http_of(&mut second).await;
    let health = http.get("/healthcheck").await;
    assert_eq!((health.status, health.text.as_str()), (500, "starting"));
    assert_eq!(http.get("/v1/status").await.good()["state"], "starting");
    assert_eq!(http.get(ALICE).await.refused().0, 503);
    assert_eq!(http.post("/v1/reset", alice()).await.refused().0, 503);
    assert_eq!(first.stop().await, 0);
    serving(&http).await;
    http.get(ALICE).await.good();
}

#[tokio::test]
async fn connections_without_a_request_do_not_hold_the_end_up() {
    let server = Server::start(SHOP).await;
    let mut silent = TcpStream::connect(server.http).await.expect("the server accepts");
    let mut hesitant = TcpStream::connect(server.http).await.expect("the server accepts");
    hesitant.write_all(b"PRI * HT").await.expect("a few bytes");
    let mut kept = TcpStream::connect(server.http).await.expect("the server accepts");
    kept.write_all(b"GET /healthcheck HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let mut answer = [0; 15];
    kept.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let ended = tokio::time::timeout(Duration::from_secs(1), server.stop());
    ended.await.expect("nobody is waited for");
    for stream in [&mut silent, &mut hesitant, &mut kept] {
        // Closed or reset, but over.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

/// The people's side of a program, which says in its log where it listens.
async fn http_of(program: &mut Program) -> Http {
    let line = program.line_with("serving people").await;
    let addr = line.split("addr=").nth(1).expect("the line names the address");
    Http::new(addr.trim().parse().expect("an address"))
}

async fn serving(http: &Http) {
    let served = async {
        while http.get("/healthcheck").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("it comes to serve");
}
