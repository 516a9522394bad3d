//! Counting in windows that follow one another, be they fixed or of the calendar.
//!
//! Promise: at most the budget is admitted in each window. A count from a window later than the
//! present one, which a clock set back leaves behind, stays charged until that window ends.

use crate::time::Timestamp;

use super::Fit;

/// What was used in the window that ends at `end`.
///
/// The end alone names the window, and it is also when the count expires: one word for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub end: Timestamp,
    pub used: u64,
}

/// The end of the epoch-aligned window of this length that holds `now`.
pub fn fixed_end(window_us: u64, now: Timestamp) -> Timestamp {
    let into_window_us = now.as_micros() % window_us;
    now.plus(window_us - into_window_us)
}

impl Count {
    /// This count as it stands at `now`, in a window that ends at `end` if its own has ended. A
    /// window that began under other terms runs to its end before the new ones count.
    pub fn at(self, now: Timestamp, end: impl FnOnce() -> Timestamp) -> Count {
        if now < self.end { self } else { Count { end: end(), used: 0 } }
    }

    pub fn plus(self, cost: u64) -> Count {
        // Saturating: a count that has reached the largest number is over any budget anyway.
        Count { used: self.used.saturating_add(cost), ..self }
    }

    pub fn minus(self, hits: u64) -> Count {
        Count { used: self.used.saturating_sub(hits), ..self }
    }

    pub fn fit(self, requests: u64, now: Timestamp, cost: u64) -> Fit {
        if self.used.saturating_add(cost) <= requests {
            Fit::Now
        } else if cost > requests {
            Fit::Never
        } else {
            Fit::After(self.end.since(now))
        }
    }

    /// Used, and microseconds to the end of the window.
    pub fn read(self, now: Timestamp, pending: u64) -> (u64, u64) {
        (self.used.saturating_add(pending), self.end.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_to_the_epoch() {
        assert_eq!(fixed_end(60, Timestamp::from_micros(0)), Timestamp::from_micros(60));
        assert_eq!(fixed_end(60, Timestamp::from_micros(59)), Timestamp::from_micros(60));
        assert_eq!(fixed_end(60, Timestamp::from_micros(60)), Timestamp::from_micros(120));
    }

    #[test]
    fn a_new_window_starts_empty_and_a_later_one_stays_charged() {
        let count = Count { end: Timestamp::from_micros(120), used: 7 };
        let next = Timestamp::from_micros(180);
        assert_eq!(count.at(count.end, || next), Count { end: next, used: 0 });
        assert_eq!(count.at(Timestamp::from_micros(10), || next), count);
    }
}
