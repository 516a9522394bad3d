//! Runs properties, holds the real limiter against the model, and judges what passed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{
    Config, FileFailurePersistence, TestCaseError, TestCaseResult, TestRunner,
};
use tollgate::query::Hits;

use super::limit::{Limit, Measure, SECOND_US};
use super::rules::Rules;
use super::system::{System, compile};
use super::{Answer, Call, Model};

/// A hundred years: whoever is still refused then was refused for ever.
pub const FOR_EVER_US: u64 = 100 * 365 * 86_400 * SECOND_US;

/// Runs a property on so many cases, those that once failed first.
pub fn promise<S: Strategy>(cases: u32, inputs: S, holds: impl Fn(S::Value) -> TestCaseResult) {
    let kept = FileFailurePersistence::Direct("tests/promises.proptest-regressions");
    let failure_persistence = Some(Box::new(kept) as Box<_>);
    let config = Config { cases, failure_persistence, ..Config::default() };
    if let Err(broken) = TestRunner::new(config).run(&inputs, holds) {
        panic!("{broken}");
    }
}

/// The real limiter answers every call as the model does. Returns the answers.
pub fn agree(rules: &Rules, calls: &[Call]) -> Result<Vec<Answer>, TestCaseError> {
    agree_and_tell(rules, calls).map(|(answers, _)| answers)
}

/// What happened how often.
pub type Seen = BTreeMap<&'static str, usize>;

/// The same, and what happened on the way.
pub fn agree_and_tell(rules: &Rules, calls: &[Call]) -> Result<(Vec<Answer>, Seen), TestCaseError> {
    let compiled = compile(rules);
    let (system, mut model) = (System::new(&compiled), Model::new(rules));
    let mut answers = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let (answer, expected) = (system.decide(call), model.decide(call));
        prop_assert_eq!(&answer, &expected, "call {} of {:?}", number, call);
        answers.push(answer);
    }
    Ok((answers, model.seen))
}

/// Moments and amounts that passed, of calls with one descriptor that cost what they hit.
pub fn admitted(calls: &[Call], answers: &[Answer]) -> Vec<(u64, u64)> {
    let passed = calls.iter().zip(answers).filter(|(_, answer)| answer.admitted);
    let amount = |call: &Call| match call.descriptors[0].hits {
        Hits::GiveBack(_) => 0,
        Hits::Take(hits) => hits,
        Hits::Peek => 0,
    };
    passed.map(|(call, _)| (call.at, amount(call))).collect()
}

/// Sums what passed by window.
pub fn by_window(passed: &[(u64, u64)], measure: &Measure) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (at, amount) in passed {
        *sums.entry(measure.window(*at)).or_default() += amount;
    }
    sums
}

/// The call passes after this wait and not a microsecond earlier; without a wait, never.
pub fn is_exact(at: u64, wait_us: Option<u64>, passes: impl Fn(u64) -> bool) -> TestCaseResult {
    match wait_us {
        None => prop_assert!(!passes(at + FOR_EVER_US), "passes though no wait was promised"),
        Some(wait_us) => {
            prop_assert!(0 < wait_us, "refused, and told to come back at once");
            prop_assert!(passes(at + wait_us), "does not pass after {} us", wait_us);
            prop_assert!(!passes(at + wait_us - 1), "passes before {} us are over", wait_us);
        }
    }
    Ok(())
}

/// What passed, by the latest moment that anything had passed at: by that, time never goes back.
pub fn never_back(mut passed: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut latest = 0;
    for (at, _) in passed.iter_mut().filter(|(_, amount)| 0 < *amount) {
        latest = latest.max(*at);
        *at = latest;
    }
    passed
}

/// What passed within any one window, or for a bucket at any one moment, is within the limit; for
/// an estimate within what it may err by.
pub fn keeps_its_promise(limit: &Limit, passed: &[(u64, u64)]) -> TestCaseResult {
    let most = match limit.measure {
        Measure::Estimate { .. } => {
            limit.budget.map(|budget| 2 * budget - (2 * budget).div_ceil(limit.measure.window_us()))
        }
        _ => limit.capacity(),
    };
    for &(start, _) in passed {
        let together = |at: u64| match limit.measure {
            Measure::Log { .. } | Measure::Estimate { .. } => {
                (start..start + limit.measure.window_us()).contains(&at)
            }
            Measure::Bucket { .. } => at == start,
            _ => limit.measure.window(at) == limit.measure.window(start),
        };
        let sum: u64 = passed.iter().filter(|(at, _)| together(*at)).map(|(_, hits)| hits).sum();
        prop_assert!(Some(sum) <= most, "{} with the one at {}", sum, start);
    }
    Ok(())
}
