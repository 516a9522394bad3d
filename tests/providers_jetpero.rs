//! JetPero's page, line by line, through a real Envoy with the files in `deploy/`: plans, the
//! rolling minute, what happens at a limit, alerts. Abuse and custom rules have tests of their own.

mod harness;

use harness::jetpero::{APRIL_S, JetPero, START_S, number, wait_s};
use harness::receiver::{Receiver, Reply};
use serde_json::json;
use tollgate::time::{SECOND_US, Timestamp};

const NOVA: &str = "jp_live_nova_71c0";
const ORBIT: &str = "jp_live_orbit_web_09aa";
const ORBIT_APP: &str = "jp_live_orbit_app_5be2";
const DELTA: &str = "jp_live_delta_c3f7";
const GLOBEX: &str = "jp_live_globex_2d18";
const ACME: &str = "jp_live_acme_ops_40d1";

#[tokio::test]
async fn the_system_evaluates_the_last_sixty_seconds_from_any_point_in_time() {
    let Some(api) = JetPero::open().await else { return };
    // Six half a minute before the edge of one, and four on it.
    api.pass(NOVA, 6).await;
    api.advance_s(30);
    api.pass(NOVA, 4).await;
    for (wait_us, told) in [(0, 30), (29 * SECOND_US, 1), (SECOND_US - 1, 1)] {
        api.advance_us(wait_us);
        assert_eq!(api.refused(NOVA).await, told);
    }
    // A minute after the first six, they are out of the last sixty seconds: six, and not ten.
    api.advance_us(1);
    api.pass(NOVA, 6).await;
    assert_eq!(api.refused(NOVA).await, 30);
    api.advance_s(30);
    api.pass(NOVA, 4).await;
    assert_eq!(api.refused(NOVA).await, 30);
}

#[tokio::test]
async fn each_plan_has_its_calls_a_minute() {
    let Some(api) = JetPero::open().await else { return };
    for (key, budget, requests) in
        [(NOVA, "per-project.minute", 10), (ORBIT, "per-project.minute", 50)]
    {
        let first = api.get(key).await;
        assert_eq!(number(&first, "x-ratelimit-limit"), Some(requests), "{budget}");
        api.pass(key, usize::try_from(requests).expect("few") - 1).await;
        assert_eq!(api.refused(key).await, 60);
    }
    // 150 in any minute, also for whoever keeps to the buffer's pace all the time.
    let mut passed = 0;
    for _ in 0..160 {
        if api.get(DELTA).await.status == 200 {
            passed += 1;
        }
        api.advance_us(350_000);
    }
    assert_eq!(passed, 150, "160 within 56 seconds");
    for (key, limit, requests) in
        [(GLOBEX, "per-project.minute", 1_000), (ACME, "per-environment.minute", 600)]
    {
        api.set_used(key, limit, requests - 1).await;
        api.pass(key, 1).await;
        let refused = api.get_with(key, "/v1/calls", &["x-forwarded-for: 2.1.2.3"]).await;
        assert_eq!((wait_s(&refused), number(&refused, "x-ratelimit-limit")), (60, Some(requests)));
    }
}

#[tokio::test]
async fn each_plan_has_its_calls_a_month() {
    let Some(api) = JetPero::open().await else { return };
    api.set_row("jp_live_new", json!({ "project": "new", "plan": "enterprise" })).await;
    for (key, limit, requests) in [
        (NOVA, "per-project.month", 5_000),
        (ORBIT, "per-project.month", 40_000),
        // "Custom (5M – 25M+)"
        ("jp_live_new", "per-project.month", 5_000_000),
        (GLOBEX, "per-project.month", 12_000_000),
        (ACME, "per-environment.month", 25_000_000),
    ] {
        api.set_used(key, limit, requests - 1).await;
        let last = api.get(key).await;
        assert_eq!((last.status.as_u16(), number(&last, "x-ratelimit-remaining")), (200, Some(0)));
        let refused = api.get(key).await;
        assert_eq!(number(&refused, "x-ratelimit-limit"), Some(requests));
        assert_eq!(number(&refused, "x-ratelimit-reset"), Some(APRIL_S - START_S));
        // Three weeks would overflow the timers of many clients.
        assert_eq!(wait_s(&refused), 86_400);
    }
    api.edge.server.clock.set(Timestamp::from_secs(APRIL_S));
    api.pass(NOVA, 10).await;
    assert_eq!(api.refused(NOVA).await, 60);
}

#[tokio::test]
async fn limits_are_a_projects_and_an_upgrade_counts_at_once() {
    let Some(api) = JetPero::open().await else { return };
    api.pass(ORBIT, 30).await;
    api.pass(ORBIT_APP, 20).await;
    assert_eq!(api.refused(ORBIT).await, 60);
    assert_eq!(api.refused(ORBIT_APP).await, 60);
    // A key that nobody knows yet is a project of its own, on the smallest plan.
    api.pass("jp_live_unknown", 10).await;
    assert_eq!(api.refused("jp_live_unknown").await, 60);
    api.pass("jp_live_other", 1).await;
    // "Upgrade your plan at any time via the Dashboard": what was used stays used.
    let row = json!({ "project": "nova", "plan": "pro" });
    api.pass(NOVA, 10).await;
    assert_eq!(api.refused(NOVA).await, 60);
    api.set_row(NOVA, row).await;
    api.pass(NOVA, 40).await;
    assert_eq!(api.refused(NOVA).await, 60);
}

#[tokio::test]
async fn pro_has_a_queue_that_holds_and_releases() {
    let Some(api) = JetPero::open().await else { return };
    // Fifty within the first ten seconds.
    for _ in 0..50 {
        api.pass(ORBIT, 1).await;
        api.advance_us(SECOND_US / 5);
    }
    assert_eq!(api.refused(ORBIT).await, 50, "nobody is held for the rest of a minute");
    api.advance_s(48);
    let held = api.held(ORBIT, 1).await;
    assert_eq!(api.refused(ORBIT_APP).await, 3, "2.2 seconds behind the one that is held");
    api.advance_us(2 * SECOND_US - 1);
    assert!(!held.is_finished());
    api.advance_us(1);
    let late = held.await.expect("no panic");
    assert_eq!(late.status, 200, "{late:?}");
    // STARTER: "None".
    api.pass(NOVA, 10).await;
    api.advance_us(60 * SECOND_US - 1);
    assert_eq!(api.refused(NOVA).await, 1);
}

#[tokio::test]
async fn business_has_a_buffer_for_bursts() {
    let Some(api) = JetPero::open().await else { return };
    // A burst passes at once, and what is beyond is let go as evenly as 150 a minute are.
    api.pass(DELTA, 30).await;
    let mut held = Vec::new();
    for all in 1..=10 {
        held.push(api.held(DELTA, all).await);
    }
    assert_eq!(api.refused(DELTA).await, 5, "the eleventh would be held for 4.4 seconds");
    for call in held {
        api.advance_us(400_000);
        assert_eq!(call.await.expect("no panic").status, 200);
    }
}

#[tokio::test]
async fn business_is_soft_by_the_month_and_marked_beyond_fair_use() {
    let mut receiver = Receiver::answering(&[Reply::Status(204)]).await;
    let Some(api) = JetPero::alerting(&receiver).await else { return };
    api.set_used(DELTA, "per-project.month", 999_998).await;
    let last = api.get(DELTA).await;
    assert_eq!((last.status.as_u16(), last.header("x-ratelimit-overage")), (200, None));
    assert_eq!(receiver.seen(), 0);
    api.pass(DELTA, 1).await;
    for beyond in 1..=3 {
        let soft = api.get(DELTA).await;
        assert_eq!(soft.status, 200, "{soft:?}");
        assert_eq!(number(&soft, "x-ratelimit-overage"), Some(beyond));
    }
    let told = receiver.next().await;
    assert_eq!(told.path, "/crm");
    assert_eq!(told.json()["threshold_percent"], 100);
    // "Abuse may lead to throttling": a budget of its own, until somebody has talked to them.
    let slow = json!({ "per-project.minute": 8 });
    api.set_row(DELTA, json!({ "project": "delta", "plan": "business", "limits": slow })).await;
    api.pass(DELTA, 3).await;
    assert_eq!(api.refused(DELTA).await, 60);
    assert_eq!(receiver.seen(), 1);
}

#[tokio::test]
async fn enterprise_is_told_once_when_it_nears_its_limit() {
    let mut receiver = Receiver::answering(&[Reply::Status(200)]).await;
    let Some(api) = JetPero::alerting(&receiver).await else { return };
    // "When you're nearing 90 % usage": 10.8 of Globex's own 12 million.
    api.set_used(GLOBEX, "per-project.month", 10_799_998).await;
    api.pass(GLOBEX, 1).await;
    assert_eq!(receiver.seen(), 0);
    api.pass(GLOBEX, 5).await;
    let mail = receiver.next().await;
    assert_eq!(mail.path, "/mail");
    let said = mail.json();
    assert_eq!(
        (&said["rule"], &said["limit"]),
        (&json!("per-project"), &json!("per-project.month"))
    );
    assert_eq!((&said["used"], &said["budget"]), (&json!(10_800_000), &json!(12_000_000)));
    assert_eq!(said["threshold_percent"], 90);
    // Acme reads it in Slack, and of each environment by itself.
    api.set_used(ACME, "per-environment.month", 22_499_999).await;
    api.pass(ACME, 3).await;
    let slack = receiver.next().await;
    assert_eq!(slack.path, "/slack");
    let text = slack.json()["text"].as_str().expect("a text").to_owned();
    assert!(text.contains("90") && text.contains("acme"), "{text}");
    // Nobody else has alerts, and what was told is not told again before the month is over.
    api.set_used(ORBIT, "per-project.month", 35_999).await;
    api.pass(ORBIT, 3).await;
    api.pass(GLOBEX, 3).await;
    assert_eq!(receiver.seen(), 2);
    api.edge.server.clock.set(Timestamp::from_secs(APRIL_S));
    api.set_used(GLOBEX, "per-project.month", 10_799_999).await;
    api.pass(GLOBEX, 2).await;
    assert_eq!(receiver.next().await.json()["window_start"], "2026-04-01T00:00:00Z");
    assert_eq!(receiver.seen(), 3);
}
