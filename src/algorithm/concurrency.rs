//! Slots that calls hold until they end: how many go on at once.
//!
//! Promise: at most the budget is held at once. A slot is held until it is released, or until it
//! expires, since a call's end may never be told. So a refusal can promise no exact wait: it names
//! the time after which enough slots have expired at the latest.

use crate::limit::CONCURRENCY_MAX;
use crate::time::Timestamp;

use super::Fit;

/// One call's slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// By which the call is known when it ends; nobody who has none can release it.
    pub id: u128,
    pub hits: u64,
    pub expires_at: Timestamp,
}

/// The slots that are held, in the order in which they expire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    held: Vec<Slot>,
}

/// Slots beyond the budget are kept as well where a limit only counts, but no more than this.
const HELD_MAX: usize = 2 * CONCURRENCY_MAX as usize;

impl Slots {
    /// These slots, in any order.
    pub fn from_held(mut held: Vec<Slot>) -> Slots {
        held.sort_by_key(|slot| slot.expires_at);
        Slots { held }
    }

    pub fn held(&self) -> &[Slot] {
        &self.held
    }

    /// The bytes that slots take on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.held.capacity() * size_of::<Slot>()
    }

    pub fn fit(&self, requests: u64, now: Timestamp, cost: u64) -> Fit {
        if cost > requests {
            return Fit::Never;
        }
        let mut used = self.used(now);
        if used <= requests - cost {
            return Fit::Now;
        }
        for slot in self.live(now) {
            used = used.saturating_sub(slot.hits);
            if used <= requests - cost {
                return Fit::After(slot.expires_at.since(now));
            }
        }
        Fit::Never
    }

    /// Held, and microseconds until nothing is if nobody releases anything.
    pub fn read(&self, now: Timestamp, pending: u64) -> (u64, u64) {
        let last = self.live(now).last().map_or(0, |slot| slot.expires_at.since(now));
        (self.used(now).saturating_add(pending), last)
    }

    pub fn take(&mut self, now: Timestamp, slot: Slot) {
        self.held.retain(|held| now < held.expires_at);
        if HELD_MAX <= self.held.len() {
            self.held.remove(0);
        }
        let place = self.held.partition_point(|held| held.expires_at <= slot.expires_at);
        self.held.insert(place, slot);
    }

    /// Ends the hold of a call; says how many slots that frees.
    pub fn release(&mut self, now: Timestamp, id: u128) -> u64 {
        let of_call = |slot: &Slot| slot.id == id && now < slot.expires_at;
        let Some(place) = self.held.iter().position(of_call) else { return 0 };
        self.held.remove(place).hits
    }

    /// Frees so many slots, those first that would be held the longest.
    pub fn give_back(&mut self, mut hits: u64) {
        while hits > 0
            && let Some(last) = self.held.last_mut()
        {
            let freed = last.hits.min(hits);
            last.hits -= freed;
            hits -= freed;
            if last.hits == 0 {
                self.held.pop();
            }
        }
    }

    fn used(&self, now: Timestamp) -> u64 {
        self.live(now).fold(0, |sum, slot| sum.saturating_add(slot.hits))
    }

    fn live(&self, now: Timestamp) -> impl Iterator<Item = &Slot> {
        let expired = self.held.partition_point(|slot| slot.expires_at <= now);
        self.held[expired..].iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Timestamp {
        Timestamp::from_micros(1000 + us)
    }

    fn slot(id: u128, expires_us: u64) -> Slot {
        Slot { id, hits: 1, expires_at: at(expires_us) }
    }

    #[test]
    fn slots_are_free_when_released_or_expired() {
        let mut slots = Slots::default();
        slots.take(at(0), slot(1, 100));
        slots.take(at(0), slot(2, 50));
        assert_eq!(slots.fit(2, at(0), 1), Fit::After(50));
        assert_eq!(slots.fit(2, at(50), 1), Fit::Now);
        assert_eq!(slots.release(at(10), 1), 1);
        assert_eq!(slots.release(at(10), 1), 0);
        assert_eq!(slots.fit(2, at(10), 1), Fit::Now);
        assert_eq!(slots.fit(2, at(10), 3), Fit::Never);
    }

    #[test]
    fn an_expired_slot_is_not_released_again() {
        let mut slots = Slots::default();
        slots.take(at(0), slot(1, 50));
        assert_eq!(slots.release(at(50), 1), 0);
        assert_eq!(slots.read(at(50), 0), (0, 0));
    }
}
