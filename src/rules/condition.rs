//! What a rule asks of a descriptor before it applies.

use crate::query::Entries;

use super::pattern::Pattern;

/// A test of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub entry: Box<str>,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The entry is there and its value is one of these.
    AnyOf(Box<[Pattern]>),
    /// The value is none of these; an absent entry has no value and passes.
    NoneOf(Box<[Pattern]>),
    Present,
    Absent,
}

impl Condition {
    pub fn holds(&self, entries: &Entries<'_>) -> bool {
        let value = entries.get(&self.entry);
        let is = |patterns: &[Pattern]| {
            value.is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)))
        };
        match &self.test {
            Test::AnyOf(patterns) => is(patterns),
            Test::NoneOf(patterns) => !is(patterns),
            Test::Present => value.is_some(),
            Test::Absent => value.is_none(),
        }
    }
}
