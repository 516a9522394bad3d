//! Windows that have closed, as lines of JSON.

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::quota::{ClosedWindow, History, Span};

use super::answer::Problem;
use super::grant::values;
use super::read::or_unlimited;
use super::{People, ask};

/// The media type of lines of JSON.
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Where the export ends, and the next may begin.
const UNTIL: &str = "tollgate-history-until";

/// `GET /v1/history`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    domain: String,
    from: String,
    until: Option<String>,
    #[serde(default)]
    entries: String,
    limit: Option<String>,
}

/// Each part is made when the one before it is on its way, so that no export is in memory whole.
pub async fn history(
    people: State<People>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let pairs = ask::entries(&asked.entries)?;
    let subject = ask::subject(&asked.domain, &pairs);
    let (until, limit) = (asked.until.as_deref(), asked.limit.as_deref());
    let history = people.quota.history(&subject, Span { from: &asked.from, until, limit })?;
    let end = HeaderValue::try_from(history.until());
    let end = end.map_err(|_| Problem::invalid("until is no date"))?;
    let parts =
        (0..History::PARTS).map(move |number| Ok::<_, std::io::Error>(part(&history, number)));
    let parts = parts.filter(|part| part.as_ref().is_ok_and(|part| !part.is_empty()));
    let mut response = Body::from_stream(tokio_stream::iter(parts)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, LINES);
    response.headers_mut().insert(UNTIL, end);
    Ok(response)
}

fn part(history: &History, number: usize) -> Bytes {
    let mut text = String::new();
    for window in history.part(number) {
        text.push_str(&closed(&window).to_string());
        text.push('\n');
    }
    text.into()
}

fn closed(it: &ClosedWindow) -> Value {
    json!({
        "domain": it.domain,
        "limit": it.limit,
        "values": values(&it.values),
        "start": it.start,
        "end": it.end,
        "used": it.used,
        "requests": or_unlimited(it.requests),
    })
}
