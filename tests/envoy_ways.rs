//! How a real Envoy reaches the server: under cluster names that are no lawful authority, and by a
//! Unix socket. Whoever runs Istio or Contour has such names, and no place to set another one.

mod harness;

use std::process::Command;

use harness::envoy::{Config, Edge, Envoy};
use harness::{Server, tools};
use serde_json::json;
use tempfile::TempDir;

const RULES: &str = "
domain: shop
rules:
  - { name: per-key, count_by: [key], limits: [{ name: minute, requests: 2, per: minute }] }
";

const BY_KEY: &str = "
- actions:
  - request_headers: { header_name: x-key, descriptor_key: key }
";

/// The filter refuses where it gets no answer, so a 200 says that there was one.
async fn assert_it_counts(envoy: &Envoy) {
    for status in [200, 200, 429] {
        assert_eq!(envoy.get("/", &["x-key: a"]).await.status, status);
    }
}

#[tokio::test]
async fn names_of_istio_and_contour_get_answers() {
    let names =
        ["outbound|8081||ratelimit.default.svc.cluster.local", "extension/contour/ratelimit"];
    for name in names {
        let config = Config { rate_limits: BY_KEY, cluster: Some(name), ..Config::default() };
        let Some(edge) = Edge::start_with("envoy: odd authorities", RULES, config).await else {
            return;
        };
        assert_it_counts(&edge.envoy).await;
    }
}

#[tokio::test]
async fn a_unix_socket_serves_envoy_and_grpcurl() {
    let folder = TempDir::new().expect("a folder");
    let socket = folder.path().join("tollgate.sock");
    let Some(envoy) = tools::find("envoy", "envoy: Unix socket") else { return };
    let Some(grpcurl) = tools::find("grpcurl", "grpcurl: Unix socket") else { return };
    let server = Server::start_at(RULES, &socket).await;
    let config = Config { rate_limits: BY_KEY, socket: Some(&socket), ..Config::default() };
    let edge = Edge::before(&envoy, server, config).await;
    assert_it_counts(&edge.envoy).await;
    let call = json!({
        "domain": "shop", "descriptors": [{ "entries": [{ "key": "key", "value": "a" }] }]
    });
    let mut command = Command::new(grpcurl);
    command.args(["-plaintext", "-unix", "-d", &call.to_string()]).arg(&socket);
    command.arg("envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit");
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = running.await.expect("no panic").expect("grpcurl can be run");
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(answer.contains("OVER_LIMIT"), "{answer}{}", String::from_utf8_lossy(&output.stderr));
    edge.server.stop().await;
    assert!(!socket.exists(), "the socket goes with the server");
}
