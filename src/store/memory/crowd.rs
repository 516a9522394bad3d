//! What becomes of new counters when there is no room for any.
//!
//! The identities that find none share sixteen counters for each limit, chosen by fingerprint, and
//! each of these counts for all its members. So a flood of new keys is limited as a crowd: it
//! takes nothing from those who have a counter, and no hit goes uncounted. The shared ones are
//! counters like others, in the shards of their own keys; there are few, and they are let in
//! beyond the ceiling.

use smallvec::SmallVec;

use crate::key::CounterKey;
use crate::store::{Applied, Ask, Crowded, HITS_INLINE, Hit};
use crate::time::Timestamp;

use super::locked::Locked;
use super::{Memory, commit};

type Hits<'a> = SmallVec<[Hit<'a>; HITS_INLINE]>;

impl Memory {
    /// Decides with shared counters in the place of those for which there is no room.
    pub(super) fn apply_in_crowds(&self, ask: Ask<'_>, now: Timestamp) -> Applied {
        self.space.count_crowded();
        let (mut hits, mut crowded) = (Hits::from_slice(ask.hits), Crowded::default());
        let homeless = {
            let mut shards = self.lock(ask.hits.iter().map(|hit| hit.key));
            shards.without_room(ask.hits, now)
        };
        for position in homeless {
            let hit = &mut hits[position];
            let limit = hit.terms.limit;
            hit.key = hit.key.in_crowd(limit.crowd.counter(limit.tag));
            // Nobody knows how much of what the crowd has used this member took.
            hit.give_back = 0;
            crowded.push((position, hit.key));
        }
        share_demands(&mut hits, ask.hits, &crowded);
        // Whoever found a counter a moment ago may find it swept now, and no room: it is then let
        // in beyond the ceiling, as the shared ones are.
        let mut shards = self.lock(hits.iter().map(|hit| hit.key));
        let applied = commit(&mut shards, Ask { hits: &hits, ..ask }, now);
        Applied { crowded, ..applied }
    }
}

/// Members of one crowd that ask together must find room for all that they ask for.
fn share_demands(hits: &mut Hits<'_>, own: &[Hit<'_>], crowded: &Crowded) {
    for &(position, shared) in crowded {
        let members = crowded.iter().filter(|(_, key)| *key == shared).map(|&(at, _)| at);
        let mut counted: SmallVec<[CounterKey; HITS_INLINE]> = SmallVec::new();
        let (mut demand, mut pending) = (0u64, 0u64);
        for member in members {
            let hit = &own[member];
            // Hits on one counter of their own say the sum already.
            if !counted.contains(&hit.key) {
                counted.push(hit.key);
                demand = demand.saturating_add(hit.demand);
                pending = pending.saturating_add(hit.pending);
            }
        }
        (hits[position].demand, hits[position].pending) = (demand, pending);
    }
}

impl Locked<'_> {
    /// Whether every hit has a counter or room for one.
    #[inline]
    pub(super) fn have_room(&mut self, hits: &[Hit<'_>], now: Timestamp) -> bool {
        hits.iter().all(|hit| self.has_room(hit.key, now))
    }

    /// The positions of the hits that have neither.
    fn without_room(&mut self, hits: &[Hit<'_>], now: Timestamp) -> SmallVec<[usize; HITS_INLINE]> {
        (0..hits.len()).filter(|&at| !self.has_room(hits[at].key, now)).collect()
    }

    fn has_room(&mut self, key: CounterKey, now: Timestamp) -> bool {
        let (space, position) = (self.space, self.position(key));
        let (number, shard) = &mut self.guards[position];
        shard.table.find(key).is_some() || shard.has_room(*number, now, space)
    }
}
