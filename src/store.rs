//! Counters and the exchange that changes them.
//!
//! A store takes the hits of one decision and commits them together or not at all. It knows
//! limits and keys, and nothing of descriptors, rules or domains.

pub mod journal;
pub mod ledger;
mod memory;
mod space;

pub use ledger::{Ledger, NoteKey, Unreadable};
pub use memory::{Change, Impossible, Memory, Mended, Move, Moved, SHARDS, Step, Taken, Taking};
pub use space::Space;

use smallvec::SmallVec;

use crate::algorithm::Fit;
use crate::key::CounterKey;
use crate::limit::Terms;
use crate::time::Timestamp;

use self::journal::Ticket;

/// Most decisions touch a handful of counters; these many need no allocation.
pub const HITS_INLINE: usize = 4;

/// What one decision asks of one counter.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    pub key: CounterKey,
    pub terms: Terms<'a>,
    /// The room asked for: the summed cost of all hits of this decision on this counter.
    pub demand: u64,
    /// What this hit takes if the decision admits. Less than its part of the demand in a peek,
    /// which takes nothing, and where another hit is charged for both.
    pub charge: u64,
    /// What this hit takes if the decision refuses.
    pub charge_refused: u64,
    /// The part of the demand that no hit takes: shown as used, but not charged.
    pub pending: u64,
    /// Whether a lack of room refuses the decision.
    pub votes: bool,
    /// What is left of a grant, to be used where the limit itself has no room.
    pub pool: u64,
    /// Hits that are given back once the decision is made, whatever it was.
    pub give_back: u64,
    /// What stands in line ahead of this decision and waits for room here: it is passed over only
    /// where there is room for all of it and for the demand.
    pub ahead: u64,
    /// How many microseconds the decision can wait for room here, if it has a vote; 0 to be refused
    /// at once.
    pub wait_us_max: u64,
    /// Which of the decision's slots a concurrency limit is to be charged with.
    pub slot: u16,
}

/// In place of a slot's number, for a hit that holds none.
pub const NO_SLOT: u16 = u16::MAX;

/// One decision: its hits, and whether it was refused before any counter was asked, in which case
/// only limits that are charged whatever the verdict are charged.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub hits: &'a [Hit<'a>],
    /// Under which ids and until when concurrency limits are held.
    pub slots: &'a [HeldUntil],
    pub refused: bool,
}

/// Under which id and until when a call holds its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldUntil {
    pub id: u128,
    pub expires_at: Timestamp,
}

/// How one counter answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub room: Room,
    /// What is in use after the decision; beyond the budget where nothing refuses that.
    pub used: u64,
    /// What is left after the decision, a grant included.
    pub remaining: u64,
    /// What this hit took of the counter.
    pub taken: u64,
    /// What this hit took of the grant.
    pub granted: u64,
    /// Microseconds until the window ends, or for logs and buckets until nothing is used.
    pub reset_us: u64,
}

/// Whether a counter had room for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Enough,
    /// None now; the same decision would find it after so many microseconds.
    After(u64),
    /// None ever: the demand is beyond the limit's capacity.
    Never,
}

impl From<Fit> for Room {
    fn from(fit: Fit) -> Room {
        match fit {
            Fit::Now => Room::Enough,
            Fit::After(wait_us) => Room::After(wait_us),
            Fit::Never => Room::Never,
        }
    }
}

/// The positions of hits that were counted with those of others, for want of room for a counter of
/// their own, and the keys of the counters that they share. Mostly empty.
pub type Crowded = SmallVec<[(usize, CounterKey); 1]>;

/// What became of one decision's hits: `outcomes` has one for each, in order.
#[derive(Clone, Debug)]
pub struct Applied {
    pub admitted: bool,
    /// Neither admitted nor refused, and nothing is charged or given back: after so many
    /// microseconds there is room, if those ahead take theirs and nobody else comes.
    pub wait_us: Option<u64>,
    pub outcomes: SmallVec<[Outcome; HITS_INLINE]>,
    /// Which hits were counted with those of others.
    pub crowded: Crowded,
    /// What must be on disk before the decision is answered, if anything.
    pub ticket: Option<Ticket>,
}

impl Applied {
    /// The key of the counter that a hit is counted in: its own, unless that found no room.
    pub fn counted_in(&self, position: usize, hit: &Hit<'_>) -> CounterKey {
        let crowd = self.crowded.iter().find(|(at, _)| *at == position);
        crowd.map_or(hit.key, |(_, key)| *key)
    }
}
