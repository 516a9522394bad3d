//! What a server is and what it goes by: its rules and its state, as people read them.

use crate::calendar;
use crate::gate::Phase;
use crate::limit::{Budget, Limit, OnExceed, Queueing};
use crate::rules::{Domain, Limits, Rule};
use crate::store::journal::Condition;

use super::{Quota, words};

/// The rules of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRules {
    pub domain: String,
    /// Whether calls may bring budgets along.
    pub overrides: bool,
    pub rules: Vec<RuleInForce>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInForce {
    pub rule: String,
    /// Entries on which it depends whether the rule applies.
    pub matches_on: Vec<String>,
    pub count_by: Vec<String>,
    /// `on`, or what people switched it to: `shadow` or `off`.
    pub mode: &'static str,
    /// The part of its counters that is held to it, in percent.
    pub enforce: String,
    pub limits: Vec<LimitInForce>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitInForce {
    pub limit: String,
    /// The plan it belongs to; none for a rule's own limit.
    pub plan: Option<String>,
    /// The budget; none if there is no end to it.
    pub requests: Option<u64>,
    pub per: String,
    pub algorithm: &'static str,
    pub on_exceed: &'static str,
    /// The bounds of its line, if it has one.
    pub queue: Option<Queueing>,
    pub charge: &'static str,
    pub durability: &'static str,
}

/// How a server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub version: &'static str,
    /// `starting`, `serving` or `draining`.
    pub state: &'static str,
    pub uptime_seconds: u64,
    pub rules_loaded_at: String,
    /// Counters in memory, expired ones that were not swept yet included.
    pub counters: u64,
    /// `none`, `whole` or `failing`.
    pub journal: &'static str,
    /// What the journal's condition means.
    pub journal_detail: &'static str,
}

impl Quota {
    /// All rules in force, domains by name and rules in file order.
    pub fn rules(&self) -> Vec<DomainRules> {
        let rules = self.gate.rules();
        let mut domains: Vec<_> = rules.domains().map(domain).collect();
        domains.sort_by(|a, b| a.domain.cmp(&b.domain));
        domains
    }

    pub fn status(&self) -> Status {
        let (journal, journal_detail) = match self.gate.journal().map(|it| it.status.get()) {
            None => ("none", "counters end with the process; --data DIR keeps them"),
            Some(Condition::Whole) => ("whole", "what is to be kept is on disk"),
            Some(Condition::Failing) => (
                "failing",
                "the disk fails: limits go on in memory alone, strict ones answer UNAVAILABLE",
            ),
        };
        Status {
            version: env!("CARGO_PKG_VERSION"),
            state: match self.gate.phase() {
                Phase::Starting => "starting",
                Phase::Serving => "serving",
                Phase::Draining => "draining",
            },
            uptime_seconds: self.started.elapsed().as_secs(),
            rules_loaded_at: calendar::rfc3339(self.gate.loaded_at()),
            counters: self.gate.counters() as u64,
            journal,
            journal_detail,
        }
    }
}

fn domain(domain: &Domain) -> DomainRules {
    DomainRules {
        domain: domain.name.to_string(),
        overrides: domain.overrides,
        rules: domain.rules().iter().map(rule).collect(),
    }
}

fn rule(rule: &Rule) -> RuleInForce {
    let limits = match &rule.limits {
        Limits::Own(limits) => limits.iter().map(|it| limit(rule, None, it)).collect(),
        Limits::Plans { plans, .. } => {
            let mut plans: Vec<_> = plans.iter().collect();
            plans.sort_by(|a, b| a.0.cmp(b.0));
            let mut all = Vec::new();
            for (plan, limits) in plans {
                all.extend(limits.iter().map(|it| limit(rule, Some(plan), it)));
            }
            all
        }
    };
    let mut matches_on: Vec<_> = rule.conditions.iter().map(|it| it.entry.to_string()).collect();
    matches_on.dedup();
    let count_by = rule.count_by.iter().map(ToString::to_string).collect();
    let (mode, enforce) = (rule.force.mode().name(), percent(rule.force.share()));
    RuleInForce { rule: rule.name.to_string(), matches_on, count_by, mode, enforce, limits }
}

/// A share of ten thousand as the rules language has it.
fn percent(share: u16) -> String {
    let (whole, rest) = (share / 100, share % 100);
    let text = if rest == 0 { format!("{whole}") } else { format!("{whole}.{rest:02}") };
    let text = if rest == 0 { &text } else { text.trim_end_matches('0') };
    format!("{text}%")
}

fn limit(rule: &Rule, plan: Option<&str>, limit: &Limit) -> LimitInForce {
    LimitInForce {
        limit: words::limit_name(rule, limit).to_owned(),
        plan: plan.map(str::to_owned),
        requests: match limit.budget {
            Budget::Requests(requests) => Some(requests),
            Budget::Unlimited => None,
        },
        per: words::per(limit.per),
        algorithm: words::algorithm(&limit.algorithm),
        on_exceed: words::on_exceed(limit.on_exceed),
        queue: match limit.on_exceed {
            OnExceed::Queue(bounds) => Some(bounds),
            _ => None,
        },
        charge: words::charge(limit.charge),
        durability: words::durability(limit.durability),
    }
}
