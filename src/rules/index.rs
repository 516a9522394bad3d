//! Finds the rules that may apply to a descriptor without looking at the others.
//!
//! Each rule hangs on one of its own conditions, the one that fewest other rules share, so that
//! a call meets few rules whose conditions then fail.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::query::Entries;

use super::Rule;
use super::candidate::Candidate;
use super::condition::{Condition, Test, Values};
use super::exact::ExactIndex;
use super::named::Named;
use super::pattern::Pattern;
use super::prefix::PrefixIndex;

/// Rules that may apply to one descriptor, in file order.
pub type Candidates = SmallVec<[Candidate; 8]>;

#[derive(Debug, Default)]
pub struct Index {
    by_entry: Named<EntryIndex>,
    /// Rules that ask for no entry at all.
    always: Box<[Candidate]>,
}

/// The rules that hang on one entry.
#[derive(Debug, Default)]
struct EntryIndex {
    exact: ExactIndex,
    prefixes: PrefixIndex,
    /// Rules that hang on the entry's presence, whatever its value.
    any: Box<[Candidate]>,
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

/// A place, and whether a descriptor that it catches meets all of the rule's conditions.
type Catch<'a> = (Anchor<'a>, bool);

/// A set of places that together catch every descriptor a rule can apply to. Most have one.
type Anchors<'a> = SmallVec<[Catch<'a>; 1]>;

impl Index {
    pub fn new(rules: &[Rule]) -> Index {
        let choices: Vec<SmallVec<[Anchors<'_>; 2]>> = rules.iter().map(choices).collect();
        let mut shared: HashMap<Anchor<'_>, usize, RandomState> = HashMap::default();
        for (anchor, _) in choices.iter().flatten().flatten() {
            *shared.entry(*anchor).or_default() += 1;
        }
        let mut building = Builder::default();
        for (position, choices) in (0u32..).zip(&choices) {
            let least_shared = choices.iter().min_by_key(|anchors| {
                let most_shared = anchors.iter().map(|(anchor, _)| shared[anchor]).max();
                (most_shared, anchors.iter().map(|(anchor, _)| *anchor).max())
            });
            building.hang(position, least_shared);
        }
        building.finish()
    }

    /// Puts into `found` the rules that may apply to a descriptor. Of a repeated entry only the
    /// last is looked for, because only the last counts.
    #[inline]
    pub fn find(&self, entries: &Entries<'_>, found: &mut Candidates) {
        found.clear();
        add(found, &self.always);
        if self.by_entry.few() {
            for (entry, index) in self.by_entry.iter() {
                if let Some(value) = entries.get(entry) {
                    index.find(value, found);
                }
            }
        } else {
            for entry in entries.distinct() {
                if let Some(index) = self.by_entry.get(entry.key) {
                    index.find(entry.value, found);
                }
            }
        }
        if found.len() > 1 {
            put_in_order(found);
        }
    }
}

/// A list of prefixes may catch one value twice. Of two finds of one rule the first stays, which is
/// the one that says more of its conditions.
fn put_in_order(found: &mut Candidates) {
    found.sort_unstable();
    found.dedup_by_key(|candidate| candidate.position());
}

impl EntryIndex {
    #[inline]
    fn find(&self, value: &str, found: &mut Candidates) {
        add(found, self.exact.find(value));
        self.prefixes.find(value, |rules| add(found, rules));
        add(found, &self.any);
    }
}

/// Mostly there is nothing to add, or one.
#[inline]
fn add(found: &mut Candidates, more: &[Candidate]) {
    for candidate in more {
        found.push(*candidate);
    }
}

/// Every condition that a descriptor must meet with an entry of its own.
fn choices(rule: &Rule) -> SmallVec<[Anchors<'_>; 2]> {
    let (alone, none) = (rule.conditions.len() == 1, rule.conditions.is_empty());
    let counted = rule.count_by.iter().map(|counted| (Anchor::Any(&counted.entry), none));
    let counted = counted.map(|catch| Anchors::from_iter([catch]));
    rule.conditions
        .iter()
        .filter_map(|condition| anchors(condition, alone))
        .chain(counted)
        .collect()
}

/// `alone` says that the rule has no other condition.
fn anchors(condition: &Condition, alone: bool) -> Option<Anchors<'_>> {
    let entry = &*condition.entry;
    match &condition.test {
        Test::Is(Values::Patterns(patterns)) => {
            Some(patterns.iter().map(|pattern| anchor(entry, pattern, alone)).collect())
        }
        Test::Is(Values::List(list)) if list.len() <= LIST_ANCHORS_MAX => {
            Some(list.iter().map(|value| (Anchor::Exact(entry, value), alone)).collect())
        }
        Test::Is(_) => Some(Anchors::from_iter([(Anchor::Any(entry), false)])),
        Test::Present => Some(Anchors::from_iter([(Anchor::Any(entry), alone)])),
        Test::IsNot(_) | Test::Absent => None,
    }
}

fn anchor<'a>(entry: &'a str, pattern: &'a Pattern, alone: bool) -> Catch<'a> {
    match pattern {
        Pattern::Exact(value) => (Anchor::Exact(entry, value), alone),
        Pattern::Wildcard(wildcard) => {
            let holds = alone && wildcard.is_prefix();
            match wildcard.prefix() {
                "" => (Anchor::Any(entry), holds),
                prefix => (Anchor::Prefix(entry, prefix), holds),
            }
        }
    }
}

/// What hangs on one entry, as it is collected.
#[derive(Default)]
struct Hanging<'a> {
    exact: Vec<(&'a str, Candidate)>,
    prefixes: Vec<(&'a str, Candidate)>,
    any: Vec<Candidate>,
}

#[derive(Default)]
struct Builder<'a> {
    by_entry: HashMap<&'a str, Hanging<'a>, RandomState>,
    always: Vec<Candidate>,
}

impl<'a> Builder<'a> {
    fn hang(&mut self, rule: u32, anchors: Option<&Anchors<'a>>) {
        let Some(anchors) = anchors else {
            self.always.push(Candidate::new(rule, false));
            return;
        };
        for &(anchor, holds) in anchors {
            let rule = Candidate::new(rule, holds);
            match anchor {
                Anchor::Exact(entry, value) => self.of(entry).exact.push((value, rule)),
                Anchor::Prefix(entry, prefix) => self.of(entry).prefixes.push((prefix, rule)),
                Anchor::Any(entry) => self.of(entry).any.push(rule),
            }
        }
    }

    fn of(&mut self, entry: &'a str) -> &mut Hanging<'a> {
        self.by_entry.entry(entry).or_default()
    }

    fn finish(self) -> Index {
        let index = |(entry, hanging): (&str, Hanging<'_>)| {
            let index = EntryIndex {
                exact: ExactIndex::new(hanging.exact),
                prefixes: PrefixIndex::new(hanging.prefixes),
                any: hanging.any.into(),
            };
            (entry.into(), index)
        };
        let by_entry = self.by_entry.into_iter().map(index).collect();
        Index { by_entry, always: self.always.into() }
    }
}
