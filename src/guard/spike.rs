//! A rate far beyond what a counter is used to.

use crate::time::Timestamp;

use super::Stamps;

/// Windows whose counts are kept of one counter: a week by the hour.
pub const WINDOWS_MAX: u64 = 168;

/// A counter is known when this part of the span is behind it. Before that, whoever tries an API
/// out by hand and then starts to use it would be a spike.
const KNOWN_PARTS: u64 = 4;

/// The hits of the present window against the average of the windows before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    /// How many times the average is too much.
    pub times: u64,
    /// Fewer hits in one window are never too much.
    pub at_least: u64,
    /// A window. Windows begin at whole multiples of this since the epoch.
    pub window_us: u64,
    /// How many windows before the present one are averaged over.
    pub windows: u64,
}

impl Spike {
    /// Adds hits to the window of this moment; says whether they are too many there. The stamps
    /// are the starts of windows, and the first of them is when the counter's history begins, even
    /// where it holds nothing.
    pub fn add(self, stamps: &mut Stamps, number: u64, now: Timestamp) -> bool {
        let now_us = now.as_micros();
        let start_us = now_us - now_us % self.window_us;
        let first_us = start_us.saturating_sub(self.window_us.saturating_mul(self.windows));
        self.forget(stamps, first_us, start_us);
        match stamps.0.last_mut() {
            Some((at_us, counted)) if *at_us == start_us => {
                *counted = counted.saturating_add(number);
            }
            _ => stamps.0.push((start_us, number)),
        }
        let present = stamps.0.last().map_or(0, |&(_, counted)| counted);
        let before = &stamps.0[..stamps.0.len() - 1];
        let Some(&(since_us, _)) = before.first() else { return false };
        let known = (start_us - since_us) / self.window_us;
        let trailing: u128 = before.iter().map(|&(_, counted)| u128::from(counted)).sum();
        let beyond = u128::from(self.times) * trailing < u128::from(present) * u128::from(known);
        self.windows.div_ceil(KNOWN_PARTS) <= known && self.at_least <= present && beyond
    }

    /// Drops windows before the first that counts. The oldest history is kept as an empty window,
    /// so that silence since then is known to be silence.
    fn forget(self, stamps: &mut Stamps, first_us: u64, start_us: u64) {
        let older = stamps.0.iter().any(|&(at_us, _)| at_us < first_us);
        stamps.0.retain(|&(at_us, _)| first_us <= at_us && at_us <= start_us);
        let begins = stamps.0.first().is_some_and(|&(at_us, _)| at_us == first_us);
        if older && !begins && !stamps.0.is_empty() {
            stamps.0.insert(0, (first_us, 0));
        }
    }

    /// Microseconds after its last hit for which a counter's history matters.
    pub fn lasts_us(self) -> u64 {
        self.window_us.saturating_mul(self.windows + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: u64 = 60_000_000;
    const SPIKE: Spike = Spike { times: 10, at_least: 100, window_us: MINUTE_US, windows: 60 };

    fn minute(number: u64) -> Timestamp {
        Timestamp::from_secs(60_000_000 + number * 60)
    }

    /// So many hits a minute for so many minutes.
    fn steady(hits: u64, minutes: u64) -> Stamps {
        let mut stamps = Stamps::default();
        for number in 0..minutes {
            assert!(!SPIKE.add(&mut stamps, hits, minute(number)));
        }
        stamps
    }

    #[test]
    fn the_first_hit_beyond_so_many_times_the_average_is_too_much() {
        let mut stamps = steady(20, 60);
        assert!(!SPIKE.add(&mut stamps, 200, minute(60)));
        assert!(SPIKE.add(&mut stamps, 1, minute(60)));
        assert!(stamps.0.len() <= 61);
    }

    #[test]
    fn little_use_is_never_too_much() {
        let mut stamps = steady(1, 60);
        assert!(!SPIKE.add(&mut stamps, 99, minute(60)));
        assert!(SPIKE.add(&mut stamps, 1, minute(60)));
    }

    #[test]
    fn a_counter_that_is_not_known_has_nothing_to_go_beyond() {
        assert!(!SPIKE.add(&mut Stamps::default(), 1_000_000, minute(0)));
        let mut stamps = steady(1, 1);
        assert!(!SPIKE.add(&mut stamps.clone(), 1_000_000, minute(14)), "not yet");
        assert!(SPIKE.add(&mut stamps, 1_000_000, minute(15)), "after a quarter of the hour");
    }

    #[test]
    fn silence_within_the_span_is_part_of_the_average() {
        // 600 hits an hour ago and none since: 10 a minute. A call in between keeps the history.
        let mut stamps = steady(600, 1);
        assert!(!SPIKE.add(&mut stamps, 99, minute(60)));
        assert!(!SPIKE.add(&mut stamps, 1, minute(60)), "10 times 10 is not beyond");
        assert!(SPIKE.add(&mut stamps, 1, minute(60)));
    }

    #[test]
    fn a_history_of_silence_alone_is_none() {
        let mut stamps = steady(20, 60);
        assert!(!SPIKE.add(&mut stamps, 1_000, minute(200)));
    }

    #[test]
    fn a_steady_counter_never_falls_and_stays_small() {
        let stamps = steady(150, 1_000);
        assert!(stamps.0.len() <= 61, "{}", stamps.0.len());
    }

    #[test]
    fn windows_of_a_clock_that_was_set_back_do_not_count() {
        let mut stamps = steady(20, 60);
        let mut back = stamps.clone();
        assert!(!SPIKE.add(&mut back, 201, minute(10)), "only ten minutes are known then");
        assert!(SPIKE.add(&mut stamps, 201, minute(60)));
    }
}
