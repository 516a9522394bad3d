//! Finds the rules that may apply to a descriptor without looking at the others.
//!
//! Each rule hangs on one of its own conditions, the one that fewest other rules share, so that
//! a call meets few rules whose conditions then fail.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::query::Entries;

use super::Rule;
use super::condition::{Condition, Test, Values};
use super::pattern::Pattern;
use super::prefix::PrefixIndex;

/// Rules that may apply to one descriptor, by position and in file order.
pub type Candidates = SmallVec<[u32; 8]>;

#[derive(Debug, Default)]
pub struct Index {
    by_entry: HashMap<Box<str>, EntryIndex, RandomState>,
    /// Rules that ask for no entry at all.
    always: Vec<u32>,
}

/// The rules that hang on one entry.
#[derive(Debug, Default)]
struct EntryIndex {
    exact: HashMap<Box<str>, Vec<u32>, RandomState>,
    prefixes: PrefixIndex,
    /// Rules that hang on the entry's presence, whatever its value.
    any: Vec<u32>,
}

/// A rule hangs on each value of a list up to this long. Beyond it the copies, one for each rule
/// that names the list, cost more memory than the look into the list costs time.
const LIST_ANCHORS_MAX: usize = 64;

/// One place to hang a rule on. The order is that of preference among equals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Anchor<'a> {
    Exact(&'a str, &'a str),
    Prefix(&'a str, &'a str),
    Any(&'a str),
}

/// A set of places that together catch every descriptor a rule can apply to.
type Anchors<'a> = Vec<Anchor<'a>>;

impl Index {
    pub fn new(rules: &[Rule]) -> Index {
        let choices: Vec<Vec<Anchors<'_>>> = rules.iter().map(choices).collect();
        let mut shared: HashMap<Anchor<'_>, usize, RandomState> = HashMap::default();
        for anchor in choices.iter().flatten().flatten() {
            *shared.entry(*anchor).or_default() += 1;
        }
        let mut building = Builder::default();
        for (position, choices) in (0u32..).zip(&choices) {
            let least_shared = choices.iter().min_by_key(|anchors| {
                let most_shared = anchors.iter().map(|anchor| shared[anchor]).max();
                (most_shared, anchors.iter().max())
            });
            building.hang(position, least_shared);
        }
        building.finish()
    }

    pub fn candidates(&self, entries: &Entries<'_>) -> Candidates {
        let mut found = Candidates::from_slice(&self.always);
        for entry in entries.distinct() {
            let Some(index) = self.by_entry.get(entry.key) else { continue };
            if let Some(rules) = index.exact.get(entry.value) {
                found.extend_from_slice(rules);
            }
            found.extend(index.prefixes.find(entry.value));
            found.extend_from_slice(&index.any);
        }
        // A list of prefixes may catch one value twice.
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Every condition that a descriptor must meet with an entry of its own.
fn choices(rule: &Rule) -> Vec<Anchors<'_>> {
    let counted = rule.count_by.iter().map(|counted| vec![Anchor::Any(&counted.entry)]);
    rule.conditions.iter().filter_map(anchors).chain(counted).collect()
}

fn anchors(condition: &Condition) -> Option<Anchors<'_>> {
    let entry = &*condition.entry;
    match &condition.test {
        Test::Is(Values::Patterns(patterns)) => {
            Some(patterns.iter().map(|pattern| anchor(entry, pattern)).collect())
        }
        Test::Is(Values::List(list)) if list.len() <= LIST_ANCHORS_MAX => {
            Some(list.iter().map(|value| Anchor::Exact(entry, value)).collect())
        }
        Test::Is(_) | Test::Present => Some(vec![Anchor::Any(entry)]),
        Test::IsNot(_) | Test::Absent => None,
    }
}

fn anchor<'a>(entry: &'a str, pattern: &'a Pattern) -> Anchor<'a> {
    match pattern {
        Pattern::Exact(value) => Anchor::Exact(entry, value),
        Pattern::Wildcard(wildcard) => match wildcard.prefix() {
            "" => Anchor::Any(entry),
            prefix => Anchor::Prefix(entry, prefix),
        },
    }
}

#[derive(Default)]
struct Builder<'a> {
    exact: HashMap<&'a str, HashMap<Box<str>, Vec<u32>, RandomState>, RandomState>,
    prefixes: HashMap<&'a str, Vec<(&'a str, u32)>, RandomState>,
    any: HashMap<&'a str, Vec<u32>, RandomState>,
    always: Vec<u32>,
}

impl<'a> Builder<'a> {
    fn hang(&mut self, rule: u32, anchors: Option<&Anchors<'a>>) {
        let Some(anchors) = anchors else {
            self.always.push(rule);
            return;
        };
        for anchor in anchors {
            match *anchor {
                Anchor::Exact(entry, value) => {
                    let values = self.exact.entry(entry).or_default();
                    values.entry(value.into()).or_default().push(rule);
                }
                Anchor::Prefix(entry, prefix) => {
                    self.prefixes.entry(entry).or_default().push((prefix, rule));
                }
                Anchor::Any(entry) => self.any.entry(entry).or_default().push(rule),
            }
        }
    }

    fn finish(self) -> Index {
        let mut index = Index { always: self.always, ..Index::default() };
        for (entry, values) in self.exact {
            index.by_entry.entry(entry.into()).or_default().exact = values;
        }
        for (entry, pairs) in self.prefixes {
            let prefixes = PrefixIndex::new(pairs);
            index.by_entry.entry(entry.into()).or_default().prefixes = prefixes;
        }
        for (entry, rules) in self.any {
            index.by_entry.entry(entry.into()).or_default().any = rules;
        }
        index
    }
}
