//! Thresholds of limits, from the call that crosses one to the webhook that learns of it.

mod harness;

use harness::Server;
use harness::http::Http;
use harness::receiver::{Receiver, Reply};
use hyper::Method;

fn rules(receiver: &Receiver, limit: &str) -> String {
    format!(
        "
domain: d
secret_entries: [key]
alerts:
  ops: {{ url: 'http://{}/hook', allow_private: true }}
rules:
  - name: per-key
    count_by: [key]
    limits:
      - {{ {limit}, alert_at: [90, 100], alert_to: ops }}
",
        receiver.addr
    )
}

async fn ask(server: &Server, times: u32) {
    let mut client = server.client().await;
    for _ in 0..times {
        client.ask("d", &["key=sk_live_8842_4f9a"]).await;
    }
}

#[tokio::test]
async fn a_threshold_is_told_of_once_in_each_window() {
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    let server = Server::start(&rules(&receiver, "name: hour, requests: 10, per: hour")).await;
    ask(&server, 8).await;
    assert_eq!(receiver.seen(), 0);
    ask(&server, 4).await;
    // The two stand in one queue, and each is posted as soon as can be.
    let mut told = [receiver.next().await.json(), receiver.next().await.json()];
    told.sort_by_key(|posted| posted["threshold_percent"].as_u64());
    assert_eq!(told[0]["threshold_percent"], 90);
    assert_eq!((&told[0]["used"], &told[0]["budget"]), (&9.into(), &10.into()));
    assert_eq!(told[0]["window_end"], "2026-03-10T13:00:00Z");
    let shown = told[0]["counted_by"]["key"].as_str().expect("a value");
    assert!(shown.ends_with("…4f9a") && !shown.contains("8842"), "{shown}");
    assert_eq!((&told[1]["threshold_percent"], &told[1]["used"]), (&100.into(), &10.into()));
    server.advance_s(3600);
    ask(&server, 9).await;
    assert_eq!(receiver.next().await.json()["threshold_percent"], 90);
    assert_eq!(receiver.seen(), 3);
}

#[tokio::test]
async fn a_rolling_limit_tells_again_when_its_window_has_passed() {
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    let limit = "name: minute, requests: 10, per: minute, algorithm: sliding_log";
    let server = Server::start(&rules(&receiver, limit)).await;
    ask(&server, 9).await;
    assert_eq!(receiver.next().await.json()["threshold_percent"], 90);
    server.advance_s(59);
    ask(&server, 0).await;
    server.advance_s(1);
    ask(&server, 9).await;
    assert_eq!(receiver.next().await.json()["threshold_percent"], 90);
    assert_eq!(receiver.seen(), 2);
}

#[tokio::test]
async fn a_key_has_its_own_receiver_in_the_directory() {
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    let soft = "name: month, requests: 10, per: month, on_exceed: allow, alert_at: 100";
    let text = format!(
        "
domain: d
alerts:
  acme: {{ url: 'http://{}/acme', allow_private: true }}
directory: {{ by: key }}
rules:
  - {{ name: per-key, count_by: [key], limits: [{{ {soft} }}] }}
",
        receiver.addr
    );
    let server = Server::start(&text).await;
    let row = r#"{"domain": "d", "key": "sk_live_8842_4f9a", "row": {"alert_to": "acme"}}"#;
    Http::new(server.http).ask(Method::PUT, "/v1/directory", row.into()).await.good();
    ask(&server, 11).await;
    let posted = receiver.next().await;
    assert_eq!((posted.path.as_str(), &posted.json()["used"]), ("/acme", &10.into()));
}

#[tokio::test]
async fn what_a_soft_limit_lets_pass_is_metered() {
    let limit = "{ name: hour, requests: 10, per: hour, on_exceed: allow }";
    let text = format!("domain: d\nrules: [{{ name: r, count_by: [key], limits: [{limit}] }}]\n");
    let server = Server::start(&text).await;
    ask(&server, 10).await;
    let metrics = async || Http::new(server.http).get("/metrics").await.text;
    assert!(!metrics().await.contains("tollgate_overage_hits_total{"));
    ask(&server, 3).await;
    let line = "tollgate_overage_hits_total{domain=\"d\",limit=\"r.hour\"} 3\n";
    assert!(metrics().await.contains(line), "{}", metrics().await);
}
