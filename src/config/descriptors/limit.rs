//! A node's limit: its window, its name, and what it takes the place of.

use jiff::tz::TimeZone;

use crate::calendar::{Anchor, Calendar, Period};
use crate::config::decode::{At, nearest};
use crate::config::document::{Descriptor, RateLimit};
use crate::config::problem::Problem;
use crate::config::words::UNITS;
use crate::key::HashKey;
use crate::limit::{Algorithm, Budget, Charge, Durability, Limit, OnExceed, Per, Unit};
use crate::rules::{Bound, crowd, limit_tag};
use crate::time::SECOND_US;

/// How long months are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Months {
    /// Thirty days, counted from 1970.
    #[default]
    Days,
    /// Those of the calendar, in UTC.
    Calendar,
}

/// What all limits of a domain have in common.
#[derive(Clone, Copy, Debug)]
pub struct Common<'k> {
    pub key: &'k HashKey,
    pub domain: &'k str,
    pub charge: Charge,
    pub months: Months,
}

/// What a node holds its calls to; none if it only leads to others.
pub fn bound(descriptor: &Descriptor) -> Option<Bound> {
    match &descriptor.rate_limit {
        Some(limit) if is_unlimited(&limit.value) => Some(Bound::Unlimited),
        Some(_) => Some(Bound::Limited),
        None => descriptor.descriptors.is_empty().then_some(Bound::Free),
    }
}

fn is_unlimited(limit: &RateLimit) -> bool {
    limit.unlimited.as_ref().is_some_and(|it| it.value)
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word.to_lowercase().as_str() {
        "second" => Unit::Second,
        "minute" => Unit::Minute,
        "hour" => Unit::Hour,
        "day" => Unit::Day,
        "week" => Unit::Week,
        "month" => Unit::Month,
        "year" => Unit::Year,
        _ => return None,
    })
}

impl Common<'_> {
    /// The limit of a node; none if it has none, or one that cannot be. `rule` names the node.
    pub fn limit(
        &self,
        descriptor: &Descriptor,
        rule: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Limit> {
        let At { span, value: limit } = descriptor.rate_limit.as_ref()?;
        replaced(limit, problems);
        let word = limit.unit.as_ref().map_or("", |unit| unit.value.as_str());
        if is_unlimited(limit) {
            beside_unlimited(limit, unit(word), problems);
            return None;
        }
        let Some(unit) = unit(word) else {
            let what = match word {
                "" => "the limit has no `unit`".to_owned(),
                word => format!("`{word}` is no unit of time"),
            };
            let remedy = match nearest(&word.to_lowercase(), &UNITS) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("write one of: {}", UNITS.join(", ")),
            };
            let span = limit.unit.as_ref().map_or(*span, |unit| unit.span);
            problems.push(Problem::error(span, what, remedy));
            return None;
        };
        if limit.requests_per_unit.is_none() {
            let remedy = "add `requests_per_unit: …`; write 0 if that is what is meant";
            let what = "without `requests_per_unit` this limit lets nothing pass";
            problems.push(Problem::warning(*span, what, remedy));
        }
        let requests = limit.requests_per_unit.as_ref().map_or(0, |requests| requests.value);
        let shadow = descriptor.shadow_mode.as_ref().is_some_and(|it| it.value);
        Some(self.compiled(rule, unit, requests, shadow))
    }

    fn compiled(&self, rule: &str, unit: Unit, requests: u32, shadow: bool) -> Limit {
        let per = Per { count: 1, unit };
        let algorithm = match (unit, self.months) {
            (Unit::Month, Months::Calendar) => {
                Algorithm::Calendar(Calendar::new(Period::Month, TimeZone::UTC, Anchor::USUAL))
            }
            _ => Algorithm::FixedWindow { window_us: per.window_s() * SECOND_US },
        };
        Limit {
            label: format!("{rule}.{}", crate::config::per::name(unit)).into(),
            budget: Budget::Requests(requests.into()),
            per,
            // Budgets that calls bring along are counted in the same place.
            tag: limit_tag(self.key, "", &algorithm),
            crowd: crowd(self.key, self.domain, rule),
            algorithm,
            on_exceed: if shadow { OnExceed::Allow } else { OnExceed::Deny },
            charge: self.charge,
            durability: Durability::Ordinary,
            archive: false,
            alert: None,
        }
    }
}

/// What stands beside `unlimited`: a unit contradicts it, and the rest has no meaning.
fn beside_unlimited(limit: &RateLimit, unit: Option<Unit>, problems: &mut Vec<Problem>) {
    let without_meaning = |span, what: &str| {
        let what = format!("{what} has no meaning beside `unlimited`");
        Problem::warning(span, what, "take one of the two out")
    };
    if let Some(word) = &limit.unit {
        problems.push(match unit {
            Some(_) => {
                let what = "a limit cannot be `unlimited` and have a `unit`";
                Problem::error(word.span, what, "take one of the two out")
            }
            None => without_meaning(word.span, "a `unit`"),
        });
    }
    if let Some(requests) = &limit.requests_per_unit {
        problems.push(without_meaning(requests.span, "`requests_per_unit`"));
    }
}

fn replaced(limit: &RateLimit, problems: &mut Vec<Problem>) {
    for replaced in &limit.replaces {
        let At { span, value: name } = &replaced.name;
        if name.is_empty() {
            let remedy = "write `- name: …` with the `name` of another limit";
            problems.push(Problem::error(*span, "`replaces` names no limit here", remedy));
        } else if limit.name.as_ref().is_some_and(|own| own.value == *name) {
            let what = format!("limit `{name}` replaces itself");
            problems.push(Problem::error(*span, what, "name another limit"));
        }
    }
}
