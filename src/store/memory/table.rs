//! The table of one shard: keys and cells side by side, in slots of thirty-two bytes.
//!
//! Open addressing with linear probing: a key lies at its home or in the next slots behind it, so
//! a look-up is most often one line of cache, and nothing but the slots is kept. Homes follow the
//! order of keys, so that a table is copied into a larger one from front to back, and the larger
//! one may be larger by any part. What is removed leaves no mark: what stands behind moves up.
//! Knows neither how much memory there is nor who locks it.

use crate::key::CounterKey;
use crate::time::Timestamp;

use super::cell::Cell;

/// One counter.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub key: CounterKey,
    pub cell: Cell,
}

/// What a counter costs for each slot that the table has for it.
pub(super) const SLOT_BYTES: usize = 32;

// An empty slot is told by a value that no cell has, so it needs no byte of its own.
const _: () = assert!(size_of::<Option<Slot>>() == SLOT_BYTES);

/// A table takes no more than this part of its slots, or looking for a key that is not there would
/// pass by many that are: twelve at four fifths, thirty at seven eighths.
const LOAD: (usize, usize) = (4, 5);

/// What must be let in may fill a table beyond that, up to this part of it.
const LOAD_FORCED: (usize, usize) = (15, 16);

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    slots: Box<[Option<Slot>]>,
    len: usize,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Swept {
    pub dropped: usize,
    /// What they had outside of the table.
    pub heap_bytes: usize,
    /// When the first of those that are left expires; the last moment there is if none is left.
    pub earliest: Timestamp,
}

impl Table {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    pub fn bytes(&self) -> usize {
        self.capacity() * SLOT_BYTES
    }

    /// Whether one more would fill it beyond what is good for looking up.
    pub fn is_full(&self) -> bool {
        fills(self.len + 1, self.capacity(), LOAD)
    }

    /// Whether not even what must be let in has room.
    pub fn is_packed(&self) -> bool {
        fills(self.len + 1, self.capacity(), LOAD_FORCED)
    }

    /// Where a key lies.
    #[inline]
    pub fn find(&self, key: CounterKey) -> Option<usize> {
        let mut at = self.home(key);
        // A table is never filled to its last slot, so every search ends.
        while let Some(Some(slot)) = self.slots.get(at) {
            if slot.key == key {
                return Some(at);
            }
            at = self.next(at);
        }
        None
    }

    #[inline]
    pub fn get(&self, key: CounterKey) -> Option<&Cell> {
        let at = self.find(key)?;
        self.slots[at].as_ref().map(|slot| &slot.cell)
    }

    #[inline]
    pub fn get_mut(&mut self, key: CounterKey) -> Option<&mut Cell> {
        let at = self.find(key)?;
        self.slots[at].as_mut().map(|slot| &mut slot.cell)
    }

    /// Puts in a counter that is not there yet.
    ///
    /// # Panics
    ///
    /// If the table has no slot to spare: whoever inserts has made room before.
    pub fn insert(&mut self, key: CounterKey, cell: Cell) {
        assert!(self.len + 1 < self.capacity(), "a table keeps a slot empty");
        self.place(Slot { key, cell });
        self.len += 1;
    }

    pub fn remove(&mut self, key: CounterKey) -> Option<Cell> {
        let at = self.find(key)?;
        self.take(at).map(|slot| slot.cell)
    }

    /// Moves everything into a table of so many slots, which must have room for it.
    pub fn resize(&mut self, capacity: usize) {
        let slots = std::mem::take(&mut self.slots);
        self.slots = (0..capacity).map(|_| None).collect();
        // In the order of their homes, so the new table is written from front to back.
        slots.into_iter().flatten().for_each(|slot| self.place(slot));
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().flatten()
    }

    /// Drops what has expired. Nothing is written to a table in which nothing has.
    pub fn sweep(&mut self, now: Timestamp) -> Swept {
        let earliest = Timestamp::from_micros(u64::MAX);
        let mut swept = Swept { dropped: 0, heap_bytes: 0, earliest };
        for at in 0..self.capacity() {
            // What stands behind moves up into the slot that becomes empty.
            while let Some(slot) = &self.slots[at] {
                let expires_at = slot.cell.expires_at();
                if now < expires_at {
                    swept.earliest = swept.earliest.min(expires_at);
                    break;
                }
                swept.dropped += 1;
                swept.heap_bytes += slot.cell.heap_bytes();
                self.take(at);
            }
        }
        swept
    }

    /// The slot that a key lies in if that is empty: keys are fingerprints and spread evenly. The
    /// bits are none of those that chose the shard.
    #[inline]
    fn home(&self, key: CounterKey) -> usize {
        let part = key.to_u128() >> 96;
        ((part as u64 * self.slots.len() as u64) >> 32) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 < self.slots.len() { at + 1 } else { 0 }
    }

    /// How many steps lie from one slot to another.
    fn steps(&self, from: usize, to: usize) -> usize {
        if from <= to { to - from } else { to + self.slots.len() - from }
    }

    fn place(&mut self, slot: Slot) {
        let mut at = self.home(slot.key);
        while self.slots[at].is_some() {
            at = self.next(at);
        }
        self.slots[at] = Some(slot);
    }

    /// Empties a slot, and moves up what would no longer be found behind it.
    fn take(&mut self, at: usize) -> Option<Slot> {
        let taken = self.slots[at].take()?;
        self.len -= 1;
        let (mut hole, mut at) = (at, self.next(at));
        while let Some(slot) = &self.slots[at] {
            if self.steps(hole, at) <= self.steps(self.home(slot.key), at) {
                self.slots[hole] = self.slots[at].take();
                hole = at;
            }
            at = self.next(at);
        }
        Some(taken)
    }
}

fn fills(len: usize, capacity: usize, (part, whole): (usize, usize)) -> bool {
    capacity * part < len * whole
}

/// The smallest capacity of a shard's ladder that is at least this, and at least the first rung.
///
/// Each rung is a quarter above the one below, so a table has never more than a quarter too much,
/// and what is copied while one grows is small beside the whole. The ladders of shards begin
/// evenly spread over one rung, so that they do not all grow at the same total: what the smaller
/// ones leave to the allocator the next ones take.
pub(super) fn capacity(shard: usize, shards: usize, least: usize) -> usize {
    const FIRST: usize = 4;
    /// Rungs are reckoned in parts of a slot, so that small ones keep their distances.
    const PARTS: usize = 1 << 16;
    let mut rung = FIRST * PARTS + FIRST * PARTS / 4 * shard / shards;
    while rung / PARTS < least {
        rung += rung / 4;
    }
    rung / PARTS
}

/// The smallest capacity that so many counters may take, to be rounded up to a rung.
pub(super) fn needed(len: usize) -> usize {
    let (part, whole) = LOAD;
    (len * whole).div_ceil(part)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use crate::algorithm::State;
    use crate::algorithm::window::Count;

    use super::super::cell::Kept;
    use super::*;

    fn cell(end: u64) -> Cell {
        let end = Timestamp::from_micros(end);
        Cell::new(State::Window(Count { end, used: 1 }), end, Kept::Not)
    }

    /// Keys of few homes, so that they meet and wrap around the end.
    fn keys() -> impl Strategy<Value = CounterKey> {
        (0..6u128, 0..9u128).prop_map(|(home, other)| {
            CounterKey::from_u128((home * (u128::MAX / 5)) & !(u128::MAX >> 32) | other)
        })
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(CounterKey, u64),
        Remove(CounterKey),
        Sweep(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (keys(), 1..100u64).prop_map(|(key, end)| Step::Insert(key, end)),
            2 => keys().prop_map(Step::Remove),
            1 => (0..100u64).prop_map(Step::Sweep),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_map_would(steps in steps()) {
            let (mut table, mut plain) = (Table::default(), HashMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, end) => {
                        if table.is_full() {
                            table.resize(capacity(1, 2, table.capacity() + 1));
                        }
                        match table.get_mut(key) {
                            Some(old) => *old = cell(end),
                            None => table.insert(key, cell(end)),
                        }
                        plain.insert(key, end);
                    }
                    Step::Remove(key) => {
                        let removed = table.remove(key).map(|cell| cell.expires_at().as_micros());
                        prop_assert_eq!(removed, plain.remove(&key));
                    }
                    Step::Sweep(now) => {
                        let before = plain.len();
                        plain.retain(|_, end| now < *end);
                        let swept = table.sweep(Timestamp::from_micros(now));
                        prop_assert_eq!(swept.dropped, before - plain.len());
                        let earliest = plain.values().min().copied().unwrap_or(u64::MAX);
                        prop_assert_eq!(swept.earliest.as_micros(), earliest);
                    }
                }
                prop_assert_eq!(table.len(), plain.len());
                prop_assert_eq!(table.iter().count(), plain.len());
                for (key, end) in &plain {
                    let found = table.get(*key).map(|cell| cell.expires_at().as_micros());
                    prop_assert_eq!(found, Some(*end));
                }
            }
        }
    }

    #[test]
    fn shards_grow_at_different_totals() {
        let at = |shard| capacity(shard, 4096, 1000);
        let (first, middle, last) = (at(0), at(2048), at(4095));
        assert!(1000 <= first && first < 1250 && 1000 <= last && last < 1250);
        assert_ne!(first, middle);
        assert_ne!(middle, last);
    }
}
