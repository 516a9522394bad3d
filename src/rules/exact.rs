//! Finds the rules that hang on an exact value, however many values there are.
//!
//! A look-up reads a slot of sixteen bytes and the value itself, which lie side by side with their
//! like: ten thousand values fit into a processor's second cache.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::candidate::{Candidate, Hung};

/// Values and what hangs on each.
#[derive(Debug, Default)]
pub struct ExactIndex {
    slots: HashTable<Slot>,
    /// All values, one after another.
    values: Box<str>,
    rules: Hung,
    state: RandomState,
}

/// Where a value lies, and what hangs on it. Files are too short for more than 32 bits of either.
#[derive(Debug)]
struct Slot {
    value_at: u32,
    value_bytes: u32,
    list: u32,
}

impl ExactIndex {
    pub fn new(mut pairs: Vec<(&str, Candidate)>) -> ExactIndex {
        // Stable, so that what hangs on one value stays in file order.
        pairs.sort_by_key(|(value, _)| *value);
        let state = RandomState::default();
        let (mut slots, mut values, mut rules) =
            (HashTable::with_capacity(pairs.len()), String::new(), Hung::default());
        for same in pairs.chunk_by(|(a, _), (b, _)| a == b) {
            let value = same[0].0;
            let slot = Slot {
                value_at: values.len() as u32,
                value_bytes: value.len() as u32,
                list: rules.push(same.iter().map(|(_, rule)| *rule)),
            };
            values.push_str(value);
            let hash_of = |slot: &Slot| state.hash_one(slot.value(&values));
            slots.insert_unique(state.hash_one(value), slot, hash_of);
        }
        ExactIndex { slots, values: values.into(), rules, state }
    }

    /// The rules that hang on this value, in file order.
    #[inline]
    pub fn find(&self, value: &str) -> &[Candidate] {
        let is_it = |slot: &Slot| slot.value(&self.values) == value;
        let slot = self.slots.find(self.state.hash_one(value), is_it);
        slot.map_or(&[], |slot| self.rules.list(slot.list))
    }
}

impl Slot {
    #[inline]
    fn value<'v>(&self, values: &'v str) -> &'v str {
        let start = self.value_at as usize;
        &values[start..start + self.value_bytes as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_and_others_are_not() {
        let rule = |position| Candidate::new(position, true);
        let pairs = [("a", rule(1)), ("", rule(2)), ("ab", rule(3)), ("a", rule(4))];
        let index = ExactIndex::new(pairs.to_vec());
        assert_eq!(index.find("a"), [rule(1), rule(4)]);
        assert_eq!(index.find(""), [rule(2)]);
        assert_eq!(index.find("ab"), [rule(3)]);
        assert!(index.find("b").is_empty());
        assert!(ExactIndex::default().find("").is_empty());
    }
}
