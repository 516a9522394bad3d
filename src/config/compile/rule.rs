//! Rules: to whom they apply, what they count by, where their limits come from.

use std::collections::HashSet;

use crate::config::decode::{At, nearest};
use crate::config::document::{self, Document, PlanChoice};
use crate::config::problem::Span;
use crate::limit::{Algorithm, Charge, Limit};
use crate::rules::{Cost, Limits, Rule, rule_prefix};

use super::Compiler;
use super::counter::share_counters;
use super::limit::PlanLimit;

/// In place of a plan's name: a call without a plan is refused.
pub const REFUSE: &str = "refuse";

impl<'d> Compiler<'d> {
    pub fn rules(&mut self, document: &'d Document) -> Vec<Rule> {
        let rules = document.rules.as_deref().unwrap_or_default();
        if rules.is_empty() {
            let remedy = "add `rules:`";
            self.warning(
                document.domain.span,
                "this domain has no rules and limits nothing",
                remedy,
            );
        }
        let mut names = HashSet::new();
        for rule in rules {
            let name = &rule.value.name;
            self.name(name);
            if !names.insert(&name.value) {
                let what = format!("two rules are called `{}`", name.value);
                self.error(name.span, what, "give each rule a name of its own");
            }
        }
        self.unused_plans(document);
        let mut compiled: Vec<_> = rules.iter().map(|rule| self.rule(rule)).collect();
        self.agree();
        self.replaced_in_circles(rules);
        share_counters(&self.key, self.domain, &mut compiled);
        compiled
    }

    fn unused_plans(&mut self, document: &'d Document) {
        let rules = document.rules.as_deref().unwrap_or_default();
        let Some((plan, _)) = self.plans.first() else { return };
        if !rules.is_empty() && rules.iter().all(|rule| rule.value.plan.is_none()) {
            let remedy = "add `plan: { from: plan, otherwise: … }` to the rule they are meant for";
            self.warning(plan.span, "no rule uses these plans", remedy);
        }
    }

    fn rule(&mut self, rule: &'d At<document::Rule>) -> Rule {
        let At { span, value: rule } = rule;
        let name = &rule.name.value;
        let counting = self.counter_of(rule);
        let limits = self.limits(*span, rule);
        self.holds_slots(*span, rule, &limits);
        self.holds_admitted(rule, &limits);
        self.holds_what_fits(rule, &limits);
        let counter = &counting.name.value;
        let count_by = self.count_by(counting.count_by.as_deref().unwrap_or_default());
        Rule {
            name: name.as_str().into(),
            conditions: self.conditions(rule.conditions.as_ref()),
            ban: self.ban(rule, &count_by),
            prefix: rule_prefix(&self.key, self.domain, counter, &count_by),
            count_by,
            costs: self.costs(if rule.costs.is_some() { rule } else { counting }),
            limits,
            answers: self.own_answers(rule),
            counter: counter.as_str().into(),
            refundable: rule.refundable,
            replaces: self.replaces(rule),
            force: self.force(rule.enforce.as_ref()),
            hold: self.hold(rule),
            dedupe: self.dedupe(rule),
            plain: false,
        }
    }

    fn costs(&mut self, rule: &'d document::Rule) -> Box<[Cost]> {
        let costs = rule.costs.as_deref().unwrap_or_default();
        let cost = |cost: &'d document::Cost| Cost {
            conditions: self.conditions(cost.conditions.as_ref()),
            cost: cost.cost,
        };
        costs.iter().map(cost).collect()
    }

    pub fn limits(&mut self, span: Span, rule: &'d document::Rule) -> Limits {
        match (&rule.limits, &rule.plan) {
            (Some(_), Some(plan)) => {
                let what = "a rule takes its limits from `limits` or from `plan`, not from both";
                self.error(plan.span, what, "split it into two rules");
                Limits::Own(Box::default())
            }
            (None, None) if limits_nothing(rule) => Limits::Own(Box::default()),
            (None, None) => {
                let what = format!("rule `{}` has no limits", rule.name.value);
                self.error(span, what, "add `limits: [{ requests: 60, per: minute }]` or `plan:`");
                Limits::Own(Box::default())
            }
            (Some(limits), None) => {
                let limits = self.limit_list(&rule.name.value, limits);
                self.note_measures(rule, &limits);
                Limits::Own(limits.into_iter().map(|(limit, _)| limit.limit).collect())
            }
            (None, Some(choice)) => self.plan_table(rule, &choice.value),
        }
    }

    fn plan_table(&mut self, rule: &'d document::Rule, choice: &PlanChoice) -> Limits {
        let PlanChoice { from, otherwise } = choice;
        if otherwise.value != REFUSE && !self.plan_named(&otherwise.value) {
            let names: Vec<_> = self.plans.iter().map(|(name, _)| name.value.as_str()).collect();
            let remedy = match nearest(&otherwise.value, &names) {
                Some(plan) => format!("did you mean `{plan}`?"),
                None => format!("define it under `plans:`, or write `otherwise: {REFUSE}`"),
            };
            self.error(otherwise.span, format!("there is no plan `{}`", otherwise.value), remedy);
        }
        // Findings of the plans themselves were made once, ahead of all rules.
        let found = self.findings.len();
        let plans = self.plans;
        let compiled = plans.iter().map(|(name, plan)| {
            let limits = self.plan_limits(&rule.name.value, plan);
            self.note_measures(rule, &limits);
            let limits = limits.into_iter().map(|(limit, _)| limit.limit).collect();
            (name.value.as_str().into(), limits)
        });
        let plans = compiled.collect();
        self.findings.truncate(found);
        let otherwise = (otherwise.value != REFUSE).then(|| otherwise.value.as_str().into());
        Limits::Plans { from: from.value.as_str().into(), plans, otherwise }
    }

    /// Slots end with the hold that they belong to.
    fn holds_slots(&mut self, span: Span, rule: &document::Rule, limits: &Limits) {
        let slots = |limit: &Limit| matches!(limit.algorithm, Algorithm::Concurrency);
        if rule.hold.is_none() && limits.iter().any(slots) {
            let what = "a concurrency limit holds no slots that anything could end";
            let remedy = "add `hold: { by: request_id, settle: { phase: done } }` to the rule";
            self.error(span, what, remedy);
        }
    }

    /// A hold opens only when its call passes, so nothing could ever settle what a refused one is
    /// charged.
    fn holds_admitted(&mut self, rule: &document::Rule, limits: &Limits) {
        let always = |limit: &&Limit| limit.charge == Charge::Always;
        if let Some(hold) = &rule.hold
            && let Some(limit) = limits.iter().find(always)
        {
            let what = format!("`{}` charges refused calls, which hold nothing", limit.label);
            let remedy = "take `charge: always` out: what is settled is charged in full anyway";
            self.error(hold.by.span, what, remedy);
        }
    }

    /// How these limits measure must agree with all others that share their counters.
    fn note_measures(&mut self, rule: &'d document::Rule, limits: &[(PlanLimit, Span)]) {
        let counter = rule.counter.as_ref().unwrap_or(&rule.name);
        for (limit, span) in limits {
            let limit = (limit.name.as_str(), limit.measured.as_str());
            self.measures(&counter.value, &rule.name.value, limit, *span);
        }
    }
}

/// Whether a rule is only there to keep people out, for what needs no limit.
fn limits_nothing(rule: &document::Rule) -> bool {
    rule.ban.as_ref().is_some_and(|ban| ban.value.of.value != "refusals")
}
