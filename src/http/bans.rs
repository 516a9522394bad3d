//! `/v1/bans`, `/v1/ban` and `/v1/unban`: who is kept out, as JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Query, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::audit::Who;
use crate::quota::{BANS_USUAL, BanInForce, Sentence, WHICH_BAN};

use super::answer::{Answer, Problem};
use super::{People, ask};

/// `GET /v1/bans`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    domain: String,
    rule: Option<String>,
    limit: Option<usize>,
}

/// The body of `POST /v1/ban`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    domain: String,
    rule: String,
    entries: ask::Pairs,
    for_seconds: u64,
    why: Option<String>,
}

/// The body of `POST /v1/unban`: the id that a list shows, or a rule and entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unban {
    domain: String,
    id: Option<String>,
    rule: Option<String>,
    entries: Option<ask::Pairs>,
}

type Body = Result<Bytes, BytesRejection>;

pub async fn see(people: State<People>, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let limit = asked.limit.unwrap_or(BANS_USUAL);
    let bans = people.quota.bans(&asked.domain, asked.rule.as_deref(), limit)?;
    let listed: Vec<_> = bans.bans.iter().map(in_force).collect();
    Ok(Json(json!({ "domain": asked.domain, "bans": listed, "total": bans.total })))
}

pub async fn ban(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let asked: Ban = ask::body(body)?;
    let pairs = asked.entries.read()?;
    let subject = ask::subject(&asked.domain, &pairs);
    let why = asked.why.as_deref();
    let sentence = Sentence { rule: &asked.rule, for_s: asked.for_seconds, why };
    let banned = people.quota.ban(*who, &subject, sentence).await?;
    Ok(Json(json!({ "banned": in_force(&banned) })))
}

pub async fn unban(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let asked: Unban = ask::body(body)?;
    let lifted = match (asked.id, asked.rule, asked.entries) {
        (Some(id), None, None) => people.quota.unban_by_id(*who, &asked.domain, &id).await?,
        (None, Some(rule), Some(entries)) => {
            let pairs = entries.read()?;
            let subject = ask::subject(&asked.domain, &pairs);
            people.quota.unban(*who, &subject, &rule).await?
        }
        _ => return Err(Problem::invalid(WHICH_BAN)),
    };
    Ok(Json(json!({ "lifted": in_force(&lifted) })))
}

fn in_force(it: &BanInForce) -> Value {
    let values = it.values.iter().map(|(entry, value)| (entry.clone(), value.clone().into()));
    json!({
        "id": it.id,
        "rule": it.rule,
        "values": values.collect::<Map<_, _>>(),
        "why": it.why,
        "since": it.since,
        "until": it.until,
        "reset_seconds": it.reset_seconds,
        "strikes": it.strikes,
        "shadow": it.shadow,
    })
}
