//! The counters of one process, in a sharded map.
//!
//! A decision locks every shard that its counters lie in, each once and in ascending order, so
//! that decisions over overlapping sets of counters neither interleave nor deadlock. All limits of
//! one identity lie in one shard, so the usual decision takes one lock. No lock is held across
//! an await, because nothing in here is async.

mod cell;
mod keep;
mod locked;
mod mend;
mod plain;
mod settle;

pub use self::mend::{Change, Impossible, Mended};
pub use self::plain::{Taken, Taking};
pub use self::settle::{Move, Moved, Step};

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use dashmap::{DashMap, RwLockWriteGuard, SharedValue};
use smallvec::SmallVec;

use crate::algorithm::Fit;
use crate::key::CounterKey;
use crate::time::Timestamp;

use super::journal::Shared;
use super::ledger::{LEDGER_SHARDS, Ledger};
use super::{Applied, Ask, HITS_INLINE, Hit};

use self::cell::{Cell, Kept};
use self::keep::Keeper;
use self::locked::{Locked, Took};

/// A shard is locked as a whole while its table grows or is swept. With this many, ten million
/// counters make shards of some 2,400, and each such stall stays well below a millisecond.
pub const SHARDS: usize = 4096;

/// A swept table is given back when it could shrink to less than this part of itself, so that a
/// flood of keys does not hold memory for ever, and a steady load does not shrink and grow.
const SHRINK_BELOW: usize = 4;

/// Keys are fingerprints already; this takes their bits as they are.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("counter keys hash as one number");
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

type Counters = DashMap<CounterKey, Cell, BuildHasherDefault<KeyHasher>>;
type Table = hashbrown::raw::RawTable<(CounterKey, SharedValue<Cell>)>;
type Guards<'a> = SmallVec<[(usize, RwLockWriteGuard<'a, Table>); 2]>;

/// Counters in memory.
pub struct Memory {
    counters: Counters,
    keeper: Option<Keeper>,
    ledger: Ledger,
}

impl Memory {
    /// Counters that end with the process.
    pub fn new() -> Memory {
        let hasher = BuildHasherDefault::default();
        let counters = DashMap::with_capacity_and_hasher_and_shard_amount(0, hasher, SHARDS);
        Memory { counters, keeper: None, ledger: Ledger::new(None) }
    }

    /// Counters of which a journal keeps those with windows of at least `window_us_min`.
    pub fn kept(journal: Arc<Shared>, window_us_min: u64) -> Memory {
        let ledger = Ledger::new(Some(journal.clone()));
        Memory { keeper: Some(Keeper::new(journal, window_us_min)), ledger, ..Memory::new() }
    }

    /// Commits the hits of one decision together: if every voting limit has room, all are
    /// charged; if any has none, nothing is, save limits that are charged whatever the verdict.
    pub fn apply(&self, Ask { hits, slots, refused }: Ask<'_>, now: Timestamp) -> Applied {
        let mut shards = self.lock(hits.iter().map(|hit| hit.key));
        let mut fits: SmallVec<[Fit; HITS_INLINE]> =
            hits.iter().map(|hit| shards.fit(hit, now)).collect();
        let has_room = |(hit, fit): (&Hit<'_>, &Fit)| !hit.votes || *fit == Fit::Now;
        let admitted = !refused && hits.iter().zip(&fits).all(has_room);
        let wait_us = if admitted || refused { None } else { wait_us(hits, &fits) };
        let (mut taken, mut charged) =
            (SmallVec::<[Took; HITS_INLINE]>::from_elem(Took::default(), hits.len()), false);
        let granted = admitted && hits.iter().any(|hit| hit.pool > 0);
        for (hit, taken) in hits.iter().zip(&mut taken) {
            let charge = if admitted { hit.charge } else { hit.charge_refused };
            if charge > 0 && wait_us.is_none() {
                let room = if granted { shards.room_ahead_of_grant(hit, hits, now) } else { None };
                *taken = shards.take(hit, charge, room, slots, now);
                charged = true;
            }
        }
        for hit in hits.iter().filter(|hit| hit.give_back > 0 && wait_us.is_none()) {
            shards.give_back(hit, now);
            charged = true;
        }
        if charged && !admitted {
            // What a refused call is charged can leave it no room where it had some, or make its
            // wait longer, and what it gives back shorter; how much so is known only now.
            for (hit, fit) in hits.iter().zip(&mut fits).filter(|(hit, _)| hit.votes) {
                *fit = shards.fit_again(hit, *fit, now);
            }
        }
        // A peek shows what one hit would leave, but a refused one would have left all as it was.
        let pending = |hit: &Hit<'_>| if admitted { hit.pending } else { 0 };
        let parts = hits.iter().zip(fits).zip(taken);
        let outcomes = parts
            .map(|((hit, fit), taken)| shards.outcome(hit, (fit, taken), pending(hit), slots, now));
        let outcomes = outcomes.collect();
        Applied { admitted, wait_us, outcomes, ticket: shards.ticket }
    }

    /// Drops the expired counters of one shard, numbered from 0 to [`SHARDS`] exclusive, and says
    /// how many they were. What expired answers as if it were gone, so sweeping changes no answer.
    pub fn sweep(&self, shard: usize, now: Timestamp) -> usize {
        if let Some(number) = ledger_shard(shard) {
            self.ledger.sweep(number, now);
        }
        let Some(shard) = self.counters.shards().get(shard) else { return 0 };
        if shard.read().is_empty() {
            return 0;
        }
        let mut table = shard.write();
        let before = table.len();
        let expired = |(_, cell): &(CounterKey, SharedValue<Cell>)| cell.get().expires_at() <= now;
        let live: Vec<_> = table.drain().filter(|entry| !expired(entry)).collect();
        let swept = before - live.len();
        if live.len() < table.capacity() / SHRINK_BELOW {
            table.shrink_to(live.len(), hash_of);
        }
        for entry in live {
            table.insert_entry(hash_of(&entry), entry, hash_of);
        }
        swept
    }

    /// What is remembered besides counters.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Counters held, expired ones that were not swept yet included.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(table: &mut Table, key: CounterKey, cell: Cell) {
        table.insert_entry(key.table_hash(), (key, SharedValue::new(cell)), hash_of);
    }

    fn lock(&self, keys: impl Iterator<Item = CounterKey>) -> Locked<'_> {
        let mut numbers: SmallVec<[usize; HITS_INLINE]> =
            keys.map(|key| self.shard_of(key)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let shards = self.counters.shards();
        let guard = |number: usize| (number, shards[number].write());
        let guards = numbers.into_iter().map(guard).collect();
        Locked { counters: &self.counters, keeper: self.keeper.as_ref(), guards, ticket: None }
    }

    fn shard_of(&self, key: CounterKey) -> usize {
        self.counters.determine_shard(key.table_hash() as usize)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Millions of counters help nobody; how many they are may.
        f.debug_struct("Memory").field("counters", &self.len()).finish()
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

/// How long a decision that finds no room waits for all of it; none if that is too long anywhere.
fn wait_us(hits: &[Hit<'_>], fits: &[Fit]) -> Option<u64> {
    let refusing = hits.iter().zip(fits).filter(|(hit, fit)| hit.votes && **fit != Fit::Now);
    refusing
        .map(|(hit, fit)| match fit {
            Fit::After(wait_us) if *wait_us <= hit.wait_us_max => Some(*wait_us),
            _ => None,
        })
        .try_fold(0, |longest, wait_us| Some(wait_us?.max(longest)))
}

/// The shard of the ledger that is gone through with a shard of counters: every so many of these
/// one of those.
fn ledger_shard(shard: usize) -> Option<usize> {
    let each = SHARDS / LEDGER_SHARDS;
    shard.is_multiple_of(each).then_some(shard / each)
}

fn hash_of((key, _): &(CounterKey, SharedValue<Cell>)) -> u64 {
    key.table_hash()
}
