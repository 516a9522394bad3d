//! How long a receiver is waited for, and how often it is tried.

use std::time::Duration;

/// The waits of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long one try may take, from looking up the name to the receiver's status.
    pub try_max: Duration,
    /// Tries in all.
    pub tries_max: u32,
    /// The wait after the first try. Each one after that is twice as long.
    pub wait_first: Duration,
    /// No wait is longer, save one that the receiver asks for.
    pub wait_max: Duration,
    /// Of what the receiver asks for, no more than this is granted.
    pub asked_max: Duration,
}

impl Default for Patience {
    /// For receivers on the Internet: a restart or a minute's outage is lived through, within two
    /// to four minutes in all. Who is away for longer has more to mend than an alert.
    fn default() -> Patience {
        Patience {
            try_max: Duration::from_secs(10),
            tries_max: 8,
            wait_first: Duration::from_secs(1),
            wait_max: Duration::from_secs(60),
            asked_max: Duration::from_secs(120),
        }
    }
}

impl Patience {
    /// The wait after try number `tried`, counted from 1: in the upper half of the back-off, there
    /// where `draw` of 256ths says, so that alerts that failed together do not come back together.
    /// A receiver that asks for more gets it, within bounds.
    pub fn wait(&self, tried: u32, asked: Option<Duration>, draw: u8) -> Duration {
        let doubled = 2_u32.saturating_pow(tried.saturating_sub(1));
        let longest = self.wait_first.saturating_mul(doubled).min(self.wait_max);
        let drawn = longest / 2 + longest * u32::from(draw) / 512;
        drawn.max(asked.unwrap_or_default().min(self.asked_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_spread() {
        let patience = Patience::default();
        let range = |tried| {
            let wait = |draw| patience.wait(tried, None, draw).as_millis();
            (wait(0), wait(255))
        };
        assert_eq!(range(1), (500, 998));
        assert_eq!(range(2), (1000, 1996));
        assert_eq!(range(7), (30_000, 59_882));
        assert_eq!(range(40), (30_000, 59_882));
    }

    #[test]
    fn a_receiver_may_ask_for_more_within_bounds() {
        let patience = Patience::default();
        let wait = |asked| patience.wait(1, Some(Duration::from_secs(asked)), 255).as_secs();
        assert_eq!(wait(0), 0);
        assert_eq!(wait(30), 30);
        assert_eq!(wait(86_400), 120);
    }
}
