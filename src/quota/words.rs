//! Parts of limits in words, as the rules language has them.

use crate::limit::{Algorithm, Charge, Durability, Limit, OnExceed, Per, Unit};
use crate::rules::Rule;

/// A limit's name within its rule.
pub fn limit_name<'l>(rule: &Rule, limit: &'l Limit) -> &'l str {
    name_within(rule, &limit.label)
}

/// The name of a limit with this label within its rule.
pub fn name_within<'l>(rule: &Rule, label: &'l str) -> &'l str {
    let name = label.strip_prefix(&*rule.name).and_then(|rest| rest.strip_prefix('.'));
    name.unwrap_or(label)
}

pub fn per(per: Per) -> String {
    if per == Per::AT_ONCE {
        return "at once".into();
    }
    let Per { count, unit } = per;
    let unit = match unit {
        Unit::Second => "second",
        Unit::Minute => "minute",
        Unit::Hour => "hour",
        Unit::Day => "day",
        Unit::Week => "week",
        Unit::Month => "month",
        Unit::Year => "year",
    };
    if count == 1 { unit.into() } else { format!("{count} {unit}s") }
}

pub fn on_exceed(on_exceed: OnExceed) -> &'static str {
    match on_exceed {
        OnExceed::Deny => "deny",
        OnExceed::Allow => "allow",
        OnExceed::Shadow => "shadow",
        OnExceed::Queue(_) => "queue",
    }
}

pub fn algorithm(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::FixedWindow { .. } => "fixed_window",
        Algorithm::Calendar(_) => "calendar",
        Algorithm::SlidingLog { .. } => "sliding_log",
        Algorithm::SlidingWindow { .. } => "sliding_window",
        Algorithm::TokenBucket { .. } => "token_bucket",
        Algorithm::Concurrency => "concurrency",
    }
}

pub fn charge(charge: Charge) -> &'static str {
    match charge {
        Charge::Admitted => "admitted",
        Charge::Always => "always",
    }
}

pub fn durability(durability: Durability) -> &'static str {
    match durability {
        Durability::Ordinary => "ordinary",
        Durability::Strict => "strict",
    }
}
