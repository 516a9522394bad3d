//! JetPero's API as its customers and its own people meet it.

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use std::sync::Arc;

use super::envoy::{Answer, Edge};
use super::http::Http;
use super::receiver::Receiver;
use super::{PATIENCE, provider};

/// 2026-03-10, 12:00:30 UTC: half a minute, so that a test soon crosses the edge of one.
pub const START_S: u64 = 1_773_144_030;

/// The end of that month.
pub const APRIL_S: u64 = 1_775_001_600;

pub const CALLS: &str = "/v1/calls";

#[derive(Clone)]
pub struct JetPero {
    pub edge: Arc<Edge>,
    pub people: Http,
}

impl JetPero {
    pub async fn open() -> Option<JetPero> {
        JetPero::open_with(&provider::rules("jetpero")).await
    }

    /// The same with a receiver in place of those that alerts go to, each under a path of its own.
    pub async fn alerting(receiver: &Receiver) -> Option<JetPero> {
        let mut rules = provider::rules("jetpero");
        for (target, url) in [
            ("slack", "https://hooks.slack.com/services/T0ACME/B0ACME/x"),
            ("mail", "https://mail.jetpero.example/alerts?to=globex"),
            ("crm", "https://crm.jetpero.example/hooks/fair-use"),
        ] {
            let url = format!("\"{url}\"");
            assert!(rules.contains(&url), "{url} is in the rules");
            let here = format!("\"http://{}/{target}\", allow_private: true", receiver.addr);
            rules = rules.replace(&url, &here);
        }
        JetPero::open_with(&rules).await
    }

    async fn open_with(rules: &str) -> Option<JetPero> {
        let edge = provider::open_with("jetpero", rules, START_S).await?;
        let people = Http::new(edge.server.http);
        Some(JetPero { edge: Arc::new(edge), people })
    }

    pub async fn get(&self, key: &str) -> Answer {
        self.get_with(key, CALLS, &[]).await
    }

    pub async fn get_with(&self, key: &str, path: &str, more: &[&str]) -> Answer {
        let key = format!("x-api-key: {key}");
        let headers: Vec<_> = [&*key].into_iter().chain(more.iter().copied()).collect();
        self.edge.get(path, &headers).await
    }

    /// Sends so many, all of which pass.
    pub async fn pass(&self, key: &str, times: usize) {
        for call in 0..times {
            let answer = self.get(key).await;
            assert_eq!(answer.status, 200, "call {call}: {answer:?}");
        }
    }

    /// A call that is refused: the wait that it is told.
    pub async fn refused(&self, key: &str) -> u64 {
        wait_s(&self.get(key).await)
    }

    /// A call that is held, once so many are.
    pub async fn held(&self, key: &'static str, all: usize) -> JoinHandle<Answer> {
        let client = self.clone();
        let call = tokio::spawn(async move { client.get(key).await });
        let standing = async {
            while self.edge.server.gate.lines().waiting() != all {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, standing).await.expect("so many are held");
        call
    }

    pub fn advance_us(&self, us: u64) {
        self.edge.server.clock.advance_us(us);
    }

    pub fn advance_s(&self, seconds: u64) {
        self.edge.server.advance_s(seconds);
    }

    /// Says how much of a limit is used: a month's calls would take a month.
    pub async fn set_used(&self, key: &str, limit: &str, used: u64) {
        let entries = json!({ "key": key });
        let body = json!({ "domain": "jetpero", "entries": entries, "limit": limit, "set": used });
        self.people.post("/v1/adjust", body).await.good();
    }

    /// What the dashboard does when a customer changes plans, or a contract is signed.
    pub async fn set_row(&self, key: &str, row: Value) {
        let body = json!({ "domain": "jetpero", "key": key, "row": row }).to_string();
        self.people.ask(hyper::Method::PUT, "/v1/directory", body).await.good();
    }

    /// Whom a rule keeps out.
    pub async fn bans(&self, rule: &str) -> Vec<Value> {
        let bans = self.people.get(&format!("/v1/bans?domain=jetpero&rule={rule}")).await.good();
        bans["bans"].as_array().expect("a list").clone()
    }
}

/// The wait of a refusal, which has the body that every refusal has.
pub fn wait_s(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let wait_s = answer.header("retry-after").and_then(|wait| wait.parse().ok());
    let wait_s = wait_s.unwrap_or_else(|| panic!("a wait: {answer:?}"));
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((&body["error"], &body["retry_after"]), (&json!("rate_limited"), &json!(wait_s)));
    wait_s
}

/// Which rule refused.
pub fn refused_by(answer: &Answer) -> String {
    wait_s(answer);
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    body["limit"].as_str().expect("a rule").to_owned()
}

/// A number in a header.
pub fn number(answer: &Answer, name: &str) -> Option<u64> {
    answer.header(name).and_then(|value| value.parse().ok())
}
