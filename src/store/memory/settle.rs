//! Putting right what a decision took: its true cost becomes known, or it is taken back.

use crate::algorithm::mend::{self, Mark};
use crate::algorithm::{self, Reading};
use crate::key::CounterKey;
use crate::limit::Terms;
use crate::store::journal::Ticket;
use crate::time::Timestamp;

use super::{Cell, Kept, Memory, shard_of};

/// What is to become of one counter.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    pub key: CounterKey,
    pub terms: Terms<'a>,
    pub step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many hits more, beyond the budget if need be.
    Charge(u64),
    /// So many hits less, where in the counter's time they were taken, if that still counts.
    PutBack(u64, Mark),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub after: Reading,
    /// Hits that were really put back.
    pub put_back: u64,
    pub ticket: Option<Ticket>,
}

impl Memory {
    /// Makes one move.
    pub fn settle(&self, Move { key, terms, step }: Move<'_>, now: Timestamp) -> Moved {
        let mut shard = self.shard(key);
        let cell = shard.remove(key, &self.space);
        let mut kept = cell.as_ref().map_or(Kept::Not, Cell::kept);
        let live = cell.filter(|cell| now < cell.expires_at()).map(Cell::into_state);
        let was_live = live.is_some();
        let mut state = live.unwrap_or_else(|| algorithm::fresh(terms.limit));
        let put_back = match step {
            Step::Charge(hits) => {
                algorithm::charge(&terms, &mut state, now, hits);
                0
            }
            Step::PutBack(hits, mark) => mend::put_back(&terms, &mut state, now, hits, mark),
        };
        let after = algorithm::read(&terms, &state, now, 0);
        let mut ticket = None;
        if was_live || put_back == 0 && matches!(step, Step::Charge(_)) {
            if let Some(keeper) = &self.keeper {
                ticket = keeper.keep(terms.limit, key, &mut kept, &mut shard.changed);
            }
            let expires_at = algorithm::expires_at(&terms, &state, now);
            let cell = Cell::new(state, expires_at, kept);
            shard.put(shard_of(key), key, cell, now, &self.space);
        }
        Moved { after, put_back, ticket }
    }
}
