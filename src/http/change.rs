//! What can be changed: reset, adjust and erase, from JSON to JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use serde_json::{Value, json};

use crate::audit::Who;
use crate::quota::{Changed, Unreachable};

use super::answer::{Answer, Problem};
use super::{People, ask};

type Body = Result<Bytes, BytesRejection>;

pub async fn reset(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let asked: ask::Change = ask::body(body)?;
    if asked.set.is_some() || asked.add.is_some() {
        return Err(Problem::invalid("`set` and `add` belong to /v1/adjust"));
    }
    let pairs = asked.entries.read()?;
    let subject = ask::subject(&asked.domain, &pairs);
    let reset = people.quota.reset(*who, &subject, asked.limit.as_deref()).await?;
    Ok(Json(json!({ "reset": reset.iter().map(changed).collect::<Vec<_>>() })))
}

pub async fn adjust(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let asked: ask::Change = ask::body(body)?;
    let amount = ask::amount(asked.set, asked.add)?;
    let Some(limit) = asked.limit else {
        return Err(Problem::invalid("say which `limit`, as in per-key.month"));
    };
    let pairs = asked.entries.read()?;
    let subject = ask::subject(&asked.domain, &pairs);
    let adjusted = people.quota.adjust(*who, &subject, &limit, amount).await?;
    Ok(Json(json!({ "adjusted": changed(&adjusted) })))
}

pub async fn erase(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let asked: ask::Change = ask::body(body)?;
    if asked.limit.is_some() || asked.set.is_some() || asked.add.is_some() {
        return Err(Problem::invalid("erase takes `domain` and `entries` alone"));
    }
    let pairs = asked.entries.read()?;
    let subject = ask::subject(&asked.domain, &pairs);
    let erased = people.quota.erase(*who, &subject).await?;
    Ok(Json(json!({
        "erased": erased.erased.iter().map(changed).collect::<Vec<_>>(),
        "unreachable": erased.unreachable.iter().map(unreachable).collect::<Vec<_>>(),
    })))
}

fn changed(it: &Changed) -> Value {
    json!({ "limit": it.limit, "before": it.before, "after": it.after })
}

fn unreachable(it: &Unreachable) -> Value {
    json!({ "limit": it.limit, "missing": it.missing, "expires_by": it.expires_by })
}
