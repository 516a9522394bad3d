//! Cases of shared counters, replaced rules, hits given back, holds, repeats and shares.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tollgate::query::Hits;

use super::cases::{dear, limits_of, plans};
use super::limit::{Limit, Measure};
use super::rules::{Conditions, Hold, Limits, Rule, Rules, Test};
use super::{Call, Descriptor, traffic};

/// What a rule may say beyond whom it is for and how much they may.
#[derive(Clone, Debug)]
struct Extra {
    refundable: bool,
    enforced: u64,
    hold: Option<Hold>,
    slots: Option<u64>,
    dedupe_s: Option<u64>,
}

fn extra() -> impl Strategy<Value = Extra> {
    let estimate = proptest::option::of(1..=4u64);
    let hold = (estimate, select(vec![1, 7, 60]))
        .prop_map(|(estimate, expires_s)| Hold { estimate, expires_s });
    let hold = proptest::option::weighted(0.5, hold);
    let slots = proptest::option::weighted(0.4, 0..=3u64);
    let dedupe_s = proptest::option::weighted(0.3, select(vec![1, 60]));
    let refundable = prop::bool::weighted(0.6);
    let parts = (refundable, prop::bool::weighted(0.2), hold, slots, dedupe_s);
    parts.prop_map(|(refundable, dry, hold, slots, dedupe_s)| {
        let enforced = if dry { 0 } else { 100 };
        Extra { refundable, enforced, slots: slots.filter(|_| hold.is_some()), hold, dedupe_s }
    })
}

impl Extra {
    fn say(self, mut rule: Rule) -> Rule {
        if let (Some(budget), Limits::Own(limits)) = (self.slots, &mut rule.limits) {
            limits.push(Limit { name: "slots", ..Limit::plain(budget, Measure::Slots) });
        }
        let Extra { refundable, enforced, hold, dedupe_s, .. } = self;
        Rule { refundable, enforced, hold, dedupe_s, ..rule }
    }
}

/// Three rules: `r` by plan or with limits of its own; `s` for teams, which may share the counters
/// of `r`; `t` for contracts, which takes the place of one of them, or of one limit.
///
/// Nobody promises how fast a bucket empties while several budgets ask of it in one call, and no
/// case has that; nor what a peek shows of a limit that is charged always.
pub fn dialect() -> impl Strategy<Value = (Rules, Vec<Call>)> {
    (rules(), any::<bool>()).prop_flat_map(|(mut rules, peeks)| {
        let rates =
            limits_of(&mut rules).any(|limit| matches!(limit.measure, Measure::Bucket { .. }));
        let peeks = peeks && !rates;
        if peeks {
            limits_of(&mut rules).for_each(|limit| limit.charged_always = false);
        }
        let windows_us = limits_of(&mut rules).map(|limit| limit.measure.window_us());
        let windows_us = windows_us.filter(|us| *us < 1 << 40).collect::<Vec<_>>();
        let windows_us = if windows_us.is_empty() { vec![60_000_000] } else { windows_us };
        let calls = traffic::calls(windows_us, vec(descriptor(peeks), 1..4), 30);
        let calls = calls.prop_map(|mut calls| {
            calls.iter_mut().for_each(settle_on_one_plan);
            calls
        });
        (Just(rules), calls)
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let limits = |count| {
        let names = [traffic::any_limit("x"), traffic::any_limit("y")];
        (names, count).prop_map(|(limits, count)| limits[..count].to_vec())
    };
    let first = prop_oneof![
        2 => limits(2..=2usize).prop_map(Limits::Own),
        1 => Just(Limits::OfPlan { otherwise: Some("free") }),
    ];
    let first =
        (first, extra()).prop_map(|(limits, extra)| dear(extra.say(Rule::by_key("r", limits))));
    let replaces = select(vec![vec!["r"], vec!["r.x"], vec!["s", "r.x"], vec!["s.x"], vec![]]);
    let others = (limits(1..=2), extra(), any::<bool>(), limits(1..=1), extra(), replaces);
    (first, others, plans(), any::<bool>()).prop_map(|(r, others, plans, unmatched_denied)| {
        let (of_s, extra_s, shares, of_t, extra_t, replaces) = others;
        let s = Rule { conditions: given("team"), ..Rule::by_key("s", Limits::Own(of_s)) };
        let s = if shares { sharing(s, &r, &plans) } else { s };
        let mut s = extra_s.say(s);
        if let (true, Some(hold), Some(theirs)) = (shares, &mut s.hold, r.hold) {
            // Nor how long a look at slots shows two rules of one counter to hold them.
            hold.expires_s = theirs.expires_s;
        }
        let t = Rule { conditions: given("contract"), ..Rule::by_key("t", Limits::Own(of_t)) };
        let t = Rule { replaces, ..extra_t.say(t) };
        let mut rules = Rules { unmatched_denied, plans, ..Rules::of(vec![r, s, t]) };
        mend(&mut rules);
        rules
    })
}

fn given(entry: &'static str) -> Conditions {
    Conditions::from([(entry, Test::Present(true))])
}

/// The rule with the counters of `r`: its limits of the same names measure as that one's do.
fn sharing(mut rule: Rule, r: &Rule, plans: &[(&'static str, Vec<Limit>)]) -> Rule {
    rule.counter = Some("r");
    rule.count_by = Vec::new();
    let theirs = match &r.limits {
        Limits::Own(limits) => limits,
        Limits::OfPlan { .. } => &plans[0].1,
    };
    if let Limits::Own(limits) = &mut rule.limits {
        for limit in limits {
            if let Some(same) = theirs.iter().find(|it| it.name == limit.name) {
                limit.measure = same.measure.clone();
                if let Measure::Bucket { .. } = limit.measure {
                    // One budget, so that the bucket empties at one rate.
                    limit.budget = same.budget;
                }
            }
        }
    }
    rule
}

/// Leaves out what `check` refuses: what is held is never charged to refused calls.
fn mend(rules: &mut Rules) {
    let of_plan = |rule: &Rule| matches!(rule.limits, Limits::OfPlan { .. });
    let plan_holds = rules.rules.iter().any(|rule| of_plan(rule) && rule.hold.is_some());
    let held = rules.rules.iter_mut().filter(|rule| rule.hold.is_some());
    let own = held.filter_map(|rule| match &mut rule.limits {
        Limits::Own(limits) => Some(limits),
        Limits::OfPlan { .. } => None,
    });
    let plans = rules.plans.iter_mut().filter(|_| plan_holds).map(|(_, limits)| limits);
    own.chain(plans).flatten().for_each(|limit| limit.charged_always = false);
    // A plan is not for slots, and two budgets of one bucket are not for one call.
    let shared = rules.rules.iter().any(|rule| rule.counter.is_some() && of_plan(&rules.rules[0]));
    if shared {
        let budget = rules.plans[0].1[0].budget;
        for limit in rules.plans.iter_mut().flat_map(|(_, limits)| limits) {
            if let Measure::Bucket { .. } = limit.measure
                && limit.name == "x"
            {
                limit.budget = budget;
            }
        }
    }
}

fn settle_on_one_plan(call: &mut Call) {
    let plan = call.descriptors[0].entries.iter().find(|(key, _)| *key == "plan").cloned();
    for descriptor in &mut call.descriptors {
        descriptor.entries.retain(|(key, _)| *key != "plan");
        descriptor.entries.extend(plan.clone());
    }
}

/// A descriptor of a call, most often with an id; or the word that a call is over.
fn descriptor(peeks: bool) -> impl Strategy<Value = Descriptor> + Clone {
    let key = select(vec![Some("a"), Some("a"), Some("b"), None]);
    let id = select(vec![Some("1"), Some("2"), Some("3"), None]);
    let plan = select(vec![None, None, Some("free"), Some("pro")]);
    let flags = (any::<bool>(), prop::bool::weighted(0.3), prop::bool::weighted(0.25));
    let work = select(vec![None, None, None, Some("export"), Some("look")]);
    let hits = prop_oneof![
        6 => select(vec![1, 1, 1, 2, 3]).prop_map(Hits::Take),
        2 => (1..=4u64).prop_map(Hits::GiveBack),
        u32::from(peeks) => Just(Hits::Peek),
    ];
    (key, id, plan, work, flags, hits).prop_map(|(key, id, plan, work, flags, hits)| {
        let (team, contract, done) = flags;
        let mut entries: Vec<_> = key.map(|key| ("key", key)).into_iter().collect();
        entries.extend(id.map(|id| ("id", id)));
        entries.extend(plan.map(|plan| ("plan", plan)));
        entries.extend(work.map(|work| ("work", work)));
        entries.extend(team.then_some(("team", "blue")));
        entries.extend(contract.then_some(("contract", "c")));
        if done {
            entries.push(("phase", "done"));
        }
        Descriptor::new(&entries, hits)
    })
}

/// One limit that takes hits back, and calls of one key of which some give some back.
pub fn giving_back(
    measure: impl Strategy<Value = Measure>,
) -> impl Strategy<Value = (Limit, Vec<Call>)> {
    traffic::plain(measure).prop_flat_map(|limit| {
        let hits = prop_oneof![
            3 => traffic::hits(),
            2 => (1..=4u64).prop_map(Hits::GiveBack),
            1 => Just(Hits::GiveBack(u64::MAX)),
        ];
        let descriptor = hits.prop_map(|hits| Descriptor::new(&[("key", "a")], hits));
        let calls = traffic::calls(vec![limit.measure.window_us()], vec(descriptor, 1..2), 50);
        (Just(limit), calls)
    })
}

/// The rule of one limit, which takes hits back.
pub fn refundable(limit: Limit) -> Rules {
    let rule = Rule::by_key("r", Limits::Own(vec![limit]));
    Rules::of(vec![Rule { refundable: true, ..rule }])
}
