//! What shared counters, replaced rules, hits given back, holds, repeats, grants and shares
//! promise, each a property over generated rules and calls, held against the naive model.

mod model;

use std::cell::RefCell;

use proptest::prelude::*;
use tollgate::query::Hits;

use model::cases::one_limit;
use model::check::{Seen, admitted, agree, agree_and_tell, promise};
use model::dialect::{dialect, giving_back, refundable};
use model::limit::{Limit, Measure};
use model::rules::{Limits, Rule, Rules};
use model::system::{System, compile};
use model::traffic::{self, NOON_US};
use model::{Call, Descriptor, Model};

#[test]
fn everything_that_a_rule_may_say_is_decided_as_the_model_decides_it() {
    let seen = RefCell::new(Seen::new());
    promise(2000, dialect(), |(rules, calls)| {
        let (_, of_case) = agree_and_tell(&rules, &calls)?;
        for (what, times) in of_case {
            *seen.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    // The cases are worth something only if they reach what they are for.
    let seen = seen.into_inner();
    let wanted = [
        "charged already",
        "expired",
        "given back",
        "held",
        "held already",
        "not served",
        "refused, and nothing held",
        "remembered",
        "replaced",
        "settled at less",
        "settled at more",
        "shared",
        "unknown",
    ];
    for what in wanted {
        assert!(seen.get(what).is_some_and(|times| 50 < *times), "{what}: {seen:?}");
    }
}

#[test]
fn what_is_admitted_is_at_most_the_budget_and_what_was_given_back() {
    let measure = prop_oneof![
        traffic::fixed(),
        traffic::calendar("UTC"),
        traffic::log(),
        traffic::estimate(),
        traffic::bucket(),
    ];
    promise(512, giving_back(measure), |(limit, calls)| {
        let answers = agree(&refundable(limit.clone()), &calls)?;
        let passed = admitted(&calls, &answers);
        let given_back: Vec<_> = calls.iter().map(|call| (call.at, given_back(call))).collect();
        for &(start, _) in &passed {
            for &(end, _) in &passed {
                let within = |at: u64| start <= at && at <= end && together(&limit, start, at);
                let sum = |parts: &[(u64, u64)]| -> u128 {
                    let within = parts.iter().filter(|(at, _)| within(*at));
                    within.map(|(_, hits)| u128::from(*hits)).sum()
                };
                let most = most(&limit, end.saturating_sub(start)) + sum(&given_back);
                prop_assert!(sum(&passed) <= most, "{} from {start} to {end}", sum(&passed));
            }
        }
        Ok(())
    });
}

fn given_back(call: &Call) -> u64 {
    match call.descriptors[0].hits {
        Hits::GiveBack(hits) => hits,
        Hits::Take(_) | Hits::Peek => 0,
    }
}

/// Whether a limit's promise is for both moments together.
fn together(limit: &Limit, start: u64, at: u64) -> bool {
    match limit.measure {
        Measure::Log { .. } | Measure::Estimate { .. } => at - start < limit.measure.window_us(),
        Measure::Bucket { .. } => true,
        _ => limit.measure.window(start) == limit.measure.window(at),
    }
}

/// The most that a limit lets through in such a span, if nobody gives anything back.
fn most(limit: &Limit, span_us: u64) -> u128 {
    let budget = u128::from(limit.budget.unwrap_or(0));
    match limit.measure {
        Measure::Estimate { .. } => 2 * budget,
        Measure::Bucket { burst, .. } => {
            let drained = u128::from(span_us) * budget;
            u128::from(burst) + drained / u128::from(limit.measure.window_us())
        }
        _ => budget,
    }
}

#[test]
fn nothing_is_given_back_where_no_rule_says_that_it_may() {
    promise(128, giving_back(traffic::measure()), |(limit, calls)| {
        let rules = Rules::by_key(vec![limit]);
        let answers = agree(&rules, &calls)?;
        let (compiled, takes) = (compile(&rules), |call: &&Call| given_back(call) == 0);
        let system = System::new(&compiled);
        let expected: Vec<_> = answers
            .into_iter()
            .zip(&calls)
            .filter(|(_, call)| takes(call))
            .map(|(answer, _)| answer)
            .collect();
        let alone: Vec<_> = calls.iter().filter(takes).map(|call| system.decide(call)).collect();
        prop_assert_eq!(alone, expected);
        Ok(())
    });
}

#[test]
fn a_share_of_a_rule_keeps_each_key_in_or_out_with_all_its_limits() {
    let cases = (one_limit(traffic::measure()), 0..=100u64, traffic::any_limit("y"), 0..50u32);
    promise(256, cases, |((limit, mut calls), enforced, other, key)| {
        let rule = Rule::by_key("r", Limits::Own(vec![limit, Limit { name: "y", ..other }]));
        let of = |enforced| Rules::of(vec![Rule { enforced, ..rule.clone() }]);
        for call in &mut calls {
            call.descriptors[0] =
                Descriptor::new(&[("key", &key.to_string())], call.descriptors[0].hits);
        }
        let answers = |enforced| {
            let compiled = compile(&of(enforced));
            let system = System::new(&compiled);
            calls.iter().map(|call| system.decide(call)).collect::<Vec<_>>()
        };
        let (in_part, wholly, not_at_all) = (answers(enforced), answers(100), answers(0));
        prop_assert!(in_part == wholly || in_part == not_at_all);
        prop_assert!(not_at_all.iter().all(|answer| answer.admitted));
        Ok(())
    });
}

#[test]
fn a_grant_is_spent_after_the_limits_own_budget_and_only_once() {
    let cases = (one_limit(traffic::measure()), 0..=6u64, 0..=200u64);
    promise(384, cases, |((limit, calls), hits, share)| {
        let rules = Rules::by_key(vec![limit.clone()]);
        let compiled = compile(&rules);
        let (system, mut model) = (System::new(&compiled), Model::new(&rules));
        let last = calls.last().map_or(NOON_US, |call| call.at);
        // It may end before the calls do.
        let until = NOON_US + (last - NOON_US) / 100 * share;
        system.grant("r.x", &[("key", "a")], hits, until);
        model.grant(&["shop", "r", "x", "a"], hits, until);
        let mut passed = 0;
        for (number, call) in calls.iter().enumerate() {
            let (answer, expected) = (system.decide(call), model.decide(call));
            prop_assert_eq!(&answer, &expected, "call {} of {:?}", number, call);
            passed += admitted(std::slice::from_ref(call), &[answer])
                .iter()
                .map(|(_, it)| it)
                .sum::<u64>();
        }
        let compiled = compile(&rules);
        let without = System::new(&compiled);
        let answers: Vec<_> = calls.iter().map(|call| without.decide(call)).collect();
        let plain: u64 = admitted(&calls, &answers).iter().map(|(_, it)| it).sum();
        // In one window, no more than the budget and the grant.
        if matches!(limit.measure, Measure::Fixed { .. }) && one_window(&limit, &calls) {
            prop_assert!(passed <= limit.budget.unwrap_or(0) + hits, "{} after {}", passed, plain);
        }
        Ok(())
    });
}

fn one_window(limit: &Limit, calls: &[Call]) -> bool {
    let mut windows = calls.iter().map(|call| limit.measure.window(call.at));
    let first = windows.next();
    windows.all(|window| Some(window) == first)
}
