//! Generated conditions, and texts that meet them often.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::limit::{Limit, Measure};
use super::rules::{Conditions, Entry, Limits, Rule, Rules, Test, Values};

const KEYS: [&str; 4] = ["key", "plan", "path", "team"];

/// Short texts of few characters, so that patterns meet values; one of them takes two bytes.
fn value() -> impl Strategy<Value = String> {
    let char = select(vec!["/", "x", "y", "*", "\\", "é"]);
    vec(char, 0..5).prop_map(|chars| chars.concat())
}

fn pattern() -> impl Strategy<Value = String> {
    let part = select(vec!["/", "x", "y", "*", "*", "\\*", "\\", "é"]);
    vec(part, 0..5).prop_map(|parts| parts.concat())
}

fn values() -> impl Strategy<Value = Values> {
    prop_oneof![
        4 => vec(pattern(), 1..4).prop_map(Values::Patterns),
        1 => vec(pattern(), 1..4).prop_map(Values::Regex),
        1 => vec(value(), 0..4).prop_map(Values::List),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        5 => values().prop_map(Test::AnyOf),
        2 => values().prop_map(Test::NoneOf),
        1 => any::<bool>().prop_map(Test::Present),
    ]
}

fn conditions() -> impl Strategy<Value = Conditions> {
    proptest::collection::btree_map(select(KEYS.to_vec()), test(), 0..3)
}

pub fn matching_rules() -> impl Strategy<Value = Rules> {
    let count_by = subsequence(KEYS.to_vec(), 0..3);
    let cost = (conditions(), 0..9u64);
    let rule = (conditions(), count_by, vec(cost, 0..3));
    vec(rule, 1..25).prop_map(|rules| {
        let limit = Limit::plain(1, Measure::Fixed { seconds: 1 });
        let rule = |(number, (conditions, count_by, costs))| {
            let rule = Rule::by_key(&format!("r{number}"), Limits::Own(vec![limit.clone()]));
            Rule { conditions, count_by, costs, ..rule }
        };
        let rules = rules.into_iter().enumerate().map(rule).collect();
        Rules { rules, ..Rules::by_key(Vec::new()) }
    })
}

/// A descriptor's entries; some keys come more than once.
pub fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec((select(KEYS.to_vec()), value()), 0..6)
}
