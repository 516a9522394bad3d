//! What can be seen: usage, rules and status as JSON.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use crate::quota::{DomainRules, LimitInForce, RuleInForce, Use};

use super::answer::{Answer, Problem};
use super::{People, ask};

/// How an unlimited budget is written, and what is left of it.
const UNLIMITED: i64 = -1;

pub async fn usage(
    people: State<People>,
    asked: Result<Query<ask::Usage>, QueryRejection>,
) -> Answer {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let pairs = ask::entries(&asked.entries)?;
    let usage = people.quota.usage(&ask::subject(&asked.domain, &pairs))?;
    let limits: Vec<_> = usage.limits.iter().map(use_of).collect();
    let mut answer = json!({ "domain": usage.domain, "limits": limits });
    if !usage.refusing.is_empty() {
        answer["refusing"] = usage.refusing.into();
    }
    Ok(Json(answer))
}

pub async fn rules(people: State<People>) -> Answer {
    let domains: Vec<_> = people.quota.rules().iter().map(domain).collect();
    Ok(Json(json!({ "domains": domains })))
}

pub async fn status(people: State<People>) -> Answer {
    let status = people.quota.status();
    Ok(Json(json!({
        "version": status.version,
        "state": status.state,
        "uptime_seconds": status.uptime_seconds,
        "rules_loaded_at": status.rules_loaded_at,
        "counters": status.counters,
        "journal": status.journal,
        "journal_detail": status.journal_detail,
    })))
}

pub fn use_of(it: &Use) -> Value {
    let mut limit = json!({
        "rule": it.rule,
        "limit": it.limit,
        "used": it.used,
        "requests": or_unlimited(it.requests),
        "per": it.per,
        "remaining": or_unlimited(it.remaining),
        "on_exceed": it.on_exceed,
        "reset_seconds": it.reset_seconds,
        "reset_at": it.reset_at,
    });
    if let Some(granted) = it.granted {
        limit["granted"] = granted.into();
    }
    if let Some(until) = &it.granted_until {
        limit["granted_until"] = until.as_str().into();
    }
    limit
}

fn domain(it: &DomainRules) -> Value {
    let rules: Vec<_> = it.rules.iter().map(rule).collect();
    json!({ "domain": it.domain, "overrides": it.overrides, "rules": rules })
}

fn rule(it: &RuleInForce) -> Value {
    let limits: Vec<_> = it.limits.iter().map(limit).collect();
    json!({
        "rule": it.rule,
        "matches_on": it.matches_on,
        "count_by": it.count_by,
        "mode": it.mode,
        "enforce": it.enforce,
        "limits": limits,
    })
}

fn limit(it: &LimitInForce) -> Value {
    let mut limit = json!({
        "limit": it.limit,
        "plan": it.plan,
        "requests": or_unlimited(it.requests),
        "per": it.per,
        "algorithm": it.algorithm,
        "on_exceed": it.on_exceed,
        "charge": it.charge,
        "durability": it.durability,
    });
    if let Some(queue) = it.queue {
        limit["queue"] = json!({ "wait_ms": queue.wait_us / 1000, "depth": queue.depth });
    }
    limit
}

pub fn or_unlimited(number: Option<u64>) -> Value {
    number.map_or(UNLIMITED.into(), Into::into)
}
