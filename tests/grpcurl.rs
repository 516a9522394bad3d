//! What a person with grpcurl can find out about a running server, without any proto file.

mod harness;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use harness::{Server, tools};
use serde_json::{Value, json};

const SHOP: &str = "
domain: shop
rules:
  - { name: per-key, count_by: [key], limits: [{ name: minute, requests: 2, per: 10 minutes }] }
";

/// grpcurl, pointed at a server.
struct Grpcurl {
    binary: PathBuf,
    addr: SocketAddr,
}

impl Grpcurl {
    /// Calls a method with a message in JSON and reads the answer.
    async fn call(&self, method: &str, message: Value) -> Value {
        let output = self.run(&["-d", &message.to_string()], method).await;
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error} in {output}"))
    }

    /// Runs off the test's thread, on which the server answers.
    async fn run(&self, flags: &[&str], subject: &str) -> String {
        let mut command = Command::new(&self.binary);
        command.arg("-plaintext").args(flags).arg(self.addr.to_string()).arg(subject);
        let running = tokio::task::spawn_blocking(move || command.output());
        let output = running.await.expect("no panic").expect("grpcurl can be run");
        let Output { status, stdout, stderr } = output;
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("grpcurl writes UTF-8")
    }
}

/// A server and grpcurl for it; nothing if grpcurl is missing and `test` is to be skipped.
async fn start(test: &str) -> Option<(Server, Grpcurl)> {
    let binary = tools::find("grpcurl", test)?;
    let server = Server::start(SHOP).await;
    let addr = server.addr;
    Some((server, Grpcurl { binary, addr }))
}

#[tokio::test]
async fn reflection_names_the_services() {
    let Some((_server, grpcurl)) = start("grpcurl: list").await else { return };
    let listed = grpcurl.run(&[], "list").await;
    let named: Vec<_> = listed.lines().collect();
    for service in ["envoy.service.ratelimit.v3.RateLimitService", "grpc.health.v1.Health"] {
        assert!(named.contains(&service), "{service} is not in {named:?}");
    }
}

#[tokio::test]
async fn a_decision_can_be_asked_for_in_json() {
    let Some((_server, grpcurl)) = start("grpcurl: a decision").await else { return };
    let question = json!({
        "domain": "shop",
        "descriptors": [{ "entries": [{ "key": "key", "value": "a" }], "hitsAddend": "2" }],
    });
    let limit = json!({
        "name": "per-key.minute", "requestsPerUnit": 2, "unit": "MINUTE", "unitMultiplier": 10
    });
    let wait = json!("600s");
    for code in ["OK", "OVER_LIMIT"] {
        let method = "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
        let answer = grpcurl.call(method, question.clone()).await;
        let status = json!({ "code": code, "currentLimit": limit, "durationUntilReset": wait });
        assert_eq!(answer, json!({ "overallCode": code, "statuses": [status] }));
    }
}

#[tokio::test]
async fn health_answers_to_every_name_that_probes_use() {
    let Some((_server, grpcurl)) = start("grpcurl: health").await else { return };
    for service in ["", "envoy.service.ratelimit.v3.RateLimitService", "ratelimit"] {
        let question = json!({ "service": service });
        let answer = grpcurl.call("grpc.health.v1.Health/Check", question).await;
        assert_eq!(answer, json!({ "status": "SERVING" }), "{service:?}");
    }
}
