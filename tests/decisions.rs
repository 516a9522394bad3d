//! Decisions as a caller sees them, through a real server.

mod harness;

use harness::{Server, request};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::Code;

const SHOP: &str = "
domain: shop
plans:
  free: { limits: [{ name: minute, requests: 10, per: minute }] }
  pro:  { limits: [{ name: minute, requests: 100, per: minute }] }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
";

#[tokio::test]
async fn the_eleventh_call_of_the_minute_is_refused_and_the_next_minute_is_free() {
    let server = Server::start(SHOP).await;
    let mut client = server.client().await;
    for call in 1..=10 {
        let answer = client.ask("shop", &["key=a,plan=free"]).await;
        assert_eq!(answer.overall_code(), Code::Ok, "call {call}");
        assert_eq!(answer.statuses[0].limit_remaining, 10 - call);
    }
    server.advance_s(15);
    let answer = client.ask("shop", &["key=a,plan=free"]).await;
    assert_eq!(answer.overall_code(), Code::OverLimit);
    let reset = answer.statuses[0].duration_until_reset.expect("a wait");
    assert_eq!(reset.seconds, 45);
    assert_eq!(client.ask("shop", &["key=b,plan=free"]).await.overall_code(), Code::Ok);
    server.advance_s(45);
    assert_eq!(client.ask("shop", &["key=a,plan=free"]).await.overall_code(), Code::Ok);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_decided_is_an_error_with_a_sentence() {
    let server = Server::start(SHOP).await;
    let mut client = server.client().await;
    let error = client.call(request("", &["key=a"])).await.expect_err("no domain");
    assert_eq!(error.code(), tonic::Code::InvalidArgument);
    assert_eq!(error.message(), "the domain must not be empty");
    let error = client.call(request("shop", &[])).await.expect_err("no descriptors");
    assert_eq!(error.message(), "at least one descriptor is needed");
    server.stop().await;
}
