//! Charges, refunds and reservations, from JSON to JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit::Who;
use crate::quota::{Charge, Charged, Reserve, Settled, SettledLimit, Stand};

use super::answer::{Answer, Problem};
use super::ask::{Pairs, Whole};
use super::{People, ask, read};

/// The body of all of these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    domain: String,
    entries: Pairs,
    id: Option<String>,
    hits: Option<Whole>,
    expires_seconds: Option<Whole>,
}

/// What was asked, read.
struct Told {
    domain: String,
    pairs: Vec<(String, String)>,
    id: Option<String>,
    hits: Option<u64>,
    expires_s: Option<u64>,
}

type Body = Result<Bytes, BytesRejection>;

impl Told {
    fn of(body: Body) -> Result<Told, Problem> {
        let asked: Asked = ask::body(body)?;
        let hits = asked.hits.map(|hits| hits.count("hits")).transpose()?;
        let expires = asked.expires_seconds.map(|it| it.count("expires_seconds"));
        Ok(Told {
            domain: asked.domain,
            pairs: asked.entries.read()?,
            id: asked.id,
            hits,
            expires_s: expires.transpose()?,
        })
    }

    /// The same without a word on when it expires, which only reservations do.
    fn lasting(body: Body) -> Result<Told, Problem> {
        let told = Told::of(body)?;
        match told.expires_s {
            Some(_) => Err(Problem::invalid("`expires_seconds` belongs to /v1/reserve")),
            None => Ok(told),
        }
    }

    fn subject(&self) -> crate::quota::Subject<'_> {
        ask::subject(&self.domain, &self.pairs)
    }

    fn id(&self) -> Result<&str, Problem> {
        self.id.as_deref().ok_or_else(|| Problem::invalid("say which `id`"))
    }

    fn hits(&self) -> Result<u64, Problem> {
        self.hits.ok_or_else(|| Problem::invalid("say how many `hits`"))
    }
}

pub async fn charge(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let told = Told::lasting(body)?;
    let charge = Charge { hits: told.hits.unwrap_or(1), id: told.id.as_deref() };
    let charged = people.quota.charge(*who, &told.subject(), charge).await?;
    Ok(Json(charged_of(&charged)))
}

pub async fn reserve(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let told = Told::of(body)?;
    let reserve = Reserve { hits: told.hits()?, id: told.id()?, expires_s: told.expires_s };
    let reserved = people.quota.reserve(*who, &told.subject(), reserve).await?;
    let mut answer = charged_of(&reserved.charged);
    answer["expires_at"] = reserved.expires_at.into();
    Ok(Json(answer))
}

pub async fn commit(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let told = Told::lasting(body)?;
    let hits = told.hits()?;
    let settled = people.quota.commit(*who, &told.subject(), told.id()?, hits).await?;
    Ok(Json(settled_of(&settled)))
}

pub async fn cancel(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let told = Told::lasting(body)?;
    if told.hits.is_some() {
        return Err(Problem::invalid(
            "what is cancelled costs nothing; `hits` belong to /v1/commit",
        ));
    }
    let settled = people.quota.cancel(*who, &told.subject(), told.id()?).await?;
    Ok(Json(settled_of(&settled)))
}

pub async fn refund(people: State<People>, who: Extension<Who>, body: Body) -> Answer {
    let told = Told::lasting(body)?;
    let refunded = people.quota.refund(*who, &told.subject(), told.id()?, told.hits).await?;
    Ok(Json(json!({
        "hits": refunded.hits,
        "refunded": refunded.refunded,
        "repeated": refunded.repeated,
        "limits": refunded.limits.iter().map(settled_limit).collect::<Vec<_>>(),
    })))
}

fn charged_of(it: &Charged) -> Value {
    let mut answer = json!({
        "admitted": it.admitted,
        "repeated": it.repeated,
        "retry_after_seconds": it.retry_after_seconds,
        "limits": it.limits.iter().map(stand).collect::<Vec<_>>(),
    });
    if !it.refusing.is_empty() {
        answer["refusing"] = it.refusing.clone().into();
    }
    if let Some(rule) = &it.banned_by {
        answer["banned_by"] = rule.as_str().into();
    }
    answer
}

fn stand(it: &Stand) -> Value {
    let mut limit = read::use_of(&it.limit);
    limit["refuses"] = it.refuses.into();
    limit["retry_after_seconds"] = it.retry_after_seconds.into();
    limit
}

fn settled_of(it: &Settled) -> Value {
    let limits: Vec<_> = it.limits.iter().map(settled_limit).collect();
    json!({ "hits": it.hits, "repeated": it.repeated, "limits": limits })
}

fn settled_limit(it: &SettledLimit) -> Value {
    json!({ "limit": it.limit, "charged": it.charged, "put_back": it.put_back })
}
