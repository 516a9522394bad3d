//! Job Tracker's page, line by line, through a real Envoy with the files in `deploy/`, in front of
//! an application that charges for what it creates.

mod harness;

use std::sync::{Arc, OnceLock};

use harness::envoy::{Answer, Edge};
use harness::http::Http;
use harness::job_tracker::JobTracker;
use harness::provider;
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollgate::time::Timestamp;

/// 2024-01-10 09:00:00 UTC.
const JANUARY_10_S: u64 = 1_704_877_200;
/// 2024-02-01 and 2024-03-01, 00:00:00 UTC.
const FEBRUARY_S: u64 = 1_706_745_600;
const MARCH_S: u64 = FEBRUARY_S + 29 * 86_400;

const ALICE: &str = "jt_live_51aa_alice";
const PAULA: &str = "jt_live_9d2c_paula";
const GLOBEX: &str = "jt_live_77e1_globex";

struct Api {
    edge: Edge,
    application: Arc<JobTracker>,
    people: Http,
}

async fn open(at_s: u64) -> Option<Api> {
    let (rules, envoy) = (provider::rules("job-tracker"), provider::envoy("job-tracker"));
    let started = OnceLock::new();
    let application =
        |server: &harness::Server| started.get_or_init(|| JobTracker::new(server.http)).clone();
    let edge = Edge::start_application("provider job-tracker", &rules, &envoy, application).await?;
    edge.server.clock.set(Timestamp::from_secs(at_s));
    let people = Http::new(edge.server.http);
    let application = started.into_inner().expect("Envoy has something behind it");
    Some(Api { edge, application, people })
}

impl Api {
    async fn send(&self, method: Method, path: &str, key: &str) -> Answer {
        let bearer = format!("authorization: Bearer {key}");
        self.edge.send(method, path, &[&bearer], "").await
    }

    /// Asks for a job from this source; the status and the body.
    async fn create(&self, key: &str, source: &str) -> (u16, Value) {
        self.create_with(key, source, "x-mishap: none").await
    }

    async fn create_with(&self, key: &str, source: &str, mishap: &str) -> (u16, Value) {
        let bearer = format!("authorization: Bearer {key}");
        let headers = [&*bearer, mishap];
        let body = json!({ "source_url": format!("https://jobs.example/{source}") }).to_string();
        let answer = self.edge.send(Method::POST, "/api/jobs", &headers, &body).await;
        (answer.status.as_u16(), json_of(&answer))
    }

    /// Creates so many jobs from sources of these names.
    async fn create_all(&self, key: &str, name: &str, count: usize) {
        for number in 0..count {
            let (status, body) = self.create(key, &format!("{name}/{number}")).await;
            assert_eq!(status, 201, "{number}: {body}");
        }
    }

    async fn quota(&self, key: &str) -> Value {
        json_of(&self.send(Method::GET, "/api/jobs/quota", key).await)
    }
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn quota(used: i64, limit: i64, remaining: i64, reset_date: &str) -> Value {
    json!({ "used": used, "limit": limit, "remaining": remaining, "reset_date": reset_date })
}

fn refusal(reset_date: &str) -> Value {
    let mut refusal = quota(50, 50, 0, reset_date);
    refusal["error"] = "quota exceeded".into();
    refusal
}

#[tokio::test]
async fn the_fields_are_those_of_the_page() {
    let Some(api) = open(JANUARY_10_S).await else { return };
    assert_eq!(api.quota(ALICE).await, quota(0, 50, 50, "2024-02-01"));
    api.create_all(ALICE, "a", 15).await;
    // "15", "50", "35", "2024-02-01"
    assert_eq!(api.quota(ALICE).await, quota(15, 50, 35, "2024-02-01"));
    // "Requires a valid Bearer token."
    assert_eq!(api.edge.get("/api/jobs/quota", &[]).await.status, 401);
}

#[tokio::test]
async fn only_newly_created_jobs_count() {
    let Some(api) = open(JANUARY_10_S).await else { return };
    let (status, first) = api.create(ALICE, "a").await;
    assert_eq!((status, &first["duplicate"]), (201, &json!(false)));
    // The browser extension captures the same posting.
    let (status, again) = api.create(ALICE, "a").await;
    assert_eq!((status, &again), (200, &json!({ "id": first["id"], "duplicate": true })));
    for (method, path) in [
        (Method::GET, "/api/jobs"),
        (Method::GET, "/api/jobs/job-0"),
        (Method::PUT, "/api/jobs/job-0"),
        (Method::POST, "/api/jobs/job-0/analyze"),
    ] {
        assert_eq!(api.send(method, path, ALICE).await.status, 200);
    }
    assert_eq!(api.quota(ALICE).await["used"], 1);
    // To somebody else the same posting is a new job.
    assert_eq!(api.create("jt_live_0c4e_bob", "a").await.0, 201);
    assert_eq!(api.quota("jt_live_0c4e_bob").await["used"], 1);
    assert_eq!(api.quota(ALICE).await["used"], 1);
}

#[tokio::test]
async fn what_did_not_come_to_be_is_not_charged() {
    let Some(api) = open(JANUARY_10_S).await else { return };
    assert_eq!(api.create_with(ALICE, "a", "x-mishap: database").await.0, 500);
    assert_eq!(api.quota(ALICE).await["used"], 0);
    assert_eq!(api.create(ALICE, "a").await.0, 201);
    assert_eq!(api.quota(ALICE).await["used"], 1);
    // Charged, but not kept: whoever tries again is not charged again.
    assert_eq!(api.create_with(ALICE, "b", "x-mishap: crash").await.0, 502);
    assert_eq!(api.create(ALICE, "b").await.0, 201);
    assert_eq!(api.quota(ALICE).await["used"], 2);
    assert_eq!(api.application.created(ALICE), 2);
}

#[tokio::test]
async fn what_happens_at_the_limit() {
    let Some(api) = open(JANUARY_10_S).await else { return };
    api.create_all(ALICE, "a", 50).await;
    assert_eq!(api.quota(ALICE).await, quota(50, 50, 0, "2024-02-01"));
    for _ in 0..3 {
        assert_eq!(api.create(ALICE, "new").await, (403, refusal("2024-02-01")));
    }
    // "You can still view, update, and analyze existing jobs", and find that one is there.
    assert_eq!(api.create(ALICE, "a/49").await.0, 200);
    for (method, path) in [
        (Method::GET, "/api/jobs"),
        (Method::PUT, "/api/jobs/job-7"),
        (Method::POST, "/api/jobs/job-7/analyze"),
    ] {
        assert_eq!(api.send(method, path, ALICE).await.status, 200);
    }
    assert_eq!(api.quota(ALICE).await, quota(50, 50, 0, "2024-02-01"));
    // "You can upgrade your plan for a higher quota": from the next job on, and all are counted.
    let row = json!({ "domain": "job-tracker", "key": ALICE, "row": { "plan": "premium" } });
    api.people.ask(Method::PUT, "/v1/directory", row.to_string()).await.good();
    assert_eq!(api.create(ALICE, "new").await.0, 201);
    assert_eq!(api.quota(ALICE).await, quota(51, -1, -1, "2024-02-01"));
}

/// Asks for a job from each source at once; how many of the answers have each of the statuses.
async fn at_once(api: &Arc<Api>, sources: Vec<String>, statuses: [u16; 3]) -> [usize; 3] {
    let mut asking = JoinSet::new();
    for source in sources {
        let api = api.clone();
        asking.spawn(async move { api.create(ALICE, &source).await.0 });
    }
    let answers = asking.join_all().await;
    statuses.map(|status| answers.iter().filter(|answer| **answer == status).count())
}

#[tokio::test]
async fn many_at_once_get_what_is_left_and_one_of_a_kind() {
    let Some(api) = open(JANUARY_10_S).await else { return };
    let api = Arc::new(api);
    api.create_all(ALICE, "a", 45).await;
    // One posting, ten tabs.
    let same = vec!["same".to_owned(); 10];
    assert_eq!(at_once(&api, same, [200, 201, 403]).await, [9, 1, 0]);
    assert_eq!(api.quota(ALICE).await["used"], 46);
    let other = (0..20).map(|number| format!("other/{number}")).collect();
    assert_eq!(at_once(&api, other, [200, 201, 403]).await, [0, 4, 16]);
    assert_eq!(api.quota(ALICE).await, quota(50, 50, 0, "2024-02-01"));
    assert_eq!(api.application.created(ALICE), 50);
}

#[tokio::test]
async fn premium_and_enterprise_are_unlimited_and_counted() {
    let Some(api) = open(JANUARY_10_S).await else { return };
    for key in [PAULA, GLOBEX] {
        assert_eq!(api.quota(key).await, quota(0, -1, -1, "2024-02-01"));
        api.create_all(key, "a", 60).await;
        assert_eq!(api.quota(key).await, quota(60, -1, -1, "2024-02-01"));
    }
}

#[tokio::test]
async fn january_ends_at_midnight_utc() {
    let Some(api) = open(FEBRUARY_S - 3600).await else { return };
    api.create_all(ALICE, "a", 50).await;
    api.edge.server.clock.advance_us(3_599_999_999);
    assert_eq!(api.create(ALICE, "new").await, (403, refusal("2024-02-01")));
    assert_eq!(api.quota(ALICE).await, quota(50, 50, 0, "2024-02-01"));
    api.edge.server.clock.advance_us(1);
    // "used returns to 0, remaining returns to your full limit"
    assert_eq!(api.quota(ALICE).await, quota(0, 50, 50, "2024-03-01"));
    assert_eq!(api.create(ALICE, "new").await.0, 201);
    assert_eq!(api.quota(ALICE).await, quota(1, 50, 49, "2024-03-01"));
}

#[tokio::test]
async fn a_leap_february_has_its_29th() {
    let Some(api) = open(FEBRUARY_S).await else { return };
    api.create_all(ALICE, "a", 50).await;
    // The 29th, from its first to its last instant.
    for s in [MARCH_S - 86_400, MARCH_S - 1] {
        api.edge.server.clock.set(Timestamp::from_secs(s));
        assert_eq!(api.create(ALICE, "new").await, (403, refusal("2024-03-01")));
    }
    api.edge.server.advance_s(1);
    assert_eq!(api.create(ALICE, "new").await.0, 201);
    assert_eq!(api.quota(ALICE).await, quota(1, 50, 49, "2024-04-01"));
    // The year after has none.
    api.edge.server.clock.set(Timestamp::from_secs(MARCH_S + 366 * 86_400 - 86_400 - 1));
    assert_eq!(api.quota(ALICE).await, quota(0, 50, 50, "2025-03-01"));
    api.edge.server.advance_s(1);
    assert_eq!(api.quota(ALICE).await, quota(0, 50, 50, "2025-04-01"));
}

#[tokio::test]
async fn the_previous_months_data_is_archived() {
    let Some(api) = open(FEBRUARY_S - 3600).await else { return };
    api.create_all(ALICE, "a", 50).await;
    api.create_all(PAULA, "a", 60).await;
    let path = "/v1/history?domain=job-tracker&from=2024-02-01";
    let history = async || {
        let lines = api.people.get(path).await.text;
        let mut lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        lines.sort_by_key(|line| line["used"].as_u64());
        lines
    };
    api.edge.server.advance_s(3600);
    api.create_all(ALICE, "b", 2).await;
    api.edge.server.advance_s(1);
    // January is readable, with its days; February is not over.
    let lines = history().await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, used, limit) in [(&lines[0], 50, 50), (&lines[1], 60, -1)] {
        assert_eq!(line["limit"], "jobs.month");
        assert_eq!((&line["used"], &line["requests"]), (&json!(used), &json!(limit)));
        assert_eq!(line["start"], "2024-01-01T00:00:00Z");
        assert_eq!(line["end"], "2024-02-01T00:00:00Z");
    }
    let key = lines[0]["values"]["key"].as_str().expect("a key");
    assert!(key.ends_with("lice") && !key.contains("51aa"), "{key}");
    // Each month once, and whoever used nothing has none.
    api.edge.server.clock.set(Timestamp::from_secs(MARCH_S + 1));
    let used: Vec<_> = history().await.iter().map(|line| line["used"].clone()).collect();
    assert_eq!(used, [2, 50, 60]);
}

#[tokio::test]
async fn a_customer_sees_their_own_usage_and_nobody_elses() {
    let Some(api) = open(FEBRUARY_S - 3600).await else { return };
    api.create_all(ALICE, "a", 15).await;
    api.create_all(PAULA, "a", 3).await;
    api.edge.server.advance_s(3600);
    api.create_all(ALICE, "b", 2).await;
    let own = async |key: &str| {
        let path = "/v1/my/usage?domain=job-tracker";
        let mut usage = json_of(&api.send(Method::GET, path, key).await);
        usage["limits"][0].take()
    };
    let alice = own(ALICE).await;
    let fields = ["used", "limit", "remaining", "reset_date"].map(|name| alice[name].clone());
    assert_eq!(fields, [json!(2), json!(50), json!(48), json!("2024-03-01")]);
    let january = json!({
        "start": "2024-01-01T00:00:00Z",
        "end": "2024-02-01T00:00:00Z",
        "used": 15,
        "limit": 50,
    });
    assert_eq!(alice["past"], json!([january]));
    let paula = own(PAULA).await;
    let fields = ["used", "limit", "remaining"].map(|name| paula[name].clone());
    assert_eq!(fields, [json!(0), json!(-1), json!(-1)]);
    assert_eq!(paula["past"][0]["used"], 3);
    // Of the server's other routes customers see none, and nobody else sees anything.
    for path in ["/v1/my/usage?domain=job-tracker", "/v1/my/usage"] {
        let denied = api.send(Method::GET, path, "jt_live_nobody").await.status;
        assert!([400, 401].contains(&denied.as_u16()), "{path}: {denied}");
    }
    assert_eq!(api.edge.get("/v1/my/usage?domain=job-tracker", &[]).await.status, 401);
    // This one reaches the application, which knows no such path.
    let other = api.send(Method::GET, "/v1/usage?domain=job-tracker&entries=key=x", ALICE).await;
    assert_eq!(json_of(&other), json!({ "jobs": 17 }));
}
