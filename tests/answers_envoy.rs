//! What callers are told, as it leaves a real Envoy: that of `deploy/`, with rules of the tests.

mod harness;

use std::path::Path;

use harness::envoy::{Edge, eventually};
use harness::provider::shipped;

/// The shipped Envoy of a provider whose requests bring a key and an endpoint.
async fn edge(test: &str, rules: &str) -> Option<Edge> {
    Edge::start_shipped(test, rules, &shipped("envoy/providers/jobko.yaml")).await
}

/// A rule by key with this limit, and more lines of the domain.
fn by_key(limit: &str, more: &str) -> String {
    format!(
        "domain: jobko
rules:
  - name: per-key
    count_by: [key]
    costs: [{{ match: {{ endpoint: /import }}, cost: 20 }}]
    limits: [{limit}]
{more}
"
    )
}

const A: &[&str] = &["x-api-key: a"];

#[tokio::test]
async fn a_months_wait_is_cut_to_what_clients_timers_hold() {
    let rules = by_key("{ requests: 1, per: month }", "headers: { reset: delta }");
    let Some(edge) = edge("answers: ceiling", &rules).await else { return };
    let until_april_s = 21 * 86_400 + 12 * 3_600;
    let reset = format!("x-ratelimit-reset: {until_april_s}");
    let lines = ["x-ratelimit-limit: 1", "x-ratelimit-remaining: 0", &reset];
    assert_eq!(edge.get("/", A).await.about_limits(), lines);
    let refused = edge.get("/", A).await;
    let lines = ["retry-after: 86400", lines[0], lines[1], lines[2]];
    assert_eq!(
        (refused.status.as_u16(), refused.about_limits()),
        (429, lines.map(Into::into).into())
    );
}

#[tokio::test]
async fn waits_are_spread_within_their_bounds() {
    let jitter = "headers: { retry_after: { jitter: 50%, at_most: 80s } }";
    let rules = by_key("{ requests: 0, per: minute }", jitter);
    let Some(edge) = edge("answers: jitter", &rules).await else { return };
    let mut seen = std::collections::BTreeSet::new();
    for caller in 0..50 {
        let refused = edge.get("/", &[&format!("x-api-key: {caller}")]).await;
        // A budget of nothing: no wait would help, and none is promised.
        assert_eq!(refused.header("retry-after"), None);
    }
    let rules = by_key("{ requests: 1, per: minute }", jitter);
    let Some(edge) = self::edge("answers: jitter", &rules).await else { return };
    for caller in 0..50 {
        let key = format!("x-api-key: {caller}");
        assert_eq!(edge.get("/", &[&key]).await.header("retry-after"), None);
        let refused = edge.get("/", &[&key]).await;
        let wait_s: u64 = refused.header("retry-after").expect("a wait").parse().expect("whole");
        assert!((60..=80).contains(&wait_s), "{wait_s}");
        seen.insert(wait_s);
    }
    assert!(seen.len() > 5, "{seen:?}");
}

#[tokio::test]
async fn a_call_that_can_never_pass_is_not_asked_to_come_back() {
    let body = "on_refusal: { body: { type: text/plain, text: 'at most {limit}' } }";
    let rules = by_key("{ requests: 10, per: minute }", &format!("headers: {{}}\n{body}"));
    let Some(edge) = edge("answers: never", &rules).await else { return };
    let refused = edge.get("/import", A).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(
        (&*refused.body, refused.header("content-type")),
        ("at most 10", Some("text/plain"))
    );
}

#[tokio::test]
async fn all_windows_of_the_draft_and_a_marked_overage_arrive() {
    let limits = "{ requests: 2, per: minute }, { requests: 1, per: day, on_exceed: allow }";
    let rules = by_key(limits, "headers: { style: ietf-draft-11 }");
    let Some(edge) = edge("answers: draft", &rules).await else { return };
    edge.get("/", A).await;
    let lines = [
        r#"ratelimit-policy: "per-key.minute";q=2;w=60, "per-key.day";q=1;w=86400"#,
        r#"ratelimit: "per-key.minute";r=0;t=60, "per-key.day";r=0;t=43200"#,
        "x-ratelimit-overage: 1",
    ];
    assert_eq!(edge.get("/", A).await.about_limits(), lines);
}

#[tokio::test]
async fn an_access_log_says_which_rule_fired() {
    let rules = by_key("{ requests: 1, per: minute }", "metadata: true");
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let envoy = logging_to(&shipped("envoy/providers/jobko.yaml"), &log);
    let Some(edge) = Edge::start_shipped("answers: metadata", &rules, &envoy).await else { return };
    edge.get("/", A).await;
    edge.get("/", A).await;
    let lines = eventually("both requests are logged", async || {
        let text = std::fs::read_to_string(&log).ok()?;
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() == 2).then_some(lines)
    });
    let lines = lines.await;
    assert!(lines[0].starts_with("200 - "), "{lines:?}");
    assert!(lines[1].starts_with("429 per-key.minute "), "{lines:?}");
    assert!(lines[1].contains(r#""rule":"per-key""#), "{lines:?}");
}

/// The same configuration with an access log of the status and what the filter was told.
fn logging_to(envoy: &str, log: &Path) -> String {
    let of = |name: &str| format!("%DYNAMIC_METADATA(envoy.filters.http.ratelimit:{name})%");
    let format = format!("%RESPONSE_CODE% {} {}", of("refused_by"), of("limits"));
    let logger = format!(
        "                access_log:
                  - name: envoy.access_loggers.file
                    typed_config:
                      \"@type\": type.googleapis.com/envoy.extensions.access_loggers.file.v3.\
         FileAccessLog
                      path: {}
                      log_format: {{ text_format_source: {{ inline_string: \"{format}\\n\" }} }}
",
        log.display()
    );
    let place = "                stat_prefix: api\n";
    assert!(envoy.contains(place), "the connection manager is where this test looks for it");
    envoy.replace(place, &format!("{place}{logger}"))
}
