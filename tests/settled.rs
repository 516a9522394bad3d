//! What settling does beside the counter itself: grants that pay for what it lacks, alerts that are
//! crossed by it, windows that are closed.

mod harness;

use harness::http::Http;
use harness::receiver::{Receiver, Reply};
use harness::{NOON, Server, request};
use hyper::Method;
use serde_json::{Value, json};
use tollgate::limit::Durability;
use tollgate::query::Entries;
use tollgate::store::NoteKey;
use tollgate::store::ledger::{Grant, Kind, Note};

const TOKENS: &str = "
domain: d
rules:
  - name: tokens
    count_by: [key]
    hold: { by: id, settle: { phase: done }, estimate: 10 }
    limits: [{ name: hour, requests: 100, per: hour, archive: true }]
";

async fn ask(server: &Server, descriptor: &str, hits: Option<u64>) -> (i32, u32) {
    let mut asked = request("d", &[descriptor]);
    asked.descriptors[0].hits_addend = hits;
    let answer = server.client().await.call(asked).await.expect("an answer");
    (answer.overall_code, answer.statuses[0].limit_remaining)
}

/// The key of a note about the counter of key `a`.
fn note_key(server: &Server, kind: Kind) -> NoteKey {
    let rules = server.gate.rules();
    let domain = rules.domain("d").expect("a domain");
    let (rule, limit) = (domain.rule("tokens"), domain.limit("tokens.hour"));
    let entries: Entries<'_> = [("key", "a")].into_iter().collect();
    let identity = rule.expect("a rule").identity(&entries);
    NoteKey::of_counter(kind, identity.counter(limit.expect("a limit").tag))
}

fn put_grant(server: &Server, hits: u64) {
    let (domain, label) = ("d".to_owned(), "tokens.hour".to_owned());
    let (values, since_us) = (Vec::new(), NOON.as_micros());
    let grant = Grant { domain, label, values, granted: hits, left: hits, since_us };
    let note = Note::Grant(grant);
    let key = note_key(server, Kind::Grant);
    let until = NOON.plus(3_600_000_000);
    server.gate.memory().ledger().open(&[key]).put(key, note, until, Durability::Ordinary);
}

fn left_of_grant(server: &Server) -> u64 {
    let found = server.gate.memory().ledger().get(note_key(server, Kind::Grant), NOON);
    let Some(Note::Grant(grant)) = found else { panic!("there is a grant") };
    grant.left
}

#[tokio::test]
async fn what_a_call_cost_more_is_paid_by_the_grant_before_the_budget_is_overdrawn() {
    // The excess went to the counter beyond its budget, and what was granted was left for others.
    let server = Server::start(TOKENS).await;
    put_grant(&server, 50);
    ask(&server, "key=a,id=1", None).await;
    ask(&server, "phase=done,id=1", Some(120)).await;
    assert_eq!(left_of_grant(&server), 30);
    // The next estimate is all the grant's, and comes back to it.
    assert_eq!(ask(&server, "key=a,id=2", None).await, (1, 20));
    assert_eq!(left_of_grant(&server), 20);
    ask(&server, "phase=done,id=2", Some(4)).await;
    assert_eq!(left_of_grant(&server), 26);
    server.stop().await;
}

#[tokio::test]
async fn a_bucket_is_settled_within_the_burst_that_it_has() {
    // It was settled as if it held the whole budget, and so overdrawn with a grant at hand.
    let limit = "limits: [{ name: hour, requests: 100, per: hour, burst: 20 }]";
    let (rule, _) = TOKENS.split_once("limits:").expect("limits");
    let server = Server::start(&format!("{rule}{limit}\n")).await;
    put_grant(&server, 50);
    ask(&server, "key=a,id=1", None).await;
    ask(&server, "phase=done,id=1", Some(60)).await;
    assert_eq!(left_of_grant(&server), 10);
    server.stop().await;
}

#[tokio::test]
async fn the_archive_has_what_a_window_held_when_all_was_settled() {
    let server = Server::start(TOKENS).await;
    ask(&server, "key=a,id=1", None).await;
    ask(&server, "phase=done,id=1", Some(3)).await;
    ask(&server, "key=a,id=2", None).await;
    ask(&server, "phase=done,id=2", Some(40)).await;
    server.advance_s(3600);
    ask(&server, "key=a,id=3", None).await;
    let found = server.gate.memory().ledger().get(note_key(&server, Kind::Archive), NOON);
    let Some(Note::Archive(archive)) = found else { panic!("windows are archived") };
    assert_eq!(archive.windows.iter().map(|window| window.used).collect::<Vec<_>>(), [43, 10]);
    server.stop().await;
}

fn with_alerts(receiver: &Receiver, rule: &str) -> String {
    let hook = format!("{{ url: 'http://{}/hook', allow_private: true }}", receiver.addr);
    format!("domain: d\nalerts: {{ ops: {hook} }}\nrules:\n{rule}")
}

#[tokio::test]
async fn a_threshold_that_a_settlement_crossed_is_told_with_the_next_call() {
    // It had been crossed before that call already, and so nobody was ever told.
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    let rules = with_alerts(
        &receiver,
        "
  - name: tokens
    count_by: [key]
    hold: { by: id, settle: { phase: done }, estimate: 1 }
    limits: [{ name: hour, requests: 100, per: hour, alert_at: 90, alert_to: ops }]
",
    );
    let server = Server::start(&rules).await;
    ask(&server, "key=a,id=1", None).await;
    ask(&server, "phase=done,id=1", Some(95)).await;
    ask(&server, "key=a,id=2", None).await;
    assert_eq!(receiver.next().await.json()["used"], 96);
    server.stop().await;
}

#[tokio::test]
async fn a_threshold_that_several_descriptors_cross_together_is_told() {
    // Each of them was judged as if the others had come before it.
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    let limit = "requests: 10, per: hour, algorithm: sliding_log, alert_at: 50, alert_to: ops";
    let rule = format!("  - {{ name: r, limits: [{{ {limit} }}] }}");
    let server = Server::start(&with_alerts(&receiver, &rule)).await;
    server.client().await.ask("d", &["key=a"; 8]).await;
    assert_eq!(receiver.next().await.json()["used"], 8);
    server.stop().await;
}

#[tokio::test]
async fn a_threshold_is_told_however_many_hits_cross_it() {
    // The sum of what three descriptors took was beyond 64 bits.
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    let limit = "requests: 10, per: hour, algorithm: sliding_log, on_exceed: allow, \
                 alert_at: 50, alert_to: ops";
    let rule = format!("  - {{ name: r, limits: [{{ {limit} }}] }}");
    let server = Server::start(&with_alerts(&receiver, &rule)).await;
    let mut asked = request("d", &["key=a"; 3]);
    for descriptor in &mut asked.descriptors {
        descriptor.hits_addend = Some(i64::MAX as u64);
    }
    server.client().await.call(asked).await.expect("an answer");
    assert_eq!(receiver.next().await.json()["used"], u64::MAX);
    server.stop().await;
}

#[tokio::test]
async fn what_is_charged_after_a_month_has_ended_is_of_the_keys_own_month() {
    // The month that a settlement began was the common one: it ended two weeks too early, and the
    // key had another budget for the rest of its own.
    let rules = "
domain: d
directory: { by: key }
rules:
  - name: tokens
    count_by: [key]
    hold: { by: id, settle: { phase: done }, estimate: 10 }
    limits: [{ name: month, requests: 1000, per: month }]
";
    let server = Server::start(rules).await;
    let row = r#"{"domain": "d", "key": "a", "row": {"anchor_day": 15}}"#;
    Http::new(server.http).ask(Method::PUT, "/v1/directory", row.into()).await.good();
    // To a minute before midnight on the 14th, and a minute beyond.
    server.advance_s(4 * 86_400 + 12 * 3600 - 60);
    ask(&server, "key=a,id=1", None).await;
    server.advance_s(120);
    ask(&server, "phase=done,id=1", Some(25)).await;
    let answer = server.client().await.ask("d", &["key=a,id=2"]).await;
    assert_eq!(answer.statuses[0].limit_remaining, 1000 - 15 - 10);
    let reset = answer.statuses[0].duration_until_reset.expect("a reset");
    assert_eq!(reset.seconds, 31 * 86_400 - 60);
    server.stop().await;
}

#[tokio::test]
async fn a_threshold_that_a_settlement_crossed_is_told_with_a_refused_call_too() {
    // Only calls that were charged told of it, and after such a settlement there are none.
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    let rules = with_alerts(
        &receiver,
        "
  - name: tokens
    count_by: [key]
    hold: { by: id, settle: { phase: done }, estimate: 1 }
    limits: [{ name: hour, requests: 10, per: hour, alert_at: 100, alert_to: ops }]
",
    );
    let server = Server::start(&rules).await;
    ask(&server, "key=a,id=1", None).await;
    ask(&server, "phase=done,id=1", Some(25)).await;
    assert_eq!(receiver.seen(), 0);
    ask(&server, "key=a,id=2", None).await;
    assert_eq!(receiver.next().await.json()["used"], 25);
    ask(&server, "key=a,id=3", None).await;
    assert_eq!(receiver.seen(), 1);
    server.stop().await;
}

/// One limit of each kind that forgets its hits one by one.
const SLIDING: &str = "
domain: d
rules:
  - name: r
    count_by: [key]
    limits:
      - { name: log, requests: 10, per: day, algorithm: sliding_log }
      - { name: bucket, requests: 10, per: day, algorithm: token_bucket }
      - { name: minute, requests: 10, per: minute }
";

/// Tells the people's port what key `a` does.
async fn tell(http: &Http, what: &str, more: Value) -> Value {
    let mut body = json!({ "domain": "d", "entries": { "key": "a" } });
    let more = more.as_object().expect("members").clone();
    body.as_object_mut().expect("members").extend(more);
    http.post(&format!("/v1/{what}"), body).await.good()
}

/// What key `a` has used of each limit.
async fn used(http: &Http) -> Vec<u64> {
    let usage = http.get("/v1/usage?domain=d&entries=key=a").await.good();
    let limits = usage["limits"].as_array().expect("a list");
    limits.iter().map(|limit| limit["used"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn a_refund_gives_back_what_a_commit_charged_beyond_the_estimate() {
    // It was looked for where the estimate had been charged, and so stayed charged for ever.
    let server = Server::start(SLIDING).await;
    let http = Http::new(server.http);
    tell(&http, "reserve", json!({ "hits": 2, "id": "r" })).await;
    server.advance_s(61);
    tell(&http, "commit", json!({ "hits": 9, "id": "r" })).await;
    assert_eq!(used(&http).await, [9, 9, 7]);
    server.advance_s(1);
    // What was taken last comes back first.
    tell(&http, "refund", json!({ "hits": 6, "id": "r" })).await;
    assert_eq!(used(&http).await, [3, 3, 1]);
    let rest = tell(&http, "refund", json!({ "id": "r" })).await;
    assert_eq!(used(&http).await, [0, 0, 0]);
    let minute = json!({ "limit": "r.minute", "charged": 2, "put_back": 7 });
    assert_eq!(rest["limits"][2], minute);
    server.stop().await;
}

#[tokio::test]
async fn a_refund_gives_back_nothing_of_what_people_have_reset_since() {
    // It took away what others had used since.
    for (what, more) in [
        ("reset", json!({})),
        ("erase", json!({})),
        ("adjust", json!({ "limit": "r.log", "set": 0 })),
    ] {
        let server = Server::start(SLIDING).await;
        let http = Http::new(server.http);
        tell(&http, "charge", json!({ "hits": 8, "id": "a" })).await;
        tell(&http, "reserve", json!({ "hits": 2, "id": "h" })).await;
        server.advance_s(1);
        tell(&http, what, more).await;
        server.advance_s(1);
        tell(&http, "reset", json!({ "limit": "r.bucket" })).await;
        tell(&http, "reset", json!({ "limit": "r.minute" })).await;
        server.advance_s(1);
        tell(&http, "charge", json!({ "hits": 8, "id": "b" })).await;
        let refunded = tell(&http, "refund", json!({ "id": "a" })).await;
        let log = json!({ "limit": "r.log", "charged": 8, "put_back": 0 });
        assert_eq!(refunded["limits"][0], log, "{what}");
        tell(&http, "cancel", json!({ "id": "h" })).await;
        assert_eq!(used(&http).await, [8, 8, 8], "{what}");
        tell(&http, "refund", json!({ "id": "b" })).await;
        assert_eq!(used(&http).await, [0, 0, 0], "{what}");
        server.stop().await;
    }
}
