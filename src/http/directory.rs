//! `/v1/directory`: rows of keys as JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit::Who;
use crate::directory::Written;
use crate::quota::{Origin, PAGE_USUAL, RowInForce};

use super::answer::{Answer, Problem};
use super::{People, ask};

/// `GET /v1/directory`: a page of rows, or the one of a key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    domain: String,
    key: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// `DELETE /v1/directory`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    domain: String,
    key: String,
}

/// The body of `PUT /v1/directory`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    domain: String,
    key: String,
    row: Value,
}

pub async fn see(people: State<People>, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    if let Some(key) = &asked.key {
        if asked.after.is_some() || asked.limit.is_some() {
            return Err(Problem::invalid("`after` and `limit` are for pages, not for one `key`"));
        }
        return Ok(Json(in_force(&people.quota.directory_row(&asked.domain, key)?)));
    }
    let limit = asked.limit.unwrap_or(PAGE_USUAL);
    let page = people.quota.directory(&asked.domain, asked.after.as_deref(), limit)?;
    let rows: Vec<_> = page.rows.iter().map(in_force).collect();
    Ok(Json(json!({ "domain": asked.domain, "by": page.by, "rows": rows, "next": page.next })))
}

pub async fn set(
    people: State<People>,
    who: Extension<Who>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let asked: Row = ask::body(body)?;
    let row = Written::from_json(&asked.row).map_err(Problem::invalid)?;
    let set = people.quota.set_directory_row(*who, &asked.domain, &asked.key, &row).await?;
    Ok(Json(json!({ "set": in_force(&set) })))
}

pub async fn remove(
    people: State<People>,
    who: Extension<Who>,
    asked: Result<Query<Named>, QueryRejection>,
) -> Answer {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let left = people.quota.remove_directory_row(*who, &asked.domain, &asked.key).await?;
    Ok(Json(json!({ "in_force": left.as_ref().map(in_force) })))
}

fn in_force(it: &RowInForce) -> Value {
    let origin = match it.origin {
        Origin::File => "file",
        Origin::Api => "api",
    };
    json!({ "key": it.key, "origin": origin, "row": it.row.to_json() })
}
