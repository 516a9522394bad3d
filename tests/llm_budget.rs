//! A budget of tokens through a plain Envoy, with the files in `deploy/`: what a call may cost is
//! held when it comes, and settled at what it did cost when it is over.

mod harness;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use harness::backend::{Application, Reply};
use harness::envoy::{Answer, Edge, eventually};
use harness::http::Http;
use harness::provider::shipped;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const ESTIMATE: u64 = 800;

async fn open(test: &str) -> Option<Arc<Edge>> {
    let (rules, envoy) = (shipped("rules/llm-budget.yaml"), shipped("envoy/llm-budget.yaml"));
    Edge::start_shipped(test, &rules, &envoy).await.map(Arc::new)
}

/// A call that the model works on until the client leaves, which is when this is aborted.
fn hang(edge: &Arc<Edge>, headers: &[&'static str]) -> JoinHandle<Answer> {
    let (edge, headers) = (edge.clone(), [headers, &["x-hang: yes"]].concat());
    tokio::spawn(async move { edge.get("/v1/chat", &headers).await })
}

/// Tokens of a key that are used or held, and its calls under way.
async fn used(edge: &Edge, key: &str) -> (u64, u64) {
    let path = format!("/v1/usage?domain=llm&entries=key={key}");
    let usage = Http::new(edge.server.http).get(&path).await.good();
    let limits = usage["limits"].as_array().expect("limits");
    let of = |name: &str| {
        let found = limits.iter().find(|limit| limit["limit"] == name);
        found.and_then(|limit| limit["used"].as_u64()).expect("a limit that is used")
    };
    (of("hour"), of("at-once"))
}

/// Waits until it is so. Envoy tells the end of a call behind the client's back.
async fn is_used(edge: &Edge, key: &str, expected: (u64, u64)) {
    eventually("the end of the call is told", async || {
        (used(edge, key).await == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_is_settled_at_what_it_cost() {
    let Some(edge) = open("llm: true cost").await else { return };
    let answer = edge.get("/v1/chat", &["x-api-key: a", "x-cost: 300"]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("2"), "calls at once are tighter");
    is_used(&edge, "a", (300, 0)).await;
    edge.get("/v1/chat", &["x-api-key: a", "x-cost: 8900"]).await;
    is_used(&edge, "a", (9200, 0)).await;
    // The estimate still fits, and the true cost is charged though it does not.
    assert_eq!(edge.get("/v1/chat", &["x-api-key: a", "x-cost: 1801"]).await.status, 200);
    is_used(&edge, "a", (11_001, 0)).await;
    let refused = edge.get("/v1/chat", &["x-api-key: a", "x-cost: 1"]).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("3600")));
    assert_eq!(edge.get("/v1/chat", &["x-api-key: b", "x-cost: 1"]).await.status, 200);
    is_used(&edge, "b", (1, 0)).await;
    assert_eq!(used(&edge, "a").await, (11_001, 0), "the end of the refused call changed nothing");
}

#[tokio::test]
async fn a_call_that_failed_costs_nothing() {
    let Some(edge) = open("llm: failed").await else { return };
    assert_eq!(edge.get("/v1/chat", &["x-api-key: a", "x-fail: yes"]).await.status, 503);
    is_used(&edge, "a", (0, 0)).await;
    // A failure that names its cost costs that.
    edge.get("/v1/chat", &["x-api-key: a", "x-fail: yes", "x-cost: 70"]).await;
    is_used(&edge, "a", (70, 0)).await;
}

#[tokio::test]
async fn an_answer_without_its_cost_costs_the_estimate() {
    let Some(edge) = open("llm: no cost").await else { return };
    assert_eq!(edge.get("/v1/chat", &["x-api-key: a"]).await.status, 200);
    assert_eq!(edge.get("/v1/chat", &["x-api-key: a", "x-cost: 5"]).await.status, 200);
    is_used(&edge, "a", (ESTIMATE + 5, 0)).await;
}

#[tokio::test]
async fn who_leaves_in_mid_call_pays_the_estimate_and_frees_the_slot() {
    let Some(edge) = open("llm: aborted").await else { return };
    let calls: Vec<_> = (0..3).map(|_| hang(&edge, &["x-api-key: a"])).collect();
    is_used(&edge, "a", (3 * ESTIMATE, 3)).await;
    assert_eq!(edge.get("/v1/chat", &["x-api-key: a"]).await.status, 429);
    calls.iter().for_each(JoinHandle::abort);
    // The clock stands still: no hold has expired.
    is_used(&edge, "a", (3 * ESTIMATE, 0)).await;
    assert_eq!(edge.get("/v1/chat", &["x-api-key: a", "x-cost: 5"]).await.status, 200);
    is_used(&edge, "a", (3 * ESTIMATE + 5, 0)).await;
}

/// A model whose answers are longer than all that lies between it and a client who does not read.
struct Verbose;

impl Application for Verbose {
    async fn answer(&self, _: Request<Incoming>) -> Reply {
        Response::new(Full::new(Bytes::from(vec![b'.'; 64 << 20])))
    }
}

#[tokio::test]
async fn who_leaves_in_the_middle_of_the_answer_does_so_too() {
    let (rules, envoy) = (shipped("rules/llm-budget.yaml"), shipped("envoy/llm-budget.yaml"));
    let edge = Edge::start_application("llm: cut", &rules, &envoy, |_| Arc::new(Verbose)).await;
    let Some(edge) = edge else { return };
    let mut client = TcpStream::connect(edge.envoy.addr).await.expect("Envoy accepts");
    let request = b"GET /v1/chat HTTP/1.1\r\nhost: api.test\r\nx-api-key: a\r\n\r\n";
    client.write_all(request).await.expect("a request is sent");
    let mut status = [0; 12];
    client.read_exact(&mut status).await.expect("an answer begins");
    assert_eq!(&status, b"HTTP/1.1 200");
    assert_eq!(used(&edge, "a").await, (ESTIMATE, 1));
    drop(client);
    is_used(&edge, "a", (ESTIMATE, 0)).await;
}

#[tokio::test]
async fn leaving_gives_no_tokens_back() {
    let Some(edge) = open("llm: aborted often").await else { return };
    for left in 1..=12 {
        edge.leave("/v1/chat", &["x-api-key: a"]).await;
        is_used(&edge, "a", (left * ESTIMATE, 0)).await;
    }
    // 9,600 of 10,000 are gone, and half an estimate is not enough.
    let refused = edge.get("/v1/chat", &["x-api-key: a", "x-cost: 1"]).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("3600")));
}

#[tokio::test]
async fn the_end_of_a_refused_call_settles_nothing() {
    let Some(edge) = open("llm: refused").await else { return };
    let calls: Vec<_> = (0..3).map(|_| hang(&edge, &["x-api-key: a"])).collect();
    is_used(&edge, "a", (3 * ESTIMATE, 3)).await;
    for _ in 0..5 {
        // Envoy tells the end of each of these as well.
        assert_eq!(edge.get("/v1/chat", &["x-api-key: a", "x-cost: 1"]).await.status, 429);
    }
    assert_eq!(edge.get("/v1/chat", &["x-api-key: b", "x-cost: 1"]).await.status, 200);
    is_used(&edge, "b", (1, 0)).await;
    assert_eq!(used(&edge, "a").await, (3 * ESTIMATE, 3));
    calls.iter().for_each(JoinHandle::abort);
    is_used(&edge, "a", (3 * ESTIMATE, 0)).await;
}

#[tokio::test]
async fn clients_do_not_choose_the_id_of_their_call() {
    let Some(edge) = open("llm: request id").await else { return };
    let first = hang(&edge, &["x-api-key: a", "x-request-id: mine"]);
    is_used(&edge, "a", (ESTIMATE, 1)).await;
    // Had both the same id, the second would hold nothing, and its end would settle the first.
    let headers = ["x-api-key: a", "x-request-id: mine", "x-cost: 1"];
    let answer = edge.get("/v1/chat", &headers).await;
    assert_eq!(answer.status, 200);
    let id = answer.header("x-request-id").expect("the id is told");
    assert!(id != "mine" && id.len() == 36, "{id}");
    is_used(&edge, "a", (ESTIMATE + 1, 1)).await;
    first.abort();
}

/// The filter that docs/holds.md has for costs that stand in the body, at home in a list that is
/// indented by so many columns.
fn filter_of_the_docs(columns: usize) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/holds.md");
    let text = fs::read_to_string(path).expect("a page");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let filter = blocks.last().expect("a sample");
    assert!(filter.starts_with("- name: envoy.filters.http.lua"), "{filter}");
    filter.lines().map(|line| format!("{}{line}\n", " ".repeat(columns))).collect()
}

#[test]
fn the_rule_of_the_page_is_the_rule_of_the_example() {
    let rules = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/holds.md");
    let page = fs::read_to_string(path).expect("a page");
    let sample = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(rules(sample.expect("a sample")), rules(&shipped("rules/llm-budget.yaml")));
}

#[tokio::test]
async fn the_cost_may_stand_in_the_body() {
    let envoy = shipped("envoy/llm-budget.yaml");
    let envoy = envoy.replace("%RESP(x-tokens-used)%", "%DYNAMIC_METADATA(llm:tokens)%");
    let router = "                  - name: envoy.filters.http.router";
    let envoy = envoy.replace(router, &format!("{}{router}", filter_of_the_docs(18)));
    let rules = shipped("rules/llm-budget.yaml");
    let Some(edge) = Edge::start_shipped("llm: body", &rules, &envoy).await else { return };
    let body = r#"x-body: {"choices": [], "usage": {"total_tokens": 421}}"#;
    let answer = edge.get("/v1/chat", &["x-api-key: a", body]).await;
    assert!(answer.body.contains("421"), "{answer:?}");
    is_used(&edge, "a", (421, 0)).await;
}
