//! The whole way of a request: an HTTP client, a real Envoy 1.40, tollgate, and a backend.
//!
//! What a customer reads is asserted line by line, because Envoy makes it out of our statuses.
//! The server's clock stands at noon until a test moves it, so every wait is an exact number.

mod harness;

use std::sync::Arc;

use harness::envoy::{Answer, Config, Edge, Envoy, eventually};
use harness::{Client, request};
use tokio::task::JoinHandle;
use tollgate::gate::Gate;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus,
};
use tollgate::limiter::Standing;
use tollgate::query::{Descriptor, Entries, Hits, Query};

/// What a customer is told by a call's answer: all headers about limits.
fn assert_told(answer: &Answer, status: u16, lines: &[&str]) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.about_limits(), lines);
}

/// Who calls, on which plan if they say so, and what for.
const BY_KEY: &str = "
- actions:
  - request_headers: { header_name: x-key, descriptor_key: key }
  - request_headers: { header_name: x-plan, descriptor_key: plan, skip_if_absent: true }
  - request_headers: { header_name: ':path', descriptor_key: endpoint }
";

/// Ten a minute for every key; an export costs five of them, and an import more than all.
const TEN_A_MINUTE: &str = r#"
domain: shop
rules:
  - name: per-key
    count_by: [key]
    costs:
      - { match: { endpoint: "/v1/export*" }, cost: 5 }
      - { match: { endpoint: "/v1/import*" }, cost: 20 }
    limits: [{ name: minute, requests: 10, per: minute }]
"#;

const MINUTE_OF_TEN: &str = r#"x-ratelimit-limit: 10, 10;w=60;name="per-key.minute""#;

#[tokio::test]
async fn the_free_plan_is_refused_on_its_eleventh_call_while_the_pro_plan_passes() {
    let rules = "
domain: shop
plans:
  free: { limits: [{ name: minute, requests: 10, per: minute }] }
  pro:  { limits: [{ name: minute, requests: 1000, per: minute }] }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
";
    let Some(edge) = Edge::start("envoy: free and pro", rules, BY_KEY).await else { return };
    for left in (0..10).rev() {
        let answer = edge.get("/v1/items", &["x-key: a"]).await;
        let remaining = format!("x-ratelimit-remaining: {left}");
        assert_told(&answer, 200, &[MINUTE_OF_TEN, &remaining, "x-ratelimit-reset: 60"]);
        assert_eq!(answer.body, "fine");
    }
    edge.server.advance_s(15);
    let refused = [
        "retry-after: 45",
        "x-envoy-ratelimited: true",
        MINUTE_OF_TEN,
        "x-ratelimit-remaining: 0",
        "x-ratelimit-reset: 45",
    ];
    assert_told(&edge.get("/v1/items", &["x-key: a"]).await, 429, &refused);
    let pro = [
        r#"x-ratelimit-limit: 1000, 1000;w=60;name="per-key.minute""#,
        "x-ratelimit-remaining: 999",
        "x-ratelimit-reset: 45",
    ];
    assert_told(&edge.get("/v1/items", &["x-key: b", "x-plan: pro"]).await, 200, &pro);
    assert_eq!(edge.backend.served(), 11, "a refused call goes no further");
}

#[tokio::test]
async fn a_dearer_endpoint_uses_the_budget_up_faster() {
    let Some(edge) = Edge::start("envoy: costs", TEN_A_MINUTE, BY_KEY).await else { return };
    let calls = [("/v1/export?all", 200, 5), ("/v1/items", 200, 4), ("/v1/export", 429, 4)];
    for (path, status, left) in calls {
        let answer = edge.get(path, &["x-key: a"]).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(&*left.to_string()), "{path}");
    }
    let cheap = edge.get("/v1/items", &["x-key: a"]).await;
    assert_eq!(cheap.status, 200, "what is left still serves a cheaper call");
}

#[tokio::test]
async fn a_cost_above_the_budget_is_refused_for_good() {
    let Some(edge) = Edge::start("envoy: never", TEN_A_MINUTE, BY_KEY).await else { return };
    // Our status has no wait, for no wait would help. Envoy makes the least of that: 1 and 0.
    let refused = [
        "retry-after: 1",
        "x-envoy-ratelimited: true",
        MINUTE_OF_TEN,
        "x-ratelimit-remaining: 10",
        "x-ratelimit-reset: 0",
    ];
    assert_told(&edge.get("/v1/import", &["x-key: a"]).await, 429, &refused);
    edge.server.advance_s(60);
    assert_told(&edge.get("/v1/import", &["x-key: a"]).await, 429, &refused);
}

#[tokio::test]
async fn the_minute_and_the_month_are_charged_together_or_not_at_all() {
    let rules = "
domain: shop
plans:
  free:
    limits:
      - { name: minute, requests: 10, per: minute }
      - { name: month, requests: 12, per: month }
  pro:
    limits:
      - { name: minute, requests: 10, per: minute }
      - { name: month, requests: 1000, per: month }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
";
    let Some(edge) = Edge::start("envoy: two windows", rules, BY_KEY).await else { return };
    for _ in 0..10 {
        assert_eq!(edge.get("/v1/items", &["x-key: a"]).await.status, 200);
    }
    let (envoy_says, nothing_left) = ("x-envoy-ratelimited: true", "x-ratelimit-remaining: 0");
    let by_minute =
        ["retry-after: 60", envoy_says, MINUTE_OF_TEN, nothing_left, "x-ratelimit-reset: 60"];
    for _ in 0..3 {
        assert_told(&edge.get("/v1/items", &["x-key: a"]).await, 429, &by_minute);
    }
    // Had the refused calls used the month, it would be over now.
    edge.server.advance_s(60);
    let month = r#"x-ratelimit-limit: 12, 12;w=2592000;name="per-key.month""#;
    // From a minute past noon on the 10th to the first of April.
    let until_april = 21 * 86_400 + 12 * 3_600 - 60;
    let reset = format!("x-ratelimit-reset: {until_april}");
    for remaining in ["x-ratelimit-remaining: 1", nothing_left] {
        let answer = edge.get("/v1/items", &["x-key: a"]).await;
        assert_told(&answer, 200, &[month, remaining, &reset]);
    }
    let retry_after = format!("retry-after: {until_april}");
    let by_month = [&*retry_after, envoy_says, month, nothing_left, &reset];
    assert_told(&edge.get("/v1/items", &["x-key: a"]).await, 429, &by_month);
    // Nor did that one use the minute: this is the third call in it.
    let third = [MINUTE_OF_TEN, "x-ratelimit-remaining: 7", "x-ratelimit-reset: 60"];
    assert_told(&edge.get("/v1/items", &["x-key: a", "x-plan: pro"]).await, 200, &third);
}

#[tokio::test]
async fn an_upgrade_keeps_what_was_used_of_the_month() {
    let rules = "
domain: shop
plans:
  free: { limits: [{ name: month, requests: 5, per: month }] }
  pro:  { limits: [{ name: month, requests: 100, per: month }] }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
";
    let Some(edge) = Edge::start("envoy: upgrade", rules, BY_KEY).await else { return };
    for _ in 0..5 {
        assert_eq!(edge.get("/v1/items", &["x-key: a", "x-plan: free"]).await.status, 200);
    }
    assert_eq!(edge.get("/v1/items", &["x-key: a", "x-plan: free"]).await.status, 429);
    let upgraded = edge.get("/v1/items", &["x-key: a", "x-plan: pro"]).await;
    assert_eq!(upgraded.status, 200);
    assert_eq!(upgraded.header("x-ratelimit-remaining"), Some("94"));
}

#[tokio::test]
async fn a_shadow_limit_lets_everything_through_and_says_nothing() {
    let rules = "
domain: shop
rules:
  - name: per-key
    count_by: [key]
    limits: [{ requests: 1, per: minute, on_exceed: shadow }]
";
    let Some(edge) = Edge::start("envoy: shadow", rules, BY_KEY).await else { return };
    for _ in 0..3 {
        assert_told(&edge.get("/v1/items", &["x-key: a"]).await, 200, &[]);
    }
}

#[tokio::test]
async fn a_limit_of_the_route_stands_in_for_the_rules() {
    let rate_limits = "
- actions: [{ request_headers: { header_name: x-key, descriptor_key: key } }]
  limit: { rate_limit: { requests_per_unit: 2, unit: HOUR } }
";
    let test = "envoy: override of the route";
    let Some(edge) = Edge::start(test, TEN_A_MINUTE, rate_limits).await else { return };
    let limit = "x-ratelimit-limit: 2, 2;w=3600";
    for remaining in ["x-ratelimit-remaining: 1", "x-ratelimit-remaining: 0"] {
        let answer = edge.get("/v1/items", &["x-key: a"]).await;
        assert_told(&answer, 200, &[limit, remaining, "x-ratelimit-reset: 3600"]);
    }
    assert_eq!(edge.get("/v1/items", &["x-key: a"]).await.status, 429);
}

#[tokio::test]
async fn a_limit_from_metadata_stands_in_for_the_rules() {
    let config = Config {
        // Stands for whatever knows the customer's contract, such as an authorization service.
        filters: r#"
- name: envoy.filters.http.set_metadata
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config
    metadata:
    - metadata_namespace: contract
      value: { limit: { requests_per_unit: 1, unit: DAY } }
"#,
        rate_limits: "
- actions: [{ request_headers: { header_name: x-key, descriptor_key: key } }]
  limit: { dynamic_metadata: { metadata_key: { key: contract, path: [{ key: limit }] } } }
",
        ..Config::default()
    };
    let test = "envoy: override from metadata";
    let Some(edge) = Edge::start_with(test, TEN_A_MINUTE, config).await else { return };
    let answer = edge.get("/v1/items", &["x-key: a"]).await;
    let half_a_day = "x-ratelimit-reset: 43200";
    let limit = "x-ratelimit-limit: 1, 1;w=86400";
    assert_told(&answer, 200, &[limit, "x-ratelimit-remaining: 0", half_a_day]);
    assert_eq!(edge.get("/v1/items", &["x-key: a"]).await.status, 429);
}

#[tokio::test]
async fn a_header_says_how_many_hits_a_call_is() {
    let rate_limits = "
- actions: [{ request_headers: { header_name: x-key, descriptor_key: key } }]
  hits_addend: { format: '%REQ(x-hits)%' }
";
    let test = "envoy: hits from a header";
    let Some(edge) = Edge::start(test, TEN_A_MINUTE, rate_limits).await else { return };
    let calls = [("x-hits: 7", 200, "3"), ("x-hits: 4", 429, "3"), ("x-hits: 3", 200, "0")];
    for (hits, status, left) in calls {
        let answer = edge.get("/v1/items", &["x-key: a", hits]).await;
        assert_eq!(answer.status, status, "{hits}");
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left), "{hits}");
    }
    // Envoy leaves the descriptor out where the header is missing: whoever configures this has to
    // set the header ahead of the filter, or has no limit.
    assert_told(&edge.get("/v1/items", &["x-key: a"]).await, 200, &[]);
}

/// The call is let in while anything is left, and its cost is reported when it is over.
const COST_WHEN_DONE: &str = "
- actions: [{ request_headers: { header_name: x-key, descriptor_key: key } }]
  hits_addend: { number: 0 }
- actions: [{ request_headers: { header_name: x-key, descriptor_key: key } }]
  hits_addend: { format: '%RESP(x-cost)%' }
  apply_on_stream_done: true
";

#[tokio::test]
async fn a_cost_reported_when_the_answer_is_out_may_overshoot_and_closes_the_window() {
    let rules = "
domain: shop
rules:
  - name: tokens
    count_by: [key]
    limits: [{ name: minute, requests: 1000, per: minute, charge: always }]
";
    let test = "envoy: post-paid";
    let Some(edge) = Edge::start(test, rules, COST_WHEN_DONE).await else { return };
    let mut client = edge.server.client().await;
    let limit = r#"x-ratelimit-limit: 1000, 1000;w=60;name="tokens.minute""#;

    let first = edge.get("/v1/chat", &["x-key: a", "x-cost: 600"]).await;
    assert_told(&first, 200, &[limit, "x-ratelimit-remaining: 999", "x-ratelimit-reset: 60"]);
    let after_first = standing(&mut client, |status| status.limit_remaining < 999).await;
    assert_eq!(after_first.limit_remaining, 399);

    let second = edge.get("/v1/chat", &["x-key: a", "x-cost: 700"]).await;
    assert_eq!(second.status, 200, "something is left, so the call is let in");
    standing(&mut client, |status| status.code() == Code::OverLimit).await;

    edge.server.advance_s(59);
    let refused = edge.get("/v1/chat", &["x-key: a", "x-cost: 1"]).await;
    let lines = ["retry-after: 1", "x-envoy-ratelimited: true", limit];
    let lines = [&lines[..], &["x-ratelimit-remaining: 0", "x-ratelimit-reset: 1"]].concat();
    assert_told(&refused, 429, &lines);
    edge.server.advance_s(1);
    let anew = edge.get("/v1/chat", &["x-key: a", "x-cost: 1"]).await;
    assert_told(&anew, 200, &[limit, "x-ratelimit-remaining: 999", "x-ratelimit-reset: 60"]);
}

/// How key `a` stands, once that is as awaited. Envoy reports costs behind the client's back.
async fn standing(
    client: &mut Client,
    awaited: impl Fn(&DescriptorStatus) -> bool,
) -> DescriptorStatus {
    eventually("the reported cost is charged", async || {
        let status = peek(client).await;
        awaited(&status).then_some(status)
    })
    .await
}

/// How key `a` stands, asked without a charge.
async fn peek(client: &mut Client) -> DescriptorStatus {
    let mut question = request("shop", &["key=a"]);
    question.descriptors[0].hits_addend = Some(0);
    client.call(question).await.expect("an answer").statuses.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_that_a_draining_server_charges_is_answered() {
    const BUDGET: u64 = 1_000_000;
    let rules = "
domain: shop
rules:
  - { name: per-key, count_by: [key], limits: [{ requests: 1_000_000, per: minute }] }
";
    let Some(edge) = Edge::start("envoy: drain", rules, BY_KEY).await else { return };
    let Edge { envoy, server, backend } = edge;
    let envoy = Arc::new(envoy);
    let callers: Vec<_> =
        (0..16).map(|_| tokio::spawn(call_until_it_fails(envoy.clone()))).collect();
    eventually("calls are under way", async || (backend.served() > 200).then_some(())).await;

    assert!(!callers.iter().any(JoinHandle::is_finished), "nothing fails before the end");
    let gate = server.gate.clone();
    let drained = server.stop().await;
    assert_eq!(drained.cut, 0);
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.expect("no caller panics");
    }
    assert_eq!(used(&gate, BUDGET), answered);
}

/// What key `a` has used of its budget.
fn used(gate: &Gate, budget: u64) -> u64 {
    let entries = Entries::from_iter([("key", "a")]);
    let descriptor = Descriptor { entries, hits: Hits::Peek, limit: None };
    let question =
        Query { domain: "shop", descriptors: [descriptor].into_iter().collect(), receipt: None };
    let rules = gate.rules();
    let Standing::Limited { remaining, .. } = gate.decide(&rules, &question).statuses[0].standing
    else {
        panic!("the key has a limit");
    };
    // The question itself is shown as one hit more.
    budget - remaining - 1
}

/// Says how many calls passed before the first that did not.
async fn call_until_it_fails(envoy: Arc<Envoy>) -> u64 {
    let mut passed = 0;
    loop {
        let answer = envoy.get("/v1/items", &["x-key: a"]).await;
        match answer.status.as_u16() {
            200 => passed += 1,
            // Without a decision Envoy fails closed, as it is told to here.
            500 => return passed,
            _ => panic!("{answer:?}"),
        }
    }
}
