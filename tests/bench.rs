//! `tollgate bench` as its users meet it: against a real server, against what is none, and by the
//! words of its reports.

mod harness;

use std::process::{Output, Stdio};
use std::time::Duration;

use harness::{PATIENCE, Server};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::process::Command;

/// A budget of 300 for each key.
const RULES: &str = "
domain: shop
rules:
  - name: per-key
    count_by: [key]
    limits: [{ requests: 300, per: hour }]
";

fn bench(target: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(["bench", "--target", target, "--domain", "shop", "--warm-up", "0s"]);
    command.args(arguments).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end: exit code, what was printed, and what was complained of.
async fn run(target: &str, arguments: &[&str]) -> (i32, String, String) {
    let ended = tokio::time::timeout(PATIENCE, bench(target, arguments).output()).await;
    let Output { status, stdout, stderr } = ended.expect("it ends by itself").expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("messages are text");
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

/// Runs with `--json` and reads the report.
async fn json(target: &str, arguments: &[&str]) -> Value {
    let (code, out, error) = run(target, &[arguments, &["--json"]].concat()).await;
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    serde_json::from_str(&out).expect("a report in JSON")
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    taken.local_addr().expect("bound").to_string()
}

#[tokio::test]
async fn a_closed_loop_makes_as_many_calls_as_asked_and_tells_their_answers() {
    let server = Server::start(RULES).await;
    let addr = server.addr.to_string();
    // The call ahead of the run takes one of the 300.
    let counts = ["--keys", "1", "--requests", "1000"];
    let report = json(&addr, &[&["key={key}"], &counts[..]].concat()).await;
    let target = &report["targets"][0];
    assert_eq!(report["loop"], "closed");
    assert_eq!(target["target"], addr);
    assert_eq!(target["answered"], 1000);
    assert_eq!(target["codes"]["OK"], 299);
    assert_eq!(target["codes"]["OVER_LIMIT"], 701);
    assert_eq!(target["errors"], serde_json::json!({}));
    assert_eq!(target["named_a_limit"], true);
    let quantile = |name: &str| target["latency_us"][name].as_f64().expect("a number");
    let rising = ["p50", "p75", "p90", "p99", "p99.9", "p99.99", "max"].map(quantile);
    // Microseconds: no call over a socket takes less than one.
    assert!(1.0 < rising[0] && rising.is_sorted(), "{report:#}");
    server.stop().await;
}

#[tokio::test]
async fn keys_in_turn_reach_every_counter_over_several_threads() {
    let server = Server::start(RULES).await;
    let addr = server.addr.to_string();
    let spread = ["--keys", "50", "--choice", "in-turn", "--threads", "2", "--connections", "3"];
    let calls = ["--requests", "300", "--hits", "100"];
    // Two descriptors, each with a key of its own: 600 keys of 50, at 100 hits each.
    let each = ["key={each}", "key={each}"];
    let report = json(&addr, &[&each, &spread[..], &calls[..]].concat()).await;
    assert_eq!(report["targets"][0]["answered"], 300);
    assert_eq!(server.gate.counters(), 50);
    server.stop().await;
}

#[tokio::test]
async fn an_open_loop_holds_its_rate() {
    let server = Server::start(RULES).await;
    let addr = server.addr.to_string();
    let open = ["--rate", "500", "--duration", "1s", "--connections", "2"];
    let report = json(&addr, &[&["key={key}"], &open[..]].concat()).await;
    let target = &report["targets"][0];
    assert_eq!(report["loop"], "open");
    let sent = target["answered"].as_u64().expect("a number");
    let unsent = target["unsent"].as_u64().expect("a number");
    // Every call that fell due is accounted for, whatever this machine was busy with.
    assert!((499..=501).contains(&(sent + unsent)), "{report:#}");
    assert!(450 < sent, "{report:#}");
    server.stop().await;
}

#[tokio::test]
async fn two_targets_are_compared_round_by_round() {
    let first = Server::start(RULES).await;
    let second = Server::start(RULES).await;
    let (one, other) = (first.addr.to_string(), second.addr.to_string());
    let compare = ["--compare", &other, "--rounds", "3", "--requests", "200"];
    let report = json(&one, &[&["key={key}"], &compare[..]].concat()).await;
    let targets = report["targets"].as_array().expect("a list");
    assert_eq!(targets.len(), 2);
    for (target, addr) in targets.iter().zip([&one, &other]) {
        assert_eq!((&target["target"], &target["rounds"]), (&addr.as_str().into(), &3.into()));
        assert_eq!(target["answered"], 600);
    }
    for figure in ["answers a second", "p50", "p99.9"] {
        let ratio = |name: &str| report["ratios"][figure][name].as_f64().expect("a number");
        assert!(ratio("least") <= ratio("median") && ratio("median") <= ratio("most"));
    }
    let (code, out, _) = run(&one, &[&["key={key}"], &compare[..]].concat()).await;
    assert_eq!(code, 0);
    assert!(out.contains(&format!("{one} over {other}")), "{out}");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn people_read_a_table() {
    let server = Server::start(RULES).await;
    let arguments = ["key={key}", "--requests", "100", "--keys", "100000"];
    let (code, out, error) = run(&server.addr.to_string(), &arguments).await;
    assert_eq!((code, error.as_str()), (0, ""));
    for expected in ["closed loop: 4 connections", "answers", "OK", "100.0 %", "p99.9", "max"] {
        assert!(out.contains(expected), "{expected} is missing from:\n{out}");
    }
    assert!(!out.contains("note:"), "{out}");
    server.stop().await;
}

#[tokio::test]
async fn a_domain_without_rules_is_noticed() {
    let server = Server::start(RULES).await;
    let arguments = ["other=x", "--requests", "100"];
    let (code, out, _) = run(&server.addr.to_string(), &arguments).await;
    assert_eq!(code, 0);
    assert!(out.contains("no answer named a limit"), "{out}");
    server.stop().await;
}

#[tokio::test]
async fn errors_are_counted_by_their_code() {
    let server = Server::start(RULES).await;
    // One entry more than a descriptor may have.
    let entries = ["a=1"; 257].join(",");
    let (code, out, error) = run(&server.addr.to_string(), &[&entries, "--requests", "100"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("INVALID_ARGUMENT") && out.contains("100"), "{out}");
    assert!(error.contains("answered none of the calls"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_target_that_is_not_there_is_told_in_words() {
    let addr = nobody().await;
    let (code, out, error) = run(&addr, &["key={key}"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains(&format!("nobody listens at {addr}")), "{error}");
    let folder = TempDir::new().expect("a folder");
    let path = format!("unix:{}", folder.path().join("absent").display());
    let (code, _, error) = run(&path, &["key={key}"]).await;
    assert_eq!(code, 1);
    assert!(error.contains(&format!("nobody listens at {path}")), "{error}");
}

#[tokio::test]
async fn a_target_that_speaks_something_else_is_told_in_words() {
    let server = Server::start(RULES).await;
    let (code, _, error) = run(&server.http.to_string(), &["key={key}"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("not envoy.service.ratelimit.v3.RateLimitService"), "{error}");
    server.stop().await;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound").to_string();
    let old = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a caller");
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.expect("a preface");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("a reader");
    });
    let (code, _, error) = run(&addr, &["key={key}"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("does not speak HTTP/2"), "{error}");
    old.await.expect("no panic");
}

/// Carries bytes between a Unix socket and a server.
async fn carry(listener: UnixListener, addr: std::net::SocketAddr) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut server = tokio::net::TcpStream::connect(addr).await.expect("a server");
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
        });
    }
}

#[tokio::test]
async fn a_unix_socket_is_a_target() {
    let server = Server::start(RULES).await;
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let carrying = tokio::spawn(carry(listener, server.addr));
    let target = format!("unix:{}", path.display());
    let report = json(&target, &["key={key}", "--requests", "50"]).await;
    assert_eq!(report["targets"][0]["target"], target);
    assert_eq!(report["targets"][0]["answered"], 50);
    carrying.abort();
    server.stop().await;
}

#[tokio::test]
async fn an_interrupted_run_prints_what_it_has() {
    let server = Server::start(RULES).await;
    let arguments = ["key={key}", "--duration", "1h", "--rate", "200", "--json"];
    let mut child = bench(&server.addr.to_string(), &arguments).spawn().expect("it starts");
    // The first call is made ahead of the run.
    let begun = async {
        while server.gate.decisions().admitted < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("it calls");
    let id = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status().await;
    assert!(sent.expect("kill exists").success());
    let mut out = String::new();
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_to_string(&mut out).await.expect("text");
    assert!(child.wait().await.expect("it ends").success());
    let report: Value = serde_json::from_str(&out).expect("a report in JSON");
    assert!(0 < report["targets"][0]["answered"].as_u64().expect("a number"), "{report:#}");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_falls_silent_does_not_hold_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound").to_string();
    let silent = tokio::spawn(async move {
        let _open = listener.accept().await;
        std::future::pending::<()>().await;
    });
    let (code, _, error) = run(&addr, &["key={key}"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("did not answer within 5 s"), "{error}");
    silent.abort();
}

#[tokio::test]
async fn templates_that_cannot_be_are_refused() {
    for (descriptor, reason) in
        [("key", "`key` is no entry"), ("key={id}", "`{id}` is no placeholder")]
    {
        let (code, _, error) = run("127.0.0.1:1", &[descriptor]).await;
        assert_eq!(code, 1);
        assert!(error.contains(reason), "{error}");
    }
    for wrong in [["--rate", "0"], ["--duration", "10"], ["--keys", "0"], ["--connections", "0"]] {
        assert_eq!(run("127.0.0.1:1", &[&["key={key}"], &wrong[..]].concat()).await.0, 2);
    }
}
