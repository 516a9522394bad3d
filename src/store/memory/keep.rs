//! Memory's side of the journal: which counters changed, and copies of them to be written.
//!
//! A counter that changed stands once in the list of its shard, however often it is charged until
//! the list is taken, so a hot key costs the journal no more than a cold one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::SharedValue;
use foldhash::fast::RandomState;

use crate::algorithm::State;
use crate::key::CounterKey;
use crate::limit::{Durability, Limit};
use crate::store::journal::format::{Blocks, Record};
use crate::store::journal::{Handed, Shared, Ticket};
use crate::time::Timestamp;

use super::{Cell, Kept, Memory, SHARDS, Table, ledger_shard};

/// What a memory knows of its journal.
pub(super) struct Keeper {
    journal: Arc<Shared>,
    window_us_min: u64,
    /// For each shard the keys of counters that changed. Locked only while the shard is.
    changed: Box<[Mutex<Vec<CounterKey>>]>,
}

impl Keeper {
    pub(super) fn new(journal: Arc<Shared>, window_us_min: u64) -> Keeper {
        let changed = (0..SHARDS).map(|_| Mutex::default()).collect();
        Keeper { journal, window_us_min, changed }
    }

    /// Notes that a counter was charged. A strict one is handed to the writer at once.
    pub(super) fn keep(
        &self,
        limit: &Limit,
        shard: usize,
        key: CounterKey,
        kept: &mut Kept,
    ) -> Option<Ticket> {
        if limit.durability == Durability::Strict {
            // It stays in the list if it is there: being written twice does no harm.
            if *kept == Kept::Not {
                *kept = Kept::Written;
            }
            return Some(self.journal.hand_over(Handed::Counter(key)));
        }
        if *kept != Kept::Changed && limit.lasts(self.window_us_min) {
            *kept = Kept::Changed;
            self.changed(shard).push(key);
        }
        None
    }

    /// Hands over what people changed or removed, whatever its limit promises of hits, if the
    /// journal keeps such counters or has this one.
    pub(super) fn mended(&self, limit: &Limit, key: CounterKey, kept: &mut Kept) -> Option<Ticket> {
        let strict = limit.durability == Durability::Strict;
        let durable = strict || limit.lasts(self.window_us_min);
        match (*kept, durable) {
            (Kept::Not, false) => return None,
            (Kept::Not, true) => *kept = Kept::Written,
            // A changed one stays in its list: being written twice does no harm.
            (Kept::Written | Kept::Changed, _) => {}
        }
        Some(self.journal.hand_over(Handed::Counter(key)))
    }

    fn changed(&self, shard: usize) -> MutexGuard<'_, Vec<CounterKey>> {
        self.changed[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Adds the counters of a shard that changed since this was last asked, and the notes whose
    /// turn comes with it.
    pub fn take_changed(&self, shard: usize, blocks: &mut Blocks) {
        if let Some(number) = ledger_shard(shard) {
            // Many receipts may speak of one counter.
            let mut written = HashSet::with_hasher(RandomState::default());
            self.ledger().take_changed(number, blocks, &mut |key, blocks| {
                if written.insert(key) {
                    self.copy_charged(key, blocks);
                }
            });
        }
        let Some(keeper) = &self.keeper else { return };
        let keys = std::mem::take(&mut *keeper.changed(shard));
        if keys.is_empty() {
            return;
        }
        let mut table = self.counters.shards()[shard].write();
        keys.into_iter().for_each(|key| write(&mut table, key, blocks));
    }

    /// Adds what was handed over as it is now.
    pub fn copy_keys(&self, keys: &[Handed], blocks: &mut Blocks) {
        for &handed in keys {
            match handed {
                Handed::Counter(key) => {
                    let mut table = self.counters.shards()[self.shard_of(key)].write();
                    write(&mut table, key, blocks);
                }
                Handed::Note(key) => {
                    self.ledger()
                        .copy(key, blocks, &mut |key, blocks| self.copy_charged(key, blocks));
                }
            }
        }
    }

    /// Adds a counter that a receipt speaks of, if the journal keeps it.
    fn copy_charged(&self, key: CounterKey, blocks: &mut Blocks) {
        let mut table = self.counters.shards()[self.shard_of(key)].write();
        let kept = table.get(key.table_hash(), |(other, _)| *other == key);
        if kept.is_some_and(|(_, cell)| cell.get().kept() != Kept::Not) {
            write(&mut table, key, blocks);
        }
    }

    /// Adds every counter of a shard that the journal keeps and that has not expired.
    pub fn copy_kept(&self, shard: usize, now: Timestamp, blocks: &mut Blocks) {
        if let Some(number) = ledger_shard(shard) {
            self.ledger().copy_kept(number, now, blocks);
        }
        // A copy of the shard's table is read at leisure, and callers wait only for the copying.
        let table = self.counters.shards()[shard].read().clone();
        for (key, cell) in table {
            let cell = cell.into_inner();
            if cell.kept() != Kept::Not && now < cell.expires_at() {
                blocks.counter(key, cell.expires_at(), &cell.state());
            }
        }
    }

    /// Puts a counter back as it was written, unless it has expired meanwhile.
    pub fn restore(&self, key: CounterKey, expires_at: Timestamp, state: State, now: Timestamp) {
        let mut table = self.counters.shards()[self.shard_of(key)].write();
        let hash = key.table_hash();
        let cell = Cell::new(state, expires_at, Kept::Written);
        match table.get_mut(hash, |(other, _)| *other == key) {
            // Also an expired state outranks the older one of the same counter.
            Some((_, old)) => *old = SharedValue::new(cell),
            None if now < expires_at => Memory::insert(&mut table, key, cell),
            None => {}
        }
    }

    /// Takes a counter away, as reading a journal asks for.
    pub fn forget(&self, key: CounterKey) {
        let mut table = self.counters.shards()[self.shard_of(key)].write();
        table.remove_entry(key.table_hash(), |(other, _)| *other == key);
    }
}

/// Adds one counter as it is, or the fact that it is gone.
fn write(table: &mut Table, key: CounterKey, blocks: &mut Blocks) {
    match table.get_mut(key.table_hash(), |(other, _)| *other == key) {
        Some((_, cell)) => {
            let cell = cell.get_mut();
            if cell.kept() == Kept::Changed {
                cell.set_kept(Kept::Written);
            }
            blocks.counter(key, cell.expires_at(), &cell.state());
        }
        None => blocks.push(&Record::Gone { key }),
    }
}
