//! The real binary, started as an operator would, and ended with the test.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use tonic::transport::Channel;

use super::{Client, PATIENCE};

/// A running `serve` over a folder that holds `rules.yaml`; killed when dropped.
pub struct Program {
    pub child: Child,
    log: Option<Lines<BufReader<ChildStderr>>>,
}

impl Program {
    /// Starts a server on a free port that keeps its counters in `data` below the folder.
    pub fn start(folder: &Path, arguments: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]).args(arguments);
        command.arg("--rules").arg(folder.join("rules.yaml"));
        command.arg("--data").arg(folder.join("data"));
        let command = command.stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Program { child, log: Some(log) }
    }

    /// Reads the log up to the line that holds `text`.
    pub async fn line_with(&mut self, text: &str) -> String {
        let log = self.log.as_mut().expect("the log is still read here");
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let line = log.next_line().await.expect("a log").expect("more of it");
                if line.contains(text) {
                    return line;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("no line with `{text}`"))
    }

    /// A connection to the server, which says in its log where it listens.
    pub async fn connect(&mut self) -> Channel {
        let line = self.line_with("serving gRPC").await;
        let after = line.split("addr=").nth(1).expect("the line names the address");
        let addr = after.split(' ').next().expect("a text has a first word");
        let endpoint = Channel::from_shared(format!("http://{addr}")).expect("an address");
        endpoint.connect().await.expect("it accepts")
    }

    /// Leaves the log to itself: somebody has to read it, or the server would wait for room.
    pub fn leave_log(&mut self) {
        if let Some(mut log) = self.log.take() {
            tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        }
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn stop(mut self) -> i32 {
        self.leave_log();
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &id]).status().await;
        assert!(sent.expect("kill exists").success());
        let ended = self.child.wait().await.expect("it ends");
        ended.code().expect("it ends by itself")
    }
}

pub fn client(channel: &Channel) -> Client {
    Client(RateLimitServiceClient::new(channel.clone()))
}
