//! A customer's own view, asked with the customer's key as bearer token.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::quota::{OwnLimit, Past};

use super::People;
use super::access::bearer;
use super::answer::{Answer, Kind, Problem};
use super::read::or_unlimited;

/// Where customers ask.
pub const PATH: &str = "/v1/my/usage";

/// What is wrong is the same for keys that nobody has, and for domains that show nothing: whoever
/// tries keys, or names of domains, learns nothing of either.
const WRONG: &str = "this is no key of this domain, or the domain shows nobody their own usage";

/// `GET /v1/my/usage`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    domain: String,
}

pub async fn usage(
    people: State<People>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Answer {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let Some(key) = bearer(&headers) else {
        return Err(refused(&people, "your key is needed: authorization: Bearer KEY").await);
    };
    let Some(own) = people.quota.own_usage(&asked.domain, key)? else {
        return Err(refused(&people, WRONG).await);
    };
    let limits: Vec<_> = own.limits.iter().map(limit).collect();
    Ok(Json(json!({ "domain": asked.domain, "limits": limits })))
}

/// A failure counts and waits as one of the server's own token does. A success ends no row of
/// failures: a customer is not who the others were guessing for.
async fn refused(people: &People, why: &str) -> Problem {
    people.access.failed().await;
    Problem::new(Kind::Unauthenticated, why)
}

fn limit(it: &OwnLimit) -> Value {
    let now = &it.now;
    let mut limit = json!({
        "name": now.limit,
        "per": now.per,
        "used": now.used,
        "limit": or_unlimited(now.requests),
        "remaining": or_unlimited(now.remaining),
        "reset_seconds": now.reset_seconds,
        "reset_at": now.reset_at,
        "reset_date": it.reset_date,
    });
    if !it.past.is_empty() {
        limit["past"] = it.past.iter().map(past).collect();
    }
    limit
}

fn past(it: &Past) -> Value {
    json!({
        "start": it.start,
        "end": it.end,
        "used": it.used,
        "limit": or_unlimited(it.requests),
    })
}
