//! Grants as JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Query, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::audit::Who;
use crate::quota::Granted;

use super::answer::{Answer, Problem};
use super::ask::{Pairs, Whole};
use super::{People, ask};

/// The body of `POST /v1/grant`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    domain: String,
    entries: Pairs,
    limit: String,
    hits: Whole,
    until: String,
}

/// `GET` and `DELETE /v1/grants`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    domain: String,
    #[serde(default)]
    entries: String,
    limit: Option<String>,
}

type Found = Result<Query<Named>, QueryRejection>;

pub async fn grant(
    people: State<People>,
    who: Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let asked: Asked = ask::body(body)?;
    let (hits, pairs) = (asked.hits.count("hits")?, asked.entries.read()?);
    let subject = ask::subject(&asked.domain, &pairs);
    let granted = people.quota.grant(*who, &subject, &asked.limit, (hits, &asked.until)).await?;
    Ok(Json(json!({ "grant": granted_of(&granted) })))
}

pub async fn list(people: State<People>, asked: Found) -> Answer {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let pairs = ask::entries(&asked.entries)?;
    let mut grants = people.quota.grants(&ask::subject(&asked.domain, &pairs))?;
    if let Some(limit) = &asked.limit {
        grants.retain(|grant| grant.limit == *limit);
    }
    Ok(Json(json!({ "grants": grants.iter().map(granted_of).collect::<Vec<_>>() })))
}

pub async fn revoke(people: State<People>, who: Extension<Who>, asked: Found) -> Answer {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let pairs = ask::entries(&asked.entries)?;
    let subject = ask::subject(&asked.domain, &pairs);
    let revoked = people.quota.revoke(*who, &subject, asked.limit.as_deref()).await?;
    let revoked: Vec<_> =
        revoked.iter().map(|it| json!({ "limit": it.limit, "left": it.left })).collect();
    Ok(Json(json!({ "revoked": revoked })))
}

fn granted_of(it: &Granted) -> Value {
    json!({
        "limit": it.limit,
        "values": values(&it.values),
        "granted": it.granted,
        "left": it.left,
        "until": it.until,
    })
}

/// Values that a counter counts by, as an object.
pub fn values(values: &[(String, String)]) -> Value {
    let member = |(entry, value): &(String, String)| (entry.clone(), value.as_str().into());
    Value::Object(values.iter().map(member).collect::<Map<_, _>>())
}
