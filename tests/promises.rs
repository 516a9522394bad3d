//! What a decision promises, each promise a property over generated rules and calls.
//!
//! The real limiter is held against the naive one in `model`, which knows only the history of
//! hits, and where a promise can be read off the admitted hits alone, against those too.

mod model;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tollgate::limit::{Per, Unit};
use tollgate::query::{Hits, Override};

use model::cases::{self, anything, changing_plans, limits_of, one_limit, with_hits};
use model::check::{self, FOR_EVER_US, admitted, agree, never_back, promise};
use model::limit::{Limit, Measure, SECOND_US};
use model::rules::Rules;
use model::system::{System, compile};
use model::traffic::{self, NOON_US, ZONES};
use model::{Call, Descriptor, Shows, patterns};

#[test]
fn a_fixed_window_admits_at_most_its_budget_in_each_window_of_the_epoch() {
    promise(256, one_limit(traffic::fixed()), |(limit, calls)| {
        let answers = agree(&Rules::by_key(vec![limit.clone()]), &calls)?;
        let sums = check::by_window(&admitted(&calls, &answers), &limit.measure);
        prop_assert!(sums.values().all(|sum| Some(*sum) <= limit.budget), "{:?}", sums);
        Ok(())
    });
}

#[test]
fn a_calendar_window_admits_at_most_its_budget_whatever_its_zone_and_anchor_do() {
    let cases = select(ZONES.to_vec()).prop_flat_map(|zone| {
        let moments = traffic::calendar_moments(zone).prop_flat_map(|moments| {
            let hits = vec(traffic::hits(), moments.len());
            (Just(moments), hits)
        });
        (Just(zone), traffic::plain(traffic::calendar(zone)), moments)
    });
    promise(512, cases, |(zone, limit, (moments, hits))| {
        let rules = Rules { zone, ..Rules::by_key(vec![limit.clone()]) };
        let call = |(&at, &hits)| Call::new(at, vec![Descriptor::new(&[("key", "a")], hits)]);
        let calls: Vec<Call> = moments.iter().zip(&hits).map(call).collect();
        let answers = agree(&rules, &calls)?;
        check::keeps_its_promise(&limit, &never_back(admitted(&calls, &answers)))?;
        Ok(())
    });
}

#[test]
fn a_sliding_log_admits_at_most_its_budget_in_any_window() {
    promise(256, one_limit(traffic::log()), |(limit, calls)| {
        let answers = agree(&Rules::by_key(vec![limit.clone()]), &calls)?;
        let passed = admitted(&calls, &answers);
        for &(start, _) in &passed {
            let end = start + limit.measure.window_us();
            let within = passed.iter().filter(|(at, _)| (start..end).contains(at));
            let sum: u64 = within.map(|(_, amount)| amount).sum();
            prop_assert!(Some(sum) <= limit.budget, "{} from {} on", sum, start);
        }
        Ok(())
    });
}

#[test]
fn a_sliding_window_admits_what_its_estimate_allows_and_never_twice_its_budget() {
    promise(256, one_limit(traffic::estimate()), |(limit, calls)| {
        let answers = agree(&Rules::by_key(vec![limit.clone()]), &calls)?;
        let passed = admitted(&calls, &answers);
        check::keeps_its_promise(&limit, &passed)?;
        // By itself the estimate allows no more than the budget in a window of the epoch.
        let aligned = Measure::Fixed { seconds: limit.measure.window_us() / SECOND_US };
        let sums = check::by_window(&passed, &aligned);
        prop_assert!(sums.values().all(|sum| Some(*sum) <= limit.budget), "{:?}", sums);
        Ok(())
    });
}

#[test]
fn a_token_bucket_admits_at_most_its_burst_and_what_drained_in_any_span() {
    promise(256, one_limit(traffic::bucket()), |(limit, calls)| {
        let answers = agree(&Rules::by_key(vec![limit.clone()]), &calls)?;
        let (budget, burst) = (limit.budget.unwrap_or(0), limit.capacity().unwrap_or(0));
        let window_us = u128::from(limit.measure.window_us());
        let passed = admitted(&calls, &answers);
        for (first, &(start, _)) in passed.iter().enumerate() {
            let mut sum = 0;
            for &(at, amount) in &passed[first..] {
                sum += u128::from(amount);
                let drained = u128::from(at - start) * u128::from(budget);
                prop_assert!(sum * window_us <= u128::from(burst) * window_us + drained);
            }
        }
        Ok(())
    });
}

#[test]
fn an_idle_bucket_gives_its_burst_at_once_and_no_more() {
    promise(64, one_limit(traffic::bucket()), |(limit, calls)| {
        let compiled = compile(&Rules::by_key(vec![limit.clone()]));
        let system = System::after(&compiled, &calls);
        let burst = limit.capacity().unwrap_or(0);
        let idle_us = burst * limit.measure.window_us();
        let at = calls.last().map_or(NOON_US, |call| call.at) + idle_us;
        let ask = |hits| Call::new(at, vec![Descriptor::new(&[("key", "a")], Hits::Take(hits))]);
        prop_assert_eq!(system.decide(&ask(burst + 1)).wait_us(), None);
        prop_assert!(system.decide(&ask(burst)).admitted);
        prop_assert!(!system.decide(&ask(1)).admitted);
        Ok(())
    });
}

#[test]
fn all_limits_of_a_call_decide_and_are_charged_as_one() {
    promise(512, anything(), |(rules, calls)| {
        agree(&rules, &calls)?;
        Ok(())
    });
}

#[test]
fn the_wait_that_a_refusal_promises_is_exact() {
    let cases = prop_oneof![cases::strict(), anything(), changing_plans()];
    promise(384, cases, |(rules, calls)| {
        let compiled = compile(&rules);
        let system = System::new(&compiled);
        for (number, call) in calls.iter().enumerate() {
            let answer = system.decide(call);
            if !answer.admitted {
                let again = |at| {
                    let later = Call { at, ..call.clone() };
                    System::after(&compiled, &calls[..=number]).decide(&later).admitted
                };
                check::is_exact(call.at, answer.wait_us(), again)?;
            }
        }
        Ok(())
    });
}

#[test]
fn the_wait_is_exact_also_where_refused_calls_are_charged_with_the_largest_numbers() {
    // No bucket, which would take longer than any clock runs to give these back.
    let huge = select(vec![u64::MAX, u64::MAX / 2 + 1]);
    let hits = prop_oneof![8 => 1..=4u64, 1 => huge].prop_map(Hits::Take);
    let windows = prop_oneof![traffic::fixed(), traffic::calendar("UTC")];
    let measure = prop_oneof![windows, traffic::log(), traffic::estimate()];
    let cases = traffic::plain(measure).prop_flat_map(move |limit| {
        let descriptor = hits.clone().prop_map(|hits| Descriptor::new(&[("key", "a")], hits));
        let windows_us = vec![limit.measure.window_us()];
        let calls = traffic::calls(windows_us, vec(descriptor, 1..3), 30);
        (Just(Limit { charged_always: true, ..limit }), calls)
    });
    promise(256, cases, |(limit, calls)| {
        let rules = Rules::by_key(vec![limit]);
        let answers = agree(&rules, &calls)?;
        let compiled = compile(&rules);
        let refused = calls.iter().zip(&answers).enumerate();
        for (number, (call, answer)) in refused.filter(|(_, (_, answer))| !answer.admitted) {
            let again = |at| {
                let later = Call { at, ..call.clone() };
                System::after(&compiled, &calls[..=number]).decide(&later).admitted
            };
            check::is_exact(call.at, answer.wait_us(), again)?;
        }
        Ok(())
    });
}

#[test]
fn a_refused_call_that_charges_a_counter_twice_shows_one_wait_for_both() {
    // The wait of the first descriptor was told before the second was charged: it ended with the
    // five hits of the call before, when three of this call's own leave no room for three more.
    let limit = Limit::plain(5, Measure::Log { seconds: 1 });
    let compiled = compile(&Rules::by_key(vec![Limit { charged_always: true, ..limit }]));
    let system = System::new(&compiled);
    let hits = |hits| Descriptor::new(&[("key", "a")], Hits::Take(hits));
    system.decide(&Call::new(NOON_US, vec![hits(5)]));
    let answer = system.decide(&Call::new(NOON_US + 10, vec![hits(1), hits(2)]));
    let waits = answer.statuses.iter().map(|status| match status.shows {
        Shows::Limit { reset_us, .. } => reset_us,
        Shows::Nothing | Shows::Unlimited => None,
    });
    assert_eq!(waits.collect::<Vec<_>>(), [Some(SECOND_US), Some(SECOND_US)]);
}

#[test]
fn what_costs_more_than_a_limit_can_hold_never_passes_and_is_promised_no_wait() {
    let cases = (one_limit(traffic::measure()), 1..=1000u64);
    promise(128, cases, |((limit, calls), beyond)| {
        let compiled = compile(&Rules::by_key(vec![limit.clone()]));
        let hits = Hits::Take(limit.capacity().unwrap_or(0) + beyond);
        for call in &calls {
            let dear = Call::new(call.at, vec![Descriptor::new(&[("key", "a")], hits)]);
            let system = System::after(&compiled, &calls);
            let answer = system.decide(&Call { at: call.at + FOR_EVER_US, ..dear });
            prop_assert!(!answer.admitted);
            prop_assert_eq!(answer.wait_us(), None);
        }
        Ok(())
    });
}

#[test]
fn a_counter_met_by_several_descriptors_is_checked_on_the_sum() {
    let cases = traffic::plain(traffic::measure()).prop_flat_map(|limit| {
        let descriptors = vec(cases::descriptor(false), 2..5);
        let calls = traffic::calls(vec![limit.measure.window_us()], descriptors, 30);
        (Just(limit), calls)
    });
    promise(128, cases, |(limit, calls)| {
        let answers = agree(&Rules::by_key(vec![limit.clone()]), &calls)?;
        for (call, answer) in calls.iter().zip(answers) {
            let hits = |descriptor: &Descriptor| match descriptor.hits {
                Hits::Take(hits) if descriptor.entries[0].1 == "a" => hits,
                _ => 0,
            };
            let sum: u64 = call.descriptors.iter().map(hits).sum();
            prop_assert!(!answer.admitted || Some(sum) <= limit.capacity());
        }
        Ok(())
    });
}

#[test]
fn a_peek_answers_as_one_hit_would_be_and_changes_nothing() {
    let cases = anything().prop_map(|(mut rules, calls)| {
        limits_of(&mut rules).for_each(|limit| limit.charged_always = false);
        (rules, calls)
    });
    promise(256, cases, |(rules, calls)| {
        let compiled = compile(&rules);
        let system = System::new(&compiled);
        for call in &calls {
            let (peek, hit) = (with_hits(call, Hits::Peek), with_hits(call, Hits::Take(1)));
            let counters = system.counters();
            let peeked = system.decide(&peek);
            prop_assert_eq!(&system.decide(&peek), &peeked);
            prop_assert_eq!(system.counters(), counters);
            prop_assert_eq!(&system.decide(&hit), &peeked);
        }
        Ok(())
    });
}

#[test]
fn a_plan_change_keeps_what_was_used() {
    promise(384, changing_plans(), |(rules, calls)| {
        agree(&rules, &calls)?;
        Ok(())
    });
}

#[test]
fn what_costs_nothing_neither_votes_nor_charges() {
    promise(128, anything(), |(rules, calls)| {
        let compiled = compile(&rules);
        let (alone, disturbed) = (System::new(&compiled), System::new(&compiled));
        for call in &calls {
            let free = with_hits(call, Hits::Take(0));
            // A call that no plan serves is refused whatever it costs.
            let served = alone
                .decide(&free)
                .statuses
                .iter()
                .all(|status| !(status.refused && status.shows == Shows::Nothing));
            prop_assert_eq!(disturbed.decide(&free).admitted, served);
            prop_assert_eq!(disturbed.counters(), alone.counters());
            let mut both = call.clone();
            both.descriptors.extend(free.descriptors);
            let (answer, beside) = (alone.decide(call), disturbed.decide(&both));
            prop_assert_eq!(answer.admitted, beside.admitted);
            prop_assert_eq!(&answer.statuses[..], &beside.statuses[..answer.statuses.len()]);
        }
        Ok(())
    });
}

#[test]
fn never_more_is_shown_to_remain_than_the_limit_shown() {
    promise(128, anything(), |(rules, calls)| {
        let compiled = compile(&rules);
        let system = System::new(&compiled);
        for status in calls.iter().flat_map(|call| system.decide(call).statuses) {
            if let Shows::Limit { requests, remaining, .. } = status.shows {
                prop_assert!(remaining <= requests);
            }
        }
        Ok(())
    });
}

#[test]
fn a_budget_brought_along_is_a_window_of_its_own() {
    let brought = (0..=4u64, select(vec![1u32, 2, 60, 2_592_000]));
    let brought = proptest::option::weighted(
        0.8,
        brought.prop_map(|(requests, seconds)| {
            let per = Per { count: seconds, unit: Unit::Second };
            Override { requests, per, window_us: per.window_s() * SECOND_US }
        }),
    );
    let entries = vec(select(vec![("key", "a"), ("key", "b"), ("work", "look")]), 0..3);
    let descriptor = (entries, brought, traffic::hits())
        .prop_map(|(entries, limit, hits)| Descriptor { limit, ..Descriptor::new(&entries, hits) });
    let windows_us = vec![SECOND_US, 60 * SECOND_US];
    let calls = traffic::calls(windows_us, vec(descriptor, 1..4), 40);
    let domain = select(vec!["shop", "other", "unknown"]);
    let calls = calls.prop_flat_map(move |calls| {
        let domains = vec(domain.clone(), calls.len());
        (Just(calls), domains)
    });
    let limit = traffic::plain(traffic::measure());
    promise(256, (limit, any::<bool>(), calls), |(limit, overrides, (mut calls, domains))| {
        for (call, domain) in calls.iter_mut().zip(domains) {
            call.domain = domain;
        }
        let rules = Rules { overrides, ..Rules::by_key(vec![limit]) };
        agree(&rules, &calls)?;
        Ok(())
    });
}

#[test]
fn a_clock_set_back_never_lets_more_through() {
    let back = prop_oneof![4 => Just(0), 1 => 1..=3u64, 1 => 1..=10 * 60 * SECOND_US];
    let cases = one_limit(traffic::measure()).prop_flat_map(move |(limit, calls)| {
        let backs = vec(back.clone(), calls.len());
        (Just(limit), Just(calls), backs)
    });
    promise(256, cases, |(limit, mut calls, backs)| {
        let mut behind_us = 0;
        for (call, back) in calls.iter_mut().zip(backs) {
            behind_us += back;
            call.at -= behind_us;
        }
        let answers = agree(&Rules::by_key(vec![limit.clone()]), &calls)?;
        check::keeps_its_promise(&limit, &never_back(admitted(&calls, &answers)))
    });
}

#[test]
fn sweeping_at_any_moment_changes_no_answer() {
    let cases = prop_oneof![anything(), changing_plans()].prop_flat_map(|(rules, calls)| {
        let sweeps = vec(proptest::option::of(0..=100u64), calls.len());
        (Just(rules), Just(calls), sweeps)
    });
    promise(256, cases, |(rules, calls, sweeps)| {
        let compiled = compile(&rules);
        let (kept, swept) = (System::new(&compiled), System::new(&compiled));
        let mut before = NOON_US;
        for (call, sweep) in calls.iter().zip(sweeps) {
            if let Some(percent) = sweep {
                swept.sweep(before + (call.at - before) / 100 * percent);
            }
            before = call.at;
            prop_assert_eq!(kept.decide(call), swept.decide(call));
        }
        swept.sweep(before + FOR_EVER_US);
        prop_assert_eq!(swept.counters(), 0);
        Ok(())
    });
}

#[test]
fn the_index_finds_what_a_scan_over_all_rules_finds() {
    let inputs = (patterns::matching_rules(), vec(patterns::entries(), 1..12));
    promise(384, inputs, |(rules, descriptors)| {
        let compiled = compile(&rules);
        let domain = compiled.domain("shop").expect("a domain that was loaded");
        for entries in descriptors {
            let asked = entries.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let found: Vec<(String, u64)> = domain
                .matching(&asked)
                .map(|rule| (rule.name.to_string(), rule.cost(&asked)))
                .collect();
            let expected: Vec<(String, u64)> = rules
                .applying(&entries)
                .map(|rule| (rule.name.clone(), rule.cost(&entries)))
                .collect();
            prop_assert_eq!(found, expected, "for {:?}", entries);
        }
        Ok(())
    });
}
