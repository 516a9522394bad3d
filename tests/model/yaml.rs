//! Writes the model's rules as the file that the real thing reads.

use std::collections::BTreeMap;

use super::limit::{Limit, Measure, OnExceed, Period};
use super::rules::{Conditions, Hold, Limits, Rule, Rules, Test, Values};

pub fn file(domain: &str, rules: &Rules) -> String {
    let Rules { zone, overrides, unmatched_denied, plans, rules } = rules;
    let mut text = format!("domain: {domain}\ntime_zone: {zone}\noverrides: {overrides}\n");
    if *unmatched_denied {
        text += "unmatched: deny\n";
    }
    if !plans.is_empty() {
        text += "plans:\n";
        for (name, limits) in plans {
            text += &format!("  {name}: {{ {} }}\n", limit_list(limits));
        }
    }
    let lists = lists(rules);
    if !lists.is_empty() {
        text += &format!("lists: {{ {} }}\n", lists.join(", "));
    }
    text += "rules:\n";
    text.extend(rules.iter().map(rule));
    text
}

fn rule(rule: &Rule) -> String {
    let mut text = format!("  - name: {}\n", rule.name);
    if !rule.conditions.is_empty() {
        text += &format!("    match: {}\n", conditions(&rule.conditions));
    }
    text += &dialect(rule);
    if rule.counter.is_none() && !rule.count_by.is_empty() {
        text += &format!("    count_by: [{}]\n", rule.count_by.join(", "));
    }
    if !rule.costs.is_empty() {
        let cost = |(when, cost)| format!("{{ match: {}, cost: {cost} }}", conditions(when));
        let costs = rule.costs.iter().map(|(when, amount)| cost((when, amount)));
        text += &format!("    costs: [{}]\n", costs.collect::<Vec<_>>().join(", "));
    }
    let limits = match &rule.limits {
        Limits::Own(limits) => limit_list(limits),
        Limits::OfPlan { otherwise } => {
            let otherwise = otherwise.unwrap_or("refuse");
            format!("plan: {{ from: plan, otherwise: {otherwise} }}")
        }
    };
    text + "    " + &limits + "\n"
}

/// What a rule says beyond whom it is for and how much they may.
fn dialect(rule: &Rule) -> String {
    let mut text = String::new();
    if let Some(counter) = rule.counter {
        text += &format!("    counter: {counter}\n");
    }
    if !rule.replaces.is_empty() {
        text += &format!("    replaces: [{}]\n", rule.replaces.join(", "));
    }
    if rule.refundable {
        text += "    refundable: true\n";
    }
    if rule.enforced < 100 {
        text += &format!("    enforce: {}%\n", rule.enforced);
    }
    if let Some(Hold { estimate, expires_s }) = rule.hold {
        let estimate = estimate.map_or(String::new(), |hits| format!("estimate: {hits}, "));
        let hold = format!("by: id, settle: {{ phase: done }}, {estimate}expires: {expires_s}s");
        text += &format!("    hold: {{ {hold} }}\n");
    }
    if let Some(seconds) = rule.dedupe_s {
        text += &format!("    dedupe: {{ by: id, for: {seconds}s }}\n");
    }
    text
}

fn limit_list(limits: &[Limit]) -> String {
    let limits: Vec<String> = limits.iter().map(limit).collect();
    format!("limits: [{}]", limits.join(", "))
}

fn limit(limit: &Limit) -> String {
    let requests = limit.budget.map_or("unlimited".into(), |budget| budget.to_string());
    let measure = match &limit.measure {
        Measure::Fixed { seconds } => format!("per: {seconds}s, algorithm: fixed_window"),
        Measure::Log { seconds } => format!("per: {seconds}s, algorithm: sliding_log"),
        Measure::Estimate { seconds } => format!("per: {seconds}s, algorithm: sliding_window"),
        Measure::Bucket { seconds, burst } => format!("per: {seconds}s, burst: {burst}"),
        Measure::Slots => "algorithm: concurrency".to_owned(),
        Measure::Calendar { period, anchor, .. } => {
            let anchor = anchor.map_or(String::new(), |day| anchor_day(*period, day));
            format!("per: {}, algorithm: calendar{anchor}", period_name(*period))
        }
    };
    let on_exceed = match limit.on_exceed {
        OnExceed::Deny => "deny",
        OnExceed::Allow => "allow",
        OnExceed::Shadow => "shadow",
    };
    let charge = if limit.charged_always { "always" } else { "admitted" };
    let name = limit.name;
    let fate = format!("on_exceed: {on_exceed}, charge: {charge}");
    format!("{{ name: {name}, requests: {requests}, {measure}, {fate} }}")
}

fn anchor_day(period: Period, day: i8) -> String {
    const DAYS: [&str; 7] =
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    match (period, usize::try_from(day - 1)) {
        (Period::Week, Ok(number)) => format!(", anchor_day: {}", DAYS[number]),
        _ => format!(", anchor_day: {day}"),
    }
}

fn period_name(period: Period) -> &'static str {
    match period {
        Period::Hour => "hour",
        Period::Day => "day",
        Period::Week => "week",
        Period::Month => "month",
        Period::Year => "year",
    }
}

fn conditions(conditions: &Conditions) -> String {
    let pair = |(key, test): (&&str, &Test)| match test {
        Test::AnyOf(are) => format!("{key}: {}", values(are)),
        Test::NoneOf(are) => format!("{key}: {{ not: {} }}", values(are)),
        Test::Present(present) => format!("{key}: {{ present: {present} }}"),
    };
    format!("{{ {} }}", conditions.iter().map(pair).collect::<Vec<_>>().join(", "))
}

fn values(values: &Values) -> String {
    match values {
        Values::Patterns(patterns) => list(patterns),
        Values::Regex(patterns) => {
            let patterns: Vec<_> = patterns.iter().map(|pattern| regex(pattern)).collect();
            format!("{{ regex: '{}' }}", patterns.join("|"))
        }
        Values::List(texts) => format!("{{ list: {} }}", list_name(texts)),
    }
}

fn regex(pattern: &str) -> String {
    let meant = pattern.replace("\\*", "\0");
    let literal = |char| match char {
        '*' => ".*".to_owned(),
        '\0' => r"\*".to_owned(),
        '\\' => r"\\".to_owned(),
        other => other.to_string(),
    };
    meant.chars().map(literal).collect()
}

/// Every list that the conditions name, once.
fn lists(rules: &[Rule]) -> Vec<String> {
    let costs = rules.iter().flat_map(|rule| rule.costs.iter().map(|(when, _)| when));
    let all = rules.iter().map(|rule| &rule.conditions).chain(costs).flat_map(BTreeMap::values);
    let named = all.filter_map(|test| match test {
        Test::AnyOf(Values::List(texts)) | Test::NoneOf(Values::List(texts)) => Some(texts),
        _ => None,
    });
    let lists: BTreeMap<_, _> = named.map(|texts| (list_name(texts), texts)).collect();
    let list = |(name, texts): (_, &&Vec<String>)| match texts.is_empty() {
        true => format!("{name}: []"),
        false => format!("{name}: ['{}']", texts.join("', '")),
    };
    lists.iter().map(list).collect()
}

/// A name for what is in it.
fn list_name(texts: &[String]) -> String {
    let hex = |text: &String| text.bytes().map(|byte| format!("{byte:x}")).collect::<String>();
    format!("l{}", texts.iter().map(|text| hex(text) + "-").collect::<String>())
}

/// A single value stands alone. In single quotes YAML leaves backslashes as they are.
fn list(patterns: &[String]) -> String {
    match patterns {
        [single] => format!("'{single}'"),
        several => format!("['{}']", several.join("', '")),
    }
}
