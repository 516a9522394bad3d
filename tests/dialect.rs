//! What rules may say beyond a limit for a key, one readable case each, through a real server whose
//! clock stands at noon until moved.

mod harness;

use harness::{Client, Server, request};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::Code;

/// Fails unless a call passes, or is refused, with so many left.
macro_rules! assert_told {
    ($client:expr, $request:expr, $code:ident, $left:expr) => {{
        let answer = $client.call($request).await.expect("an answer");
        let told = (answer.overall_code(), answer.statuses[0].limit_remaining);
        assert_eq!(told, (Code::$code, $left));
    }};
}

fn shop(rules: &str) -> String {
    format!("domain: shop\nrules:\n{rules}")
}

fn one(descriptor: &str) -> RateLimitRequest {
    request("shop", &[descriptor])
}

/// A call that is so many hits.
fn hits(descriptor: &str, hits: u64) -> RateLimitRequest {
    let mut request = one(descriptor);
    request.descriptors[0].hits_addend = Some(hits);
    request
}

/// A call that gives so many hits back.
fn back(descriptor: &str, given_back: u64) -> RateLimitRequest {
    let mut request = hits(descriptor, given_back);
    request.descriptors[0].is_negative_hits = true;
    request
}

/// A look at how things stand, as one hit would find them.
fn peek(descriptor: &str) -> RateLimitRequest {
    hits(descriptor, 0)
}

async fn start(rules: &str) -> (Server, Client) {
    let server = Server::start(rules).await;
    let client = server.client().await;
    (server, client)
}

#[tokio::test]
async fn an_application_gives_back_what_it_did_not_use() {
    let (server, mut client) = start(&shop(
        "
  - name: jobs
    count_by: [key]
    refundable: true
    costs: [{ match: { kind: big }, cost: 5 }]
    limits: [{ name: day, requests: 10, per: day }]
",
    ))
    .await;
    assert_told!(client, one("key=a,kind=big"), Ok, 5);
    assert_told!(client, one("key=a,kind=big"), Ok, 0);
    assert_told!(client, one("key=a"), OverLimit, 0);
    // The second of the big jobs was a duplicate.
    assert_told!(client, back("key=a,kind=big", 1), Ok, 5);
    assert_told!(client, one("key=a"), Ok, 4);
    // Never below nothing used: whoever gives back too much gains nothing by it.
    assert_told!(client, back("key=a", 1000), Ok, 10);
    assert_told!(client, one("key=a"), Ok, 9);
    server.stop().await;
}

#[tokio::test]
async fn nobody_gives_back_what_no_rule_lets_them() {
    let rules = "  - { name: r, count_by: [key], limits: [{ name: day, requests: 2, per: day }] }";
    let (server, mut client) = start(&shop(rules)).await;
    assert_told!(client, one("key=a"), Ok, 1);
    assert_told!(client, back("key=a", 1), Ok, 1);
    // A budget that the call itself brought along took hits back from anybody.
    let brought = |mut request: RateLimitRequest| {
        use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor;
        let unit = 4;
        let limit = rate_limit_descriptor::RateLimitOverride {
            requests_per_unit: 1,
            unit,
            ..Default::default()
        };
        request.descriptors[0].limit = Some(limit);
        request
    };
    assert_told!(client, brought(one("key=a")), Ok, 0);
    assert_told!(client, brought(back("key=a", 1)), Ok, 0);
    assert_told!(client, brought(one("key=a")), OverLimit, 0);
    server.stop().await;
}

#[tokio::test]
async fn of_two_rules_on_one_counter_it_is_the_refundable_one_that_gives_back() {
    // Behind a rule that takes nothing back, the one that does was taken for its equal, and what it
    // gave back was dropped with the smaller cost.
    let (server, mut client) = start(&shop(
        "
  - { name: r, count_by: [key], limits: [{ name: day, requests: 5, per: day }] }
  - { name: s, counter: r, refundable: true, limits: [{ name: day, requests: 9, per: day }] }
",
    ))
    .await;
    assert_told!(client, hits("key=a", 5), Ok, 0);
    assert_told!(client, back("key=a", 2), Ok, 2);
    server.stop().await;
}

const CONTRACT: &str = "
domain: shop
plans:
  free:
    limits:
      - { name: minute, requests: 10, per: minute }
      - { name: month, requests: 5, per: month }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
";

const ACME: &str = "
  - name: acme-contract
    match: { key: [acme-1, acme-2] }
    replaces: per-key.month
    counter: per-key
    limits: [{ name: month, requests: 25, per: month }]
";

#[tokio::test]
async fn a_contract_replaces_one_limit_and_keeps_what_was_used() {
    let (server, mut client) = start(CONTRACT).await;
    assert_told!(client, hits("key=acme-1", 5), Ok, 0);
    assert_told!(client, one("key=acme-1"), OverLimit, 0);
    server.advance_s(60);
    server.gate.replace(harness::rules(&format!("{CONTRACT}{ACME}")));
    let answer = client.call(one("key=acme-1")).await.expect("an answer");
    assert_eq!(answer.overall_code(), Code::Ok);
    let shown = answer.statuses[0].current_limit.clone().expect("a limit");
    assert_eq!((shown.name.as_str(), shown.requests_per_unit), ("acme-contract.month", 25));
    assert_eq!(answer.statuses[0].limit_remaining, 25 - 6, "what was used before counts");
    // The other limit of the plan stands, and so does everybody else's month.
    assert_told!(client, hits("key=acme-1", 10), OverLimit, 9);
    assert_told!(client, hits("key=b", 6), OverLimit, 5);
    server.stop().await;
}

#[tokio::test]
async fn a_rule_is_replaced_for_the_whole_call() {
    let (server, mut client) = start(&shop(
        "
  - { name: per-key, count_by: [key], limits: [{ name: day, requests: 1, per: day }] }
  - name: internal
    match: { caller: batch }
    replaces: per-key
    limits: [{ name: day, requests: 9, per: day }]
",
    ))
    .await;
    for _ in 0..2 {
        let both = request("shop", &["key=a", "caller=batch"]);
        let answer = client.call(both).await.expect("an answer");
        assert_eq!(answer.overall_code(), Code::Ok);
        assert_eq!(answer.statuses[0].current_limit, None, "nothing holds the first descriptor");
    }
    assert_told!(client, one("key=a"), Ok, 0);
    assert_told!(client, one("key=a"), OverLimit, 0);
    server.stop().await;
}

#[tokio::test]
async fn rules_that_share_a_counter_charge_it_once_at_the_larger_cost() {
    let (server, mut client) = start(&shop(
        "
  - { name: all, limits: [{ name: hour, requests: 10, per: hour }] }
  - name: exports
    match: { kind: export }
    counter: all
    costs: [{ cost: 4 }]
    limits: [{ name: hour, requests: 5, per: hour }]
",
    ))
    .await;
    assert_told!(client, one("kind=export"), Ok, 1);
    // Each budget votes: six of ten are left, and one of the five for exports.
    assert_told!(client, one("kind=export"), OverLimit, 1);
    assert_told!(client, one("kind=page"), Ok, 5);
    server.stop().await;
}

#[tokio::test]
async fn a_rule_at_nought_percent_is_a_dry_run() {
    let (server, mut client) = start(&shop(
        "
  - { name: per-key, count_by: [key], limits: [{ name: day, requests: 9, per: day }] }
  - name: tighter
    count_by: [key]
    enforce: 0%
    replaces: per-key
    limits: [{ name: day, requests: 1, per: day }]
",
    ))
    .await;
    for left in (0..9).rev() {
        assert_told!(client, one("key=a"), Ok, left);
    }
    assert_told!(client, one("key=a"), OverLimit, 0);
    server.stop().await;
}

const TWO_AT_ONCE: &str = "
  - name: at-once
    count_by: [key]
    hold: { by: request_id, settle: { phase: done }, expires: 5m }
    limits: [{ name: calls, requests: 2, algorithm: concurrency }]
";

#[tokio::test]
async fn two_calls_at_once_and_the_third_when_one_is_over() {
    let (server, mut client) = start(&shop(TWO_AT_ONCE)).await;
    assert_told!(client, one("key=a,request_id=1"), Ok, 1);
    server.advance_s(60);
    assert_told!(client, one("key=a,request_id=2"), Ok, 0);
    let refused = client.call(one("key=a,request_id=3")).await.expect("an answer");
    assert_eq!(refused.overall_code(), Code::OverLimit);
    let wait = refused.statuses[0].duration_until_reset.expect("a wait");
    assert_eq!(wait.seconds, 240, "by then the first has expired, whatever becomes of it");
    // The refused one held nothing, so that its end frees nothing. Envoy tells of it all the same.
    assert_told!(client, one("phase=done,request_id=3"), Ok, 0);
    assert_told!(client, one("key=a,request_id=3"), OverLimit, 0);
    assert_told!(client, one("phase=done,request_id=1"), Ok, 0);
    assert_told!(client, one("key=a,request_id=3"), Ok, 0);
    // Two and three are still going on, a minute and a moment old.
    server.advance_s(239);
    assert_told!(client, one("key=a,request_id=4"), OverLimit, 0);
    server.advance_s(61);
    assert_told!(client, one("key=a,request_id=4"), Ok, 1);
    server.stop().await;
}

#[tokio::test]
async fn an_estimate_is_of_the_cost_and_not_of_the_calls_at_once() {
    // An estimate of 800 tokens took 800 slots, and so nobody ever passed.
    let (server, mut client) = start(&shop(
        "
  - name: llm
    count_by: [key]
    hold: { by: request_id, settle: { phase: done }, estimate: 800 }
    limits:
      - { name: tokens, requests: 10_000, per: hour }
      - { name: calls, requests: 1, algorithm: concurrency }
",
    ))
    .await;
    assert_told!(client, one("key=a,request_id=1"), Ok, 0);
    assert_told!(client, one("key=a,request_id=2"), OverLimit, 0);
    assert_told!(client, hits("phase=done,request_id=1", 300), Ok, 0);
    assert_told!(client, peek("key=a,request_id=2"), Ok, 0);
    assert_told!(client, one("key=a,request_id=2"), Ok, 0);
    server.stop().await;
}

const TOKENS: &str = "
  - name: tokens
    count_by: [key]
    hold: { by: request_id, settle: { phase: done }, estimate: 800, expires: 5m }
    limits: [{ name: hour, requests: 2000, per: hour }]
";

#[tokio::test]
async fn a_hold_is_settled_at_its_true_cost() {
    let (server, mut client) = start(&shop(TOKENS)).await;
    assert_told!(client, one("key=a,request_id=1"), Ok, 1200);
    // The same call once more, as a proxy that tries again sends it.
    assert_told!(client, one("key=a,request_id=1"), Ok, 1200);
    assert_told!(client, one("key=a,request_id=2"), Ok, 400);
    assert_told!(client, one("key=a,request_id=3"), OverLimit, 400);
    assert_told!(client, hits("phase=done,request_id=1", 300), Ok, 0);
    assert_told!(client, peek("key=a"), Ok, 100);
    assert_told!(client, hits("phase=done,request_id=1", 300), Ok, 0);
    assert_told!(client, peek("key=a"), Ok, 100);
    // It costs more than is left, and more it is.
    assert_told!(client, hits("phase=done,request_id=2", 2500), Ok, 0);
    assert_told!(client, one("key=a,request_id=4"), OverLimit, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_hold_is_settled_where_another_rule_shares_its_counter() {
    // The rule without a hold stood first and was charged, and what the call had cost was not.
    let (server, mut client) = start(&shop(
        "
  - name: plain
    counter: tokens
    limits: [{ name: hour, requests: 2000, per: hour }]
  - name: tokens
    count_by: [key]
    hold: { by: request_id, settle: { phase: done } }
    limits: [{ name: hour, requests: 2000, per: hour }]
",
    ))
    .await;
    assert_told!(client, one("key=a,request_id=1"), Ok, 1999);
    assert_told!(client, hits("phase=done,request_id=1", 500), Ok, 0);
    assert_told!(client, peek("key=a"), Ok, 1499);
    server.stop().await;
}

#[tokio::test]
async fn what_nobody_settles_stays_charged_and_a_closed_window_takes_nothing_back() {
    let (server, mut client) = start(&shop(TOKENS)).await;
    assert_told!(client, one("key=a,request_id=1"), Ok, 1200);
    server.advance_s(300);
    assert_told!(client, hits("phase=done,request_id=1", 0), Ok, 0);
    assert_told!(client, peek("key=a"), Ok, 400);
    server.advance_s(3600 - 301);
    assert_told!(client, one("key=a,request_id=2"), Ok, 400);
    server.advance_s(1);
    assert_told!(client, one("key=a,request_id=3"), Ok, 1200);
    assert_told!(client, hits("phase=done,request_id=2", 100), Ok, 0);
    assert_told!(client, peek("key=a"), Ok, 400);
    server.stop().await;
}

#[tokio::test]
async fn the_end_of_a_call_that_says_no_id_is_charged_to_nobody() {
    // Without the id it was no end of any hold, and so was charged as a call of its own.
    let (server, mut client) = start(&shop(TOKENS)).await;
    assert_told!(client, hits("key=a,phase=done", 1500), Ok, 0);
    assert_told!(client, peek("key=a"), Ok, 1200);
    server.stop().await;
}

#[tokio::test]
async fn one_id_is_held_once_though_two_descriptors_name_it() {
    // Both were charged, and the hold of the second took the place of the first one's: the end of
    // the call gave one of them back, and the other leaked.
    let (server, mut client) = start(&shop(TOKENS)).await;
    let twice = request("shop", &["key=a,request_id=1", "key=a,model=b,request_id=1"]);
    assert_eq!(client.call(twice).await.expect("an answer").statuses[0].limit_remaining, 1200);
    assert_told!(client, hits("phase=done,request_id=1", 0), Ok, 0);
    assert_told!(client, peek("key=a"), Ok, 1200);
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_tries_again_is_charged_once() {
    let (server, mut client) = start(&shop(
        "
  - name: per-key
    count_by: [key]
    dedupe: { by: request_id, for: 1m }
    limits: [{ name: day, requests: 2, per: day }]
",
    ))
    .await;
    assert_told!(client, one("key=a,request_id=1"), Ok, 1);
    assert_told!(client, one("key=a,request_id=1"), Ok, 1);
    assert_told!(client, one("key=a,request_id=2"), Ok, 0);
    // A refused one is decided anew, and one that passed goes on passing.
    assert_told!(client, one("key=a,request_id=3"), OverLimit, 0);
    assert_told!(client, one("key=a,request_id=2"), Ok, 0);
    server.advance_s(12 * 3600);
    assert_told!(client, one("key=a,request_id=3"), Ok, 1);
    server.advance_s(60);
    assert_told!(client, one("key=a,request_id=3"), Ok, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_is_known_to_every_rule_that_shares_the_counter() {
    // The counter was charged by the first rule alone, so the second did not know the id, and
    // charged the repeat.
    let (server, mut client) = start(&shop(
        "
  - name: r
    count_by: [key]
    dedupe: { by: request_id, for: 1m }
    limits: [{ name: day, requests: 9, per: day }]
  - name: s
    counter: r
    dedupe: { by: request_id, for: 1m }
    limits: [{ name: day, requests: 8, per: day }]
",
    ))
    .await;
    assert_told!(client, one("key=a,request_id=1"), Ok, 7);
    assert_told!(client, one("key=a,request_id=1"), Ok, 7);
    server.stop().await;
}

#[tokio::test]
async fn a_soft_limit_passes_and_is_marked() {
    let (server, mut client) = start(
        "
domain: shop
headers: { style: x-ratelimit }
rules:
  - name: per-key
    count_by: [key]
    limits: [{ name: month, requests: 1, per: month, on_exceed: allow }]
",
    )
    .await;
    for overage in [None, Some("1"), Some("2")] {
        let answer = client.call(one("key=a")).await.expect("an answer");
        assert_eq!(answer.overall_code(), Code::Ok);
        let mut headers = answer.response_headers_to_add.iter();
        let marked = headers.find(|header| header.key == "x-ratelimit-overage");
        assert_eq!(marked.map(|header| header.value.as_str()), overage);
    }
    server.stop().await;
}

#[tokio::test]
async fn costs_are_the_first_that_match_and_nought_is_free() {
    let (server, mut client) = start(&shop(
        r#"
  - name: per-key
    count_by: [key]
    costs:
      - { match: { endpoint: "/v1/status" }, cost: 0 }
      - { match: { endpoint: "/v1/export*" }, cost: 5 }
    limits: [{ name: day, requests: 6, per: day }]
"#,
    ))
    .await;
    assert_told!(client, one("key=a,endpoint=/v1/export/all"), Ok, 1);
    assert_told!(client, one("key=a,endpoint=/v1/export/all"), OverLimit, 1);
    assert_told!(client, one("key=a,endpoint=/v1/items"), Ok, 0);
    assert_told!(client, one("key=a,endpoint=/v1/items"), OverLimit, 0);
    assert_told!(client, one("key=a,endpoint=/v1/status"), Ok, 0);
    server.stop().await;
}

#[tokio::test]
async fn what_no_rule_is_for_may_be_refused() {
    let rules = "
domain: shop
unmatched: deny
rules:
  - name: per-key
    count_by: [key]
    hold: { by: request_id, settle: { phase: done } }
    limits: [{ name: day, requests: 9, per: day }]
";
    let (server, mut client) = start(rules).await;
    assert_told!(client, one("key=a"), Ok, 8);
    let answer = client.ask("shop", &["key=a", "who=knows"]).await;
    assert_eq!(answer.overall_code(), Code::OverLimit);
    let codes: Vec<_> = answer.statuses.iter().map(|status| status.code()).collect();
    assert_eq!(codes, [Code::Ok, Code::OverLimit]);
    assert_eq!(answer.statuses[1].duration_until_reset, None, "no wait helps");
    assert_told!(client, one("key=a"), Ok, 7);
    // The end of a call is for no rule, but for the hold that it ends.
    assert_told!(client, one("phase=done,request_id=1"), Ok, 0);
    server.stop().await;
}
