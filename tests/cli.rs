//! The binary as an operator meets it: exit codes, messages, signals.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

const GOOD: &str = "domain: d\nrules: [{ name: r, limits: [{ requests: 1, per: day }] }]\n";
const BAD: &str = "domain: d\nrules: [{ name: r, limits: [{ requests: one, per: day }] }]\n";

/// Any free port.
const ANY: &str = "127.0.0.1:0";

fn tollgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = tollgate(arguments).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("messages are text");
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a writable folder");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

#[test]
fn check_passes_good_rules_with_a_summary() {
    let folder = TempDir::new().expect("a folder");
    let (code, out, _) = run(&["check", text(&write(&folder, "good.yaml", GOOD))]);
    assert_eq!((code, out.as_str()), (0, "no errors in 1 file: 1 domain, 1 rule, 1 limit\n"));
}

#[test]
fn check_reports_every_error_of_every_file_at_once() {
    let folder = TempDir::new().expect("a folder");
    write(&folder, "a.yaml", BAD);
    write(&folder, "b.yaml", "domain: e\nruels: []\ntime_zone: Mars\n");
    write(&folder, "notes.txt", "not rules");
    let (code, _, error) = run(&["check", text(folder.path())]);
    assert_eq!(code, 1);
    for expected in ["a.yaml:2:41", "b.yaml:2:1", "b.yaml:3:12", "3 errors in the rules"] {
        assert!(error.contains(expected), "{expected} is missing from:\n{error}");
    }
}

#[test]
fn check_names_paths_that_cannot_be_read() {
    let folder = TempDir::new().expect("a folder");
    for path in [folder.path().join("absent.yaml"), folder.path().to_owned()] {
        let (code, _, error) = run(&["check", text(&path)]);
        assert_eq!(code, 1);
        assert!(error.contains(text(&path)), "{error}");
    }
}

#[test]
fn serve_refuses_to_start_on_bad_rules() {
    let folder = TempDir::new().expect("a folder");
    let (code, _, error) = run(&["serve", "--rules", text(&write(&folder, "bad.yaml", BAD))]);
    assert_eq!(code, 1);
    assert!(error.contains("`one` is not a number of requests"), "{error}");
}

#[test]
fn serve_says_when_its_port_is_in_use() {
    let folder = TempDir::new().expect("a folder");
    let rules = write(&folder, "good.yaml", GOOD);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("bound").to_string();
    for (flag, other) in [("--grpc", "--http"), ("--http", "--grpc")] {
        let arguments = ["serve", "--rules", text(&rules), flag, &addr, other, ANY];
        let (code, _, error) = run(&arguments);
        assert_eq!(code, 1);
        assert!(error.contains(&format!("cannot listen on {addr}")), "{error}");
        assert!(error.contains(flag), "{error}");
    }
}

#[test]
fn serve_refuses_an_unfit_token_file_and_an_audit_log_that_cannot_be() {
    let folder = TempDir::new().expect("a folder");
    let rules = write(&folder, "good.yaml", GOOD);
    let (short, absent) = (write(&folder, "short", "secret\n"), folder.path().join("absent"));
    let no_folder = folder.path().join("none/audit.log");
    for (flag, path, reason) in [
        ("--token-file", &short, "its token has 6 characters; at least 16 are needed"),
        ("--token-file", &absent, "it cannot be read"),
        ("--audit-log", &no_folder, "cannot write the audit log"),
    ] {
        let ports = ["--grpc", ANY, "--http", ANY];
        let arguments =
            [&["serve", "--rules", text(&rules), flag, text(path)], &ports[..]].concat();
        let (code, _, error) = run(&arguments);
        assert_eq!(code, 1);
        assert!(error.contains(reason) && error.contains(text(path)), "{error}");
    }
}

#[test]
fn serve_says_what_a_port_beyond_loopback_lacks() {
    let folder = TempDir::new().expect("a folder");
    let rules = write(&folder, "good.yaml", GOOD);
    let arguments = ["serve", "--rules", text(&rules), "--grpc", ANY, "--http", "0.0.0.0:0"];
    let mut served = Served::start(tollgate(&arguments));
    let line = served.line_with("beyond loopback without a token");
    assert!(line.contains("WARN") && line.contains("--token-file"), "{line}");
    served.line_with("serving gRPC");
    served.signal("TERM");
    assert_eq!(served.end().0, 0);
}

#[test]
fn wrong_usage_ends_with_two() {
    for wrong in [&["serve"][..], &["serve", "--rules"], &["sing"], &[]] {
        assert_eq!(run(wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn flags_of_later_releases_are_refused_and_named() {
    let (code, _, error) = run(&["serve", "--rules", "x", "--store", "y"]);
    assert_eq!(code, 2);
    assert!(error.contains("--store") && error.contains("not built yet"), "{error}");
}

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `serve`, killed when dropped, or when a test waits for a line that never comes.
struct Served {
    child: Child,
    log: BufReader<ChildStderr>,
    _alive: mpsc::Sender<()>,
}

impl Served {
    fn start(mut command: Command) -> Served {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let (_alive, ended) = mpsc::channel::<()>();
        let id = child.id().to_string();
        thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-s", "KILL", &id]).status();
            }
        });
        Served { child, log, _alive }
    }

    /// Reads the log up to the line that holds `text`.
    fn line_with(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = self.log.read_line(&mut line).expect("a readable log");
            assert!(0 < read, "the log ended before `{text}`");
        }
        line
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill exists");
        assert!(sent.success());
    }

    fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("a readable log");
        let code = self.child.wait().expect("it ends").code();
        (code.expect("it ends by itself"), rest)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serve_runs_until_a_signal_and_drains() {
    let folder = TempDir::new().expect("a folder");
    let rules = write(&folder, "good.yaml", GOOD);
    for signal in ["TERM", "INT"] {
        let mut served = Served::start(tollgate(&[
            "serve",
            "--rules",
            text(&rules),
            "--grpc",
            ANY,
            "--http",
            ANY,
        ]));
        served.line_with("serving gRPC");
        served.signal(signal);
        let (code, log) = served.end();
        assert_eq!(code, 0);
        assert!(log.contains("draining") && log.contains("drained"), "{log}");
    }
}

#[test]
fn a_hangup_reloads_good_rules_and_refuses_bad_ones() {
    let folder = TempDir::new().expect("a folder");
    let rules = write(&folder, "rules.yaml", GOOD);
    let mut served =
        Served::start(tollgate(&["serve", "--rules", text(&rules), "--grpc", ANY, "--http", ANY]));
    served.line_with("serving gRPC");
    write(&folder, "rules.yaml", BAD);
    served.signal("HUP");
    served.line_with("the rules in force stay");
    served.line_with("is not a number of requests");
    write(&folder, "rules.yaml", &GOOD.replace("name: r", "name: other"));
    served.signal("HUP");
    served.line_with("reloaded");
    let orphan = served.line_with("no rule uses this counter any more");
    assert!(orphan.contains("r.day"), "{orphan}");
    served.signal("TERM");
    assert_eq!(served.end().0, 0);
}

#[test]
fn a_flag_outranks_the_environment() {
    let folder = TempDir::new().expect("a folder");
    let rules = write(&folder, "good.yaml", GOOD);
    let mut command = tollgate(&["serve", "--grpc", ANY, "--http", ANY, "--log-format", "json"]);
    command.env("TOLLGATE_RULES", &rules).env("TOLLGATE_GRPC", "127.0.0.1:1");
    let mut served = Served::start(command);
    let line = served.line_with("serving gRPC");
    let line: serde_json::Value = serde_json::from_str(&line).expect("a log line in JSON");
    let addr: SocketAddr =
        line["fields"]["addr"].as_str().and_then(|addr| addr.parse().ok()).expect("an address");
    assert!(addr.ip().is_loopback() && addr.port() != 1, "{addr}");
    served.signal("TERM");
    assert_eq!(served.end().0, 0);
}
