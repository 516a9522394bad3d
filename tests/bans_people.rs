//! Bans as people see, set and lift them, and what becomes of them when power is lost.

mod harness;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use harness::disk::TestDisk;
use harness::http::Http;
use harness::{NOON, PeopleOf, Server, rules};
use serde_json::{Value, json};
use tollgate::audit::{Audit, Who};
use tollgate::calendar::rfc3339;
use tollgate::gate::Gate;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use tollgate::grpc::proto::tollgate::v1::bans_client::BansClient;
use tollgate::grpc::proto::tollgate::v1::{BanRequest, Entry, ListBansRequest, UnbanRequest};
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::quota::{Quota, Sentence, Subject};
use tollgate::store::journal::{self, Shared};
use tollgate::time::{ManualClock, SECOND_US};

const RULES: &str = "
domain: d
secret_entries: [key]
rules:
  - name: per-key
    count_by: [key, region]
    limits: [{ requests: 1, per: minute }]
    ban: { of: refusals, after: 2, within: 1m, for: 15m }
  - name: dry
    count_by: [key]
    enforce: 0%
    ban: { of: hits, after: 2, within: 1m, for: 15m }
  - name: none
    count_by: [key]
    limits: [{ requests: 1000, per: minute }]
";

const CALL: &str = "key=sk_live_8842_4f9a,region=eu";

fn who() -> Value {
    json!({
        "domain": "d",
        "rule": "per-key",
        "entries": { "key": "sk_live_8842_4f9a", "region": "eu" },
    })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

#[tokio::test]
async fn bans_are_listed_and_lifted() {
    let server = Server::start(RULES).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    let none = json!({ "domain": "d", "bans": [], "total": 0 });
    assert_eq!(http.get("/v1/bans?domain=d").await.good(), none);
    for _ in 0..3 {
        client.ask("d", &[CALL]).await;
    }
    server.advance_s(10);
    let listed = http.get("/v1/bans?domain=d").await.good();
    assert_eq!(listed["total"], 2);
    let bans = listed["bans"].as_array().expect("bans");
    let of = |rule: &str| bans.iter().find(|ban| ban["rule"] == rule).expect("a ban");
    let ban = of("per-key");
    assert_eq!(ban["why"], "2 refusals within 60 s");
    assert_eq!((&ban["strikes"], &ban["shadow"]), (&json!(1), &json!(false)));
    assert_eq!(ban["since"], rfc3339(NOON));
    assert_eq!(ban["until"], rfc3339(NOON.plus(900 * SECOND_US)));
    assert_eq!(ban["reset_seconds"], 890);
    let key = ban["values"]["key"].as_str().expect("a key");
    assert!(key.ends_with("…4f9a") && !key.contains("8842"), "{key}");
    assert_eq!(ban["values"]["region"], "eu");
    assert_eq!(of("dry")["shadow"], true);
    let metrics = http.get("/metrics").await.text;
    for line in [
        "tollgate_bans{domain=\"d\",rule=\"per-key\"} 1",
        "tollgate_bans_total{domain=\"d\",rule=\"per-key\"} 1",
        "tollgate_bans_total{domain=\"d\",rule=\"dry\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing from {metrics}");
    }

    let lifted = http.post("/v1/unban", who()).await.good();
    assert_eq!(lifted["lifted"]["rule"], "per-key");
    server.advance_s(50);
    assert_eq!(client.ask("d", &[CALL]).await.overall_code(), Code::Ok);
    let one = http.get("/v1/bans?domain=d&rule=per-key").await.good();
    assert_eq!(one, none);
    let (status, message) = http.post("/v1/unban", who()).await.refused();
    assert_eq!((status, &*message), (404, "rule `per-key` keeps nobody with these entries out"));
    // What was lifted is forgotten: the next one is a first one.
    for _ in 0..2 {
        client.ask("d", &[CALL]).await;
    }
    let listed = http.get("/v1/bans?domain=d&rule=per-key").await.good();
    assert_eq!(listed["bans"][0]["strikes"], 1);
    // And it ends by itself.
    server.advance_s(900);
    assert_eq!(http.get("/v1/bans?domain=d").await.good(), none);
}

#[tokio::test]
async fn bans_are_set_by_hand_and_every_change_is_written_down() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let log = folder.path().join("audit");
    let people = PeopleOf { audit_log: Some(&log), ..PeopleOf::default() };
    let server = Server::start_for(RULES, people).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    let asked = with(with(who(), "for_seconds", json!(600)), "why", json!("a leaked key"));
    let banned = http.post("/v1/ban", asked).await.good();
    assert_eq!(banned["banned"]["why"], "a leaked key");
    let refused = client.ask("d", &[CALL]).await;
    assert_eq!(refused.overall_code(), Code::OverLimit);
    assert_eq!(refused.statuses[0].duration_until_reset.expect("a wait").seconds, 600);
    // One that follows is a repetition.
    server.advance_s(600);
    for _ in 0..3 {
        client.ask("d", &[CALL]).await;
    }
    let listed = http.get("/v1/bans?domain=d&rule=per-key").await.good();
    assert_eq!(listed["bans"][0]["strikes"], 2);
    assert_eq!(listed["bans"][0]["reset_seconds"], 1800);
    http.post("/v1/unban", who()).await.good();
    let lines = fs::read_to_string(&log).expect("a log");
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let what: Vec<_> = lines.iter().map(|line| &line["what"]).collect();
    assert_eq!(what, ["ban", "unban"]);
    assert_eq!(lines[0]["ban"]["why"], "a leaked key");
    let shown = lines[0]["entries"][0][1].as_str().expect("a value");
    assert!(shown.ends_with("…4f9a") && shown.len() == "0123456789abcdef…4f9a".len(), "{shown}");

    for (asked, status, said) in [
        (with(who(), "for_seconds", json!(0)), 400, "1 to 31536000 seconds"),
        (with(with(who(), "for_seconds", json!(1)), "rule", json!("nome")), 404, "no rule `nome`"),
        (with(with(who(), "for_seconds", json!(1)), "rule", json!("none")), 404, "add `ban:`"),
        (
            with(with(who(), "for_seconds", json!(1)), "entries", json!({ "key": "a" })),
            400,
            "counts by key, region; give all of them",
        ),
        (
            with(with(who(), "for_seconds", json!(1)), "why", json!("x".repeat(201))),
            400,
            "200 characters",
        ),
    ] {
        let refused = http.post("/v1/ban", asked).await.refused();
        assert!(refused.0 == status && refused.1.contains(said), "{refused:?}");
    }
    let refused = http.get("/v1/bans?domain=e").await.refused();
    assert_eq!(refused, (404, "no rules are loaded for domain `e`".into()));
    assert_eq!(http.get("/v1/bans?domain=d&limit=0").await.refused().0, 400);
}

#[tokio::test]
async fn a_network_wider_than_a_rule_counts_by_is_not_banned_in_vain() {
    // The answer said that it was kept out, and nobody was.
    const NETWORKS: &str = "
domain: d
rules:
  - name: logins
    count_by: [{ entry: ip, v4: 24, v6: 64 }]
    ban: { of: hits, after: 9, within: 1m, for: 15m }
";
    let server = Server::start(NETWORKS).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    let ban = |ip: &str| {
        let entries = json!({ "ip": ip });
        json!({ "domain": "d", "rule": "logins", "for_seconds": 60, "entries": entries })
    };
    let refused = http.post("/v1/ban", ban("10.0.0.0/16")).await.refused();
    assert!(refused.0 == 400 && refused.1.contains("wider than what rule `logins`"), "{refused:?}");
    http.post("/v1/ban", ban("10.0.7.0/24")).await.good();
    let answer = client.ask("d", &["ip=10.0.7.9"]).await;
    assert_eq!(answer.overall_code(), Code::OverLimit);
    let metrics = http.get("/metrics").await.text;
    let line = "tollgate_bans{domain=\"d\",rule=\"logins\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn erasing_forgets_bans_and_what_counts_towards_them() {
    let server = Server::start(RULES).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    for _ in 0..3 {
        client.ask("d", &[CALL]).await;
    }
    for _ in 0..2 {
        client.ask("d", &["key=b,region=eu"]).await;
    }
    let erase = |key: &str| json!({ "domain": "d", "entries": { "key": key, "region": "eu" } });
    for key in ["sk_live_8842_4f9a", "b"] {
        http.post("/v1/erase", erase(key)).await.good();
    }
    assert_eq!(http.get("/v1/bans?domain=d").await.good()["total"], 0);
    // One refusal of `b` is forgotten: the next is not the second.
    for _ in 0..2 {
        client.ask("d", &["key=b,region=eu"]).await;
    }
    assert_eq!(http.get("/v1/bans?domain=d&rule=per-key").await.good()["total"], 0);
}

#[tokio::test]
async fn grpc_says_and_does_the_same() {
    let server = Server::start(RULES).await;
    let address = format!("http://{}", server.http);
    let mut bans = BansClient::connect(address).await.expect("the server accepts");
    let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
    let entries = vec![entry("key", "sk_live_8842_4f9a"), entry("region", "eu")];
    let ban = BanRequest {
        domain: "d".into(),
        rule: "per-key".into(),
        entries: entries.clone(),
        for_seconds: 60,
        why: None,
    };
    let banned = bans.ban(ban.clone()).await.expect("a ban").into_inner();
    assert_eq!((&*banned.why, banned.reset_seconds), ("set by hand", 60));
    let list = ListBansRequest { domain: "d".into(), rule: None, limit: None };
    let listed = bans.list_bans(list).await.expect("a list").into_inner();
    assert_eq!((listed.total, listed.bans), (1, vec![banned.clone()]));
    let unban = UnbanRequest { domain: "d".into(), rule: "per-key".into(), entries, id: None };
    let both = UnbanRequest { id: Some(banned.id.clone()), ..unban.clone() };
    let status = bans.unban(both).await.expect_err("two ways at once");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(bans.unban(unban.clone()).await.expect("it is lifted").into_inner(), banned);
    let status = bans.unban(unban).await.expect_err("nobody is kept out");
    assert_eq!(status.code(), tonic::Code::NotFound);
    let again = bans.ban(ban).await.expect("a ban").into_inner();
    let by_id =
        UnbanRequest { domain: "d".into(), id: Some(again.id.clone()), ..Default::default() };
    assert_eq!(bans.unban(by_id.clone()).await.expect("it is lifted").into_inner(), again);
    let status = bans.unban(by_id).await.expect_err("nobody is kept out");
    assert_eq!(status.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_ban_is_lifted_by_what_its_list_shows() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let log = folder.path().join("audit");
    let people = PeopleOf { audit_log: Some(&log), ..PeopleOf::default() };
    // Nothing is said of secrets, so that of every value but the end is hidden.
    let server = Server::start_for(&RULES.replace("secret_entries: [key]\n", ""), people).await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    let other = "key=sk_live_8843_4f9a,region=eu";
    for _ in 0..3 {
        client.ask("d", &[CALL]).await;
        client.ask("d", &[other]).await;
    }
    let listed = http.get("/v1/bans?domain=d&rule=per-key").await.good();
    let bans = listed["bans"].as_array().expect("bans");
    assert_eq!(bans[0]["values"], bans[1]["values"], "only the ids tell them apart");
    let id = |number: usize| bans[number]["id"].as_str().expect("an id").to_owned();
    assert!(id(0).len() == 16 && id(0) != id(1), "{listed}");
    let lifted = http.post("/v1/unban", json!({ "domain": "d", "id": id(0) })).await.good();
    assert_eq!(lifted["lifted"]["id"], bans[0]["id"]);
    let left = http.get("/v1/bans?domain=d&rule=per-key").await.good();
    assert_eq!((&left["total"], &left["bans"][0]["id"]), (&json!(1), &bans[1]["id"]));
    let line = fs::read_to_string(&log).expect("a log");
    let line: Value = serde_json::from_str(line.trim_end()).expect("one line of JSON");
    assert_eq!((&line["what"], &line["ban"]["rule"]), (&json!("unban"), &json!("per-key")));
    assert_eq!(line["entries"][0][1], "…4f9a");
    // It stays lifted, and what counted towards it is forgotten.
    server.advance_s(60);
    let mut passed = Vec::new();
    for call in [CALL, other] {
        passed.push(client.ask("d", &[call]).await.overall_code() == Code::Ok);
    }
    passed.sort_unstable();
    assert_eq!(passed, [false, true]);

    for (asked, status, said) in [
        (json!({ "domain": "d", "id": id(0) }), 404, "no ban in force has the id"),
        (json!({ "domain": "d", "id": "…4f9a" }), 404, "no ban in force has the id"),
        (json!({ "domain": "e", "id": id(1) }), 404, "no rules are loaded"),
        (json!({ "domain": "d" }), 400, "by its `id`, or by `rule` and `entries`"),
        (with(who(), "id", json!(id(1))), 400, "by its `id`, or by `rule` and `entries`"),
    ] {
        let refused = http.post("/v1/unban", asked).await.refused();
        assert!(refused.0 == status && refused.1.contains(said), "{refused:?}");
    }
}

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

    fn passes(&self, key: &str) -> bool {
        let entries = [("key", key), ("region", "eu")].into_iter().collect();
        let descriptors = [Descriptor { entries, hits: Hits::Take(1), limit: None }];
        let descriptors = descriptors.into_iter().collect();
        let query = Query { domain: "d", descriptors, receipt: None };
        let gate = self.quota.gate();
        gate.decide(&gate.rules(), &query).admitted
    }

    fn banned(&self) -> u64 {
        self.quota.bans("d", Some("per-key"), 10).expect("a list").total
    }

    fn end(self) {
        self.shared.stop();
        self.writer.join().expect("the writer ends");
    }
}

#[tokio::test]
async fn what_people_did_is_there_after_power_is_lost() {
    let disk = TestDisk::default();
    let mut process = Process::start(&disk);
    let entries = |key| [("key", key), ("region", "eu")].into_iter().collect();
    for key in ["a", "b"] {
        let subject = Subject { domain: "d", entries: entries(key) };
        let sentence = Sentence { rule: "per-key", for_s: 60, why: None };
        process.quota.ban(WHO, &subject, sentence).await.expect("a ban");
    }
    let subject = Subject { domain: "d", entries: entries("b") };
    process.quota.unban(WHO, &subject, "per-key").await.expect("it is lifted");
    disk.lose_power(0.0);
    let first = std::mem::replace(&mut process, Process::start(&disk));
    assert_eq!((process.passes("a"), process.passes("b")), (false, true));
    assert_eq!(process.banned(), 1);
    first.end();
    process.end();
}

#[tokio::test]
async fn bans_and_offences_are_back_after_a_restart() {
    let disk = TestDisk::default();
    let process = Process::start(&disk);
    // `a` is kept out; `b` has one refusal.
    let passed: Vec<_> = ["a", "a", "a", "b", "b"].map(|key| process.passes(key)).into();
    assert_eq!(passed, [true, false, false, true, false]);
    process.end();
    let process = Process::start(&disk);
    assert_eq!(process.banned(), 1);
    assert!(!process.passes("a"));
    assert!(!process.passes("b"));
    assert_eq!(process.banned(), 2, "the second refusal of `b`");
    process.end();
}
