//! Single counters, as people see and mend them: read one, say what it holds, take it away.
//!
//! Each change is made under the lock of its shard, so no decision sees half of it, and is handed
//! to the journal before the lock is let go.

use crate::algorithm::{self, Reading, State, mend};
use crate::key::CounterKey;
use crate::limit::Terms;
use crate::store::journal::Ticket;
use crate::time::Timestamp;

use super::table::Table;
use super::{Cell, Kept, Memory, shard_of};

/// The most that people may say is used: what 63 bits hold, so that every number in an answer fits
/// into the signed ones of the wire.
pub const USED_MAX: u64 = i64::MAX as u64;

/// What is to become of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many hits are used, and all of them came just now.
    Set(u64),
    /// So many hits more are used.
    Add(u64),
    /// So many hits less are used.
    TakeBack(u64),
    /// Nothing is known of it.
    Remove,
}

/// A change that was made.
#[derive(Clone, Copy, Debug)]
pub struct Mended {
    pub before: Reading,
    pub after: Reading,
    /// What must be on disk before the change is told to anyone, if anything.
    pub ticket: Option<Ticket>,
}

/// A change that cannot be made, and what is used as things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("{used} are used, and taking more than that back would leave less than nothing")]
    BelowNothing { used: u64 },
    #[error("{used} are used, and that would make more than the {USED_MAX} there may be")]
    BeyondMost { used: u64 },
}

impl Memory {
    /// How one counter stands; one that was never charged holds nothing.
    pub fn reading(&self, key: CounterKey, terms: &Terms<'_>, now: Timestamp) -> Reading {
        reading(&self.shard(key).table, key, terms, now)
    }

    /// Changes one counter.
    pub fn mend(
        &self,
        key: CounterKey,
        terms: &Terms<'_>,
        change: Change,
        now: Timestamp,
    ) -> Result<Mended, Impossible> {
        let mut shard = self.shard(key);
        let before = reading(&shard.table, key, terms, now);
        possible(change, before.used)?;
        let found = shard.remove(key, &self.space);
        let mut kept = found.as_ref().map_or(Kept::Not, Cell::kept);
        let was_there = found.is_some();
        let live = found.filter(|cell| now < cell.expires_at()).map(Cell::into_state);
        let state = changed(terms, live, change, now);
        // Of a counter that was never there the journal has nothing to forget.
        let worth_telling = state.is_some() || was_there;
        let keeper = self.keeper.as_ref().filter(|_| worth_telling);
        let ticket = keeper.and_then(|keeper| keeper.mended(terms.limit, key, &mut kept));
        if let Some(state) = state {
            let expires_at = algorithm::expires_at(terms, &state, now);
            let cell = Cell::new(state, expires_at, kept);
            shard.put(shard_of(key), key, cell, now, &self.space);
        }
        let after = reading(&shard.table, key, terms, now);
        Ok(Mended { before, after, ticket })
    }
}

fn possible(change: Change, used: u64) -> Result<(), Impossible> {
    match change {
        Change::TakeBack(hits) if used < hits => Err(Impossible::BelowNothing { used }),
        Change::Add(hits) if USED_MAX < used.saturating_add(hits) => {
            Err(Impossible::BeyondMost { used })
        }
        Change::Set(hits) if USED_MAX < hits => Err(Impossible::BeyondMost { used }),
        _ => Ok(()),
    }
}

fn changed(
    terms: &Terms<'_>,
    live: Option<State>,
    change: Change,
    now: Timestamp,
) -> Option<State> {
    let mut state = live.unwrap_or_else(|| algorithm::fresh(terms.limit));
    match change {
        Change::Set(used) => state = mend::holding(terms, now, used),
        Change::Add(hits) => algorithm::charge(terms, &mut state, now, hits),
        Change::TakeBack(hits) => mend::give_back(terms, &mut state, now, hits),
        Change::Remove => return None,
    }
    Some(state)
}

fn reading(table: &Table, key: CounterKey, terms: &Terms<'_>, now: Timestamp) -> Reading {
    match table.get(key).filter(|cell| now < cell.expires_at()) {
        Some(cell) => algorithm::read(terms, &cell.state(), now, 0),
        None => algorithm::read(terms, &algorithm::fresh(terms.limit), now, 0),
    }
}
