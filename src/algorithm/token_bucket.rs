//! The token bucket: a burst at once, and the budget given back evenly over the window.
//!
//! Promise: in any span `t` at most `burst + t × requests / window` is admitted, and an idle key
//! never gets more than `burst` at once.
//!
//! What is kept is the level, in whole and parts of a hit, and when it was true. The more common
//! single timestamp (the "theoretical arrival time" of GCRA) would rescale what was used whenever
//! a key's budget changes, so that an upgrade could hand out or take away hits.

use crate::time::Timestamp;

use super::Fit;

/// How fast a bucket drains: `requests` in each `window_us` microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub requests: u64,
    pub window_us: u64,
}

/// What is used, in hits × window microseconds: in that unit a drain of `requests` a microsecond
/// is a whole number, so nothing is ever rounded. Neither budget nor burst is part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    level: u128,
    at: Timestamp,
}

impl Rate {
    /// Products of two 64-bit numbers fit in 128 bits; only their sums need to saturate.
    fn level_of(self, hits: u64) -> u128 {
        u128::from(hits) * u128::from(self.window_us)
    }

    /// Microseconds to drain `level`, rounded up so that a promised wait is never too short.
    fn drain_us(self, level: u128) -> u64 {
        match level {
            0 => 0,
            _ if self.requests == 0 => u64::MAX,
            _ => u64::try_from(level.div_ceil(u128::from(self.requests))).unwrap_or(u64::MAX),
        }
    }
}

impl Bucket {
    /// A bucket with this level, in hits × window microseconds, at this moment.
    pub const fn new(level: u128, at: Timestamp) -> Bucket {
        Bucket { level, at }
    }

    pub const fn level(self) -> u128 {
        self.level
    }

    /// The moment at which the level was true.
    pub const fn at(self) -> Timestamp {
        self.at
    }

    pub fn fit(self, rate: Rate, burst: u64, now: Timestamp, cost: u64) -> Fit {
        if cost > burst {
            return Fit::Never;
        }
        let highest = rate.level_of(burst - cost);
        let level = self.drained(rate, now);
        if level.level <= highest {
            return Fit::Now;
        }
        match rate.drain_us(level.level - highest) {
            u64::MAX => Fit::Never,
            drain_us => Fit::After(level.at.since(now).saturating_add(drain_us)),
        }
    }

    /// Used, rounded up to whole hits, and microseconds until nothing is.
    pub fn read(self, rate: Rate, now: Timestamp, pending: u64) -> (u64, u64) {
        let Bucket { level, at } = self.charged(rate, now, pending);
        let used = u64::try_from(level.div_ceil(u128::from(rate.window_us))).unwrap_or(u64::MAX);
        let waiting_us = if level == 0 { 0 } else { at.since(now) };
        (used, waiting_us.saturating_add(rate.drain_us(level)))
    }

    pub fn charged(self, rate: Rate, now: Timestamp, cost: u64) -> Bucket {
        let drained = self.drained(rate, now);
        Bucket { level: drained.level.saturating_add(rate.level_of(cost)), at: drained.at }
    }

    pub fn given_back(self, rate: Rate, now: Timestamp, hits: u64) -> Bucket {
        let drained = self.drained(rate, now);
        Bucket { level: drained.level.saturating_sub(rate.level_of(hits)), at: drained.at }
    }

    /// The same without so many hits, of which no more is left than what drains from now until
    /// `empty_at`: the rest has drained already, and would be given out twice.
    pub fn put_back(self, rate: Rate, now: Timestamp, empty_at: Timestamp, hits: u64) -> Bucket {
        let drained = self.drained(rate, now);
        let left = u128::from(empty_at.since(now)) * u128::from(rate.requests);
        let back = rate.level_of(hits).min(left);
        Bucket { level: drained.level.saturating_sub(back), at: drained.at }
    }

    /// Microseconds until a bucket that holds so many hits is empty.
    pub fn empty_after_us(rate: Rate, hits: u64) -> u64 {
        rate.drain_us(rate.level_of(hits))
    }

    /// The level at `now`. A clock set back drains nothing until it has caught up.
    fn drained(self, rate: Rate, now: Timestamp) -> Bucket {
        let drain = u128::from(now.since(self.at)) * u128::from(rate.requests);
        Bucket { level: self.level.saturating_sub(drain), at: self.at.max(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three hits in ten microseconds: a third of a hit is no whole number of microseconds.
    const RATE: Rate = Rate { requests: 3, window_us: 10 };
    const BURST: u64 = 2;

    fn at(us: u64) -> Timestamp {
        Timestamp::from_micros(1000 + us)
    }

    fn full() -> Bucket {
        Bucket::default().charged(RATE, at(0), BURST)
    }

    #[test]
    fn an_idle_bucket_gives_its_burst_and_no_more() {
        let idle = Bucket::default();
        assert_eq!(idle.fit(RATE, BURST, at(0), BURST), Fit::Now);
        assert_eq!(idle.fit(RATE, BURST, at(0), BURST + 1), Fit::Never);
    }

    #[test]
    fn the_wait_for_a_hit_is_exact() {
        // One hit drains in 10/3 microseconds: after three there is no room, after four there is.
        assert_eq!(full().fit(RATE, BURST, at(0), 1), Fit::After(4));
        assert_eq!(full().fit(RATE, BURST, at(3), 1), Fit::After(1));
        assert_eq!(full().fit(RATE, BURST, at(4), 1), Fit::Now);
    }

    #[test]
    fn asking_often_does_not_lose_parts_of_a_hit() {
        let mut bucket = full();
        for us in 0..=4 {
            bucket = bucket.charged(RATE, at(us), 0);
        }
        assert_eq!(bucket, full().charged(RATE, at(4), 0));
    }

    #[test]
    fn another_budget_keeps_what_was_used() {
        let faster = Rate { requests: 300, window_us: 10 };
        assert_eq!(full().read(RATE, at(0), 0).0, full().read(faster, at(0), 0).0);
    }

    #[test]
    fn what_has_drained_is_not_put_back() {
        // Six hits were held, and the call then cost one. An idle bucket had drained three of them
        // by then; putting five back all the same took off two hits of somebody who came since.
        let (held, other) = (Bucket::default().charged(RATE, at(0), 6), at(10));
        let empty_at = at(20);
        let since = held.charged(RATE, other, 2);
        assert_eq!(since.read(RATE, other, 0).0, 5);
        assert_eq!(since.put_back(RATE, other, empty_at, 5).read(RATE, other, 0).0, 2);
        let late = held.charged(RATE, at(20), 2);
        assert_eq!(late.put_back(RATE, at(20), empty_at, 5), late);
    }

    #[test]
    fn a_clock_set_back_drains_nothing() {
        let earlier = Timestamp::from_micros(900);
        assert_eq!(full().fit(RATE, BURST, earlier, 1), Fit::After(104));
    }
}
