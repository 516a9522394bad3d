//! JetPero's custom rules for its Enterprise tier, through a real Envoy with the files in
//! `deploy/`. They all stand in one file and are all asked of one call.

mod harness;

use harness::jetpero::{CALLS, JetPero, refused_by, wait_s};
use serde_json::Value;

const OPS: &str = "jp_live_acme_ops_40d1";
const WEB: &str = "jp_live_acme_web_8e55";
const STAGING: &str = "jp_test_acme_web_8e55";
const GLOBEX: &str = "jp_live_globex_2d18";
const ORBIT: &str = "jp_live_orbit_web_09aa";

const LISBON: &str = "x-forwarded-for: 2.80.1.1";
const LISBON_V6: &str = "x-forwarded-for: 2a01:14::7";
const BOSTON: &str = "x-forwarded-for: 198.51.100.7";

const REPORTS: &str = "/v1/reports?month=2026-02";

/// Sends so many, all of which pass.
async fn pass(api: &JetPero, key: &str, path: &str, more: &[&str], times: usize) {
    for call in 0..times {
        let answer = api.get_with(key, path, more).await;
        assert_eq!(answer.status, 200, "{call}: {answer:?}");
    }
}

async fn refusing(api: &JetPero, key: &str, path: &str, more: &[&str]) -> String {
    refused_by(&api.get_with(key, path, more).await)
}

#[tokio::test]
async fn endpoint_specific_throttling() {
    let Some(api) = JetPero::open().await else { return };
    pass(&api, OPS, "/v1/reports/7", &[LISBON], 2).await;
    pass(&api, WEB, REPORTS, &[LISBON], 3).await;
    assert_eq!(refusing(&api, OPS, REPORTS, &[LISBON]).await, "acme-reports");
    // Other endpoints, other environments and other customers are not meant.
    pass(&api, OPS, CALLS, &[LISBON], 10).await;
    pass(&api, OPS, "/v1/reporters", &[LISBON], 10).await;
    pass(&api, STAGING, REPORTS, &[LISBON], 5).await;
    pass(&api, GLOBEX, REPORTS, &[], 10).await;
}

#[tokio::test]
async fn user_based_and_team_based_quotas() {
    let Some(api) = JetPero::open().await else { return };
    let (ann, ben) = (["x-user: ann", LISBON], ["x-user: ben", LISBON]);
    pass(&api, OPS, CALLS, &ann, 60).await;
    assert_eq!(refusing(&api, OPS, CALLS, &ann).await, "per-user");
    pass(&api, OPS, CALLS, &ben, 1).await;
    // Somebody of that name in another team is somebody else.
    pass(&api, WEB, CALLS, &ann, 1).await;
    // What a team's users do is the team's: 61 so far.
    let used = usage(&api, OPS, "per-team").await;
    assert_eq!((&used["used"], &used["requests"]), (&61.into(), &200_000.into()));
    api.set_used(OPS, "per-team.day", 199_999).await;
    pass(&api, OPS, CALLS, &ben, 1).await;
    assert_eq!(refusing(&api, OPS, CALLS, &ben).await, "per-team");
    pass(&api, WEB, CALLS, &ben, 1).await;
}

/// How a rule's limit stands for a key.
async fn usage(api: &JetPero, key: &str, rule: &str) -> Value {
    let path = format!("/v1/usage?domain=jetpero&entries=key={key}");
    let usage = api.people.get(&path).await.good();
    let limits = usage["limits"].as_array().expect("limits");
    limits.iter().find(|limit| limit["rule"] == rule).expect("the rule").clone()
}

#[tokio::test]
async fn regional_ip_limit_configs() {
    let Some(api) = JetPero::open().await else { return };
    pass(&api, OPS, CALLS, &[BOSTON], 15).await;
    pass(&api, WEB, CALLS, &["x-forwarded-for: 2001:db8::1"], 5).await;
    let refused = api.get_with(OPS, CALLS, &[BOSTON]).await;
    assert_eq!((refused_by(&refused), wait_s(&refused)), ("from-outside".into(), 60));
    pass(&api, OPS, CALLS, &[LISBON], 15).await;
    pass(&api, OPS, CALLS, &[LISBON_V6], 15).await;
    // Globex has no region in its contract.
    pass(&api, GLOBEX, CALLS, &[BOSTON], 30).await;
}

#[tokio::test]
async fn multi_environment_isolation() {
    let Some(api) = JetPero::open().await else { return };
    // A load test in staging takes all of staging's minute, and nothing of production's.
    pass(&api, STAGING, CALLS, &[LISBON], 500).await;
    let refused = api.get_with(STAGING, CALLS, &[LISBON]).await;
    assert_eq!((refused_by(&refused), wait_s(&refused)), ("per-environment".into(), 60));
    // Production's keys share what production has.
    pass(&api, WEB, CALLS, &[LISBON], 3).await;
    let production = api.get_with(OPS, CALLS, &[LISBON]).await;
    assert_eq!(production.header("x-ratelimit-limit"), Some("600"));
    assert_eq!(production.header("x-ratelimit-remaining"), Some("596"));
}

#[tokio::test]
async fn all_of_them_are_one_decision() {
    let Some(api) = JetPero::open().await else { return };
    // Five reports for Ann from Boston: five of everything.
    let ann = ["x-user: ann", BOSTON];
    pass(&api, OPS, REPORTS, &ann, 5).await;
    for _ in 0..3 {
        assert_eq!(refusing(&api, OPS, REPORTS, &ann).await, "acme-reports");
    }
    // What one rule refuses is charged to none.
    let entries = format!("key={OPS},user=ann,endpoint={REPORTS},remote_address=198.51.100.7");
    let path = format!("/v1/usage?domain=jetpero&entries={entries}");
    let usage = api.people.get(&path).await.good();
    let limits = usage["limits"].as_array().expect("limits").clone();
    let mut seen: Vec<_> = limits
        .iter()
        .map(|limit| format!("{}.{}: {}", limit["rule"], limit["limit"], limit["used"]))
        .map(|line| line.replace('"', ""))
        .collect();
    seen.sort();
    let expected = [
        "acme-reports.minute: 5",
        "from-outside.minute: 5",
        "per-environment.minute: 5",
        "per-environment.month: 5",
        "per-team.day: 5",
        "per-user.minute: 5",
    ];
    assert_eq!(seen, expected);
    // None of it is for those who have not bought it.
    pass(&api, ORBIT, REPORTS, &ann, 50).await;
    assert_eq!(refusing(&api, ORBIT, REPORTS, &ann).await, "per-project");
}
