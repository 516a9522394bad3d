//! The sliding window: two counts stand for the hits of any window.
//!
//! The windows follow one another from the epoch on, and only the hits of the present one and of
//! the one before it are counted. What is used of the span that ends now is estimated: all of the
//! present window, and of the one before the share that the span still covers, as if its hits had
//! been spread evenly over it. For the price of three words, whatever the budget.
//!
//! Promise: the estimate never exceeds the budget when a hit is admitted, so each aligned window
//! admits at most N. In *any* window of W microseconds at most `2N - ⌈2N / W⌉` pass, and that can
//! happen: N in the last microsecond of one window and, as the next one ends, all that its estimate
//! has let go by then. On the other side, hits that came early in a window go on counting in part
//! for up to a window after they have left the span, and may refuse what an exact log would admit.

use crate::time::Timestamp;

use super::Fit;
use super::window::fixed_end;

/// What was used in the window that ends at `end`, and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    pub end: Timestamp,
    pub previous: u64,
    pub current: u64,
}

impl Pair {
    /// These counts as they stand at `now`. A clock set back leaves them in their later window.
    pub fn at(self, window_us: u64, now: Timestamp) -> Pair {
        if now < self.end {
            return self;
        }
        let is_next = now < self.end.plus(window_us);
        let previous = if is_next { self.current } else { 0 };
        Pair { end: fixed_end(window_us, now), previous, current: 0 }
    }

    pub fn fit(self, window_us: u64, requests: u64, now: Timestamp, cost: u64) -> Fit {
        if cost > requests {
            return Fit::Never;
        }
        let pair = self.at(window_us, now);
        let room = requests - cost;
        if pair.used_parts(window_us, now) <= parts(room, window_us) {
            return Fit::Now;
        }
        let until_end_us = pair.end.since(now);
        // What does not fit is of one of the two counts, so neither divisor is nothing.
        if pair.current <= room {
            // The window before has to shrink until no more of it is covered than this.
            let covered_us = parts(room - pair.current, window_us) / u128::from(pair.previous);
            Fit::After(until_end_us - covered_us as u64)
        } else {
            // The present window has to end, and to shrink in its turn.
            let covered_us = parts(room, window_us) / u128::from(pair.current);
            Fit::After(until_end_us.saturating_add(window_us - covered_us as u64))
        }
    }

    /// Used, rounded up to whole hits, and microseconds until nothing is.
    pub fn read(self, window_us: u64, now: Timestamp, pending: u64) -> (u64, u64) {
        let pair = self.charged(window_us, now, pending);
        let used = pair.used_parts(window_us, now).div_ceil(u128::from(window_us));
        let empty_at = match pair {
            Pair { current: 0, previous: 0, .. } => now,
            Pair { current: 0, end, .. } => end,
            Pair { end, .. } => end.plus(window_us),
        };
        (u64::try_from(used).unwrap_or(u64::MAX), empty_at.since(now))
    }

    pub fn charged(self, window_us: u64, now: Timestamp, cost: u64) -> Pair {
        let pair = self.at(window_us, now);
        // Saturating: a count that has reached the largest number is over any budget anyway.
        Pair { current: pair.current.saturating_add(cost), ..pair }
    }

    /// Drops so many hits, the newest first. One of the window before counted in part, so dropping
    /// it lowers what is used by that part alone.
    pub fn given_back(self, window_us: u64, now: Timestamp, hits: u64) -> Pair {
        let pair = self.at(window_us, now);
        let of_current = pair.current.min(hits);
        let previous = pair.previous.saturating_sub(hits - of_current);
        Pair { current: pair.current - of_current, previous, ..pair }
    }

    /// The same without so many of the hits of the window that ends at `end`, if it still counts.
    pub fn put_back(self, window_us: u64, now: Timestamp, end: Timestamp, hits: u64) -> Pair {
        let pair = self.at(window_us, now);
        if pair.end == end {
            Pair { current: pair.current.saturating_sub(hits), ..pair }
        } else if pair.end == end.plus(window_us) {
            Pair { previous: pair.previous.saturating_sub(hits), ..pair }
        } else {
            pair
        }
    }

    /// When any counter is empty at the latest, if nothing is charged to it after `now`.
    pub fn latest_empty_at(window_us: u64, now: Timestamp) -> Timestamp {
        fixed_end(window_us, now).plus(window_us)
    }

    /// The estimate in hits × window microseconds, of which nothing is rounded: the span that ends
    /// now covers as much of the window before as is left of the present one. Where a clock was
    /// set back further than a window, it covers all of it.
    fn used_parts(self, window_us: u64, now: Timestamp) -> u128 {
        let covered_us = self.end.since(now).min(window_us);
        parts(self.current, window_us) + parts(self.previous, covered_us)
    }
}

/// Two of these products fit into 128 bits, since no window is longer than 49 bits.
fn parts(hits: u64, us: u64) -> u128 {
    u128::from(hits) * u128::from(us)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_US: u64 = 10;

    /// Moments count from the start of a window.
    fn at(us: u64) -> Timestamp {
        Timestamp::from_micros(100 * WINDOW_US + us)
    }

    fn pair(hits: &[(u64, u64)]) -> Pair {
        let charge = |pair: Pair, &(us, cost): &_| pair.charged(WINDOW_US, at(us), cost);
        hits.iter().fold(Pair::default(), charge)
    }

    #[test]
    fn the_window_before_counts_by_the_share_that_is_covered() {
        let pair = pair(&[(3, 10), (12, 1)]);
        assert_eq!(pair.read(WINDOW_US, at(12), 0), (9, 18));
        assert_eq!(pair.read(WINDOW_US, at(19), 0), (2, 11));
        assert_eq!(pair.read(WINDOW_US, at(20), 0), (1, 10));
        assert_eq!(pair.read(WINDOW_US, at(29), 0), (1, 1));
        assert_eq!(pair.read(WINDOW_US, at(30), 0), (0, 0));
    }

    #[test]
    fn parts_of_a_hit_are_neither_lost_nor_won() {
        // Of three hits 0.3 are covered in the last microsecond, and 0.6 in the one before.
        let pair = pair(&[(0, 3), (11, 1)]);
        assert_eq!(pair.read(WINDOW_US, at(19), 0).0, 2);
        assert_eq!(pair.fit(WINDOW_US, 2, at(19), 1), Fit::After(1));
        assert_eq!(pair.fit(WINDOW_US, 2, at(20), 1), Fit::Now);
        assert_eq!(pair.fit(WINDOW_US, 3, at(16), 1), Fit::After(1));
    }

    #[test]
    fn a_wait_reaches_into_the_next_window_where_the_present_one_leaves_no_room() {
        let pair = pair(&[(5, 4)]);
        // Of four hits one has to go: at 12.5.
        assert_eq!(pair.fit(WINDOW_US, 4, at(5), 1), Fit::After(8));
        assert_eq!(pair.fit(WINDOW_US, 4, at(12), 1), Fit::After(1));
        assert_eq!(pair.fit(WINDOW_US, 4, at(13), 1), Fit::Now);
        // All four have to go.
        assert_eq!(pair.fit(WINDOW_US, 4, at(5), 4), Fit::After(15));
        assert_eq!(pair.fit(WINDOW_US, 4, at(5), 5), Fit::Never);
    }

    #[test]
    fn a_clock_set_back_lets_nothing_shrink() {
        let pair = pair(&[(5, 4), (15, 1)]);
        assert_eq!(pair.read(WINDOW_US, at(0), 0), (5, 30));
        assert_eq!(pair.fit(WINDOW_US, 4, at(0), 1), Fit::After(15));
        assert_eq!(pair.charged(WINDOW_US, at(0), 1).current, 2);
    }

    #[test]
    fn what_is_given_back_is_taken_off_the_newest_hits() {
        let pair = pair(&[(5, 4), (15, 1)]);
        let given_back = pair.given_back(WINDOW_US, at(15), 3);
        assert_eq!(given_back, Pair { current: 0, previous: 2, ..pair });
        assert_eq!(given_back.read(WINDOW_US, at(15), 0), (1, 5));
        let nothing = Pair { current: 0, previous: 0, ..pair };
        assert_eq!(pair.given_back(WINDOW_US, at(15), u64::MAX), nothing);
    }

    #[test]
    fn the_largest_numbers_of_the_longest_window_are_in_range() {
        let window_us = crate::limit::WINDOW_S_MAX * crate::time::SECOND_US;
        let most = Pair { end: at(0).plus(window_us), previous: u64::MAX, current: u64::MAX };
        assert_eq!(most.read(window_us, at(0), 1), (u64::MAX, 2 * window_us));
        assert_eq!(most.fit(window_us, u64::MAX, at(0), 1), Fit::After(window_us + 1));
    }

    /// The most that passes in any span of a window.
    fn worst(budget: u64, window_us: u64) -> u64 {
        2 * budget - (2 * budget).div_ceil(window_us)
    }

    /// How many more pass now.
    fn room(pair: Pair, budget: u64, window_us: u64, now: Timestamp) -> u64 {
        budget.saturating_sub(pair.read(window_us, now, 0).0)
    }

    #[test]
    fn the_greedy_reach_the_worst_case() {
        for (budget, window_us) in [(1, 10), (5, 10), (7, 10), (40, 10), (100, 1_000_000)] {
            let start = Timestamp::from_micros(1000 * window_us);
            let last = start.plus(window_us - 1);
            let mut pair = Pair::default().charged(window_us, last, budget);
            let mut passed = budget;
            // The span has gone through all of the next window but its last microsecond.
            for now in [start.plus(2 * window_us - 3), start.plus(2 * window_us - 2)] {
                let more = room(pair, budget, window_us, now);
                assert_eq!(more > 0, pair.fit(window_us, budget, now, 1) == Fit::Now);
                pair = pair.charged(window_us, now, more);
                passed += more;
            }
            assert_eq!(passed, worst(budget, window_us), "{budget} in {window_us}");
        }
    }

    /// Goes through every way to spend, and returns the most that passed in any span.
    fn search(budget: u64, window_us: u64, pair: Pair, passed: &mut Vec<u64>) -> u64 {
        if passed.len() as u64 == 3 * window_us {
            let spans = passed.windows(window_us as usize).map(|span| span.iter().sum());
            return spans.max().unwrap_or(0);
        }
        let now = Timestamp::from_micros(100 * window_us + passed.len() as u64);
        let most = (0..=room(pair, budget, window_us, now)).map(|hits| {
            passed.push(hits);
            let most = search(budget, window_us, pair.charged(window_us, now, hits), passed);
            passed.pop();
            most
        });
        most.max().unwrap_or(0)
    }

    #[test]
    fn no_way_to_spend_is_worse() {
        for (budget, window_us) in [(1, 2), (3, 2), (6, 2), (1, 3), (4, 3), (2, 4), (3, 4), (1, 6)]
        {
            let most = search(budget, window_us, Pair::default(), &mut Vec::new());
            assert_eq!(most, worst(budget, window_us), "{budget} in {window_us}");
        }
    }
}
