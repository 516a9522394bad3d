//! Rules as the model reads them: every rule is tried on every descriptor, one after the other.

use std::collections::BTreeMap;

use super::limit::Limit;

#[derive(Clone, Debug)]
pub struct Rules {
    pub zone: &'static str,
    pub overrides: bool,
    /// Whether a descriptor that no rule is for is refused.
    pub unmatched_denied: bool,
    pub plans: Vec<(&'static str, Vec<Limit>)>,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    pub conditions: Conditions,
    pub count_by: Vec<&'static str>,
    pub costs: Vec<(Conditions, u64)>,
    pub limits: Limits,
    /// The rule whose counters it shares.
    pub counter: Option<&'static str>,
    /// Rules, and limits as `rule.limit`.
    pub replaces: Vec<&'static str>,
    pub refundable: bool,
    /// Percent of its counters that are held to it.
    pub enforced: u64,
    pub hold: Option<Hold>,
    /// Seconds for which the value of `id` is charged once.
    pub dedupe_s: Option<u64>,
}

/// Calls hold what they take by the value of `id`, until one with `phase` `done` ends that.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    pub estimate: Option<u64>,
    pub expires_s: u64,
}

#[derive(Clone, Debug)]
pub enum Limits {
    Own(Vec<Limit>),
    /// Those of the plan that the entry `plan` names; or of this one, or refuse.
    OfPlan {
        otherwise: Option<&'static str>,
    },
}

pub type Conditions = BTreeMap<&'static str, Test>;

#[derive(Clone, Debug)]
pub enum Test {
    AnyOf(Values),
    NoneOf(Values),
    Present(bool),
}

#[derive(Clone, Debug)]
pub enum Values {
    Patterns(Vec<String>),
    /// The same patterns, written as one expression.
    Regex(Vec<String>),
    /// Texts without any meaning, in a list of their own.
    List(Vec<String>),
}

pub type Entry = (&'static str, String);

impl Rules {
    /// One rule named `r` that counts by `key`.
    pub fn by_key(limits: Vec<Limit>) -> Rules {
        let rule = Rule::by_key("r", Limits::Own(limits));
        Rules::of(vec![rule])
    }

    /// These rules, with whatever else is usual.
    pub fn of(rules: Vec<Rule>) -> Rules {
        Rules { zone: "UTC", overrides: true, unmatched_denied: false, plans: Vec::new(), rules }
    }

    pub fn applying<'r>(&'r self, entries: &'r [Entry]) -> impl Iterator<Item = &'r Rule> {
        self.rules.iter().filter(|rule| {
            let counted =
                self.counting(rule).count_by.iter().all(|key| last(entries, key).is_some());
            counted && all_hold(&rule.conditions, entries)
        })
    }

    /// The rule of this name.
    pub fn rule(&self, name: &str) -> &Rule {
        self.rules.iter().find(|rule| rule.name == name).expect("a rule of the case")
    }

    /// The rule whose counters a rule charges.
    pub fn counting<'r>(&'r self, rule: &'r Rule) -> &'r Rule {
        rule.counter.map_or(rule, |name| self.rule(name))
    }

    /// What one hit costs: by the rule's own costs, or else by those of whose counters it shares.
    pub fn cost(&self, rule: &Rule, entries: &[Entry]) -> u64 {
        let costing = if rule.costs.is_empty() { self.counting(rule) } else { rule };
        costing.cost(entries)
    }

    /// The limits that a rule holds a descriptor to; none if no plan serves it.
    pub fn limits<'r>(&'r self, rule: &'r Rule, entries: &[Entry]) -> Option<&'r [Limit]> {
        let otherwise = match &rule.limits {
            Limits::Own(limits) => return Some(limits),
            Limits::OfPlan { otherwise } => otherwise,
        };
        let plan = |name: &str| self.plans.iter().find(|(plan, _)| *plan == name);
        let named = last(entries, "plan").and_then(plan);
        let (_, limits) = named.or_else(|| plan((*otherwise)?))?;
        Some(limits)
    }
}

impl Rule {
    pub fn by_key(name: &str, limits: Limits) -> Rule {
        Rule {
            name: name.into(),
            conditions: Conditions::new(),
            count_by: vec!["key"],
            costs: Vec::new(),
            limits,
            counter: None,
            replaces: Vec::new(),
            refundable: false,
            enforced: 100,
            hold: None,
            dedupe_s: None,
        }
    }

    /// What one hit costs by this rule's own costs.
    pub fn cost(&self, entries: &[Entry]) -> u64 {
        let first = self.costs.iter().find(|(conditions, _)| all_hold(conditions, entries));
        first.map_or(1, |(_, cost)| *cost)
    }
}

/// The value of an entry; of a repeated one, the last.
pub fn last<'e>(entries: &'e [Entry], key: &str) -> Option<&'e str> {
    entries.iter().rfind(|(name, _)| *name == key).map(|(_, value)| value.as_str())
}

fn all_hold(conditions: &Conditions, entries: &[Entry]) -> bool {
    conditions.iter().all(|(key, test)| {
        let value = last(entries, key);
        let is_one_of = |values: &Values| value.is_some_and(|value| values.contain(value));
        match test {
            Test::AnyOf(values) => is_one_of(values),
            Test::NoneOf(values) => !is_one_of(values),
            Test::Present(present) => value.is_some() == *present,
        }
    })
}

impl Values {
    fn contain(&self, value: &str) -> bool {
        match self {
            Values::Patterns(patterns) | Values::Regex(patterns) => {
                patterns.iter().any(|pattern| matches(pattern, value))
            }
            Values::List(texts) => texts.iter().any(|text| text == value),
        }
    }
}

fn matches(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    chars_match(&pattern, &value)
}

/// A star tries every length that it could stand for.
fn chars_match(pattern: &[char], value: &[char]) -> bool {
    match pattern {
        [] => value.is_empty(),
        ['\\', '*', rest @ ..] => value.first() == Some(&'*') && chars_match(rest, &value[1..]),
        ['*', rest @ ..] => (0..=value.len()).any(|taken| chars_match(rest, &value[taken..])),
        [char, rest @ ..] => value.first() == Some(char) && chars_match(rest, &value[1..]),
    }
}
