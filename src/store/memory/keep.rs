//! Memory's side of the journal: which counters changed, and copies of them to be written.
//!
//! A counter that changed stands once in the list of its shard, however often it is charged until
//! the list is taken, so a hot key costs the journal no more than a cold one.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::algorithm::State;
use crate::key::CounterKey;
use crate::limit::{Durability, Limit};
use crate::store::journal::format::{Blocks, Record};
use crate::store::journal::{Handed, Shared, Ticket};
use crate::time::Timestamp;

use super::table::{Slot, Table};
use super::{Cell, Kept, Memory, ledger_shard, shard_of};

/// What a memory knows of its journal.
pub(super) struct Keeper {
    journal: Arc<Shared>,
    window_us_min: u64,
}

impl Keeper {
    pub(super) fn new(journal: Arc<Shared>, window_us_min: u64) -> Keeper {
        Keeper { journal, window_us_min }
    }

    /// Notes that a counter was charged, in the list of its shard. A strict one is handed to the
    /// writer at once.
    pub(super) fn keep(
        &self,
        limit: &Limit,
        key: CounterKey,
        kept: &mut Kept,
        changed: &mut Vec<CounterKey>,
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
            changed.push(key);
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
        let mut shard = self.shards[shard].lock();
        let keys = std::mem::take(&mut shard.changed);
        keys.into_iter().for_each(|key| write(&mut shard.table, key, blocks));
    }

    /// Adds what was handed over as it is now.
    pub fn copy_keys(&self, keys: &[Handed], blocks: &mut Blocks) {
        for &handed in keys {
            match handed {
                Handed::Counter(key) => {
                    write(&mut self.shard(key).table, key, blocks);
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
        let mut shard = self.shard(key);
        if shard.table.get(key).is_some_and(|cell| cell.kept() != Kept::Not) {
            write(&mut shard.table, key, blocks);
        }
    }

    /// Adds every counter of a shard that the journal keeps and that has not expired.
    pub fn copy_kept(&self, shard: usize, now: Timestamp, blocks: &mut Blocks) {
        if let Some(number) = ledger_shard(shard) {
            self.ledger().copy_kept(number, now, blocks);
        }
        // A copy of the shard's table is read at leisure, and callers wait only for the copying.
        let table = self.shards[shard].lock().table.clone();
        for Slot { key, cell } in table.iter() {
            if cell.kept() != Kept::Not && now < cell.expires_at() {
                blocks.counter(*key, cell.expires_at(), &cell.state());
            }
        }
    }

    /// Puts a counter back as it was written, unless it has expired meanwhile. Beyond the ceiling if
    /// need be: what was counted must not be lost because there is less memory now.
    pub fn restore(&self, key: CounterKey, expires_at: Timestamp, state: State, now: Timestamp) {
        let mut shard = self.shard(key);
        // Also an expired state outranks the older one of the same counter.
        if now < expires_at || shard.table.get(key).is_some() {
            let cell = Cell::new(state, expires_at, Kept::Written);
            shard.put(shard_of(key), key, cell, now, &self.space);
        }
    }

    /// Takes a counter away, as reading a journal asks for.
    pub fn forget(&self, key: CounterKey) {
        self.shard(key).remove(key, &self.space);
    }
}

/// Adds one counter as it is, or the fact that it is gone.
fn write(table: &mut Table, key: CounterKey, blocks: &mut Blocks) {
    match table.get_mut(key) {
        Some(cell) => {
            if cell.kept() == Kept::Changed {
                cell.set_kept(Kept::Written);
            }
            blocks.counter(key, cell.expires_at(), &cell.state());
        }
        None => blocks.push(&Record::Gone { key }),
    }
}
