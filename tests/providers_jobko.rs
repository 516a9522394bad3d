//! Jobko's page, line by line, through a real Envoy with the files in `deploy/`.

mod harness;

use harness::provider::{assert_limit, open};
use serde_json::{Value, json};

/// 2024-03-12 14:00:00 UTC, the reset that the page shows, and the hour before it.
const RESET_S: u64 = 1_710_252_000;
const HOUR_BEFORE_S: u64 = RESET_S - 3600;
const MIDNIGHT_S: u64 = 1_710_201_600;
const DAY_S: u64 = 86_400;

const ALICE: &[&str] = &["x-api-key: alice"];
const BOB: &[&str] = &["x-api-key: bob"];

#[tokio::test]
async fn a_hundred_an_hour_with_the_headers_of_the_page() {
    let Some(api) = open("jobko", HOUR_BEFORE_S).await else { return };
    for left in (95..100).rev() {
        let answer = api.post("/api/mcp", ALICE).await;
        assert_limit(&answer, 200, [100, left, RESET_S]);
        assert_eq!(answer.header("retry-after"), None);
    }
    // "X-RateLimit-Limit: 100, X-RateLimit-Remaining: 95, X-RateLimit-Reset: 1710252000"
    for left in (0..95).rev() {
        assert_limit(&api.post("/api/mcp", ALICE).await, 200, [100, left, RESET_S]);
    }
    let refused = api.post("/api/mcp", ALICE).await;
    assert_limit(&refused, 429, [100, 0, RESET_S]);
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(refused.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_str(&refused.body).expect("JSON");
    assert_eq!(body, json!({ "error": { "code": -32002, "message": "Rate limit exceeded" } }));
    assert_limit(&api.post("/api/mcp", BOB).await, 200, [100, 99, RESET_S]);

    api.server.clock.advance_us(3_599_999_999);
    let refused = api.post("/api/mcp", ALICE).await;
    assert_limit(&refused, 429, [100, 0, RESET_S]);
    assert_eq!(refused.header("retry-after"), Some("1"));
    api.server.clock.advance_us(1);
    assert_limit(&api.post("/api/mcp", ALICE).await, 200, [100, 99, RESET_S + 3600]);
}

#[tokio::test]
async fn a_thousand_a_day_whatever_the_hours_leave() {
    let Some(api) = open("jobko", MIDNIGHT_S).await else { return };
    for hour in 0..9 {
        let hour_ends_s = MIDNIGHT_S + (hour + 1) * 3600;
        for left in (0..100).rev() {
            assert_limit(&api.post("/api/mcp", ALICE).await, 200, [100, left, hour_ends_s]);
        }
        assert_limit(&api.post("/api/mcp", ALICE).await, 429, [100, 0, hour_ends_s]);
        api.server.advance_s(3600);
    }
    // Ninety-five of the tenth hour, and the day has five left.
    for left in (5..100).rev() {
        let answer = api.post("/api/mcp", ALICE).await;
        assert_limit(&answer, 200, [100, left, MIDNIGHT_S + 10 * 3600]);
    }
    api.server.advance_s(3600);
    let next_day_s = MIDNIGHT_S + DAY_S;
    for left in (1..5).rev() {
        let answer = api.post("/api/mcp", ALICE).await;
        assert_limit(&answer, 200, [100, left, MIDNIGHT_S + 11 * 3600]);
    }
    // With the last of the day, the day says when there is more.
    assert_limit(&api.post("/api/mcp", ALICE).await, 200, [100, 0, next_day_s]);
    let refused = api.post("/api/mcp", ALICE).await;
    assert_limit(&refused, 429, [100, 0, next_day_s]);
    assert_eq!(refused.header("retry-after"), Some(&*(14 * 3600).to_string()));
    assert_limit(&api.get("/api/mcp/status", ALICE).await, 200, [100, 0, next_day_s]);

    api.server.advance_s(14 * 3600 - 1);
    let refused = api.post("/api/mcp", ALICE).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("1")));
    api.server.advance_s(1);
    assert_limit(&api.post("/api/mcp", ALICE).await, 200, [100, 99, next_day_s + 3600]);
}

#[tokio::test]
async fn asking_for_the_status_is_free_and_tells_what_remains() {
    let Some(api) = open("jobko", HOUR_BEFORE_S).await else { return };
    for path in ["/api/mcp/status", "/api/mcp/status?verbose=1"] {
        for _ in 0..3 {
            assert_limit(&api.get(path, ALICE).await, 200, [100, 100, RESET_S]);
        }
    }
    for _ in 0..100 {
        api.post("/api/mcp", ALICE).await;
    }
    assert_limit(&api.get("/api/mcp/status", ALICE).await, 200, [100, 0, RESET_S]);
    // What only begins like it is a call like any other.
    assert_limit(&api.get("/api/mcp/statuses", ALICE).await, 429, [100, 0, RESET_S]);
}

#[tokio::test]
async fn a_request_without_a_key_is_left_to_authentication() {
    let Some(api) = open("jobko", HOUR_BEFORE_S).await else { return };
    let answer = api.post("/api/mcp", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.about_limits()), (200, vec![]));
}
