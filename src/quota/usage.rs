//! How much is used of every limit of some entries.

use crate::calendar;
use crate::limit::Budget;
use crate::rules::Domain;
use crate::store::Memory;
use crate::time::{SECOND_US, Timestamp};

use super::resolve::{self, Target};
use super::{Refusal, Subject, words};

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

fn of(target: &Target<'_>, memory: &Memory, now: Timestamp) -> Use {
    let (limit, terms) = (target.terms.limit, target.terms);
    let reading = memory.reading(target.key, &terms, now);
    let requests = match terms.budget {
        Budget::Requests(requests) => Some(requests),
        Budget::Unlimited => None,
    };
    Use {
        rule: target.rule.name.to_string(),
        limit: words::limit_name(target.rule, limit).to_owned(),
        used: reading.used,
        requests,
        remaining: requests.map(|requests| reading.remaining.min(requests)),
        per: words::per(limit.per),
        on_exceed: words::on_exceed(terms.on_exceed),
        reset_seconds: reading.reset_us.div_ceil(SECOND_US),
        reset_at: calendar::rfc3339(now.plus(reading.reset_us)),
    }
}
