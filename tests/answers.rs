//! What callers are told beyond the statuses, through a real server.

mod harness;

use std::fmt::Write as _;

use harness::{Client, NOON, Server};
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::RateLimitOverride;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use tollgate::grpc::proto::envoy::r#type::v3::RateLimitUnit;

const NOON_S: u64 = NOON.as_micros() / 1_000_000;

/// The headers of an answer as lines, in their order.
fn told(answer: &RateLimitResponse) -> Vec<String> {
    let headers = answer.response_headers_to_add.iter();
    headers.map(|header| format!("{}: {}", header.key, header.value)).collect()
}

fn assert_told(answer: &RateLimitResponse, lines: &[&str]) {
    assert_eq!(told(answer), lines);
}

async fn with(rules: &str) -> (Server, Client) {
    let server = Server::start(rules).await;
    let client = server.client().await;
    (server, client)
}

/// A rule by key with these limits, and more lines of the domain.
fn by_key(limits: &str, more: &str) -> String {
    let rule = format!("{{ name: per-key, count_by: [key], limits: [{limits}] }}");
    format!("domain: d\nrules:\n  - {rule}\n{more}\n")
}

#[tokio::test]
async fn a_domain_that_says_nothing_sends_nothing() {
    let (server, mut client) = with(&by_key("{ requests: 1, per: minute }", "")).await;
    for _ in 0..2 {
        let answer = client.ask("d", &["key=a"]).await;
        assert_told(&answer, &[]);
        assert!(answer.raw_body.is_empty() && answer.dynamic_metadata.is_none());
    }
    server.stop().await;
}

#[tokio::test]
async fn the_three_headers_are_on_calls_that_pass_and_on_those_that_do_not() {
    let rules = by_key("{ requests: 2, per: minute }", "headers: { style: x-ratelimit }");
    let (server, mut client) = with(&rules).await;
    // A part of a second is rounded up to the whole of it.
    server.clock.advance_us(15_000_001);
    let reset = format!("x-ratelimit-reset: {}", NOON_S + 60);
    for remaining in ["x-ratelimit-remaining: 1", "x-ratelimit-remaining: 0"] {
        let answer = client.ask("d", &["key=a"]).await;
        assert_told(&answer, &["x-ratelimit-limit: 2", remaining, &reset]);
    }
    let refused = client.ask("d", &["key=a"]).await;
    let lines = ["x-ratelimit-limit: 2", "x-ratelimit-remaining: 0", &reset, "retry-after: 45"];
    assert_told(&refused, &lines);
    assert_told(&client.ask("d", &["other=a"]).await, &[]);
    assert_told(&client.ask("elsewhere", &["key=a"]).await, &[]);
    server.stop().await;
}

#[tokio::test]
async fn names_and_the_form_of_the_reset_are_the_domains_own() {
    let headers = "headers: { names: { limit: X-Quota, reset: X-Quota-Ends }, reset: delta, \
                   retry_after: false }";
    let (server, mut client) = with(&by_key("{ requests: 1, per: minute }", headers)).await;
    server.clock.advance_us(500_000);
    let lines = ["X-Quota: 1", "x-ratelimit-remaining: 0", "X-Quota-Ends: 60"];
    assert_told(&client.ask("d", &["key=a"]).await, &lines);
    assert_told(&client.ask("d", &["key=a"]).await, &lines);
    server.stop().await;
}

#[tokio::test]
async fn an_unlimited_budget_shows_as_minus_one() {
    let rules = by_key("{ requests: unlimited, per: hour }", "headers: { reset: delta }");
    let (server, mut client) = with(&rules).await;
    let lines = ["x-ratelimit-limit: -1", "x-ratelimit-remaining: -1", "x-ratelimit-reset: 3600"];
    assert_told(&client.ask("d", &["key=a"]).await, &lines);
    server.stop().await;
}

#[tokio::test]
async fn the_tightest_limit_is_shown_unless_one_is_named() {
    let limits = "{ requests: 10, per: hour }, { requests: 12, per: day }";
    let (server, mut client) = with(&by_key(limits, "headers: { reset: delta }")).await;
    let lines = ["x-ratelimit-limit: 10", "x-ratelimit-remaining: 9", "x-ratelimit-reset: 3600"];
    assert_told(&client.ask("d", &["key=a"]).await, &lines);
    server.advance_s(3600);
    let lines = ["x-ratelimit-limit: 12", "x-ratelimit-remaining: 10", "x-ratelimit-reset: 39600"];
    assert_told(&client.ask("d", &["key=a"]).await, &lines);
    server.stop().await;

    let named = "headers: { reset: delta, show: per-key.day }";
    let (server, mut client) = with(&by_key(limits, named)).await;
    // The hour leaves less than the day, and who reads the headers would run into it.
    let lines = ["x-ratelimit-limit: 12", "x-ratelimit-remaining: 9", "x-ratelimit-reset: 43200"];
    assert_told(&client.ask("d", &["key=a"]).await, &lines);
    server.stop().await;
}

#[tokio::test]
async fn a_named_limit_says_what_another_window_of_its_rule_refuses() {
    let limits = "{ requests: 10, per: hour }, { requests: 12, per: day }";
    let named = "headers: { reset: delta, show: per-key.hour }";
    let (server, mut client) = with(&by_key(limits, named)).await;
    for _ in 0..10 {
        client.ask("d", &["key=a"]).await;
    }
    let by_hour = client.ask("d", &["key=a"]).await;
    let lines = [
        "x-ratelimit-limit: 10",
        "x-ratelimit-remaining: 0",
        "x-ratelimit-reset: 3600",
        "retry-after: 3600",
    ];
    assert_told(&by_hour, &lines);
    server.advance_s(3600);
    // With its last call the day has become what decides.
    for (remaining, reset_s) in [(1, 3600), (0, 11 * 3600)] {
        let answer = client.ask("d", &["key=a"]).await;
        let remaining = format!("x-ratelimit-remaining: {remaining}");
        let reset = format!("x-ratelimit-reset: {reset_s}");
        assert_told(&answer, &["x-ratelimit-limit: 10", &remaining, &reset]);
    }
    let until_midnight = 11 * 3600;
    let by_day = client.ask("d", &["key=a"]).await;
    let lines = [
        "x-ratelimit-limit: 10".to_owned(),
        "x-ratelimit-remaining: 0".to_owned(),
        format!("x-ratelimit-reset: {until_midnight}"),
        format!("retry-after: {until_midnight}"),
    ];
    assert_eq!(told(&by_day), lines);
    server.stop().await;
}

#[tokio::test]
async fn waits_are_capped_and_spread_and_never_too_short() {
    let limit = "{ requests: 1, per: month }";
    let (server, mut client) = with(&by_key(limit, "headers: { reset: delta }")).await;
    client.ask("d", &["key=a"]).await;
    let refused = client.ask("d", &["key=a"]).await;
    assert_eq!(told(&refused)[3], "retry-after: 86400", "a month would overflow many a timer");
    server.stop().await;

    let jitter = "headers: { retry_after: { jitter: 50%, at_most: 80s } }";
    let (server, mut client) = with(&by_key("{ requests: 1, per: minute }", jitter)).await;
    let mut seen = std::collections::BTreeSet::new();
    for caller in 0..200 {
        let descriptor = format!("key={caller}");
        client.ask("d", &[&descriptor]).await;
        let refused = client.ask("d", &[&descriptor]).await;
        let line = told(&refused).pop().expect("a wait");
        let wait: u64 = line.strip_prefix("retry-after: ").expect("a wait").parse().expect("whole");
        assert!((60..=80).contains(&wait), "{wait}");
        seen.insert(wait);
    }
    assert!(seen.contains(&80) && seen.len() > 10, "{seen:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_can_never_pass_is_not_asked_to_come_back() {
    let rules = "
domain: d
rules:
  - name: per-key
    count_by: [key]
    costs: [{ match: { endpoint: import }, cost: 20 }]
    limits: [{ requests: 10, per: minute }]
headers: { reset: delta }
on_refusal:
  headers: { x-why: 'over {limit} {retry_after}' }
  body: { type: application/json, text: '{\"wait\":{retry_after},\"again\":\"{retry_after}\"}' }
";
    let (server, mut client) = with(rules).await;
    let refused = client.ask("d", &["key=a,endpoint=import"]).await;
    assert_eq!(refused.overall_code(), Code::OverLimit);
    let lines = [
        "x-ratelimit-limit: 10",
        "x-ratelimit-remaining: 10",
        "x-ratelimit-reset: 60",
        "x-why: over 10 ",
        "content-type: application/json",
    ];
    assert_told(&refused, &lines);
    assert_eq!(refused.raw_body, br#"{"wait":null,"again":""}"#);
    server.stop().await;
}

#[tokio::test]
async fn a_soft_limit_passes_and_is_marked() {
    let limits = "{ requests: 2, per: hour, on_exceed: allow }";
    let (server, mut client) = with(&by_key(limits, "headers: { reset: delta }")).await;
    let usual = |remaining: u64| {
        let remaining = format!("x-ratelimit-remaining: {remaining}");
        vec!["x-ratelimit-limit: 2".into(), remaining, "x-ratelimit-reset: 3600".to_owned()]
    };
    for (remaining, overage) in [(1, None), (0, None), (0, Some(1)), (0, Some(2))] {
        let mut lines = usual(remaining);
        lines.extend(overage.map(|overage| format!("x-ratelimit-overage: {overage}")));
        let answer = client.ask("d", &["key=a"]).await;
        assert_eq!(answer.overall_code(), Code::Ok);
        assert_eq!(told(&answer), lines);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_draft_lists_all_windows() {
    let limits = "{ requests: 100, per: minute }, { requests: unlimited, per: day }, \
                  { requests: 5, per: hour, on_exceed: shadow }, { requests: 200, per: 5m }";
    let (server, mut client) = with(&by_key(limits, "headers: { style: ietf-draft-11 }")).await;
    server.advance_s(30);
    let answer = client.ask("d", &["key=a"]).await;
    let policy = r#"ratelimit-policy: "per-key.minute";q=100;w=60, "per-key.5min";q=200;w=300"#;
    let state = r#"ratelimit: "per-key.minute";r=99;t=30, "per-key.5min";r=199;t=270"#;
    assert_told(&answer, &[policy, state]);
    for _ in 0..99 {
        client.ask("d", &["key=a"]).await;
    }
    let refused = client.ask("d", &["key=a"]).await;
    let state = r#"ratelimit: "per-key.minute";r=0;t=30, "per-key.5min";r=100;t=270"#;
    assert_told(&refused, &[policy, state, "retry-after: 30"]);
    server.stop().await;
}

#[tokio::test]
async fn a_rules_own_words_outrank_the_domains_when_it_is_the_one_shown() {
    let rules = "
domain: d
rules:
  - { name: calls, count_by: [key], limits: [{ requests: 10, per: minute }] }
  - name: logins
    match: { endpoint: login }
    count_by: [key]
    limits: [{ requests: 1, per: hour }]
    headers: { names: { limit: x-logins }, reset: delta }
    on_refusal: { body: { type: text/plain, text: 'too many logins by {entry.key}' } }
  - name: hidden
    match: { endpoint: login }
    limits: [{ requests: 1000, per: day }]
    headers: { style: none }
headers: { reset: unix }
on_refusal: { body: { type: text/plain, text: 'slow down' } }
";
    let (server, mut client) = with(rules).await;
    let lines = ["x-logins: 1", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 3600"];
    assert_told(&client.ask("d", &["key=a,endpoint=login"]).await, &lines);
    let refused = client.ask("d", &["key=a,endpoint=login"]).await;
    assert_eq!(refused.raw_body, b"too many logins by a");
    for _ in 0..9 {
        client.ask("d", &["key=a"]).await;
    }
    let refused = client.ask("d", &["key=a"]).await;
    assert_eq!(refused.raw_body, b"slow down");
    let reset = format!("x-ratelimit-reset: {}", NOON_S + 60);
    assert_eq!(told(&refused)[2], reset);
    server.stop().await;
}

#[tokio::test]
async fn bodies_escape_what_callers_sent() {
    let rules = "
domain: d
plans: { free: { limits: [{ requests: 0, per: hour }] } }
rules: [{ name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }]
headers: { reset: delta }
on_refusal:
  headers: { x-who: '{entry.key}' }
  body:
    type: application/problem+json
    text: '{\"rule\":\"{rule}\",\"plan\":\"{plan}\",\"limit\":{limit},\"remaining\":{remaining},\
           \"who\":\"{entry.key}\",\"id\":{entry.id},\"none\":\"{entry.none}\",\"reset\":{reset}}'
";
    // YAML's folding has no backslash; write the line as one.
    let rules = rules.replace("\\\n           ", "");
    let (server, mut client) = with(&rules).await;
    let refused = client.ask("d", &["key=a\"b\r\nset-cookie: c,id=7\"\\"]).await;
    let who = "x-who: a\"b%0D%0Aset-cookie:%20c";
    assert!(told(&refused).iter().any(|line| line == who), "{:?}", told(&refused));
    let body = String::from_utf8(refused.raw_body).expect("text");
    let parsed: serde_json::Value = serde_json::from_str(&body).expect(&body);
    let expected = serde_json::json!({
        "rule": "per-key", "plan": "free", "limit": 0, "remaining": 0,
        "who": "a\"b\r\nset-cookie: c", "id": "7\"\\", "none": "", "reset": 3600,
    });
    assert_eq!(parsed, expected);
    server.stop().await;
}

/// Metadata as JSON-like text, which reads better than nested options.
fn written(value: &prost_types::Value) -> String {
    use prost_types::value::Kind;
    match value.kind.as_ref().expect("a kind") {
        Kind::NumberValue(number) => number.to_string(),
        Kind::StringValue(text) => text.clone(),
        Kind::BoolValue(flag) => flag.to_string(),
        Kind::ListValue(list) => {
            list.values.iter().fold(String::new(), |text, value| text + &written(value) + "\n")
        }
        Kind::StructValue(fields) => {
            fields.fields.iter().fold(String::new(), |mut text, (name, value)| {
                let _ = write!(text, "{name}={} ", written(value));
                text
            })
        }
        Kind::NullValue(_) => "null".into(),
    }
}

#[tokio::test]
async fn metadata_names_all_limits_and_the_one_that_refused() {
    let rules = "
domain: d
plans: { free: { limits: [{ requests: 1, per: minute }] } }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
  - { name: trial, limits: [{ requests: 1, per: hour, on_exceed: shadow }] }
  - { name: soft, limits: [{ requests: 0, per: hour, on_exceed: allow }] }
  - { name: all, limits: [{ requests: unlimited, per: hour }] }
  - { name: private, limits: [{ requests: 5, per: hour }], metadata: false }
metadata: true
";
    let (server, mut client) = with(rules).await;
    client.ask("d", &["key=a"]).await;
    let answer = client.ask("d", &["key=b"]).await;
    assert_told(&answer, &[]);
    let metadata = answer.dynamic_metadata.expect("metadata");
    assert!(!metadata.fields.contains_key("refused_by"));
    let expected = [
        "exceeded=false limit=minute overage=0 plan=free refused=false remaining=0 requests=1 \
         reset_seconds=60 rule=per-key shadow=false ",
        "exceeded=true limit=hour overage=0 refused=false remaining=0 requests=1 \
         reset_seconds=3600 rule=trial shadow=true ",
        "exceeded=true limit=hour overage=2 refused=false remaining=0 requests=0 \
         reset_seconds=3600 rule=soft shadow=false ",
        "exceeded=false limit=hour overage=0 refused=false remaining=-1 requests=-1 \
         reset_seconds=3600 rule=all shadow=false ",
    ];
    assert_eq!(written(&metadata.fields["limits"]).lines().collect::<Vec<_>>(), expected);
    let refused = client.ask("d", &["key=b"]).await.dynamic_metadata.expect("metadata");
    assert_eq!(written(&refused.fields["refused_by"]), "per-key.minute");
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_no_plan_serves_gets_the_body_without_a_wait() {
    let rules = "
domain: d
plans: { pro: { limits: [{ requests: 1, per: minute }] } }
rules: [{ name: per-key, count_by: [key], plan: { from: plan, otherwise: refuse } }]
headers: {}
on_refusal: { body: { type: text/plain, text: 'no plan{rule} for {entry.key}' } }
";
    let (server, mut client) = with(rules).await;
    let refused = client.ask("d", &["key=a"]).await;
    assert_told(&refused, &["content-type: text/plain"]);
    assert_eq!(refused.raw_body, b"no plan for a");
    server.stop().await;
}

#[tokio::test]
async fn a_body_names_what_the_directory_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys.csv");
    std::fs::write(&keys, "key,plan,team\nk,tiny,blue\n").expect("a file");
    let rules = format!(
        "
domain: d
directory: {{ by: key, from: {} }}
plans: {{ tiny: {{ limits: [{{ requests: 0, per: minute }}] }} }}
rules: [{{ name: per-key, count_by: [key], plan: {{ from: plan, otherwise: refuse }} }}]
on_refusal: {{ body: {{ type: text/plain, text: '{{plan}} of {{entry.team}}: {{entry.id}}' }} }}
",
        keys.display()
    );
    let (server, mut client) = with(&rules).await;
    assert_eq!(client.ask("d", &["key=k,id=7"]).await.raw_body, b"tiny of blue: 7");
    assert_eq!(client.ask("d", &["key=unknown,id=8"]).await.raw_body, b" of : 8");
    server.stop().await;
}

#[tokio::test]
async fn a_secret_is_not_told_to_whoever_reads_the_body() {
    let rules = by_key(
        "{ requests: 0, per: minute }",
        "secret_entries: [key]
on_refusal: { body: { type: text/plain, text: '{entry.key} {entry.id}' } }",
    );
    let (server, mut client) = with(&rules).await;
    let refused = client.ask("d", &["key=sk_live_8842_4f9a,id=7"]).await;
    let body = String::from_utf8(refused.raw_body).expect("text");
    assert!(body.ends_with("…4f9a 7") && !body.contains("8842"), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn of_several_descriptors_the_tightest_is_shown_and_the_longest_wait_told() {
    let rules = "
domain: d
rules:
  - { name: per-key, count_by: [key], limits: [{ requests: 2, per: minute }] }
  - { name: per-team, count_by: [team], limits: [{ requests: 1, per: hour }] }
headers: { reset: delta }
";
    let (server, mut client) = with(rules).await;
    let both = ["key=a", "team=t"];
    let lines = ["x-ratelimit-limit: 1", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 3600"];
    assert_told(&client.ask("d", &both).await, &lines);
    client.ask("d", &["key=a"]).await;
    let refused = client.ask("d", &both).await;
    assert_told(&refused, &[lines[0], lines[1], lines[2], "retry-after: 3600"]);
    server.stop().await;
}

#[tokio::test]
async fn a_budget_that_the_call_brings_along_is_told_like_any_other() {
    let rules =
        by_key("{ requests: 9, per: hour }", "headers: { style: ietf-draft-11 }\nmetadata: true");
    let (server, mut client) = with(&rules).await;
    let mut request = harness::request("d", &["key=a"]);
    let unit = RateLimitUnit::Minute.into();
    let limit = RateLimitOverride { requests_per_unit: 3, unit, unit_multiplier: None };
    request.descriptors[0].limit = Some(limit);
    let answer = client.call(request).await.expect("an answer");
    let policy = r#"ratelimit-policy: "override";q=3;w=60"#;
    assert_told(&answer, &[policy, r#"ratelimit: "override";r=2;t=60"#]);
    let limits = &answer.dynamic_metadata.expect("metadata").fields["limits"];
    assert!(written(limits).contains("limit=override"), "{}", written(limits));
    server.stop().await;
}
