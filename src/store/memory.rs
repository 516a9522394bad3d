//! The counters of one process, in a sharded table.
//!
//! A decision locks every shard that its counters lie in, each once and in ascending order, so
//! that decisions over overlapping sets of counters neither interleave nor deadlock. All limits of
//! one identity lie in one shard, so the usual decision takes one lock. No lock is held across
//! an await, because nothing in here is async.

mod cell;
mod crowd;
mod keep;
mod locked;
mod mend;
mod plain;
mod settle;
mod shard;
mod table;

pub use self::mend::{Change, Impossible, Mended};
pub use self::plain::{Taken, Taking};
pub use self::settle::{Move, Moved, Step};

use std::fmt;
use std::sync::{Arc, MutexGuard};

use smallvec::SmallVec;

use crate::algorithm::Fit;
use crate::key::CounterKey;
use crate::time::Timestamp;

use super::journal::Shared;
use super::ledger::{LEDGER_SHARDS, Ledger};
use super::space::Space;
use super::{Applied, Ask, Crowded, HITS_INLINE, Hit};

use self::cell::{Cell, Kept};
use self::keep::Keeper;
use self::locked::{Locked, Took};
use self::shard::{Locker, Shard};

/// A shard is locked as a whole while its table grows or is swept. With this many, ten million
/// counters make shards of some 600, and each such stall stays far below a millisecond. Up to
/// twenty million, tables stay below the 64 KiB beyond which the allocator rounds them up coarsely.
pub const SHARDS: usize = 1 << 14;

type Guards<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 2]>;

/// Counters in memory.
pub struct Memory {
    shards: Box<[Locker]>,
    keeper: Option<Keeper>,
    ledger: Ledger,
    space: Arc<Space>,
}

impl Memory {
    /// Counters that end with the process.
    pub fn new() -> Memory {
        Memory::over(None)
    }

    /// Counters of which a journal keeps those with windows of at least `window_us_min`.
    pub fn kept(journal: Arc<Shared>, window_us_min: u64) -> Memory {
        let memory = Memory::over(Some(journal.clone()));
        Memory { keeper: Some(Keeper::new(journal, window_us_min)), ..memory }
    }

    fn over(journal: Option<Arc<Shared>>) -> Memory {
        let shards = (0..SHARDS).map(|_| Locker::default()).collect();
        let space = Arc::new(Space::default());
        Memory { shards, keeper: None, ledger: Ledger::new(journal, space.clone()), space }
    }

    /// Commits the hits of one decision together: if every voting limit has room, all are
    /// charged; if any has none, nothing is, save limits that are charged whatever the verdict.
    pub fn apply(&self, ask: Ask<'_>, now: Timestamp) -> Applied {
        let mut shards = self.lock(ask.hits.iter().map(|hit| hit.key));
        if shards.have_room(ask.hits, now) {
            return commit(&mut shards, ask, now);
        }
        drop(shards);
        self.apply_in_crowds(ask, now)
    }

    /// Drops the expired counters of one shard, numbered from 0 to [`SHARDS`] exclusive, and says
    /// how many they were. What expired answers as if it were gone, so sweeping changes no answer.
    pub fn sweep(&self, shard: usize, now: Timestamp) -> usize {
        if let Some(number) = ledger_shard(shard) {
            self.ledger.sweep(number, now);
        }
        let Some(locker) = self.shards.get(shard) else { return 0 };
        let mut locked = locker.lock();
        if now < locked.expires_from {
            return 0;
        }
        let swept = locked.sweep(now, &self.space);
        if swept > 0 {
            locked.shrink(shard, &self.space);
        }
        swept
    }

    /// What is remembered besides counters.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How much memory there is, and how much of it is used.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Counters held, expired ones that were not swept yet included.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().table.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self, keys: impl Iterator<Item = CounterKey>) -> Locked<'_> {
        let mut numbers: SmallVec<[usize; HITS_INLINE]> = keys.map(shard_of).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let guard = |number: usize| (number, self.shards[number].lock());
        let guards = numbers.into_iter().map(guard).collect();
        Locked { space: &self.space, keeper: self.keeper.as_ref(), guards, ticket: None }
    }

    /// The shard of a key, locked.
    fn shard(&self, key: CounterKey) -> MutexGuard<'_, Shard> {
        self.shards[shard_of(key)].lock()
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

/// Asks all counters, and charges all or none.
fn commit(shards: &mut Locked<'_>, ask: Ask<'_>, now: Timestamp) -> Applied {
    let Ask { hits, slots, refused } = ask;
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
    Applied { admitted, wait_us, outcomes, crowded: Crowded::default(), ticket: shards.ticket }
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

/// Of the bits that the limits of one identity have in common.
#[inline]
fn shard_of(key: CounterKey) -> usize {
    (key.to_u128() as u64 >> (u64::BITS - SHARDS.ilog2())) as usize
}
