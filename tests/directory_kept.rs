//! Rows that people set are on disk before they are answered, and back before calls are.

mod harness;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use harness::disk::TestDisk;
use harness::http::Http;
use harness::program::{Program, client};
use harness::{NOON, rules};
use hyper::Method;
use serde_json::json;
use tempfile::TempDir;
use tollgate::audit::{Audit, Who};
use tollgate::directory::{Written, WrittenStage};
use tollgate::gate::Gate;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::quota::{Quota, Refusal};
use tollgate::store::journal::{self, Shared};
use tollgate::time::{ManualClock, SECOND_US};
use tonic::transport::Channel;

const RULES: &str = "
domain: d
plans:
  free: { limits: [{ name: year, requests: 3, per: year }] }
  pro: { limits: [{ name: year, requests: 10, per: year }] }
rules: [{ name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }]
directory: { by: key }
";

const WHO: Who = Who(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1));

/// A gate over what is on a disk, and the thread that writes to it.
struct Process {
    quota: Quota,
    shared: Arc<Shared>,
    writer: thread::JoinHandle<()>,
}

impl Process {
    fn start(disk: &TestDisk) -> Process {
        let (clock, shared) = (ManualClock::starting_at(NOON), Arc::new(Shared::new()));
        let gate = Gate::kept(rules(RULES), clock.clock(), shared.clone(), 60 * SECOND_US);
        let (memory, disk) = (gate.memory().clone(), Arc::new(disk.clone()));
        let (writer, restored) =
            journal::open(disk, memory, shared.clone(), clock.clock()).expect("a readable journal");
        assert_eq!(restored.damage, [""; 0]);
        gate.open();
        let writer = thread::spawn(move || writer.run());
        Process { quota: Quota::new(Arc::new(gate), Audit::Log), shared, writer }
    }

    async fn set(&self, key: &str, plan: &str) {
        let row = Written::from_json(&json!({ "plan": plan })).expect("a row");
        self.quota.set_directory_row(WHO, "d", key, &row).await.expect("a sound row");
    }

    /// The budget of a key.
    fn budget(&self, key: &str) -> u64 {
        let entries = [("key", key)].into_iter().collect();
        let descriptors = [Descriptor { entries, hits: Hits::Peek, limit: None }];
        let query =
            Query { domain: "d", descriptors: descriptors.into_iter().collect(), receipt: None };
        let gate = self.quota.gate();
        let rules = gate.rules();
        match gate.decide(&rules, &query).statuses[0].standing {
            tollgate::limiter::Standing::Limited { shown, .. } => shown.requests,
            other => panic!("every key has a budget, yet {other:?} is shown"),
        }
    }

    fn end(self) {
        self.shared.stop();
        self.writer.join().expect("the writer ends");
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_power_is_lost() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    process.set("a", "pro").await;
    process.set("b", "pro").await;
    process.set("b", "free").await;
    process.set("c", "pro").await;
    let removed = process.quota.remove_directory_row(WHO, "d", "c").await;
    assert_eq!(removed, Ok(None));
    assert_eq!([process.budget("a"), process.budget("b"), process.budget("c")], [10, 3, 3]);
    // What the first one would still write when it ends must not be what the second one reads.
    disk.lose_power(0.0);
    let first = std::mem::replace(&mut process, Process::start(&disk));
    assert_eq!([process.budget("a"), process.budget("b"), process.budget("c")], [10, 3, 3]);
    let page = process.quota.directory("d", None, 10).expect("a page");
    let keys: Vec<_> = page.rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, ["a", "b"]);
    first.end();
    process.end();
}

#[tokio::test]
async fn no_row_is_taken_that_could_not_be_read_back() {
    // By gRPC an entry could be called `limits` or `from`. That row was answered, and gone after a
    // restart, with the plan that it gave.
    let disk = TestDisk::default();
    let process = Process::start(&disk);
    for word in ["stages", "limits", "from", "until", "anchor_day", "time_zone", "alert_to"] {
        let entries = vec![("plan".into(), "pro".into()), (word.into(), "2026-01-01".into())];
        let stage = WrittenStage { entries, ..WrittenStage::default() };
        let row = Written { stages: vec![stage] };
        let set = process.quota.set_directory_row(WHO, "d", "a", &row).await;
        assert!(matches!(set, Err(Refusal::Invalid(_))), "{word}: {set:?}");
    }
    assert_eq!(process.budget("a"), 3);
    process.end();
}

/// A server over a folder, with its two sides.
async fn start(folder: &Path) -> (Program, Http, Channel) {
    let mut program = Program::start(folder, &[]);
    let line = program.line_with("serving people").await;
    let address = line.split("addr=").nth(1).expect("the line names the address");
    let address = address.split(' ').next().expect("a text has a first word");
    let http = Http::new(address.parse().expect("an address"));
    let channel = program.connect().await;
    program.line_with("ready").await;
    program.leave_log();
    (program, http, channel)
}

#[tokio::test]
async fn kill_9_loses_no_row_that_was_answered() {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("rules.yaml"), RULES).expect("a writable folder");
    let (mut program, http, channel) = start(folder.path()).await;
    assert_eq!(shown(&channel).await, 3);
    let body = json!({ "domain": "d", "key": "a", "row": { "plan": "pro" } });
    http.ask(Method::PUT, "/v1/directory", body.to_string()).await.good();
    program.child.kill().await.expect("it is killed");
    let (mut program, http, channel) = start(folder.path()).await;
    assert_eq!(shown(&channel).await, 10);
    http.ask(Method::DELETE, "/v1/directory?domain=d&key=a", String::new()).await.good();
    program.child.kill().await.expect("it is killed");
    let (program, _, channel) = start(folder.path()).await;
    assert_eq!(shown(&channel).await, 3);
    program.stop().await;
}

/// The budget that a call of the key is shown.
async fn shown(channel: &Channel) -> u32 {
    let answer = client(channel).ask("d", &["key=a"]).await;
    answer.statuses[0].current_limit.as_ref().expect("a limit").requests_per_unit
}
