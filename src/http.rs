//! The rim for people: health, metrics, `/v1/…` as JSON, and `tollgate.v1` as gRPC on one port.
//!
//! Turns requests into calls of `quota` and its answers into JSON. Who may ask is decided in
//! `access`, ahead of every route, and in one place for JSON and gRPC.

mod access;
mod answer;
mod ask;
mod bans;
mod change;
mod charge;
mod directory;
mod grant;
mod history;
mod metrics;
mod own;
mod read;
mod switch;
mod token;

pub use self::access::Access;
pub use self::token::{Token, Unfit};

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::gate::Phase;
use crate::grpc;
use crate::quota::Quota;

use self::answer::{Form, Kind, Problem};

/// The largest body that is read. Entries of one call fit: no proxy sends longer headers.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// No request takes longer. What it waits for is a disk, and the journal gives one up after ten
/// seconds and then says so itself; this is for whatever else may hang.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// The paths that need no token: probes and scrapers have none, and nothing that they see names
/// anybody's key.
const OPEN_PATHS: [&str; 2] = ["/healthcheck", "/metrics"];

/// What handlers work with.
#[derive(Clone, Debug)]
struct People {
    quota: Arc<Quota>,
    access: Arc<Access>,
}

/// Everything that the people's port serves.
pub fn router(quota: Arc<Quota>, access: Arc<Access>) -> Router {
    let people = People { quota: quota.clone(), access };
    let json = Router::new()
        .route("/healthcheck", get(health))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/usage", get(read::usage))
        .route("/v1/rules", get(read::rules))
        .route("/v1/status", get(read::status))
        .route("/v1/charge", post(charge::charge))
        .route("/v1/refund", post(charge::refund))
        .route("/v1/reserve", post(charge::reserve))
        .route("/v1/commit", post(charge::commit))
        .route("/v1/cancel", post(charge::cancel))
        .route("/v1/grant", post(grant::grant))
        .route("/v1/grants", get(grant::list).delete(grant::revoke))
        .route("/v1/history", get(history::history))
        .route(own::PATH, get(own::usage))
        .route("/v1/switch", post(switch::switch))
        .route("/v1/switches", get(switch::list))
        .route("/v1/fingerprint", post(switch::fingerprint))
        .route("/v1/reset", post(change::reset))
        .route("/v1/adjust", post(change::adjust))
        .route("/v1/erase", post(change::erase))
        .route("/v1/bans", get(bans::see))
        .route("/v1/ban", post(bans::ban))
        .route("/v1/unban", post(bans::unban))
        .route("/v1/directory", get(directory::see).put(directory::set).delete(directory::remove))
        .method_not_allowed_fallback(wrong_method)
        .with_state(people.clone());
    json.merge(grpc::people_routes(quota, BODY_BYTES_MAX).into_axum_router())
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(people, access::guard))
        .layer(middleware::from_fn(in_time))
}

async fn health(people: axum::extract::State<People>) -> Response {
    match people.quota.gate().phase() {
        Phase::Serving => "OK".into_response(),
        Phase::Starting => (StatusCode::INTERNAL_SERVER_ERROR, "starting").into_response(),
        Phase::Draining => (StatusCode::INTERNAL_SERVER_ERROR, "draining").into_response(),
    }
}

async fn in_time(request: Request, next: Next) -> Response {
    let form = Form::of(&request);
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(Kind::Unavailable, "the disk took too long; a change may be in force")
                .told(form)
        }
    }
}

async fn no_such_path(request: Request) -> Response {
    let what = format!("there is nothing at {}", request.uri().path());
    Problem::new(Kind::Unimplemented, what).told(Form::of(&request))
}

async fn wrong_method(request: Request) -> Response {
    let what = format!("{} is not how {} is asked", request.method(), request.uri().path());
    Problem::new(Kind::WrongMethod, what).told(Form::of(&request))
}
