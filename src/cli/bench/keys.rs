//! Which keys a run's calls carry: numbers below a bound, drawn so that a run can be repeated.

use crate::settings::Choice;

/// Draws keys. Each thread of a run has its own, with a seed of its own.
#[derive(Debug)]
pub struct Keys {
    count: u64,
    choice: Choice,
    state: u64,
    /// The next key, if they are taken in turn.
    next: u64,
    step: u64,
}

impl Keys {
    /// The keys of one of several threads, of which each takes its share of those in turn.
    pub fn new(count: u64, choice: Choice, thread: u64, threads: u64) -> Keys {
        Keys { count, choice, state: thread, next: thread % count, step: threads }
    }

    /// The next key, below the count.
    pub fn draw(&mut self) -> u64 {
        match self.choice {
            Choice::Uniform => {
                // The high word of the product: as even as a remainder, without a division.
                let wide = u128::from(self.random()) * u128::from(self.count);
                (wide >> 64) as u64
            }
            Choice::Zipf => self.zipf(),
            Choice::InTurn => {
                let key = self.next;
                self.next = (self.next + self.step) % self.count;
                key
            }
        }
    }

    /// The logarithm of the rank is uniform, by which rank r has the weight ln(1 + 1/r): Zipf's
    /// law with exponent 1 in all but the first few ranks, for any count and without a table.
    fn zipf(&mut self) -> u64 {
        let fraction = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = ((self.count + 1) as f64).powf(fraction) as u64;
        rank.clamp(1, self.count) - 1
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): a counter, and a mix of its bits.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 100_000;

    /// How often each of ten keys comes.
    fn counts(choice: Choice) -> [u64; 10] {
        let mut keys = Keys::new(10, choice, 0, 1);
        let mut counts = [0; 10];
        for _ in 0..DRAWS {
            counts[keys.draw() as usize] += 1;
        }
        counts
    }

    #[test]
    fn uniform_keys_come_equally_often() {
        for count in counts(Choice::Uniform) {
            assert!(count.abs_diff(DRAWS / 10) < DRAWS / 100, "{count}");
        }
    }

    #[test]
    fn zipf_prefers_the_first_keys_by_their_rank() {
        let counts = counts(Choice::Zipf);
        for (rank, count) in (1..).zip(counts) {
            let share = (1.0 + 1.0 / f64::from(rank)).ln() / 11_f64.ln();
            let expected = (share * DRAWS as f64) as u64;
            assert!(count.abs_diff(expected) < DRAWS / 100, "{rank}: {count}, not {expected}");
        }
    }

    #[test]
    fn keys_in_turn_miss_none_over_several_threads() {
        let mut seen: Vec<u64> = Vec::new();
        for thread in 0..2 {
            let mut keys = Keys::new(6, Choice::InTurn, thread, 2);
            seen.extend((0..3).map(|_| keys.draw()));
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn one_key_is_always_the_same() {
        for choice in [Choice::Uniform, Choice::Zipf, Choice::InTurn] {
            let mut keys = Keys::new(1, choice, 0, 1);
            assert_eq!([keys.draw(), keys.draw()], [0, 0]);
        }
    }
}
