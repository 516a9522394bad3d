//! One shard of the counters: its table, what of it the journal has not got, and when the first of
//! it may expire.
//!
//! Finds room for new counters, and says so if there is none. Knows neither limits nor decisions.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::CounterKey;
use crate::store::space::Space;
use crate::time::Timestamp;

use super::SHARDS;
use super::cell::Cell;
use super::table::{self, SLOT_BYTES, Table};

/// A table that is full is looked through for what has expired before it grows, and at the ceiling
/// in place of growing; but no more often than this, in microseconds, or a flood of keys whose
/// windows end one after the other would have it looked through for each of them.
const SWEEP_PAUSE_US: u64 = 100_000;

/// A table grows although something in it had expired, if that was less than this part of it: else
/// it would soon be looked through again.
const SWEPT_ENOUGH: usize = 8;

/// A table is given back when a sweep leaves it so many times larger than it need be, so that a
/// flood of keys does not hold memory for ever, and a steady load does not shrink and grow.
const SHRINK_BEYOND: usize = 3;

/// A shard behind its lock, on a line of cache of its own with all that a look-up needs first.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Locker(Mutex<Shard>);

const _: () = assert!(size_of::<Locker>() == 64);

impl Locker {
    /// A poisoned lock means that somebody died between two whole steps; what it guards is sound.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, Shard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Shard {
    pub table: Table,
    /// The keys of counters that changed since the journal took them last.
    pub changed: Vec<CounterKey>,
    /// Nothing in here expires before this moment, or need be looked for.
    pub expires_from: Timestamp,
}

impl Default for Shard {
    fn default() -> Shard {
        let (table, changed) = (Table::default(), Vec::new());
        Shard { table, changed, expires_from: Timestamp::from_micros(u64::MAX) }
    }
}

impl Shard {
    /// Whether a new counter has room, for which expired ones go first and then the table grows.
    pub fn has_room(&mut self, number: usize, now: Timestamp, space: &Space) -> bool {
        if !self.table.is_full() {
            return true;
        }
        let swept = if self.expires_from <= now { self.sweep(now, space) } else { 0 };
        if self.table.capacity() <= swept * SWEPT_ENOUGH && swept > 0 {
            return true;
        }
        let capacity = self.rung_above(number);
        if space.reserve(capacity * SLOT_BYTES) {
            // Both tables are there while one is copied into the other.
            space.give_back(self.table.bytes());
            self.table.resize(capacity);
        }
        !self.table.is_full()
    }

    /// Puts in or replaces a counter, be there room or not: for what must not be turned away.
    pub fn put(
        &mut self,
        number: usize,
        key: CounterKey,
        cell: Cell,
        now: Timestamp,
        space: &Space,
    ) {
        self.expires_from = self.expires_from.min(cell.expires_at());
        if let Some(old) = self.table.get_mut(key) {
            space.resize(old.heap_bytes(), cell.heap_bytes());
            *old = cell;
            return;
        }
        if !self.has_room(number, now, space) && self.table.is_packed() {
            let capacity = self.rung_above(number);
            space.resize(self.table.bytes(), capacity * SLOT_BYTES);
            self.table.resize(capacity);
        }
        space.take(cell.heap_bytes());
        self.table.insert(key, cell);
    }

    pub fn remove(&mut self, key: CounterKey, space: &Space) -> Option<Cell> {
        let cell = self.table.remove(key)?;
        space.give_back(cell.heap_bytes());
        Some(cell)
    }

    /// Drops what has expired, and says how much that was.
    pub fn sweep(&mut self, now: Timestamp, space: &Space) -> usize {
        let swept = self.table.sweep(now);
        self.expires_from = swept.earliest.max(now.plus(SWEEP_PAUSE_US));
        space.give_back(swept.heap_bytes);
        swept.dropped
    }

    /// Gives a table back that is far too large.
    pub fn shrink(&mut self, number: usize, space: &Space) {
        let needed = table::needed(self.table.len() + 1);
        let capacity = match self.table.len() {
            0 => 0,
            _ => table::capacity(number, SHARDS, needed),
        };
        if capacity * SHRINK_BEYOND < self.table.capacity() {
            space.resize(self.table.bytes(), capacity * SLOT_BYTES);
            self.table.resize(capacity);
        }
    }

    fn rung_above(&self, number: usize) -> usize {
        table::capacity(number, SHARDS, self.table.capacity() + 1)
    }
}
