//! From entries to counters, by the same steps as a decision takes.

use crate::directory::Row;
use crate::key::CounterKey;
use crate::limit::{Limit, OnExceed, Terms};
use crate::query::Entries;
use crate::rules::{Domain, Held, Rule, RuleSet, Stance};
use crate::time::Timestamp;

use super::{Refusal, Subject};

/// One counter, and the limit that it is held to.
#[derive(Clone, Debug)]
pub struct Target<'r> {
    pub rule: &'r Rule,
    /// The values that it counts by.
    pub values: Vec<(String, String)>,
    pub terms: Terms<'r>,
    pub key: CounterKey,
}

/// What a call with these entries would be held to.
#[derive(Debug)]
pub struct Found<'r> {
    pub targets: Vec<Target<'r>>,
    /// Rules that serve no plan for these entries, and refuse such calls outright.
    pub without_plan: Vec<&'r Rule>,
}

pub fn domain<'r>(rules: &'r RuleSet, subject: &Subject<'_>) -> Result<&'r Domain, Refusal> {
    if subject.entries.iter().len() == 0 {
        return Err(Refusal::Invalid("no entries are given; say whose counters are meant".into()));
    }
    named(rules, subject.domain)
}

pub fn named<'r>(rules: &'r RuleSet, domain: &str) -> Result<&'r Domain, Refusal> {
    rules
        .domain(domain)
        .ok_or_else(|| Refusal::NotFound(format!("no rules are loaded for domain `{domain}`")))
}

pub fn held<'r>(
    domain: &'r Domain,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Found<'r>, Refusal> {
    let mut found = Found { targets: Vec::new(), without_plan: Vec::new() };
    let row = domain.row(&subject.entries);
    let row = row.as_deref();
    let entries = &subject.entries.with(row.iter().flat_map(|row| row.entries(now)));
    let matching: Vec<&Rule> = domain.matching(entries).collect();
    let stances: Vec<_> =
        matching.iter().map(|rule| rule.force.stance(rule.identity(entries))).collect();
    let enforced = matching.iter().zip(&stances).filter(|(_, it)| **it == Stance::Enforced);
    let replaced: Vec<_> = enforced.flat_map(|(rule, _)| &*rule.replaces).collect();
    for (rule, &stance) in matching.iter().zip(&stances) {
        let of_rule = || replaced.iter().filter(|it| *it.rule == *rule.name);
        if stance == Stance::Absent || of_rule().any(|it| it.label.is_none()) {
            continue;
        }
        let Held::To(limits) = rule.held(entries) else {
            if stance == Stance::Enforced {
                found.without_plan.push(rule);
            }
            continue;
        };
        let stays = |limit: &&Limit| {
            of_rule().all(|replaced| replaced.label.as_deref() != Some(&*limit.label))
        };
        let terms = |limit: &'r Limit| {
            let mut terms = terms(row, limit, now);
            if stance == Stance::Shadow {
                terms.on_exceed = OnExceed::Shadow;
            }
            terms
        };
        let limits = limits.iter().filter(stays);
        found.targets.extend(targets(rule, limits, entries, terms));
    }
    if matching.is_empty() { Err(no_rule(domain)) } else { Ok(found) }
}

/// Rules that apply to these entries and serve no plan for them.
pub fn without_plan(domain: &Domain, subject: &Subject<'_>, now: Timestamp) -> Vec<String> {
    let without = held(domain, subject, now).map(|found| found.without_plan).unwrap_or_default();
    without.iter().map(|rule| rule.name.to_string()).collect()
}

pub fn no_rule(domain: &Domain) -> Refusal {
    Refusal::NotFound(format!("no rule of domain `{}` applies to these entries", domain.name))
}

/// The counters of these entries for some limits of a rule.
pub fn targets<'r>(
    rule: &'r Rule,
    limits: impl IntoIterator<Item = &'r Limit>,
    entries: &Entries<'_>,
    terms: impl Fn(&'r Limit) -> Terms<'r>,
) -> Vec<Target<'r>> {
    let identity = rule.identity(entries);
    let values = rule.counted(entries);
    let target = move |limit: &'r Limit| Target {
        rule,
        values: values.clone(),
        terms: terms(limit),
        key: identity.counter(limit.tag),
    };
    limits.into_iter().map(target).collect()
}

/// A limit as it binds whoever has this row.
fn terms<'r>(row: Option<&Row>, limit: &'r Limit, now: Timestamp) -> Terms<'r> {
    row.map_or_else(|| limit.terms(), |row| row.terms(limit, now))
}

impl Target<'_> {
    /// Rule and limit name.
    pub fn label(&self) -> &str {
        &self.terms.limit.label
    }
}

impl<'r> Found<'r> {
    /// The counter of the limit with this label.
    pub fn named(&self, label: &str) -> Result<Target<'r>, Refusal> {
        let named = self.targets.iter().find(|target| target.label() == label);
        named.cloned().ok_or_else(|| {
            let labels: Vec<_> = self.targets.iter().map(Target::label).collect();
            let there = labels.join(", ");
            Refusal::NotFound(format!(
                "limit `{label}` does not apply to these entries; those that do: {there}"
            ))
        })
    }
}
