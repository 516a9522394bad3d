//! Moments and where they come from.
//!
//! The only place that reads the system clock. A call reads it once, at the rim, and everything
//! below takes that reading as an argument, so one call sees one moment.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

/// Microseconds in a second: the clock's tick is one microsecond.
pub const SECOND_US: u64 = 1_000_000;

/// A backward step of the system clock up to this long is waited out: time stands still until
/// the clock has caught up, which is what a small correction by NTP asks for. A longer one is
/// followed, since standing still for hours would stop every window from ever closing.
const STEP_WAITED_OUT_US: u64 = SECOND_US;

/// A moment of wall time, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    pub const EPOCH: Timestamp = Timestamp(0);

    pub const fn from_micros(us: u64) -> Timestamp {
        Timestamp(us)
    }

    pub const fn from_secs(seconds: u64) -> Timestamp {
        Timestamp(seconds.saturating_mul(SECOND_US))
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This moment plus `us` microseconds. Saturates at the end of representable time, which
    /// lies half a million years ahead and can only mean "never".
    pub const fn plus(self, us: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(us))
    }

    /// Microseconds from `earlier` to this moment; 0 if `earlier` is the later one, because a
    /// clock may have been set back and nothing may then count as negative time.
    pub const fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where a server takes its readings from. Clones share one source.
#[derive(Clone, Debug)]
pub enum Clock {
    System(Arc<Ratchet>),
    Manual(ManualClock),
}

impl Clock {
    /// The system's wall clock, held steady over small backward steps.
    pub fn system() -> Clock {
        Clock::System(Arc::new(Ratchet::default()))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System(ratchet) => ratchet.admit(system_now()),
            Clock::Manual(manual) => manual.now(),
        }
    }

    /// Ends at this moment or a little later. By the system's clock it takes as long as the moment
    /// is ahead now, whatever is done to that clock meanwhile.
    pub async fn until(&self, moment: Timestamp) {
        match self {
            Clock::System(_) => {
                tokio::time::sleep(Duration::from_micros(moment.since(self.now()))).await;
            }
            Clock::Manual(manual) => manual.until(moment).await,
        }
    }
}

/// A clock that moves only when told: it can stand still, run and jump either way.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    us: AtomicU64,
    moved: Notify,
}

impl ManualClock {
    pub fn starting_at(start: Timestamp) -> ManualClock {
        let us = AtomicU64::new(start.as_micros());
        ManualClock(Arc::new(Hands { us, moved: Notify::new() }))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.us.load(Ordering::Relaxed))
    }

    pub fn advance_us(&self, us: u64) {
        self.0.us.fetch_add(us, Ordering::Relaxed);
        self.0.moved.notify_waiters();
    }

    pub fn set(&self, to: Timestamp) {
        self.0.us.store(to.as_micros(), Ordering::Relaxed);
        self.0.moved.notify_waiters();
    }

    async fn until(&self, moment: Timestamp) {
        loop {
            let mut moved = pin!(self.0.moved.notified());
            // From here on a move is not missed, so the clock is read after it.
            moved.as_mut().enable();
            if moment <= self.now() {
                return;
            }
            moved.await;
        }
    }

    /// This source as the clock of a server.
    pub fn clock(&self) -> Clock {
        Clock::Manual(self.clone())
    }
}

/// Measures how long something takes, whatever is done to the wall clock meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the clock")]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Remembers the latest reading, to wait out a small step back.
#[derive(Debug, Default)]
pub struct Ratchet(AtomicU64);

impl Ratchet {
    /// What the clock shall show, given what the system says. Relaxed ordering is enough: the
    /// value stands alone and no other memory is published through it.
    fn admit(&self, reading: Timestamp) -> Timestamp {
        let latest = Timestamp(self.0.fetch_max(reading.as_micros(), Ordering::Relaxed));
        let behind_us = latest.since(reading);
        if behind_us == 0 {
            return reading;
        }
        if behind_us <= STEP_WAITED_OUT_US {
            return latest;
        }
        // Whoever wins this exchange reports the step; the others follow in silence.
        let followed = self.0.compare_exchange(
            latest.as_micros(),
            reading.as_micros(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if followed.is_ok() {
            tracing::warn!(
                behind_ms = behind_us / 1000,
                "the system clock was set back; windows already charged stay charged until they \
                 end by the new time"
            );
        }
        reading
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that may read the clock")]
fn system_now() -> Timestamp {
    // A clock before 1970 is a broken clock; the epoch is as good a guess as any.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn a_step_back_of_up_to_a_second_is_waited_out() {
        let ratchet = Ratchet::default();
        assert_eq!(ratchet.admit(NOON), NOON);
        assert_eq!(ratchet.admit(Timestamp(NOON.0 - SECOND_US)), NOON);
        assert_eq!(ratchet.admit(NOON.plus(1)), NOON.plus(1));
    }

    #[test]
    fn a_longer_step_back_is_followed() {
        let ratchet = Ratchet::default();
        ratchet.admit(NOON);
        let back = Timestamp(NOON.0 - SECOND_US - 1);
        assert_eq!(ratchet.admit(back), back);
        assert_eq!(ratchet.admit(back.plus(5)), back.plus(5));
    }

    #[test]
    fn a_manual_clock_stands_still_runs_and_jumps_back() {
        let manual = ManualClock::starting_at(NOON);
        let clock = manual.clock();
        assert_eq!(clock.now(), clock.now());
        manual.advance_us(7);
        assert_eq!(clock.now(), NOON.plus(7));
        manual.set(Timestamp::EPOCH);
        assert_eq!(clock.now(), Timestamp::EPOCH);
    }

    #[tokio::test]
    async fn a_manual_clock_is_waited_for() {
        let manual = ManualClock::starting_at(NOON);
        let clock = manual.clock();
        clock.until(NOON).await;
        let waiting = tokio::spawn(async move { clock.until(NOON.plus(10)).await });
        tokio::task::yield_now().await;
        manual.advance_us(9);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        manual.advance_us(1);
        waiting.await.expect("no panic");
    }
}
