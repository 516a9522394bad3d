//! How many different values were seen within a span of time.

use crate::time::Timestamp;

use super::{Rate, Sketch};

/// A span is cut into so many slices, each with a sketch of its own, and the oldest is dropped
/// whole. What is known reaches back between three quarters of the span and all of it.
pub const SLICES: usize = 4;

/// What was seen in the slices that count, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(pub Vec<Slice>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// In microseconds since the epoch. Slices begin at whole multiples of their length.
    pub since_us: u64,
    pub sketch: Sketch,
}

impl Seen {
    /// Whether adding this now would change nothing.
    pub fn knows(&self, hash: u64, rate: Rate, now: Timestamp) -> bool {
        let start_us = start_us(rate, now);
        let present = self.0.last().filter(|slice| slice.since_us == start_us);
        present.is_some_and(|slice| slice.sketch.knows(hash))
    }

    /// Adds a value; says whether there are more than so many within the span.
    pub fn add(&mut self, hash: u64, rate: Rate, now: Timestamp) -> bool {
        let start_us = start_us(rate, now);
        let first_us = start_us.saturating_sub(slice_us(rate).saturating_mul(SLICES as u64 - 1));
        // What a clock that was set back has left in the future would count for ever.
        self.0.retain(|slice| first_us <= slice.since_us && slice.since_us <= start_us);
        if self.0.last().is_none_or(|slice| slice.since_us != start_us) {
            self.0.push(Slice { since_us: start_us, sketch: Sketch::default() });
        }
        if let Some(present) = self.0.last_mut() {
            present.sketch.add(hash);
        }
        rate.after < self.at_least()
    }

    fn at_least(&self) -> u64 {
        let [slice] = &self.0[..] else {
            let mut all = Sketch::default();
            self.0.iter().for_each(|slice| all.merge(&slice.sketch));
            return all.at_least();
        };
        slice.sketch.at_least()
    }
}

/// At least a microsecond, however short the span.
fn slice_us(rate: Rate) -> u64 {
    (rate.within_us / SLICES as u64).max(1)
}

fn start_us(rate: Rate, now: Timestamp) -> u64 {
    let now_us = now.as_micros();
    now_us - now_us % slice_us(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { after: 10, within_us: 60_000_000 };

    fn at(second: u64) -> Timestamp {
        Timestamp::from_secs(60_000_000 + second)
    }

    #[test]
    fn one_more_than_so_many_is_too_much() {
        let mut seen = Seen::default();
        for value in 0..10 {
            assert!(!seen.add(value, RATE, at(value * 4)));
        }
        assert!(!seen.add(3, RATE, at(44)), "it was seen before");
        assert!(seen.add(99, RATE, at(44)));
    }

    #[test]
    fn what_was_seen_is_forgotten_by_slices() {
        let mut seen = Seen::default();
        for value in 0..10 {
            assert!(!seen.add(value, RATE, at(14)));
        }
        assert!(seen.clone().add(99, RATE, at(59)), "45 s later it is known for sure");
        assert!(!seen.add(99, RATE, at(60)), "and never beyond the span");
        assert_eq!(seen.0.len(), 1);
    }

    #[test]
    fn what_is_known_now_changes_nothing() {
        let mut seen = Seen::default();
        seen.add(1, RATE, at(0));
        assert!(seen.knows(1, RATE, at(14)));
        assert!(!seen.knows(2, RATE, at(14)));
        assert!(!seen.knows(1, RATE, at(15)), "in the next slice it is seen anew");
    }
}
