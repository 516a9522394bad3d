//! Who may ask: decided for every route in one place, ahead of all of them.
//!
//! On loopback whoever can reach the port may, unless a token is configured. Elsewhere a token is
//! needed, and without one configured nobody may. A browser on the same machine reaches loopback
//! too, with whatever page its user visits, so what only a page would send is refused.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::answer::{Form, Kind, Problem};
use super::token::Token;
use super::{OPEN_PATHS, People, own};

/// So many wrong tokens in a row are a mistake in somebody's configuration; after them, answers
/// take their time.
const QUICK_FAILURES_MAX: u32 = 5;

/// What each further failure adds to the wait.
const SLOWER_BY: Duration = Duration::from_millis(100);

/// No answer waits longer, so that one who mends a wrong token is not left wondering.
const SLOWEST: Duration = Duration::from_secs(2);

/// The numbers stand alone: no other memory is published through them.
const RELAXED: Ordering = Ordering::Relaxed;

/// Who may use the people's port.
#[derive(Debug)]
pub struct Access {
    token: Option<Token>,
    loopback: bool,
    failures: AtomicU64,
    /// Since somebody came with the right token.
    failures_in_a_row: AtomicU32,
}

impl Access {
    /// For a port that listens at `addr`.
    pub fn new(addr: SocketAddr, token: Option<Token>) -> Access {
        let loopback = addr.ip().to_canonical().is_loopback();
        let (failures, failures_in_a_row) = Default::default();
        Access { token, loopback, failures, failures_in_a_row }
    }

    /// Whether nobody may ask anything, for want of a token.
    pub fn is_shut(&self) -> bool {
        !self.loopback && self.token.is_none()
    }

    /// Requests that came without the right token.
    pub fn failures(&self) -> u64 {
        self.failures.load(RELAXED)
    }

    fn judge(&self, request: &Request) -> Result<(), Problem> {
        match &self.token {
            Some(token) => match bearer(request.headers()) {
                Some(offered) if token.is(offered) => self.failures_in_a_row.store(0, RELAXED),
                Some(_) => return Err(unauthenticated("this is not the token of this server")),
                None => {
                    let why = "a token is needed: authorization: Bearer TOKEN";
                    return Err(unauthenticated(why));
                }
            },
            None if self.loopback => from_here(request)?,
            None => {
                let why = "this port listens beyond loopback, so it needs a token; start the \
                           server with --token-file";
                return Err(Problem::new(Kind::Forbidden, why));
            }
        }
        from_no_page(request)
    }

    /// Counts a failure, and waits as long as its answer is to take.
    pub async fn failed(&self) {
        self.failures.fetch_add(1, RELAXED);
        let before = self.failures_in_a_row.fetch_add(1, RELAXED);
        let beyond = before.saturating_add(1).saturating_sub(QUICK_FAILURES_MAX);
        tokio::time::sleep(SLOWER_BY.saturating_mul(beyond).min(SLOWEST)).await;
    }
}

/// Lets a request through to its route, or answers it here.
pub async fn guard(people: State<People>, request: Request, next: Next) -> Response {
    // Customers come with keys of their own, which their route looks at.
    let path = request.uri().path();
    if OPEN_PATHS.contains(&path) || path == own::PATH {
        return next.run(request).await;
    }
    match people.access.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let form = Form::of(&request);
            if problem.kind == Kind::Unauthenticated {
                people.access.failed().await;
            }
            problem.told(form)
        }
    }
}

fn unauthenticated(why: &str) -> Problem {
    Problem::new(Kind::Unauthenticated, why)
}

pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Refuses names other than this machine's own. A page can point a name of its own at loopback
/// after it was loaded, and is then of one origin with this port; its requests carry that name.
fn from_here(request: &Request) -> Result<(), Problem> {
    let Some(authority) = authority(request) else {
        return Err(Problem::new(Kind::Forbidden, "the request names no host"));
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let why = format!("`{host}` is not a name of this machine; use localhost or an address");
    Err(Problem::new(Kind::Forbidden, why))
}

/// Refuses what a page of another site can send: forms, and anything that names another origin.
fn from_no_page(request: &Request) -> Result<(), Problem> {
    if let Some(origin) = request.headers().get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let site = origin.split_once("://").map(|(_, site)| site);
        let own = authority(request);
        if site.is_none() || site != own.as_ref().map(Authority::as_str) {
            return Err(Problem::new(Kind::Forbidden, "pages of other sites may not ask"));
        }
    }
    let kind = request.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
    let is_json = kind.is_some_and(|kind| {
        let name = kind.split(|&byte| byte == b';').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"application/json")
    });
    if request.method() == Method::POST && Form::of(request) == Form::Json && !is_json {
        let why = "send the body as content-type: application/json";
        return Err(Problem::new(Kind::WrongType, why));
    }
    Ok(())
}

/// Whom the request was sent to: the URI's authority in HTTP/2, the host header in HTTP/1.
fn authority(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    request.headers().get(header::HOST)?.to_str().ok()?.parse().ok()
}
