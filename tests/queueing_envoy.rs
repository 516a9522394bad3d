//! Calls that wait for room, through a real Envoy: what its client sees, and when.

mod harness;

use std::sync::Arc;

use harness::PATIENCE;
use harness::envoy::{Answer, Edge};
use tokio::task::JoinHandle;

const SECOND_US: u64 = 1_000_000;

const BY_KEY: &str = "
- actions:
  - request_headers: { header_name: x-key, descriptor_key: key }
";

/// Returns when so many calls wait.
async fn waiting(edge: &Edge, count: usize) {
    let standing = async {
        while edge.server.gate.lines().waiting() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, standing).await.expect("so many calls come to wait");
}

/// A request that is made beside the test, once it stands in line.
async fn stands(edge: &Arc<Edge>, count: usize) -> JoinHandle<Answer> {
    let client = edge.clone();
    let request = tokio::spawn(async move { client.get("/v1/items", &["x-key: a"]).await });
    waiting(edge, count).await;
    request
}

#[tokio::test]
async fn a_request_passes_late_and_one_beyond_the_line_is_refused() {
    let rules = "
domain: shop
rules:
  - name: per-key
    count_by: [key]
    limits:
      - name: rate
        requests: 60
        per: minute
        burst: 1
        on_exceed: { queue: { wait: 5s, depth: 1 } }
";
    let Some(edge) = Edge::start("envoy: a queue", rules, BY_KEY).await else { return };
    let edge = Arc::new(edge);
    assert_eq!(edge.get("/v1/items", &["x-key: a"]).await.status, 200);
    let held = stands(&edge, 1).await;
    let refused = edge.get("/v1/items", &["x-key: a"]).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("2"), "behind the one that waits");
    assert_eq!(edge.get("/v1/items", &["x-key: b"]).await.status, 200, "another key's line");
    assert!(!held.is_finished());
    edge.server.clock.advance_us(SECOND_US);
    let late = held.await.expect("no panic");
    assert_eq!(late.status, 200, "{late:?}");
    // A client that goes away takes its call along: Envoy resets the stream.
    let gone = stands(&edge, 1).await;
    gone.abort();
    waiting(&edge, 0).await;
    edge.server.clock.advance_us(SECOND_US);
    assert_eq!(edge.get("/v1/items", &["x-key: a"]).await.status, 200, "it charged nothing");
}

#[tokio::test]
async fn a_wait_beyond_envoys_own_patience_is_refused_at_once() {
    // The harness has Envoy wait 30 seconds, and Envoy says so in each call.
    let rules = "
domain: shop
rules:
  - name: per-key
    count_by: [key]
    limits:
      - name: rate
        requests: 2
        per: minute
        burst: 1
        on_exceed: { queue: { wait: 30s, depth: 5 } }
";
    let Some(edge) = Edge::start("envoy: no patience", rules, BY_KEY).await else { return };
    let edge = Arc::new(edge);
    assert_eq!(edge.get("/v1/items", &["x-key: a"]).await.status, 200);
    let refused = edge.get("/v1/items", &["x-key: a"]).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("30")));
    edge.server.clock.advance_us(SECOND_US);
    let held = stands(&edge, 1).await;
    edge.server.clock.advance_us(29 * SECOND_US);
    assert_eq!(held.await.expect("no panic").status, 200);
}
