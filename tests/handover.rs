//! One data directory and the servers that come and go over it.

mod harness;

use harness::program::{Program, client};
use harness::request;
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const RULES: &str = "
domain: d
rules: [{ name: r, count_by: [key], limits: [{ requests: 10, per: year }] }]
";

fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("rules.yaml"), RULES).expect("a writable folder");
    folder
}

async fn health(channel: &Channel) -> ServingStatus {
    let request = HealthCheckRequest { service: "ratelimit".into() };
    let answer = HealthClient::new(channel.clone()).check(request).await;
    answer.expect("health answers throughout").into_inner().status()
}

#[tokio::test]
async fn a_successor_waits_for_the_directory_and_goes_on_counting() {
    let folder = folder();
    let mut first = Program::start(folder.path(), &[]);
    let channel = first.connect().await;
    first.line_with("ready").await;
    for used in 1..=7 {
        let answer = client(&channel).ask("d", &["key=a"]).await;
        assert_eq!(answer.statuses[0].limit_remaining, 10 - used);
    }
    let mut second = Program::start(folder.path(), &["--lock-wait-seconds", "30"]);
    let successor = second.connect().await;
    second.line_with("waiting for another server").await;
    assert_eq!(health(&successor).await, ServingStatus::NotServing);
    let early = client(&successor).call(request("d", &["key=a"])).await.expect_err("not yet");
    assert_eq!(early.code(), Code::Unavailable);
    assert_eq!(first.stop().await, 0);
    second.line_with("ready").await;
    second.leave_log();
    while health(&successor).await == ServingStatus::NotServing {
        tokio::task::yield_now().await;
    }
    let answer = client(&successor).ask("d", &["key=a"]).await;
    assert_eq!(answer.statuses[0].limit_remaining, 2, "a graceful stop loses nothing");
    assert_eq!(second.stop().await, 0);
}

#[tokio::test]
async fn a_second_server_gives_up_with_a_reason_when_its_patience_ends() {
    let folder = folder();
    let mut first = Program::start(folder.path(), &[]);
    first.line_with("ready").await;
    let mut second = Program::start(folder.path(), &["--lock-wait-seconds", "0"]);
    let reason = second.line_with("error: another server still uses").await;
    assert!(reason.contains("--lock-wait-seconds"), "{reason}");
    assert_eq!(second.child.wait().await.expect("it ends").code(), Some(1));
    assert_eq!(first.stop().await, 0);
}

#[tokio::test]
async fn strict_limits_need_a_directory() {
    let folder = folder();
    let strict = RULES.replace("per: year", "per: year, durability: strict");
    std::fs::write(folder.path().join("rules.yaml"), strict).expect("a writable folder");
    let mut with = Program::start(folder.path(), &[]);
    let channel = with.connect().await;
    with.line_with("ready").await;
    assert_eq!(client(&channel).ask("d", &["key=a"]).await.statuses[0].limit_remaining, 9);
    assert_eq!(with.stop().await, 0);
    let rules = folder.path().join("rules.yaml");
    let mut without = tokio::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let without = without.args(["serve", "--grpc", "127.0.0.1:0", "--rules"]).arg(rules);
    let ended = without.output().await.expect("it starts");
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("r.year") && said.contains("--data"), "{said}");
}
