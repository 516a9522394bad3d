//! Korastratum's page, line by line, through a real Envoy with the files in `deploy/`.

mod harness;

use harness::provider::{assert_limit, open, spend};
use serde_json::{Value, json};

/// 2024-06-01 12:01:00 UTC, the reset that the page shows, and the minute before it.
const RESET_S: u64 = 1_717_243_260;
const MINUTE_BEFORE_S: u64 = RESET_S - 60;

const SCREENINGS: &str = "/v1/screenings";

#[tokio::test]
async fn each_tier_has_its_requests_a_minute_and_sales_may_agree_on_more() {
    let Some(api) = open("korastratum", MINUTE_BEFORE_S).await else { return };
    let keys = [
        ("ks_live_new", 100),
        ("ks_live_brightbank", 1_000),
        ("ks_live_meridian", 10_000),
        ("ks_live_acme", 25_000),
    ];
    for (key, limit) in keys {
        let headers = [format!("x-api-key: {key}")];
        let headers = headers.each_ref().map(String::as_str);
        assert_limit(&api.post(SCREENINGS, &headers).await, 200, [limit, limit - 1, RESET_S]);
        let hits = u32::try_from(limit - 2).expect("few");
        spend(&api, "korastratum", &format!("key={key}"), hits).await;
        assert_limit(&api.post(SCREENINGS, &headers).await, 200, [limit, 0, RESET_S]);
        assert_limit(&api.post(SCREENINGS, &headers).await, 429, [limit, 0, RESET_S]);
    }
    api.server.clock.advance_us(59_999_999);
    let standard = ["x-api-key: ks_live_new"];
    assert_limit(&api.post(SCREENINGS, &standard).await, 429, [100, 0, RESET_S]);
    api.server.clock.advance_us(1);
    assert_limit(&api.post(SCREENINGS, &standard).await, 200, [100, 99, RESET_S + 60]);
}

#[tokio::test]
async fn standard_is_the_default_and_the_headers_are_those_of_the_page() {
    let Some(api) = open("korastratum", MINUTE_BEFORE_S).await else { return };
    for left in (42..100).rev() {
        let answer = api.post(SCREENINGS, &["x-api-key: ks_live_new"]).await;
        assert_limit(&answer, 200, [100, left, RESET_S]);
    }
    // "X-RateLimit-Limit: 100, X-RateLimit-Remaining: 42, X-RateLimit-Reset: 1717243260"
    // What a client says of itself changes nothing.
    let pretender = ["x-api-key: ks_live_other", "x-tier: enterprise", "tier: enterprise"];
    assert_limit(&api.post(SCREENINGS, &pretender).await, 200, [100, 99, RESET_S]);
}

#[tokio::test]
async fn an_upgrade_counts_from_its_moment_and_keeps_what_was_used() {
    let Some(api) = open("korastratum", MINUTE_BEFORE_S).await else { return };
    let upgrading = ["x-api-key: ks_live_upgrading"];
    for left in (0..100).rev() {
        assert_limit(&api.post(SCREENINGS, &upgrading).await, 200, [100, left, RESET_S]);
    }
    api.server.clock.advance_us(29_999_999);
    assert_limit(&api.post(SCREENINGS, &upgrading).await, 429, [100, 0, RESET_S]);
    api.server.clock.advance_us(1);
    assert_limit(&api.post(SCREENINGS, &upgrading).await, 200, [1_000, 899, RESET_S]);
}

#[tokio::test]
async fn a_refusal_names_the_request() {
    let Some(api) = open("korastratum", MINUTE_BEFORE_S).await else { return };
    spend(&api, "korastratum", "key=a", 100).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let refused = api.post(SCREENINGS, &["x-api-key: a"]).await;
        assert_limit(&refused, 429, [100, 0, RESET_S]);
        assert_eq!(refused.header("content-type"), Some("application/json"));
        let id = refused.header("x-request-id").expect("the request's id").to_owned();
        let body: Value = serde_json::from_str(&refused.body).expect("JSON");
        let expected = json!({
            "code": "RATE_LIMITED",
            "message": "Rate limit exceeded",
            "request_id": format!("req_{id}"),
        });
        assert_eq!(body, expected);
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_batch_is_one_call() {
    let Some(api) = open("korastratum", MINUTE_BEFORE_S).await else { return };
    let answer = api.post("/v1/screenings/batch", &["x-api-key: a"]).await;
    assert_limit(&answer, 200, [100, 99, RESET_S]);
    assert_limit(&api.post(SCREENINGS, &["x-api-key: a"]).await, 200, [100, 98, RESET_S]);
}

#[tokio::test]
async fn a_client_that_waits_until_the_reset_passes() {
    let Some(api) = open("korastratum", MINUTE_BEFORE_S).await else { return };
    api.server.advance_s(17);
    spend(&api, "korastratum", "key=a", 100).await;
    let refused = api.post(SCREENINGS, &["x-api-key: a"]).await;
    // As the page's clients do: X-RateLimit-Reset less the time of day.
    let reset: u64 = refused.header("x-ratelimit-reset").and_then(|it| it.parse().ok()).expect("a");
    api.server.clock.set(tollgate::time::Timestamp::from_secs(reset));
    assert_eq!(api.post(SCREENINGS, &["x-api-key: a"]).await.status, 200);
}
