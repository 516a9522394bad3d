//! What a rule asks of a descriptor before it applies.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::query::Entries;

use super::address::Network;
use super::network_set::NetworkSet;
use super::pattern::Pattern;
use super::regex::Regex;

/// A test of one entry.
#[derive(Clone, Debug)]
pub struct Condition {
    pub entry: Box<str>,
    pub test: Test,
}

#[derive(Clone, Debug)]
pub enum Test {
    /// The entry is there and its value is among these.
    Is(Values),
    /// The value is not among these; an absent entry has no value and passes.
    IsNot(Values),
    Present,
    Absent,
}

/// Some of all values. Lists may be long and belong to many rules, so they are shared.
#[derive(Clone, Debug)]
pub enum Values {
    Patterns(Box<[Pattern]>),
    /// Addresses and networks that lie in these; a value that is neither is not among them.
    Networks(Arc<NetworkSet>),
    Regex(Regex),
    List(Arc<ValueList>),
}

/// The values of a list, each as it is spelled.
pub type ValueList = HashSet<Box<str>, RandomState>;

impl Condition {
    pub fn holds(&self, entries: &Entries<'_>) -> bool {
        let value = entries.get(&self.entry);
        let among = |values: &Values| value.is_some_and(|value| values.contain(value));
        match &self.test {
            Test::Is(values) => among(values),
            Test::IsNot(values) => !among(values),
            Test::Present => value.is_some(),
            Test::Absent => value.is_none(),
        }
    }
}

impl Values {
    pub fn contain(&self, value: &str) -> bool {
        match self {
            Values::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(value)),
            Values::Networks(set) => {
                Network::parse(value).is_some_and(|network| set.contains(network))
            }
            Values::Regex(regex) => regex.matches(value),
            Values::List(list) => list.contains(value),
        }
    }
}
