//! Bans over the wire: for what they fall, how they grow, whom they meet, and how they end.

mod harness;

use prost_types::value::Kind;

use harness::{Client, Server, request};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::Code;

/// Two calls a minute pass; the third refusal within a minute is one too many.
const RULES: &str = "
domain: d
rules:
  - name: per-key
    match: { endpoint: /search }
    count_by: [key]
    limits: [{ requests: 2, per: minute, algorithm: sliding_log }]
    ban: { of: refusals, after: 3, within: 1m, for: 15m, up_to: 40m }
  - name: other
    count_by: [key]
    limits: [{ requests: 100, per: day }]
";

const SEARCH: &str = "key=a,endpoint=/search";

/// Whether a call passes, and the seconds it is told to wait if it does not.
async fn ask(client: &mut Client, descriptor: &str) -> Result<(), i64> {
    let response = client.ask("d", &[descriptor]).await;
    if response.overall_code() == Code::Ok { Ok(()) } else { Err(wait_s(&response)) }
}

fn wait_s(response: &RateLimitResponse) -> i64 {
    response.statuses[0].duration_until_reset.expect("a wait").seconds
}

/// Calls until a ban falls.
async fn offend(client: &mut Client) {
    for _ in 0..2 {
        assert_eq!(ask(client, SEARCH).await, Ok(()));
    }
    for _ in 0..3 {
        assert_eq!(ask(client, SEARCH).await, Err(60));
    }
}

#[tokio::test]
async fn a_ban_falls_and_meets_every_call_of_whom_it_keeps_out() {
    let server = Server::start(RULES).await;
    let mut client = server.client().await;
    offend(&mut client).await;
    server.advance_s(1);
    // Whatever the endpoint: the rule is not for this call.
    let response = client.ask("d", &["key=a,endpoint=/other"]).await;
    assert_eq!(response.overall_code(), Code::OverLimit);
    let status = &response.statuses[0];
    assert_eq!((status.code(), status.current_limit.as_ref()), (Code::OverLimit, None));
    assert_eq!(wait_s(&response), 15 * 60 - 1);
    // Whichever descriptor carries the values; the other one is not what refuses.
    let response = client.ask("d", &["key=b", "key=a"]).await;
    let codes: Vec<_> = response.statuses.iter().map(|status| status.code()).collect();
    assert_eq!(response.overall_code(), Code::OverLimit);
    assert_eq!(codes, [Code::Ok, Code::OverLimit]);
    // Nobody else is met, and a domain of its own is somebody else.
    assert_eq!(ask(&mut client, "key=b,endpoint=/search").await, Ok(()));
    assert_eq!(ask(&mut client, "endpoint=/search").await, Ok(()));
    // Nothing was charged meanwhile: not to the one, nor to those in one call with it.
    server.advance_s(15 * 60 - 1);
    let response = client.ask("d", &["key=a", "key=b"]).await;
    let left: Vec<_> = response.statuses.iter().map(|status| status.limit_remaining).collect();
    // Two passed before the ban, and `b` once; and now each once more.
    assert_eq!((response.overall_code(), &left[..]), (Code::Ok, &[97, 98][..]));
}

#[tokio::test]
async fn a_ban_grows_while_it_is_repeated_and_is_then_forgotten() {
    let server = Server::start(RULES).await;
    let mut client = server.client().await;
    for minutes in [15, 30, 40, 40] {
        offend(&mut client).await;
        assert_eq!(ask(&mut client, SEARCH).await, Err(minutes * 60));
        // Whoever calls on meanwhile makes it no longer.
        server.advance_s(60);
        for _ in 0..5 {
            assert_eq!(ask(&mut client, SEARCH).await, Err(minutes * 60 - 60));
        }
        server.advance_s(minutes as u64 * 60 - 61);
        assert_eq!(ask(&mut client, SEARCH).await, Err(1));
        server.advance_s(1);
    }
    server.advance_s(40 * 60);
    offend(&mut client).await;
    assert_eq!(ask(&mut client, SEARCH).await, Err(15 * 60), "40 minutes later it is a first one");
}

#[tokio::test]
async fn refusals_further_apart_than_the_span_are_none() {
    let server = Server::start(RULES).await;
    let mut client = server.client().await;
    for _ in 0..5 {
        for _ in 0..2 {
            assert_eq!(ask(&mut client, SEARCH).await, Ok(()));
        }
        for _ in 0..2 {
            assert_eq!(ask(&mut client, SEARCH).await, Err(60));
        }
        // To ask how things stand is no offence.
        let mut peek = request("d", &[SEARCH]);
        peek.descriptors[0].hits_addend = Some(0);
        for _ in 0..5 {
            let answer = client.call(peek.clone()).await.expect("an answer");
            assert_eq!(wait_s(&answer), 60);
        }
        server.advance_s(60);
    }
}

#[tokio::test]
async fn would_be_refusals_count_and_shadow_rules_keep_nobody_out() {
    for (enforce, on_exceed, met) in
        [("100%", "shadow", true), ("0%", "deny", false), ("0%", "shadow", false)]
    {
        let rules = format!(
            "domain: d\nrules:\n  - name: r\n    count_by: [key]\n    enforce: {enforce}\n    \
             limits: [{{ requests: 2, per: minute, on_exceed: {on_exceed} }}]\n    \
             ban: {{ of: refusals, after: 3, within: 1m, for: 15m }}\n"
        );
        let server = Server::start(&rules).await;
        let mut client = server.client().await;
        for _ in 0..5 {
            assert_eq!(ask(&mut client, "key=a").await, Ok(()));
        }
        let expected = if met { Err(15 * 60) } else { Ok(()) };
        assert_eq!(ask(&mut client, "key=a").await, expected, "{enforce} {on_exceed}");
    }
}

#[tokio::test]
async fn hits_count_whatever_becomes_of_them() {
    let rules = "
domain: d
rules:
  - name: failures
    match: { outcome: failure }
    count_by: [{ entry: remote_address, v4: 24 }]
    ban: { of: hits, after: 3, within: 1m, for: 5m }
";
    let server = Server::start(rules).await;
    let mut client = server.client().await;
    for host in 1..=3 {
        let report = format!("remote_address=10.0.0.{host},outcome=failure");
        assert_eq!(ask(&mut client, "remote_address=10.0.0.9").await, Ok(()));
        assert_eq!(ask(&mut client, &report).await, Ok(()));
    }
    assert_eq!(ask(&mut client, "remote_address=10.0.0.9").await, Err(300));
    assert_eq!(ask(&mut client, "remote_address=10.0.1.9").await, Ok(()));
}

#[tokio::test]
async fn a_spike_is_beyond_what_is_usual() {
    let rules = "
domain: d
rules:
  - name: r
    count_by: [key]
    ban: { of: spike, times: 5, over: 1h, at_least: 20, for: 5m }
";
    let server = Server::start(rules).await;
    let mut client = server.client().await;
    for _ in 0..60 {
        for _ in 0..4 {
            assert_eq!(ask(&mut client, "key=a").await, Ok(()));
        }
        server.advance_s(60);
    }
    for _ in 0..21 {
        assert_eq!(ask(&mut client, "key=a").await, Ok(()), "five times four, and the one beyond");
        // Nothing is usual for this one.
        assert_eq!(ask(&mut client, "key=b").await, Ok(()));
    }
    assert_eq!(ask(&mut client, "key=a").await, Err(300));
    assert_eq!(ask(&mut client, "key=b").await, Ok(()));
}

#[tokio::test]
async fn a_key_in_too_many_hands_is_kept_out() {
    let rules = "
domain: d
rules:
  - name: shared
    count_by: [key]
    ban: { of: distinct, entry: remote_address, after: 30, within: 1h, for: 1h }
";
    let server = Server::start(rules).await;
    let mut client = server.client().await;
    for round in 0..3 {
        for host in 0..30 {
            let call = format!("key=a,remote_address=10.0.0.{host}");
            assert_eq!(ask(&mut client, &call).await, Ok(()), "{round}");
        }
        // Somebody else's addresses are not this key's.
        assert_eq!(ask(&mut client, &format!("key=b,remote_address=10.1.0.{round}")).await, Ok(()));
    }
    assert_eq!(ask(&mut client, "key=a,remote_address=10.0.0.30").await, Ok(()));
    assert_eq!(ask(&mut client, "key=a").await, Err(3600));
    assert_eq!(ask(&mut client, "key=b").await, Ok(()));
}

#[tokio::test]
async fn what_is_always_charged_is_charged_of_whoever_is_kept_out_too() {
    let rules = "
domain: d
rules:
  - name: r
    count_by: [key]
    limits: [{ name: m, requests: 1, per: minute }]
    ban: { of: refusals, after: 1, within: 1m, for: 90s }
  - name: tokens
    count_by: [key]
    limits: [{ name: day, requests: 100, per: day, charge: always }]
";
    let server = Server::start(rules).await;
    let mut client = server.client().await;
    assert_eq!(ask(&mut client, "key=a").await, Ok(()));
    assert_eq!(ask(&mut client, "key=a").await, Err(60));
    assert_eq!(ask(&mut client, "key=a").await, Err(90));
    server.advance_s(90);
    let response = client.ask("d", &["key=a"]).await;
    assert_eq!(response.overall_code(), Code::Ok);
    assert_eq!(used_of_day(&server, "a").await, 4);
}

/// What is used of the day.
async fn used_of_day(server: &Server, key: &str) -> u64 {
    let http = harness::http::Http::new(server.http);
    let usage = http.get(&format!("/v1/usage?domain=d&entries=key={key}")).await.good();
    let limits = usage["limits"].as_array().expect("limits");
    let day = limits.iter().find(|limit| limit["limit"] == "day").expect("a day");
    day["used"].as_u64().expect("a number")
}

const BODY: &str = r#"
on_refusal:
  body:
    type: application/json
    text: '{"rule":"{rule}","wait":{retry_after},"limit":{limit},"key":"{entry.key}"}'
"#;

#[tokio::test]
async fn what_a_caller_reads_is_the_bans_own() {
    let rules = format!(
        "{RULES}headers: {{ style: x-ratelimit, retry_after: {{ }} }}\nmetadata: true\n{BODY}"
    );
    let server = Server::start(&rules).await;
    let mut client = server.client().await;
    offend(&mut client).await;
    let response = client.ask("d", &["key=b", "key=a"]).await;
    let body = String::from_utf8(response.raw_body).expect("text");
    assert_eq!(body, r#"{"rule":"per-key","wait":900,"limit":null,"key":"a"}"#);
    let headers: Vec<_> = response
        .response_headers_to_add
        .iter()
        .map(|header| (header.key.as_str(), header.value.as_str()))
        .collect();
    assert_eq!(headers, [("retry-after", "900"), ("content-type", "application/json")]);
    let metadata = response.dynamic_metadata.expect("metadata").fields;
    let rule = Kind::StringValue("per-key".into());
    assert_eq!(metadata["banned_by"].kind, Some(rule));
    assert!(!metadata.contains_key("refused_by"));
}
