//! Rules that are switched, and values as they are shown, as JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit::Who;
use crate::quota::Switched;

use super::answer::Answer;
use super::{People, ask};

/// The body of `POST /v1/switch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    domain: String,
    rule: String,
    mode: String,
}

/// The body of `POST /v1/fingerprint`: a body, since paths end in logs and these may be secrets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    domain: String,
    entry: String,
    values: Vec<String>,
}

type Body = Result<Bytes, BytesRejection>;

pub async fn switch(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let asked: Asked = ask::body(body)?;
    let switched = people.quota.switch(*who, &asked.domain, &asked.rule, &asked.mode).await?;
    Ok(Json(json!({ "switch": switched_of(&switched) })))
}

pub async fn list(people: State<People>) -> Answer {
    let switches: Vec<_> = people.quota.switches()?.iter().map(switched_of).collect();
    Ok(Json(json!({ "switches": switches })))
}

pub async fn fingerprint(people: State<People>, body: Body) -> Answer {
    let asked: Values = ask::body(body)?;
    let shown = people.quota.shown_as(&asked.domain, &asked.entry, &asked.values)?;
    Ok(Json(json!({ "shown": shown })))
}

fn switched_of(it: &Switched) -> Value {
    json!({ "domain": it.domain, "rule": it.rule, "mode": it.mode, "loaded": it.loaded })
}
