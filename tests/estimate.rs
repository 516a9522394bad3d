//! How far the sliding window's estimate is from the truth, measured beside a sliding log.
//!
//! What it can err by at worst is proved beside the algorithm. Here traffic is random, as that of
//! many people is, and both are given the same calls; ARCHITECTURE.md has the numbers.

use tollgate::algorithm::Fit;
use tollgate::algorithm::sliding_log::Log;
use tollgate::algorithm::sliding_window::Pair;
use tollgate::time::Timestamp;

const WINDOW_US: u64 = 60_000_000;
const WINDOWS: u64 = 100;
const BUDGET: u64 = 100;

/// Not the start of a window.
const START_US: u64 = 1 << 50;

/// Calls that come by themselves, so many in a window on average.
struct Arrivals {
    seed: u64,
    now: u64,
    per_window: f64,
}

impl Iterator for Arrivals {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        // Steele's SplitMix64, and from its even numbers the gaps of a Poisson process.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let even = (bits >> 11) as f64 / (1u64 << 53) as f64;
        self.now += (-(1.0 - even).ln() * WINDOW_US as f64 / self.per_window) as u64;
        (self.now < START_US + WINDOWS * WINDOW_US).then(|| Timestamp::from_micros(self.now))
    }
}

/// What came of the same calls under both.
#[derive(Debug, Default)]
struct Measured {
    calls: f64,
    /// Calls that the log let pass.
    by_log: f64,
    /// Calls that the estimate let pass.
    by_estimate: f64,
    /// What the estimate was off by, over all calls, from what it had let pass in the last window.
    off_by: f64,
    /// The most that it let pass in any span of a window.
    most: u64,
}

fn measure(load: f64) -> Measured {
    let (mut log, mut pair, mut passed) = (Log::default(), Pair::default(), Log::default());
    let mut measured = Measured::default();
    for now in (Arrivals { seed: 7, now: START_US, per_window: load * BUDGET as f64 }) {
        measured.calls += 1.0;
        if log.fit(WINDOW_US, BUDGET, now, 1) == Fit::Now {
            log.charge(WINDOW_US, now, 1);
            measured.by_log += 1.0;
        }
        let truth = passed.read(WINDOW_US, now, 0).0;
        measured.off_by += truth.abs_diff(pair.read(WINDOW_US, now, 0).0) as f64;
        if pair.fit(WINDOW_US, BUDGET, now, 1) == Fit::Now {
            pair = pair.charged(WINDOW_US, now, 1);
            passed.charge(WINDOW_US, now, 1);
            measured.by_estimate += 1.0;
            measured.most = measured.most.max(truth + 1);
        }
    }
    measured
}

#[test]
fn random_traffic_is_held_nearly_as_a_log_holds_it() {
    for load in [0.5, 0.8, 1.0, 1.5, 3.0] {
        let Measured { calls, by_log, by_estimate, off_by, most } = measure(load);
        let (log, estimate) = (100.0 * by_log / calls, 100.0 * by_estimate / calls);
        let off = 100.0 * off_by / calls / BUDGET as f64;
        println!(
            "asked for {load} of the budget: passed {estimate:.1} % (log {log:.1} %), off by \
             {off:.1} % of the budget, at most {most} of {BUDGET} in a window"
        );
        assert!((estimate - log).abs() < 1.5, "the log lets {log} % pass, not {estimate} %");
        assert!(off < 3.5, "off by {off} % of the budget");
        assert!(2 * most <= 3 * BUDGET, "{most} in a window");
    }
}
