//! How many different values there were: exactly while they are few, and then by HyperLogLog.
//!
//! Flajolet, Fusy, Gandouet, Meunier 2007, with the estimator of Ertl 2017, which needs no table
//! and no special case for small numbers. Values come in as hashes under a secret key: whoever
//! chooses values without knowing it can neither hide them nor make them count for more.

/// So many hashes are kept as they are. Beyond it they would take more room than registers.
pub const FEW_MAX: usize = 128;

/// Registers of a sketch, a byte each.
pub const REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 10;

/// The rank of a hash without a bit set beyond those that choose its register.
const RANK_MAX: usize = (64 - REGISTER_BITS + 1) as usize;

/// The standard error of an estimate, 1.04 / √1024, in parts of it.
pub const STANDARD_ERROR: f64 = 0.0325;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sketch {
    /// The hashes themselves, in order.
    Few(Vec<u64>),
    /// The highest rank that was seen of each register.
    Many(Box<[u8; REGISTERS]>),
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch::Few(Vec::new())
    }
}

impl Sketch {
    /// Whether adding this would change anything.
    pub fn knows(&self, hash: u64) -> bool {
        match self {
            Sketch::Few(hashes) => hashes.binary_search(&hash).is_ok(),
            Sketch::Many(registers) => {
                let (register, rank) = place(hash);
                rank <= registers[register]
            }
        }
    }

    pub fn add(&mut self, hash: u64) {
        match self {
            Sketch::Few(hashes) => {
                let Err(position) = hashes.binary_search(&hash) else { return };
                hashes.insert(position, hash);
                if FEW_MAX < hashes.len() {
                    *self = Sketch::Many(registers_of(hashes));
                }
            }
            Sketch::Many(registers) => raise(registers, hash),
        }
    }

    /// Adds all that another has seen.
    pub fn merge(&mut self, other: &Sketch) {
        match (&mut *self, other) {
            (_, Sketch::Few(hashes)) => hashes.iter().for_each(|&hash| self.add(hash)),
            (Sketch::Few(hashes), Sketch::Many(registers)) => {
                let mut merged = registers.clone();
                hashes.iter().for_each(|&hash| raise(&mut merged, hash));
                *self = Sketch::Many(merged);
            }
            (Sketch::Many(own), Sketch::Many(others)) => {
                let both = own.iter_mut().zip(others.iter());
                both.for_each(|(own, other)| *own = (*own).max(*other));
            }
        }
    }

    /// How many values there are at the least: exactly so many while they are few, and else the
    /// estimate less three of its standard errors, so that almost never too many are told.
    pub fn at_least(&self) -> u64 {
        match self {
            Sketch::Few(hashes) => hashes.len() as u64,
            Sketch::Many(registers) => (estimate(registers) * (1.0 - 3.0 * STANDARD_ERROR)) as u64,
        }
    }

    /// How many values there are, about.
    pub fn estimate(&self) -> f64 {
        match self {
            Sketch::Few(hashes) => hashes.len() as f64,
            Sketch::Many(registers) => estimate(registers),
        }
    }
}

fn registers_of(hashes: &[u64]) -> Box<[u8; REGISTERS]> {
    let mut registers = Box::new([0; REGISTERS]);
    hashes.iter().for_each(|&hash| raise(&mut registers, hash));
    registers
}

/// The register that a hash falls into, and its rank there: how many bits up to the first that is
/// set.
fn place(hash: u64) -> (usize, u8) {
    let register = (hash >> (64 - REGISTER_BITS)) as usize;
    // The bit below the last of the hash ends the count.
    let rest = hash << REGISTER_BITS | 1 << (REGISTER_BITS - 1);
    (register, rest.leading_zeros() as u8 + 1)
}

fn raise(registers: &mut [u8; REGISTERS], hash: u64) {
    let (register, rank) = place(hash);
    registers[register] = registers[register].max(rank);
}

/// Ertl's improved estimator: `m² / (2 ln 2 · (m σ(C₀/m) + Σ Cₖ 2⁻ᵏ))`, where Cₖ registers have
/// rank k. The term for registers that are full is left out: that takes 2^54 values.
fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let mut of_rank = [0u32; RANK_MAX + 1];
    for &rank in registers {
        of_rank[usize::from(rank).min(RANK_MAX)] += 1;
    }
    let m = REGISTERS as f64;
    let ranked = of_rank[1..].iter().rev();
    let sum = ranked.fold(0.0, |sum, &count| (sum + f64::from(count)) / 2.0);
    m * m / (2.0 * std::f64::consts::LN_2 * (m * sigma(f64::from(of_rank[0]) / m) + sum))
}

/// σ(x) = x + Σ x^(2^k) 2^(k-1), for k from 1 on.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A good mixer of bits: the finish of SplitMix64.
    fn hash(number: u64) -> u64 {
        let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn sketch(numbers: std::ops::Range<u64>) -> Sketch {
        let mut sketch = Sketch::default();
        numbers.for_each(|number| sketch.add(hash(number)));
        sketch
    }

    #[test]
    fn a_few_are_counted_exactly() {
        let mut few = sketch(0..FEW_MAX as u64);
        assert_eq!(few.at_least(), 128);
        assert!((0..128).all(|number| few.knows(hash(number))));
        (0..128).for_each(|number| few.add(hash(number)));
        assert_eq!(few, sketch(0..128), "seen twice is seen once");
    }

    #[test]
    fn the_error_is_what_is_stated_at_every_size() {
        for count in [129, 200, 500, 1_000, 2_000, 3_000, 5_000, 20_000] {
            let off = |round: u64| {
                let start = round << 32;
                sketch(start..start + count).estimate() / count as f64 - 1.0
            };
            let all: Vec<f64> = (0..200).map(off).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let square = all.iter().map(|off| off * off).sum::<f64>() / all.len() as f64;
            // Both are sampled, and so are off by a part of the error themselves.
            assert!(mean.abs() < 0.3 * STANDARD_ERROR, "{count}: {mean} in the mean");
            assert!(square.sqrt() < 1.2 * STANDARD_ERROR, "{count}: {}", square.sqrt());
        }
    }

    #[test]
    fn almost_never_more_are_told_than_there_were() {
        let told = |round: u64| sketch(round << 32..(round << 32) + 1_000).at_least();
        let all: Vec<u64> = (0..200).map(told).collect();
        assert!(all.iter().filter(|&&told| 1_000 < told).count() <= 2, "{all:?}");
        assert!(all.iter().all(|&told| 800 < told), "{all:?}");
    }

    #[test]
    fn merging_sees_what_both_have_seen() {
        for (a, b, both) in [(0..50, 40..90, 0..90), (0..50, 0..900, 0..900)] {
            let mut merged = sketch(a.clone());
            merged.merge(&sketch(b.clone()));
            assert_eq!(merged, sketch(both.clone()));
            let mut other = sketch(b);
            other.merge(&sketch(a));
            assert_eq!(other, sketch(both));
        }
        let mut merged = sketch(0..700);
        merged.merge(&sketch(600..2_000));
        assert_eq!(merged, sketch(0..2_000));
    }

    #[test]
    fn what_changes_nothing_is_known() {
        let many = sketch(0..5_000);
        for number in 0..20_000 {
            let mut more = many.clone();
            more.add(hash(number));
            assert_eq!(many.knows(hash(number)), more == many);
        }
    }

    #[test]
    fn the_ends_of_what_a_hash_may_be_have_a_place() {
        assert_eq!(place(0), (0, RANK_MAX as u8));
        assert_eq!(place(u64::MAX), (REGISTERS - 1, 1));
    }
}
