//! Generated rules with calls that concern them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tollgate::query::Hits;

use super::limit::{Limit, Measure, OnExceed};
use super::rules::{Conditions, Limits, Rule, Rules, Test, Values};
use super::{Call, Descriptor, traffic};

/// One limit, and calls of one key.
pub fn one_limit(
    measure: impl Strategy<Value = Measure>,
) -> impl Strategy<Value = (Limit, Vec<Call>)> {
    traffic::plain(measure).prop_flat_map(|limit| {
        let calls = traffic::calls_of_one_key(&limit);
        (Just(limit), calls)
    })
}

/// Rules and calls of any kind.
///
/// Two things are nobody's promise, and no case has them. What a peek shows of a limit that is
/// charged always, since one hit would have charged it and the peek has not. And how fast a bucket
/// empties while two plans of one key ask of it within one call.
pub fn anything() -> impl Strategy<Value = (Rules, Vec<Call>)> {
    (rule_set(), any::<bool>()).prop_flat_map(|(mut rules, peeks)| {
        if peeks {
            limits_of(&mut rules).for_each(|limit| limit.charged_always = false);
        }
        let windows_us = limits_of(&mut rules).map(|limit| limit.measure.window_us()).collect();
        let is_bucket = |limit: &Limit| matches!(limit.measure, Measure::Bucket { .. });
        let one_plan = rules.plans.iter().flat_map(|(_, limits)| limits).any(is_bucket);
        let calls = traffic::calls(windows_us, vec(descriptor(peeks), 1..4), 30);
        let calls = calls.prop_map(move |mut calls| {
            if one_plan {
                calls.iter_mut().for_each(settle_on_one_plan);
            }
            calls
        });
        (Just(rules), calls)
    })
}

/// Calls of keys that change their plans.
pub fn changing_plans() -> impl Strategy<Value = (Rules, Vec<Call>)> {
    let by_plan = Rule::by_key("r", Limits::OfPlan { otherwise: Some("free") });
    plans().prop_flat_map(move |plans| {
        let windows_us = plans[0].1.iter().map(|limit| limit.measure.window_us()).collect();
        let calls = traffic::calls(windows_us, vec(descriptor(false), 1..2), 50);
        let rules = vec![dear(by_plan.clone())];
        (Just(Rules { plans, ..Rules::of(rules) }), calls)
    })
}

/// Gives every descriptor of a call the plan of the first.
fn settle_on_one_plan(call: &mut Call) {
    let plan = call.descriptors[0].entries.iter().find(|(key, _)| *key == "plan").cloned();
    for descriptor in &mut call.descriptors {
        descriptor.entries.retain(|(key, _)| *key != "plan");
        descriptor.entries.extend(plan.clone());
    }
}

/// Cases in which every limit refuses and is charged with what is admitted.
pub fn strict() -> impl Strategy<Value = (Rules, Vec<Call>)> {
    anything().prop_map(|(mut rules, calls)| {
        for limit in limits_of(&mut rules) {
            limit.on_exceed = OnExceed::Deny;
            limit.charged_always = false;
        }
        (rules, calls)
    })
}

pub fn limits_of(rules: &mut Rules) -> impl Iterator<Item = &mut Limit> {
    let own = rules.rules.iter_mut().filter_map(|rule| match &mut rule.limits {
        Limits::Own(limits) => Some(limits),
        Limits::OfPlan { .. } => None,
    });
    own.chain(rules.plans.iter_mut().map(|(_, limits)| limits)).flatten()
}

/// One to three rules that apply to the same descriptors, the first perhaps by plan.
pub fn rule_set() -> impl Strategy<Value = Rules> {
    let limits = || {
        let names = [traffic::any_limit("x"), traffic::any_limit("y"), traffic::any_limit("z")];
        (names, 1..=3usize).prop_map(|(limits, count)| limits[..count].to_vec())
    };
    let otherwise = prop_oneof![3 => Just(Some("free")), 1 => Just(None)];
    let first = prop_oneof![
        limits().prop_map(Limits::Own),
        otherwise.prop_map(|otherwise| Limits::OfPlan { otherwise }),
    ];
    let rules = (first, vec(limits(), 0..3)).prop_map(|(first, others)| {
        let others = others.into_iter().map(Limits::Own);
        let named = ["r", "s", "t"].into_iter().zip([first].into_iter().chain(others));
        named.map(|(name, limits)| dear(Rule::by_key(name, limits))).collect()
    });
    (rules, plans()).prop_map(|(rules, plans)| Rules { plans, ..Rules::of(rules) })
}

/// This rule with costs: an export costs three, a look costs nothing.
pub fn dear(mut rule: Rule) -> Rule {
    for (work, cost) in [("export", 3), ("look", 0)] {
        let when = Conditions::from([("work", Test::AnyOf(Values::Patterns(vec![work.into()])))]);
        rule.costs.push((when, cost));
    }
    rule
}

/// Two plans whose limits of one name measure alike, with budgets and manners of their own.
pub fn plans() -> impl Strategy<Value = Vec<(&'static str, Vec<Limit>)>> {
    let limits = (traffic::any_limit("x"), traffic::any_limit("y"));
    (limits, traffic::any_limit("x"), 0..=40u64).prop_map(|((x, y), other, budget)| {
        let measure = match x.measure {
            Measure::Bucket { seconds, burst } => Measure::Bucket { seconds, burst: burst + 4 },
            ref same => same.clone(),
        };
        let budget = other.budget.map(|_| traffic::least(budget, &measure));
        let other = Limit { measure, budget, ..other };
        vec![("free", vec![x, y]), ("pro", vec![other])]
    })
}

/// A descriptor of one of two keys, with a plan or none, or one that no plan knows.
pub fn descriptor(peeks: bool) -> impl Strategy<Value = Descriptor> + Clone {
    let key = select(vec!["a", "a", "b"]);
    let plan = select(vec![None, Some("free"), Some("pro"), Some("none-such")]);
    let work = select(vec![None, None, None, Some("export"), Some("look")]);
    let peek = if peeks { 2 } else { 0 };
    let hits = select(vec![1, 1, 1, 1, 2, 3, 0]).prop_map(Hits::Take);
    let hits = (hits, 0..6).prop_map(move |(hits, die)| if die < peek { Hits::Peek } else { hits });
    (key, plan, work, hits).prop_map(|(key, plan, work, hits)| {
        let mut entries = vec![("key", key)];
        entries.extend(plan.map(|plan| ("plan", plan)));
        entries.extend(work.map(|work| ("work", work)));
        Descriptor::new(&entries, hits)
    })
}

pub fn with_hits(call: &Call, hits: Hits) -> Call {
    let mut call = call.clone();
    call.descriptors.iter_mut().for_each(|descriptor| descriptor.hits = hits);
    call
}
