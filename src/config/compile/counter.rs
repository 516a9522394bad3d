//! Whose counters a rule charges, what it takes the place of, and for how many it is in force.

use std::collections::HashMap;

use crate::config::decode::{At, nearest};
use crate::config::document;
use crate::config::problem::Span;
use crate::key::{HashKey, LimitTag};
use crate::limit::Algorithm;
use crate::rules::{Force, Limits, Replaced, Rule, SHARE_WHOLE, crowd};

use super::Compiler;

/// How one limit of a counter measures, and where that was said.
pub struct Measured {
    counter: String,
    limit: String,
    measured: String,
    rule: String,
    span: Span,
}

impl<'d> Compiler<'d> {
    /// The rule whose counters this one charges: another, or itself.
    pub fn counter_of(&mut self, rule: &'d document::Rule) -> &'d document::Rule {
        let Some(At { span, value: name }) = &rule.counter else { return rule };
        let Some(other) = self.rule_named(*span, name) else { return rule };
        if other.counter.is_some() {
            let what = format!("rule `{name}` has no counters of its own");
            self.error(*span, what, "name the rule whose counters it shares");
        }
        if let Some(At { span, .. }) = rule.count_by.as_ref().and_then(|list| list.first()) {
            let what = format!("the counters of `{name}` say already what they count by");
            self.error(*span, what, "take `count_by` out, or `counter`");
        }
        other
    }

    /// What a rule takes the place of.
    pub fn replaces(&mut self, rule: &'d document::Rule) -> Box<[Replaced]> {
        let Some(At { span, value }) = &rule.replaces else { return Box::default() };
        let replaced = value.0.iter().filter_map(|target| {
            let name = target.split('.').next().unwrap_or_default();
            if name == rule.name.value {
                self.error(*span, "a rule cannot replace itself", "name another rule");
                return None;
            }
            let other = self.rule_named(*span, name)?;
            let label = target.contains('.').then(|| target.as_str().into());
            if label.is_some() && !self.has_limit(other, target) {
                let what = format!("rule `{name}` has no limit `{target}`");
                self.error(*span, what, "write `rule.limit`, as answers show it");
            }
            Some(Replaced { rule: name.into(), label })
        });
        replaced.collect()
    }

    /// Rules that replace one another would leave none of them to hold anybody.
    pub fn replaced_in_circles(&mut self, rules: &'d [At<document::Rule>]) {
        let targets = |name: &str| {
            let rule = rules.iter().find(|rule| rule.value.name.value == name);
            let replaces = rule.and_then(|rule| rule.value.replaces.as_ref());
            let names = replaces.into_iter().flat_map(|replaces| &replaces.value.0);
            names.map(|target| target.split('.').next().unwrap_or_default())
        };
        for At { value: rule, .. } in rules {
            let Some(At { span, .. }) = &rule.replaces else { continue };
            let own = rule.name.value.as_str();
            let mut reached: Vec<&str> = targets(own).filter(|name| *name != own).collect();
            let mut next = 0;
            while let Some(&name) = reached.get(next) {
                let further: Vec<_> =
                    targets(name).filter(|name| !reached.contains(name)).collect();
                reached.extend(further);
                next += 1;
            }
            if reached.contains(&own) {
                let what = format!("`{own}` is itself replaced by what it replaces");
                self.error(*span, what, "let one of the rules replace the other, not both");
            }
        }
    }

    fn rule_named(&mut self, span: Span, name: &str) -> Option<&'d document::Rule> {
        let rules = self.document.rules.as_deref().unwrap_or_default();
        let found = rules.iter().find(|rule| rule.value.name.value == name);
        if found.is_none() && !self.left_out.contains("rules") {
            let names: Vec<_> = rules.iter().map(|rule| rule.value.name.value.as_str()).collect();
            let remedy = match nearest(name, &names) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "name a rule of this file".to_owned(),
            };
            self.error(span, format!("there is no rule `{name}`"), remedy);
        }
        found.map(|rule| &rule.value)
    }

    /// Whether a rule has a limit of this label, in any of its plans.
    fn has_limit(&mut self, rule: &'d document::Rule, label: &str) -> bool {
        let found = self.findings.len();
        let limits = self.limits(Span::default(), rule);
        self.findings.truncate(found);
        limits.iter().any(|limit| *limit.label == *label)
    }

    /// A share in percent, as in `25%` or `0.5%`.
    pub fn force(&mut self, enforce: Option<&At<String>>) -> Force {
        let Some(At { span, value }) = enforce else { return Force::of(SHARE_WHOLE) };
        let percent = value.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match percent {
            // The product is at most ten thousand; parts of a hundredth of a percent are cut.
            Some(percent) if (0.0..=100.0).contains(&percent) => {
                Force::of((percent * 100.0).round() as u16)
            }
            _ => {
                let what = format!("`{value}` is not a share");
                let remedy = "write a percentage from 0% (a dry run) to 100%, with its `%`";
                self.error(*span, what, remedy);
                Force::of(SHARE_WHOLE)
            }
        }
    }

    /// Notes how a limit of a counter measures.
    pub fn measures(&mut self, counter: &str, rule: &str, limit: (&str, &str), span: Span) {
        let (limit, measured) = (limit.0.to_owned(), limit.1.to_owned());
        let (counter, rule) = (counter.to_owned(), rule.to_owned());
        self.measured.push(Measured { counter, limit, measured, rule, span });
    }

    /// A name has one window and algorithm within its counter, over all rules that share it.
    pub fn agree(&mut self) {
        let measured = std::mem::take(&mut self.measured);
        let mut known: HashMap<(&str, &str), &Measured> = HashMap::new();
        for one in &measured {
            let first = *known.entry((&one.counter, &one.limit)).or_insert(one);
            // Plans of one rule are compared with one another where they are written.
            if first.measured != one.measured && first.rule != one.rule {
                let what = format!(
                    "limit `{}` measures otherwise than in rule `{}`, with which it shares its \
                     counters",
                    one.limit, first.rule
                );
                self.error(
                    one.span,
                    what,
                    "give both one window, algorithm and `archive`, or two names",
                );
            }
        }
    }
}

/// Tells each limit what it shares with those of other rules and plans on its counter: the smallest
/// budget by which any may come to empty a bucket, and the crowd of those who find no room.
pub fn share_counters(key: &HashKey, domain: &str, rules: &mut [Rule]) {
    let mut smallest: HashMap<(Box<str>, LimitTag), u64> = HashMap::new();
    for rule in &*rules {
        for limit in rule.all_limits() {
            if let Algorithm::TokenBucket { requests_min, .. } = limit.algorithm {
                let known =
                    smallest.entry((rule.counter.clone(), limit.tag)).or_insert(requests_min);
                *known = requests_min.min(*known);
            }
        }
    }
    for rule in rules {
        let crowd = crowd(key, domain, &rule.counter);
        let limits: Vec<_> = match &mut rule.limits {
            Limits::Own(limits) => limits.iter_mut().collect(),
            Limits::Plans { plans, .. } => plans.values_mut().flatten().collect(),
        };
        for limit in limits {
            limit.crowd = crowd;
            if let Algorithm::TokenBucket { requests_min, .. } = &mut limit.algorithm {
                *requests_min = smallest[&(rule.counter.clone(), limit.tag)];
            }
        }
    }
}
