//! Bans through a real Envoy: failures that it reports when a response is out, with the files in
//! `deploy/`.

mod harness;

use std::fs;

use harness::envoy::{Edge, eventually};
use harness::http::Http;
use tollgate::gate::Decisions;

fn shipped(path: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("deploy").join(path)).expect("a shipped file")
}

/// How much is used of the first limit of some entries.
async fn used(http: &Http, domain: &str, entries: &str) -> u64 {
    let usage = http.get(&format!("/v1/usage?domain={domain}&entries={entries}")).await.good();
    usage["limits"][0]["used"].as_u64().expect("a number")
}

/// What Envoy knows of a response is told when it is out: its status, its own 429 included, and
/// who made it.
#[tokio::test]
async fn the_status_of_a_response_reaches_the_call_that_follows_it() {
    let rules = "
domain: shop
rules:
  - name: per-key
    count_by: [key]
    limits: [{ requests: 2, per: minute }]
  - name: responses
    count_by: [status, made]
    limits: [{ requests: 1000, per: day }]
";
    let rate_limits = r#"
- actions: [{ request_headers: { header_name: x-key, descriptor_key: key } }]
- apply_on_stream_done: true
  actions:
  - extension:
      name: status
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor
        descriptor_key: status
        text: '{200: "200", 401: "401", 429: "429", 503: "503"}[response.code]'
  - extension:
      name: made
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor
        descriptor_key: made
        text: response.code_details
"#;
    let Some(edge) = Edge::start("envoy: statuses", rules, rate_limits).await else { return };
    let http = Http::new(edge.server.http);
    for (key, status, told) in [
        ("a", "200", 200),
        ("a", "401", 401),
        ("a", "200", 429),
        ("b", "429", 429),
        ("b", "503", 503),
    ] {
        let headers = [&*format!("x-key: {key}"), &*format!("x-status: {status}")];
        assert_eq!(edge.get("/", &headers).await.status, told);
    }
    for entries in [
        "status=200,made=via_upstream",
        "status=401,made=via_upstream",
        "status=429,made=request_rate_limited",
        "status=429,made=via_upstream",
        "status=503,made=via_upstream",
    ] {
        let once = async || (used(&http, "shop", entries).await == 1).then_some(());
        eventually(entries, once).await;
    }
}

#[tokio::test]
async fn who_fails_too_often_is_kept_out_and_our_own_refusals_are_no_failures() {
    let (rules, config) = (shipped("rules/bans.yaml"), shipped("envoy/bans.yaml"));
    let started = Edge::start_shipped("envoy: bans", &rules, &config).await;
    let Some(edge) = started else { return };
    let http = Http::new(edge.server.http);
    let failures = async |number: u64| {
        let entries = "remote_address=127.0.0.1,outcome=failure";
        let counted = async || (used(&http, "bans", entries).await == number).then_some(());
        eventually("the failures are reported", counted).await;
    };
    // The key's minute is used up, and thirty calls more are refused by us.
    for call in 0..90 {
        let status = if call < 60 { 200 } else { 429 };
        assert_eq!(edge.get("/", &["x-api-key: a"]).await.status, status, "{call}");
    }
    for _ in 0..19 {
        assert_eq!(edge.get("/", &["x-api-key: b", "x-status: 401"]).await.status, 401);
    }
    failures(19).await;
    assert_eq!(edge.get("/", &["x-api-key: b", "x-status: 500"]).await.status, 500);
    assert_eq!(edge.get("/", &["x-api-key: b", "x-status: 429"]).await.status, 429);
    assert_eq!(edge.get("/", &["x-api-key: b"]).await.status, 200);
    // No other call was made than one for each request and each failure.
    let Decisions { admitted, refused } = edge.server.gate.decisions();
    assert_eq!((admitted, refused), (60 + 19 + 3 + 19, 30));

    assert_eq!(edge.get("/", &["x-status: 403"]).await.status, 403);
    failures(20).await;
    let refused = edge.get("/", &["x-api-key: c"]).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("900"));
    let listed = http.get("/v1/bans?domain=bans").await.good();
    assert_eq!(listed["bans"][0]["values"]["remote_address"], "127.0.0.1/32");
    assert_eq!(listed["bans"][0]["why"], "20 hits within 600 s");
    edge.server.advance_s(900);
    assert_eq!(edge.get("/", &["x-api-key: c"]).await.status, 200);
}
