//! Job Tracker's application, as far as its quota goes: it keeps jobs by source URL, and charges
//! tollgate for those that come to be.
//!
//! It knows of tollgate what any application can: the people's side, over HTTP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde_json::{Value, json};

use super::backend::{Application, Reply};
use super::http::Http;

pub struct JobTracker {
    tollgate: Http,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    /// By the customer's key and the job's source URL.
    kept: HashMap<(String, String), Job>,
    seen: u64,
}

#[derive(Clone)]
struct Job {
    id: String,
    /// Not before it is charged.
    created: bool,
}

/// What goes wrong after a job is charged, if a test wants it to.
enum Mishap {
    /// The database says no, and the application learns of it.
    Database,
    /// The application ends before it has kept the job.
    Crash,
}

impl JobTracker {
    pub fn new(people_side: SocketAddr) -> Arc<JobTracker> {
        Arc::new(JobTracker { tollgate: Http::new(people_side), jobs: Mutex::default() })
    }

    /// A job that is there already costs nothing. A new one is charged under its own id, so that of
    /// two requests for it, or of one that is sent again, one is charged; and it is there only when
    /// that is done. One that is refused keeps its id: what was refused is asked anew.
    async fn create(&self, key: &str, url: &str, mishap: Option<Mishap>) -> (u16, Value) {
        let job = self.job(key, url);
        if job.created {
            return (200, json!({ "id": job.id, "duplicate": true }));
        }
        let whose = json!({ "domain": "job-tracker", "entries": { "key": key }, "id": job.id });
        let charged = self.tollgate.post("/v1/charge", whose.clone()).await.good();
        if charged["admitted"] == false {
            let mut answer = quota(&charged["limits"][0]);
            answer["error"] = "quota exceeded".into();
            return (403, answer);
        }
        match mishap {
            Some(Mishap::Crash) => return (502, Value::Null),
            Some(Mishap::Database) => {
                // The id is spent with it.
                self.tollgate.post("/v1/refund", whose).await.good();
                self.forget(key, url);
                return (500, json!({ "error": "the database is down" }));
            }
            None => {}
        }
        let is_new = self.keep(key, url);
        (if is_new { 201 } else { 200 }, json!({ "id": job.id, "duplicate": !is_new }))
    }

    /// The job of this source; a new one if there is none.
    fn job(&self, key: &str, url: &str) -> Job {
        let mut jobs = self.jobs.lock().expect("no panic");
        let new = Job { id: format!("job-{}", jobs.seen), created: false };
        let job = jobs.kept.entry((key.into(), url.into())).or_insert(new).clone();
        jobs.seen += 1;
        job
    }

    /// Creates it; false if somebody else has.
    fn keep(&self, key: &str, url: &str) -> bool {
        let mut jobs = self.jobs.lock().expect("no panic");
        let job = jobs.kept.get_mut(&(key.into(), url.into())).expect("it is being created");
        !std::mem::replace(&mut job.created, true)
    }

    fn forget(&self, key: &str, url: &str) {
        let mut jobs = self.jobs.lock().expect("no panic");
        jobs.kept.remove(&(key.into(), url.into()));
    }

    /// How many jobs a customer has.
    pub fn created(&self, key: &str) -> usize {
        let jobs = self.jobs.lock().expect("no panic");
        jobs.kept.iter().filter(|((owner, _), job)| owner == key && job.created).count()
    }

    async fn quota(&self, key: &str) -> Value {
        let path = format!("/v1/usage?domain=job-tracker&entries=key={key}");
        quota(&self.tollgate.get(&path).await.good()["limits"][0])
    }
}

/// The fields of the page, from how a limit stands.
fn quota(month: &Value) -> Value {
    let reset_at = month["reset_at"].as_str().expect("a month ends");
    json!({
        "used": month["used"],
        "limit": month["requests"],
        "remaining": month["remaining"],
        "reset_date": reset_at[.."YYYY-MM-DD".len()],
    })
}

impl Application for JobTracker {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(key) = header("authorization").and_then(|value| value.strip_prefix("Bearer "))
        else {
            return reply(401, &json!({ "error": "a bearer token is missing" }));
        };
        let (status, answer) = match (&head.method, head.uri.path()) {
            (&Method::GET, "/api/jobs/quota") => (200, self.quota(key).await),
            (&Method::POST, "/api/jobs") => {
                let mishap = match header("x-mishap") {
                    Some("crash") => Some(Mishap::Crash),
                    Some("database") => Some(Mishap::Database),
                    _ => None,
                };
                let body = body.collect().await.expect("a body").to_bytes();
                let job: Value = serde_json::from_slice(&body).expect("JSON");
                let url = job["source_url"].as_str().expect("a job has a source");
                self.create(key, url, mishap).await
            }
            // To see, to update and to analyze.
            _ => (200, json!({ "jobs": self.created(key) })),
        };
        reply(status, &answer)
    }
}

fn reply(status: u16, body: &Value) -> Reply {
    let reply = Response::builder().status(status).header("content-type", "application/json");
    reply.body(body.to_string().into()).expect("a sound response")
}
