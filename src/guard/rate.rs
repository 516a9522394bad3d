//! So many within a span of time.

use crate::time::Timestamp;

/// Offences that come closer together than this part of the span are joined under the moment of
/// the first, so that a tally is small however many there are. They are forgotten together, the
/// later ones at most this much too early.
pub const JOINED_PARTS: u64 = 64;

/// A ban falls with this many within the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub after: u64,
    pub within_us: u64,
}

/// Moments in microseconds and how many came then, oldest first: at most [`JOINED_PARTS`] and one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(pub Vec<(u64, u64)>);

impl Stamps {
    /// Takes away what came at the last moment, and keeps that there was something.
    pub fn forget_last(&mut self) {
        self.0.last_mut().into_iter().for_each(|(_, counted)| *counted = 0);
    }

    /// Adds offences of this moment; says whether there are enough of them within the span.
    pub fn add(&mut self, number: u64, rate: Rate, now: Timestamp) -> bool {
        let now_us = now.as_micros();
        // What a clock that was set back has left in the future would count for ever.
        let counts = |at_us: u64| at_us <= now_us && now_us - at_us < rate.within_us;
        self.0.retain(|&(at_us, _)| counts(at_us));
        let joins = |at_us: u64| now_us - at_us < rate.within_us.div_ceil(JOINED_PARTS);
        match self.0.last_mut() {
            Some((at_us, counted)) if joins(*at_us) => *counted = counted.saturating_add(number),
            _ => self.0.push((now_us, number)),
        }
        let sum = self.0.iter().fold(0u64, |sum, &(_, counted)| sum.saturating_add(counted));
        rate.after <= sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { after: 20, within_us: 60_000_000 };

    fn at(us: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000).plus(us)
    }

    #[test]
    fn the_last_of_so_many_within_the_span_is_too_much() {
        let mut stamps = Stamps::default();
        for second in 0..19 {
            assert!(!stamps.add(1, RATE, at(second * 3_000_000)));
        }
        assert!(stamps.clone().add(1, RATE, at(59_999_999)), "the first is still within");
        assert!(!stamps.add(1, RATE, at(60_000_000)), "the first is gone");
        assert!(stamps.add(1, RATE, at(60_000_001)));
    }

    #[test]
    fn a_tally_is_small_however_many_there_are() {
        let rate = Rate { after: u64::MAX, ..RATE };
        let mut stamps = Stamps::default();
        for tick in 0..100_000 {
            stamps.add(1, rate, at(tick * 1_000));
        }
        assert!(stamps.0.len() <= JOINED_PARTS as usize + 1, "{}", stamps.0.len());
        // All of the last 60 s but at most a 64th.
        let sum: u64 = stamps.0.iter().map(|(_, number)| number).sum();
        assert!((59_000..=60_000).contains(&sum), "{sum}");
    }

    #[test]
    fn what_a_clock_that_was_set_back_left_behind_does_not_count() {
        let mut stamps = Stamps::default();
        stamps.add(19, RATE, at(90_000_000));
        assert!(!stamps.add(1, RATE, at(0)));
    }
}
