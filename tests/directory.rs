//! The directory through the wire: a proxy sends a key and nothing else.

mod harness;

use std::fs;

use harness::http::{Answer, Http};
use harness::{Client, NOON, PeopleOf, Server};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::RateLimitOverride;
use tollgate::grpc::proto::envoy::r#type::v3::RateLimitUnit;
use tollgate::grpc::proto::tollgate::v1;
use tollgate::grpc::proto::tollgate::v1::directory_client::DirectoryClient;
use tollgate::time::{SECOND_US, Timestamp};
use tonic::Code;

const OK: i32 = 1;
const OVER: i32 = 2;

const RULES: &str = "
domain: d
plans:
  free: { limits: [{ name: day, requests: 3, per: day }] }
  pro: { limits: [{ name: day, requests: 10, per: day }] }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
  - { name: team, count_by: [team], limits: [{ name: day, requests: 6, per: day }] }
";

/// A server whose directory is a file of this text.
async fn server(rules: &str, file: &str, rows: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join(file);
    fs::write(&path, rows).expect("a file");
    let directory = format!("directory: {{ by: key, from: {} }}\n", path.display());
    (Server::start(&format!("{rules}{directory}")).await, folder)
}

/// How many of so many calls pass.
async fn passing(client: &mut Client, entries: &str, calls: usize) -> usize {
    let mut passed = 0;
    for _ in 0..calls {
        passed += usize::from(client.ask("d", &[entries]).await.overall_code == OK);
    }
    passed
}

#[tokio::test]
async fn a_proxy_that_sends_only_the_key_gets_the_keys_plan() {
    let rows = "key,plan,limit:per-key.day\nalice,pro,\nbob,,5\n";
    let (server, _folder) = server(RULES, "keys.csv", rows).await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=alice", 12).await, 10);
    assert_eq!(passing(&mut client, "key=bob", 12).await, 5, "a budget of its own");
    assert_eq!(passing(&mut client, "key=stranger", 12).await, 3, "unknown keys are `otherwise`");
    let shown = client.ask("d", &["key=bob"]).await;
    let shown = shown.statuses[0].current_limit.as_ref().expect("a limit");
    assert_eq!((shown.name.as_str(), shown.requests_per_unit), ("per-key.day", 5));
    server.stop().await;
}

#[tokio::test]
async fn a_budget_in_place_of_none_bounds_a_bucket() {
    // The unlimited bucket's burst was the largest number there is, and the key's bucket kept it.
    const BUCKET: &str = "
domain: d
rules:
  - name: per-key
    count_by: [key]
    limits: [{ name: rate, requests: unlimited, per: minute, algorithm: token_bucket }]
";
    let (server, _folder) = server(BUCKET, "keys.csv", "key,limit:per-key.rate\nbob,5\n").await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=bob", 12).await, 5);
    assert_eq!(passing(&mut client, "key=stranger", 12).await, 12);
    server.stop().await;
}

#[tokio::test]
async fn a_larger_budget_does_not_end_smoothing() {
    // A bucket of less than its budget was given all of the row's budget to hold.
    const SMOOTH: &str = "
domain: d
rules:
  - name: per-key
    count_by: [key]
    limits: [{ name: rate, requests: 60, per: minute, burst: 5 }]
";
    let (server, _folder) = server(SMOOTH, "keys.csv", "key,limit:per-key.rate\nbob,120\n").await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=bob", 12).await, 5);
    server.advance_s(1);
    assert_eq!(passing(&mut client, "key=bob", 12).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn the_directory_outranks_what_a_call_says_of_itself() {
    let (server, _folder) = server(RULES, "keys.csv", "key,plan\neve,free\n").await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=eve,plan=pro", 12).await, 3);
    assert_eq!(passing(&mut client, "plan=pro,key=eve", 12).await, 0);
    assert_eq!(passing(&mut client, "key=stranger,plan=pro", 12).await, 10);
    server.stop().await;
}

#[tokio::test]
async fn keys_of_a_team_share_its_counter() {
    let rows = "keys:\n  a: { plan: pro, team: blue }\n  b: { plan: pro, team: blue }\n";
    let (server, _folder) = server(RULES, "keys.yaml", rows).await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=a", 4).await, 4);
    assert_eq!(passing(&mut client, "key=b", 4).await, 2, "six of the team in all");
    server.stop().await;
}

#[tokio::test]
async fn a_budget_that_a_call_brings_along_outranks_the_directory() {
    let (server, _folder) = server(RULES, "keys.csv", "key,plan,team\na,pro,blue\n").await;
    let mut client = server.client().await;
    let mut request = harness::request("d", &["key=a"]);
    let unit = RateLimitUnit::Minute.into();
    let limit = RateLimitOverride { requests_per_unit: 1, unit, unit_multiplier: None };
    request.descriptors[0].limit = Some(limit);
    let mut code = async || client.call(request.clone()).await.expect("an answer").overall_code;
    assert_eq!([code().await, code().await], [OK, OVER]);
    server.stop().await;
}

#[tokio::test]
async fn a_scheduled_change_takes_effect_at_its_moment_and_keeps_what_was_used() {
    let rows = "
keys:
  a:
    plan: free
    stages:
      - { from: 2026-03-10T12:30:00Z, until: 2026-03-10T18:00:00Z, plan: pro }
      - { from: 2026-03-10T13:00:00Z, limits: { per-key.day: 6 } }
";
    let (server, _folder) = server(RULES, "keys.yaml", rows).await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=a", 5).await, 3);
    let half_past = NOON.plus(30 * 60 * SECOND_US);
    server.clock.set(Timestamp::from_micros(half_past.as_micros() - 1));
    assert_eq!(passing(&mut client, "key=a", 1).await, 0);
    server.clock.set(half_past);
    assert_eq!(passing(&mut client, "key=a", 2).await, 2, "five of ten are used");
    server.clock.set(half_past.plus(30 * 60 * SECOND_US));
    assert_eq!(passing(&mut client, "key=a", 3).await, 1, "six of six");
    server.stop().await;
}

#[tokio::test]
async fn rows_are_set_and_removed_while_the_server_runs() {
    let (server, _folder) = server(RULES, "keys.csv", "key,plan\nalice,free\n").await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    assert_eq!(passing(&mut client, "key=alice", 5).await, 3);
    let set = put(&http, "alice", json!({ "plan": "pro", "limits": { "per-key.day": 5 } })).await;
    let row = json!({ "plan": "pro", "limits": { "per-key.day": 5 } });
    let expected = json!({ "key": "alice", "origin": "api", "row": row });
    assert_eq!(set.good(), json!({ "set": expected }));
    // From the next call on, and what was used stays used.
    assert_eq!(passing(&mut client, "key=alice", 5).await, 2);
    assert_eq!(http.get("/v1/directory?domain=d&key=alice").await.good(), expected);
    let usage = http.get("/v1/usage?domain=d&entries=key=alice").await.good();
    assert_eq!(
        (&usage["limits"][0]["used"], &usage["limits"][0]["requests"]),
        (&json!(5), &json!(5))
    );
    let removed = delete(&http, "alice").await.good();
    let file = json!({ "key": "alice", "origin": "file", "row": { "plan": "free" } });
    assert_eq!(removed, json!({ "in_force": file }));
    assert_eq!(passing(&mut client, "key=alice", 1).await, 0);
    assert_eq!(delete(&http, "alice").await.refused().0, 404);
    // A row may also be set for a key that no file has.
    put(&http, "bob", json!({ "plan": "pro" })).await.good();
    assert_eq!(passing(&mut client, "key=bob", 12).await, 10);
    assert_eq!(delete(&http, "bob").await.good(), json!({ "in_force": null }));
    server.stop().await;
}

#[tokio::test]
async fn rows_are_listed_by_key_a_page_at_a_time() {
    let rows = "key,plan\nb,free\nd,free\na,free\n";
    let (server, _folder) = server(RULES, "keys.csv", rows).await;
    let http = Http::new(server.http);
    put(&http, "c", json!({})).await.good();
    put(&http, "b", json!({ "plan": "pro" })).await.good();
    let page = async |rest: &str| {
        let page = http.get(&format!("/v1/directory?domain=d{rest}")).await.good();
        let rows = page["rows"].as_array().expect("rows").clone();
        let row = |row: &Value| format!("{}:{}", text(&row["key"]), text(&row["origin"]));
        (rows.iter().map(row).collect::<Vec<_>>().join(" "), page["next"].clone())
    };
    assert_eq!(page("").await, ("a:file b:api c:api d:file".into(), Value::Null));
    assert_eq!(page("&limit=3").await, ("a:file b:api c:api".into(), json!("c")));
    assert_eq!(page("&limit=3&after=c").await, ("d:file".into(), Value::Null));
    let refused = async |rest: &str| http.get(&format!("/v1/directory?{rest}")).await.refused();
    assert_eq!(refused("domain=d&limit=1001").await.0, 400);
    assert_eq!(refused("domain=d&limit=0").await.0, 400);
    assert_eq!(refused("domain=d&key=nobody").await.0, 404);
    assert_eq!(refused("domain=other").await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_is_refused_in_a_sentence_and_changes_nothing() {
    let (server, _folder) = server(RULES, "keys.csv", "key,plan\n").await;
    let http = Http::new(server.http);
    for (row, said) in [
        (json!({ "limits": { "per-key.mont": 5 } }), "there is no limit `per-key.mont`"),
        (json!({ "limits": { "per-key.day": 1.5 } }), "`1.5` is not a number of requests"),
        (json!({ "limits": { "per-key.day": { "burst": 5 } } }), "this limit has no burst"),
        (json!({ "from": "tomorrow" }), "`tomorrow` is not a date"),
        (json!({ "anchor_day": 32 }), "`32` is not a day of the month"),
        (json!({ "time_zone": "Mars" }), "`Mars` is not a known time zone"),
        (json!({ "alert_to": "ops" }), "there is no alert target `ops`"),
        (json!({ "key": "b" }), "cannot change it"),
        (json!({ "plan": "gold" }), "no rule knows the plan `gold`"),
        (json!({ "plan": 5 }), "entry `plan` is no text"),
        (json!([]), "a row is an object"),
    ] {
        let (status, message) = put(&http, "a", row).await.refused();
        assert_eq!(status, 400);
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(put(&http, "", json!({})).await.refused().0, 400);
    assert_eq!(http.get("/v1/directory?domain=d").await.good()["rows"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn rows_that_people_set_outlive_a_reload() {
    let (server, _folder) = server(RULES, "keys.csv", "key,plan\n").await;
    let (mut client, http) = (server.client().await, Http::new(server.http));
    put(&http, "a", json!({ "plan": "pro" })).await.good();
    server.gate.replace(harness::rules(&format!("{RULES}directory: {{ by: key }}\n")));
    assert_eq!(passing(&mut client, "key=a", 12).await, 10);
    server.gate.replace(harness::rules(RULES));
    assert_eq!(passing(&mut client, "key=a", 1).await, 0, "no directory, so the plan is free");
    assert_eq!(put(&http, "a", json!({})).await.refused().0, 404);
    server.stop().await;
}

#[tokio::test]
async fn changes_are_audited_without_the_key() {
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("audit.log");
    let people = PeopleOf { audit_log: Some(&log), ..PeopleOf::default() };
    let rules = format!("{RULES}directory: {{ by: key }}\n");
    let server = Server::start_for(&rules, people).await;
    let http = Http::new(server.http);
    let row = json!({ "plan": "pro", "mail": "sk_live_8842cafe4f9a" });
    put(&http, "sk_live_8842_4f9a", row).await.good();
    delete(&http, "sk_live_8842_4f9a").await.good();
    let audited = fs::read_to_string(&log).expect("the audit log");
    let lines: Vec<_> = audited.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains(r#""what":"directory-set","domain":"d","entries":[["key","…4f9a"]]"#)
    );
    assert!(lines[0].contains(r#"\"plan\":\"pro\""#), "{}", lines[0]);
    assert!(lines[1].contains(r#""what":"directory-remove""#), "{}", lines[1]);
    assert!(!audited.contains("sk_live"), "{audited}");
    server.stop().await;
}

#[tokio::test]
async fn grpc_does_what_json_does() {
    let (server, _folder) = server(RULES, "keys.csv", "key,plan\nalice,free\n").await;
    let address = format!("http://{}", server.http);
    let mut directory = DirectoryClient::connect(address).await.expect("a connection");
    let limit = v1::Allowance { limit: "per-key.day".into(), requests: Some(-1), burst: None };
    let entries = vec![v1::Entry { key: "team".into(), value: "blue".into() }];
    let stage = v1::Stage {
        from: Some("2026-03-01".into()),
        entries,
        limits: vec![limit],
        anchor_day: Some(31),
        ..v1::Stage::default()
    };
    let row = Some(v1::Row { stages: vec![stage] });
    let (domain, key) = ("d".to_owned(), "alice".to_owned());
    let asked = v1::SetRowRequest { domain: domain.clone(), key: key.clone(), row };
    let set = directory.set_row(asked).await.expect("a row").into_inner().row;
    let asked = v1::GetRowRequest { domain: domain.clone(), key: key.clone() };
    let got = directory.get_row(asked).await.expect("a row").into_inner();
    assert_eq!(set.as_ref(), Some(&got));
    let stage = got.row.expect("a row").stages.remove(0);
    assert_eq!(stage.from.as_deref(), Some("2026-03-01T00:00:00Z"));
    assert_eq!((stage.limits[0].requests, stage.anchor_day), (Some(-1), Some(31)));
    let asked = v1::ListRowsRequest { domain: domain.clone(), ..Default::default() };
    let page = directory.list_rows(asked).await.expect("a page").into_inner();
    assert_eq!((page.by.as_str(), page.rows.len(), page.next), ("key", 1, None));
    let asked = v1::RemoveRowRequest { domain: domain.clone(), key: key.clone() };
    let left = directory.remove_row(asked.clone()).await.expect("removed").into_inner().row;
    assert_eq!(left.expect("the file's row").origin, "file");
    let refused = directory.remove_row(asked).await.expect_err("nothing to remove");
    assert_eq!(refused.code(), Code::NotFound);
    let limit = v1::Allowance { limit: "x.y".into(), requests: Some(1), burst: None };
    let stage = v1::Stage { limits: vec![limit], ..v1::Stage::default() };
    let row = Some(v1::Row { stages: vec![stage] });
    let refused = directory.set_row(v1::SetRowRequest { domain, key, row }).await;
    assert_eq!(refused.expect_err("an unknown limit").code(), Code::InvalidArgument);
    server.stop().await;
}

async fn put(http: &Http, key: &str, row: Value) -> Answer {
    let body = json!({ "domain": "d", "key": key, "row": row });
    http.ask(Method::PUT, "/v1/directory", body.to_string()).await
}

async fn delete(http: &Http, key: &str) -> Answer {
    let path = format!("/v1/directory?domain=d&key={key}");
    http.ask(Method::DELETE, &path, String::new()).await
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

#[tokio::test]
async fn a_key_has_its_own_month_and_its_own_midnight() {
    let rules = "
domain: d
rules:
  - { name: per-key, count_by: [key],
      limits: [{ requests: 5, per: month }, { requests: 2, per: day, algorithm: calendar }] }
";
    let rows = "key,anchor_day,time_zone\na,31,\nb,31,Asia/Tokyo\nc,,Asia/Tokyo\n";
    let (server, _folder) = server(rules, "keys.csv", rows).await;
    let http = Http::new(server.http);
    let resets = async |key: &str| {
        let usage = http.get(&format!("/v1/usage?domain=d&entries=key={key}")).await.good();
        let limits = usage["limits"].as_array().expect("limits").clone();
        limits.iter().map(|limit| text(&limit["reset_at"]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(resets("a").await, ["2026-03-31T00:00:00Z", "2026-03-11T00:00:00Z"]);
    assert_eq!(resets("b").await, ["2026-03-30T15:00:00Z", "2026-03-10T15:00:00Z"]);
    assert_eq!(resets("c").await, ["2026-03-31T15:00:00Z", "2026-03-10T15:00:00Z"]);
    assert_eq!(resets("d").await, ["2026-04-01T00:00:00Z", "2026-03-11T00:00:00Z"]);
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=b", 3).await, 2);
    let refused = client.ask("d", &["key=b"]).await;
    let wait = refused.statuses[0].duration_until_reset.expect("a wait");
    assert_eq!(wait.seconds, 3 * 3600, "midnight in Tokyo");
    server.clock.set(NOON.plus(3 * 3600 * SECOND_US));
    assert_eq!(passing(&mut client, "key=b", 3).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_replacing_rule_outranks_a_row_unless_the_row_names_it() {
    let rules = "
domain: d
plans: { free: { limits: [{ name: day, requests: 3, per: day }] } }
rules:
  - { name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }
  - { name: contract, match: { tier: gold }, replaces: per-key.day, counter: per-key,
      limits: [{ name: day, requests: 8, per: day }] }
";
    let rows = "key,tier,limit:per-key.day,limit:contract.day\na,gold,5,\nb,gold,5,6\nc,,5,6\n";
    let (server, _folder) = server(rules, "keys.csv", rows).await;
    let mut client = server.client().await;
    assert_eq!(passing(&mut client, "key=a", 12).await, 8);
    assert_eq!(passing(&mut client, "key=b", 12).await, 6);
    assert_eq!(passing(&mut client, "key=c", 12).await, 5);
    server.stop().await;
}

#[tokio::test]
async fn keys_that_are_secret_are_listed_by_their_ends() {
    let rows = "key,plan\nsk_live_8842_4f9a,free\nsk_live_9d1f_03a1,pro\n";
    let rules = format!("{RULES}secret_entries: [key]\n");
    let (server, _folder) = server(&rules, "keys.csv", rows).await;
    let http = Http::new(server.http);
    let first = http.get("/v1/directory?domain=d&limit=1").await;
    let page = first.good();
    assert!(text(&page["rows"][0]["key"]).ends_with("…4f9a"), "{page}");
    let path = format!("/v1/directory?domain=d&limit=1&after={}", text(&page["next"]));
    let second = http.get(&path).await;
    let page = second.good();
    assert!(text(&page["rows"][0]["key"]).ends_with("…03a1"), "{page}");
    assert_eq!(page["next"], Value::Null);
    let set = put(&http, "sk_live_8842_4f9a", json!({})).await;
    set.good();
    assert!([first, second, set].iter().all(|answer| !answer.text.contains("sk_live")));
    assert_eq!(http.get("/v1/directory?domain=d&after=x").await.refused().0, 400);
    server.stop().await;
}

#[tokio::test]
async fn secrets_that_a_row_adds_are_shown_by_their_ends() {
    let rules = format!("{RULES}secret_entries: [key, token]\n");
    let rows = "key,token,team\nsk_live_8842_4f9a,tok_live_supersecret_9,blue\n";
    let (server, _folder) = server(&rules, "keys.csv", rows).await;
    let http = Http::new(server.http);
    let of_one = "/v1/directory?domain=d&key=sk_live_8842_4f9a";
    let row = json!({ "token": "tok_live_supersecret_9", "team": "blue",
        "stages": [{ "from": "2030-01-01", "token": "tok_live_supersecret_10" }] });
    let set = put(&http, "sk_live_77b0_03a1", row).await;
    let shown = set.good()["set"]["row"].clone();
    assert!(text(&shown["token"]).ends_with("…et_9"), "{shown}");
    assert!(text(&shown["stages"][0]["token"]).ends_with("…t_10"), "{shown}");
    assert_eq!(shown["team"], "blue");
    let answers = [set, http.get(of_one).await, http.get("/v1/directory?domain=d").await];
    for answer in answers {
        answer.good();
        assert!(!answer.text.contains("tok_live"), "{}", answer.text);
    }

    let address = format!("http://{}", server.http);
    let mut grpc = DirectoryClient::connect(address).await.expect("the server accepts");
    let one = v1::GetRowRequest { domain: "d".into(), key: "sk_live_8842_4f9a".into() };
    let one = grpc.get_row(one).await.expect("a row");
    let all = v1::ListRowsRequest { domain: "d".into(), after: None, limit: None };
    let all = grpc.list_rows(all).await.expect("rows");
    let told = format!("{one:?}{all:?}");
    assert!(told.contains("…et_9") && !told.contains("tok_live"), "{told}");
    server.stop().await;
}
