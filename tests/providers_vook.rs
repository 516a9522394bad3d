//! Vook's page, line by line, through a real Envoy with the files in `deploy/`.

mod harness;

use harness::envoy::{Answer, Edge};
use harness::provider::{assert_limit, open, spend};
use tollgate::time::Timestamp;

const START_S: u64 = 1_773_144_000;
const FREE: &[&str] = &["x-api-key: a", "x-plan: free"];

fn number(answer: &Answer, name: &str) -> u64 {
    answer.header(name).and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

/// Sends until it is refused; how many passed. Nothing that is told on the way is more than the
/// plan's limit.
async fn greedy(api: &Edge) -> u64 {
    for passed in 0.. {
        let answer = api.get("/v1/things", FREE).await;
        assert_eq!(number(&answer, "x-ratelimit-limit"), 100);
        assert!(number(&answer, "x-ratelimit-remaining") <= 100, "{answer:?}");
        if answer.status == 429 {
            return passed;
        }
    }
    unreachable!("no limit is reached")
}

#[tokio::test]
async fn an_idle_key_gets_its_burst_and_no_more() {
    let Some(api) = open("vook", START_S).await else { return };
    api.server.advance_s(3 * 3600);
    assert_eq!(greedy(&api).await, 120);
    assert_eq!(greedy(&api).await, 0);
    let refused = api.get("/v1/things", FREE).await;
    assert_limit(&refused, 429, [100, 0, START_S + 3 * 3600 + 60]);
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(refused.header("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_str(&refused.body).expect("JSON");
    assert_eq!(body["retry_after"], 60);
    // The wait that is told is the shortest that helps.
    api.server.clock.advance_us(59_999_999);
    assert_eq!(api.get("/v1/things", FREE).await.status, 429);
    api.server.clock.advance_us(1);
    assert_eq!(api.get("/v1/things", FREE).await.status, 200);
}

#[tokio::test]
async fn a_greedy_client_never_gets_120_in_any_minute_nor_more_than_100_on_average() {
    const STEP_S: u64 = 3;
    const MINUTES: u64 = 8;
    let Some(api) = open("vook", START_S).await else { return };
    let mut passed = Vec::new();
    for _ in 0..MINUTES * 60 / STEP_S {
        passed.push(greedy(&api).await);
        api.server.advance_s(STEP_S);
    }
    let minute = usize::try_from(60 / STEP_S).expect("few");
    for (start, span) in passed.windows(minute).enumerate() {
        let sum: u64 = span.iter().sum();
        assert!(sum <= 120, "{sum} in the minute from step {start}");
    }
    // Over any longer span a burst and 100 a minute, and over all of it not less than 100.
    for start in 0..passed.len() {
        let mut sum = 0;
        for (span_s, step) in (0..).step_by(3).zip(&passed[start..]) {
            sum += step;
            assert!(sum * 60 <= 120 * 60 + 100 * span_s, "{sum} in {span_s} s from step {start}");
        }
    }
    let total: u64 = passed.iter().sum();
    assert!(100 * MINUTES <= total, "{total}");
}

#[tokio::test]
async fn a_client_that_keeps_to_its_rate_is_never_refused() {
    let Some(api) = open("vook", START_S).await else { return };
    // One each 600 ms for three minutes, and then 100 at the start of each of three more.
    for call in 0..300 {
        assert_eq!(api.get("/v1/things", FREE).await.status, 200, "call {call}");
        api.server.clock.advance_us(600_000);
    }
    api.server.advance_s(60);
    for minute in 0..3 {
        for call in 0..100 {
            assert_eq!(api.get("/v1/things", FREE).await.status, 200, "{minute}: call {call}");
        }
        api.server.advance_s(60);
    }
}

#[tokio::test]
async fn each_plan_has_its_rate_and_its_burst() {
    let Some(api) = open("vook", START_S).await else { return };
    let plans = [
        ("free", 100, 120),
        ("pro", 1_000, 1_200),
        ("business", 5_000, 6_000),
        ("enterprise-acme", 8_000, 10_000),
    ];
    for (plan, rate, burst) in plans {
        let headers = [format!("x-api-key: of-{plan}"), format!("x-plan: {plan}")];
        let headers = headers.each_ref().map(String::as_str);
        let first = api.get("/v1/things", &headers).await;
        // 119 are left of a burst of 120; told is no more than the limit.
        assert_eq!(number(&first, "x-ratelimit-limit"), rate, "{plan}");
        assert_eq!(number(&first, "x-ratelimit-remaining"), rate, "{plan}");
        spend(&api, "vook", &format!("key=of-{plan},plan={plan}"), burst - 2).await;
        assert_eq!(api.get("/v1/things", &headers).await.status, 200, "{plan}");
        let refused = api.get("/v1/things", &headers).await;
        assert_limit(&refused, 429, [rate, 0, START_S + 60]);
    }
}

#[tokio::test]
async fn each_key_has_a_quota_of_its_own() {
    let Some(api) = open("vook", START_S).await else { return };
    assert_eq!(greedy(&api).await, 120);
    let other = api.get("/v1/things", &["x-api-key: b", "x-plan: free"]).await;
    assert_eq!(other.status, 200);
    // No plan named is the free one.
    assert_eq!(number(&api.get("/v1/things", &["x-api-key: c"]).await, "x-ratelimit-limit"), 100);
}

#[tokio::test]
async fn a_client_that_waits_as_told_passes() {
    let Some(api) = open("vook", START_S).await else { return };
    for _ in 0..5 {
        greedy(&api).await;
        let refused = api.get("/v1/things", FREE).await;
        let wait_s = number(&refused, "retry-after");
        let reset_s = number(&refused, "x-ratelimit-reset");
        let now_s = api.server.clock.now().as_micros() / 1_000_000;
        assert_eq!(reset_s, now_s + wait_s, "both name one moment");
        api.server.clock.set(Timestamp::from_secs(reset_s));
        assert_eq!(api.get("/v1/things", FREE).await.status, 200);
    }
}
