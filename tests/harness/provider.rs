//! A provider's API as its customers meet it: the rules and the Envoy of `deploy/`, a real Envoy,
//! and the assertions that read like the provider's page.

use std::fs;
use std::path::Path;

use tollgate::time::Timestamp;

use super::envoy::{Answer, Edge};
use super::request;

pub fn shipped(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rules of a provider, with whole paths to the files that they name: a path in rules is
/// relative to their file, and rules given as text have none.
pub fn rules(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rules/providers");
    let keys = format!("from: {name}-keys");
    shipped(&format!("rules/providers/{name}.yaml"))
        .replace(&keys, &format!("from: {}/{name}-keys", folder.display()))
}

pub fn envoy(name: &str) -> String {
    shipped(&format!("envoy/providers/{name}.yaml"))
}

/// The API of a provider whose files are called by its name, at a moment in seconds since 1970.
pub async fn open(name: &str, at_s: u64) -> Option<Edge> {
    open_with(name, &rules(name), at_s).await
}

/// The same with other rules than those that are shipped.
pub async fn open_with(name: &str, rules: &str, at_s: u64) -> Option<Edge> {
    let edge = Edge::start_shipped(&format!("provider {name}"), rules, &envoy(name)).await?;
    edge.server.clock.set(Timestamp::from_secs(at_s));
    Some(edge)
}

/// Uses up so many requests at once, past Envoy: a thousand times the same would show nothing more.
pub async fn spend(edge: &Edge, domain: &str, descriptor: &str, hits: u32) {
    let mut request = request(domain, &[descriptor]);
    request.hits_addend = hits;
    let answer = edge.server.client().await.call(request).await.expect("an answer");
    assert_eq!(answer.overall_code, 1, "{hits} hits pass");
}

/// Fails unless a response says this of its limit: how much there is, what is left, and when it
/// resets.
pub fn assert_limit(answer: &Answer, status: u16, [limit, remaining, reset]: [u64; 3]) {
    assert_eq!(answer.status, status, "{answer:?}");
    let number = |name| answer.header(name).and_then(|value| value.parse::<u64>().ok());
    let names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    assert_eq!(names.map(number), [limit, remaining, reset].map(Some), "{answer:?}");
}
