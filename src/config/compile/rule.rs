//! Rules: to whom they apply, what they count by, where their limits come from.

use std::collections::HashSet;

use crate::config::decode::{At, nearest};
use crate::config::document::{self, Document, PlanChoice};
use crate::config::problem::Span;
use crate::rules::{Cost, Limits, Rule, rule_prefix};

use super::Compiler;
use super::limit::{PlanLimit, share_buckets};

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
        rules.iter().map(|rule| self.rule(rule)).collect()
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
        Rule {
            name: name.as_str().into(),
            conditions: self.conditions(rule.conditions.as_ref()),
            count_by: self.count_by(rule.count_by.as_deref().unwrap_or_default()),
            costs: self.costs(rule),
            limits: self.limits(*span, rule),
            prefix: rule_prefix(&self.key, self.domain, name),
            answers: self.own_answers(rule),
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

    fn limits(&mut self, span: Span, rule: &'d document::Rule) -> Limits {
        match (&rule.limits, &rule.plan) {
            (Some(_), Some(plan)) => {
                let what = "a rule takes its limits from `limits` or from `plan`, not from both";
                self.error(plan.span, what, "split it into two rules");
                Limits::Own(Box::default())
            }
            (None, None) => {
                let what = format!("rule `{}` has no limits", rule.name.value);
                self.error(span, what, "add `limits: [{ requests: 60, per: minute }]` or `plan:`");
                Limits::Own(Box::default())
            }
            (Some(limits), None) => {
                let limits = self.limit_list(&rule.name.value, limits);
                Limits::Own(limits.into_iter().map(|(limit, _)| limit.limit).collect())
            }
            (None, Some(choice)) => self.plan_table(&rule.name.value, &choice.value),
        }
    }

    fn plan_table(&mut self, rule: &str, choice: &PlanChoice) -> Limits {
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
        let limits = plans.iter().map(|(_, plan)| self.plan_limits(rule, plan));
        let limits = limits.map(|limits| limits.into_iter().map(|(limit, _)| limit).collect());
        let mut limits: Vec<Vec<PlanLimit>> = limits.collect();
        share_buckets(&mut limits);
        let names = plans.iter().map(|(name, _)| name.value.as_str().into());
        let limits = limits.into_iter().map(|limits| limits.into_iter().map(|limit| limit.limit));
        let plans = names.zip(limits.map(Iterator::collect)).collect();
        self.findings.truncate(found);
        let otherwise = (otherwise.value != REFUSE).then(|| otherwise.value.as_str().into());
        Limits::Plans { from: from.value.as_str().into(), plans, otherwise }
    }
}
