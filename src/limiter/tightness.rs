//! Which of several limits is the tightest.

use std::cmp::{Ordering, Reverse};

/// How tight a limit is. Ordered, the tightest first: refusing before the rest, the longest wait
/// among the refusing, the smallest share left among the rest, unlimited last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tightness {
    Refusing { wait_us: Reverse<u64> },
    Holding(Share),
    Unlimited,
}

/// The part of a capacity that is left, compared without rounding.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    pub remaining: u64,
    pub capacity: u64,
}

impl Ord for Share {
    /// Compares `remaining / capacity` by cross-multiplication; a capacity of nothing has
    /// nothing left.
    fn cmp(&self, other: &Share) -> Ordering {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b.max(1));
        product(self.remaining, other.capacity).cmp(&product(other.remaining, self.capacity))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Share) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Share) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}
