//! The sliding log: every hit keeps its stamp for as long as it counts.
//!
//! Promise: at most the budget is admitted in any span of the window's length, exactly, to the
//! clock's resolution. The price is memory for each hit, so the budget is bounded.

use std::collections::VecDeque;

use crate::limit::SLIDING_LOG_REQUESTS_MAX;
use crate::time::Timestamp;

use super::Fit;

/// Hits by the moment they came, oldest first. A hit counts until its stamp plus the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    entries: VecDeque<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    stamp: Timestamp,
    hits: u64,
}

/// Charges beyond the budget are kept too, but in no more stamps than the largest budget has hits,
/// since only so many of the newest decide when there is room. The limit's own budget is no
/// measure: the key may change to a plan with a larger one, which needs the older stamps.
const ENTRIES_MAX: usize = SLIDING_LOG_REQUESTS_MAX as usize;

impl Log {
    /// A log of these hits, oldest first.
    pub fn from_hits(hits: impl IntoIterator<Item = (Timestamp, u64)>) -> Log {
        Log { entries: hits.into_iter().map(|(stamp, hits)| Entry { stamp, hits }).collect() }
    }

    /// All hits and their stamps, oldest first.
    pub fn hits(&self) -> impl ExactSizeIterator<Item = (Timestamp, u64)> + '_ {
        self.entries.iter().map(|entry| (entry.stamp, entry.hits))
    }

    /// The bytes that its stamps take on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    pub fn fit(&self, window_us: u64, requests: u64, now: Timestamp, cost: u64) -> Fit {
        if cost > requests {
            return Fit::Never;
        }
        // From the newest on, the first hit that leaves no room has to go, and all before it. In
        // this order a sum that saturates still is too large, and an old one cannot hide a newer.
        let mut used = 0u64;
        for entry in self.live(window_us, now).rev() {
            used = used.saturating_add(entry.hits);
            if requests - cost < used {
                return Fit::After(entry.stamp.plus(window_us).since(now));
            }
        }
        Fit::Now
    }

    /// Used, and microseconds until nothing is.
    pub fn read(&self, window_us: u64, now: Timestamp, pending: u64) -> (u64, u64) {
        let used = self.used(window_us, now).saturating_add(pending);
        let newest = match self.live(window_us, now).next_back() {
            Some(entry) if pending == 0 => Some(entry.stamp),
            Some(entry) => Some(entry.stamp.max(now)),
            None if pending == 0 => None,
            None => Some(now),
        };
        (used, newest.map_or(0, |stamp| stamp.plus(window_us).since(now)))
    }

    pub fn charge(&mut self, window_us: u64, now: Timestamp, cost: u64) {
        while self.entries.front().is_some_and(|entry| entry.stamp.plus(window_us) <= now) {
            self.entries.pop_front();
        }
        match self.entries.back_mut() {
            // Stamps never go back, even if the clock does: a hit may count too long, never too
            // short.
            Some(newest) if now <= newest.stamp => newest.hits = newest.hits.saturating_add(cost),
            _ => self.entries.push_back(Entry { stamp: now, hits: cost }),
        }
        while ENTRIES_MAX < self.entries.len() {
            self.merge_oldest();
        }
    }

    /// Drops the newest hits, so many of them.
    pub fn give_back(&mut self, mut hits: u64) {
        while hits > 0
            && let Some(newest) = self.entries.back_mut()
        {
            let dropped = newest.hits.min(hits);
            newest.hits -= dropped;
            hits -= dropped;
            if newest.hits == 0 {
                self.entries.pop_back();
            }
        }
    }

    /// Drops so many of the hits that came at a moment, as far as they are still there.
    pub fn put_back(&mut self, at: Timestamp, hits: u64) {
        let found = self.entries.binary_search_by_key(&at, |entry| entry.stamp);
        let Some(entry) = found.ok().and_then(|place| self.entries.get_mut(place)) else { return };
        entry.hits = entry.hits.saturating_sub(hits);
        self.entries.retain(|entry| entry.hits > 0);
    }

    /// Lets the oldest hits expire with the next oldest. Called only while the newer entries
    /// alone fill any budget, when neither of the two can decide anything.
    fn merge_oldest(&mut self) {
        if let (Some(oldest), Some(next)) = (self.entries.pop_front(), self.entries.front_mut()) {
            next.hits = next.hits.saturating_add(oldest.hits);
        }
    }

    fn used(&self, window_us: u64, now: Timestamp) -> u64 {
        self.live(window_us, now).fold(0, |sum, entry| sum.saturating_add(entry.hits))
    }

    fn live(
        &self,
        window_us: u64,
        now: Timestamp,
    ) -> impl DoubleEndedIterator<Item = &Entry> + use<'_> {
        let expired = self.entries.partition_point(|entry| entry.stamp.plus(window_us) <= now);
        self.entries.range(expired..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_US: u64 = 100;

    fn at(us: u64) -> Timestamp {
        Timestamp::from_micros(1000 + us)
    }

    fn log(hits: &[(u64, u64)]) -> Log {
        let mut log = Log::default();
        for &(us, cost) in hits {
            log.charge(WINDOW_US, at(us), cost);
        }
        log
    }

    #[test]
    fn a_hit_counts_for_exactly_one_window() {
        let log = log(&[(0, 3)]);
        assert_eq!(log.fit(WINDOW_US, 3, at(0), 1), Fit::After(100));
        assert_eq!(log.fit(WINDOW_US, 3, at(99), 1), Fit::After(1));
        assert_eq!(log.fit(WINDOW_US, 3, at(100), 1), Fit::Now);
    }

    #[test]
    fn the_wait_is_for_as_many_hits_as_the_cost_needs() {
        let log = log(&[(0, 1), (10, 1), (20, 1)]);
        assert_eq!(log.fit(WINDOW_US, 3, at(30), 2), Fit::After(80));
        assert_eq!(log.fit(WINDOW_US, 3, at(30), 4), Fit::Never);
    }

    #[test]
    fn charges_beyond_the_budget_keep_no_more_stamps_than_the_largest_budget_has() {
        let window_us = 100_000;
        let mut log = Log::default();
        for us in 0..ENTRIES_MAX as u64 + 5 {
            log.charge(window_us, at(us), 1);
        }
        assert_eq!(log.entries.len(), ENTRIES_MAX);
        let newest = ENTRIES_MAX as u64 + 4;
        assert_eq!(log.read(window_us, at(newest), 0), (newest + 1, window_us));
        // The tenth newest hit came nine before the newest: room for one comes when it leaves.
        assert_eq!(log.fit(window_us, 10, at(newest), 1), Fit::After(window_us - 9));
    }

    #[test]
    fn hits_beyond_one_budget_leave_one_by_one_for_a_larger_one() {
        // A soft limit of 2 was charged with 10 and kept two stamps for them, the older with
        // nine hits. After an upgrade to 5 all ten counted until the ninth had left.
        let hits: Vec<(u64, u64)> = (0..10).map(|us| (us, 1)).collect();
        let log = log(&hits);
        assert_eq!(log.fit(WINDOW_US, 5, at(10), 1), Fit::After(95));
        assert_eq!(log.fit(WINDOW_US, 5, at(105), 1), Fit::Now);
    }

    #[test]
    fn the_largest_number_of_hits_hides_no_others() {
        // Sums saturate. Taking the first entry off a saturated sum left nothing of the second,
        // and the promised wait ended with the first.
        let log = log(&[(0, u64::MAX), (10, 5)]);
        assert_eq!(log.fit(WINDOW_US, 5, at(20), 1), Fit::After(90));
    }

    #[test]
    fn a_clock_set_back_never_shortens_what_counts() {
        let mut log = log(&[(50, 1)]);
        log.charge(WINDOW_US, at(0), 1);
        assert_eq!(log.fit(WINDOW_US, 2, at(0), 1), Fit::After(150));
    }
}
