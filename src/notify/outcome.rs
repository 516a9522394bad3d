//! What became of alerts: counted each, and said in the log now and then.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::alert::{Alert, To};
use crate::time::{SECOND_US, Timestamp};

/// A line in the log of each kind comes at most this often. A receiver that is away would fill
/// the log otherwise, and the first line says what to mend.
const SAID_EVERY_US: u64 = 10 * SECOND_US;

/// The numbers stand alone: no other memory is published through them.
const RELAXED: Ordering = Ordering::Relaxed;

/// Alerts since the start, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub delivered: u64,
    /// Refused by the receiver, or not delivered in any of the tries.
    pub failed: u64,
    /// Never tried, or cut short by the server's end.
    pub dropped: u64,
}

#[derive(Debug, Default)]
pub struct Tally {
    delivered: AtomicU64,
    failed: Kind,
    dropped: Kind,
}

/// A number, and when a line last told of it.
#[derive(Debug, Default)]
struct Kind {
    count: AtomicU64,
    said_at_us: AtomicU64,
}

impl Tally {
    pub fn counts(&self) -> Counts {
        Counts {
            delivered: self.delivered.load(RELAXED),
            failed: self.failed.count.load(RELAXED),
            dropped: self.dropped.count.load(RELAXED),
        }
    }

    pub fn delivered(&self) {
        self.delivered.fetch_add(1, RELAXED);
    }

    pub fn failed(&self, alert: &Alert, now: Timestamp, why: &str) {
        if let Some(in_all) = self.failed.add(now) {
            let (target, host) = (target(alert), alert.to.webhook().host());
            let Alert { domain, limit, percent, .. } = alert;
            tracing::warn!(
                %domain, %limit, percent, target, host, why, in_all, "an alert was not delivered"
            );
        }
    }

    pub fn dropped(&self, alert: &Alert, now: Timestamp, why: &str) {
        if let Some(in_all) = self.dropped.add(now) {
            let (target, host) = (target(alert), alert.to.webhook().host());
            let Alert { domain, limit, percent, .. } = alert;
            tracing::warn!(
                %domain, %limit, percent, target, host, why, in_all, "an alert was dropped"
            );
        }
    }

    /// So many were still waiting or on their way when the server could wait no longer.
    pub fn cut_short(&self, alerts: usize) {
        self.dropped.count.fetch_add(alerts as u64, RELAXED);
        tracing::warn!(alerts, "the server ended before these alerts were delivered");
    }
}

impl Kind {
    /// Counts one more. Returns the number if it is time to tell of it again.
    fn add(&self, now: Timestamp) -> Option<u64> {
        let count = self.count.fetch_add(1, RELAXED) + 1;
        let said_at_us = self.said_at_us.load(RELAXED);
        // The first is always said; and a clock that was set back must not silence the rest.
        let due = count == 1 || SAID_EVERY_US <= now.as_micros().abs_diff(said_at_us);
        // Whoever wins this exchange says it; the others stay silent.
        let won = due
            && self
                .said_at_us
                .compare_exchange(said_at_us, now.as_micros(), RELAXED, RELAXED)
                .is_ok();
        won.then_some(count)
    }
}

fn target(alert: &Alert) -> &str {
    match &alert.to {
        To::Target(target) => &target.name,
        To::Own(_) => "the key's own",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_said_once_in_a_while() {
        let (kind, noon) = (Kind::default(), Timestamp::from_secs(1_000_000));
        assert_eq!(kind.add(noon), Some(1));
        assert_eq!(kind.add(noon), None);
        assert_eq!(kind.add(noon.plus(SAID_EVERY_US - 1)), None);
        assert_eq!(kind.add(noon.plus(SAID_EVERY_US)), Some(4));
        assert_eq!(kind.add(noon), Some(5));
    }
}
