//! How much is used of every limit of some entries.

use crate::calendar;
use crate::limit::Budget;
use crate::rules::Domain;
use crate::store::Memory;
use crate::time::{SECOND_US, Timestamp};

use super::resolve::{self, Target};
use super::{Refusal, Subject, grant, words};

/// How some entries stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub domain: String,
    pub limits: Vec<Use>,
    /// Rules that apply but serve no plan: they refuse every call with these entries.
    pub refusing: Vec<String>,
}

/// How one limit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub rule: String,
    pub limit: String,
    pub used: u64,
    /// The budget; none if there is no end to it.
    pub requests: Option<u64>,
    /// As a decision shows it: never more than the budget, even where a burst holds more.
    pub remaining: Option<u64>,
    /// What is left of a grant, if there is one, and when it ends.
    pub granted: Option<u64>,
    pub granted_until: Option<String>,
    /// The window, such as `minute` or `10 minutes`.
    pub per: String,
    pub on_exceed: &'static str,
    /// Until the window ends, or for logs and buckets until nothing is used; rounded up.
    pub reset_seconds: u64,
    pub reset_at: String,
}

pub fn usage(
    domain: &Domain,
    memory: &Memory,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Usage, Refusal> {
    let found = resolve::held(domain, subject, now)?;
    Ok(Usage {
        domain: domain.name.to_string(),
        limits: found.targets.iter().map(|target| of(target, memory, now)).collect(),
        refusing: found.without_plan.iter().map(|rule| rule.name.to_string()).collect(),
    })
}

/// Microseconds as whole seconds, rounded up.
pub fn seconds(us: u64) -> u64 {
    us.div_ceil(SECOND_US)
}

pub fn of(target: &Target<'_>, memory: &Memory, now: Timestamp) -> Use {
    let (limit, terms) = (target.terms.limit, target.terms);
    let reading = memory.reading(target.key, &terms, now);
    let granted = grant::of(memory, target.key, now);
    let left = granted.as_ref().map_or(0, |(grant, _)| grant.left);
    let requests = match terms.budget {
        Budget::Requests(requests) => Some(requests),
        Budget::Unlimited => None,
    };
    Use {
        rule: target.rule.name.to_string(),
        limit: words::limit_name(target.rule, limit).to_owned(),
        used: reading.used,
        requests,
        remaining: requests.map(|most| reading.remaining.saturating_add(left).min(most)),
        granted: granted.as_ref().map(|(grant, _)| grant.left),
        granted_until: granted.map(|(_, until)| calendar::rfc3339(until)),
        per: words::per(limit.per),
        on_exceed: words::on_exceed(terms.on_exceed),
        reset_seconds: seconds(reading.reset_us),
        reset_at: calendar::rfc3339(now.plus(reading.reset_us)),
    }
}
