//! What people do to one counter, as pure steps: say what is used, take some of it back.

use crate::limit::{Algorithm, Budget, Charge, Limit, Terms};
use crate::time::Timestamp;

use super::sliding_window::Pair;
use super::token_bucket::{Bucket, Rate};
use super::{State, charge, fresh, rate, read, window, window_end};

/// The state of a counter of which `used` hits came just now, and none before.
pub fn holding(terms: &Terms<'_>, now: Timestamp, used: u64) -> State {
    let mut state = fresh(terms.limit);
    charge(terms, &mut state, now, used);
    state
}

/// Lowers what is used by so many hits, never below nothing. What slides loses its newest
/// hits, and of those of the window before a sliding window only what still counts of them.
pub fn give_back(terms: &Terms<'_>, state: &mut State, now: Timestamp, hits: u64) {
    match (&terms.limit.algorithm, state) {
        (Algorithm::FixedWindow { .. } | Algorithm::Calendar(_), State::Window(count)) => {
            *count = count.at(now, || window_end(terms, now)).minus(hits);
        }
        (Algorithm::SlidingLog { .. }, State::Log(log)) => log.give_back(hits),
        (Algorithm::SlidingWindow { window_us }, State::Pair(pair)) => {
            *pair = pair.given_back(*window_us, now, hits);
        }
        (Algorithm::TokenBucket { window_us, .. }, State::Bucket(bucket)) => {
            *bucket = bucket.given_back(rate(terms, *window_us), now, hits);
        }
        (Algorithm::Concurrency, State::Slots(slots)) => slots.give_back(hits),
        (_, state) => *state = fresh(terms.limit),
    }
}

/// Where in a counter's time something was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// In the window with this end.
    Window { end: Timestamp },
    /// At this moment.
    Stamp { at: Timestamp },
    /// In the slots of this id.
    Slot { id: u128 },
    /// In a bucket that would have been empty at this moment, had nobody come since. That is the
    /// end of its window: by then all that was taken has drained, and none of it is there to put
    /// back.
    Level { empty_at: Timestamp },
}

/// Where a limit that was just charged took it, told from how it stands since.
pub fn mark(limit: &Limit, now: Timestamp, reset_us: u64, slot: u128) -> Mark {
    match limit.algorithm {
        Algorithm::FixedWindow { .. } | Algorithm::Calendar(_) => {
            Mark::Window { end: now.plus(reset_us) }
        }
        Algorithm::SlidingWindow { window_us } => {
            // After a clock was set back the hits went into a later window than this moment's.
            let charged_in = now.plus(reset_us).as_micros().saturating_sub(window_us);
            let end = window::fixed_end(window_us, now).max(Timestamp::from_micros(charged_in));
            Mark::Window { end }
        }
        // The newest stamp is the one that leaves last.
        Algorithm::SlidingLog { window_us } => {
            let newest_us = now.plus(reset_us).as_micros().saturating_sub(window_us);
            // If the call itself gave its hits back, the newest is somebody else's.
            Mark::Stamp { at: now.max(Timestamp::from_micros(newest_us)) }
        }
        Algorithm::TokenBucket { .. } => Mark::Level { empty_at: now.plus(reset_us) },
        Algorithm::Concurrency => Mark::Slot { id: slot },
    }
}

/// Lowers what is used by so many hits that were taken at `mark`, as far as they still count there.
/// Says how many that were.
pub fn put_back(
    terms: &Terms<'_>,
    state: &mut State,
    now: Timestamp,
    hits: u64,
    mark: Mark,
) -> u64 {
    let used = |state: &State| read(terms, state, now, 0).used;
    let before = used(state);
    match (&mut *state, mark) {
        (State::Window(count), Mark::Window { end }) if count.end == end => {
            *count = count.minus(hits);
        }
        (State::Pair(pair), Mark::Window { end }) => {
            *pair = pair.put_back(terms.limit.window_us(), now, end, hits);
        }
        (State::Log(log), Mark::Stamp { at }) => log.put_back(at, hits),
        (State::Slots(slots), Mark::Slot { id }) => _ = slots.release(now, id),
        (State::Bucket(bucket), Mark::Level { empty_at }) => {
            let rate = rate(terms, terms.limit.window_us());
            *bucket = bucket.put_back(rate, now, empty_at, hits);
        }
        _ => {}
    }
    before.saturating_sub(used(state))
}

/// When any counter of this limit has expired at the latest, if nothing more is charged to it;
/// none where that depends on how much was charged.
///
/// A window ends when it ends, a log forgets its newest hit after a window, and a sliding window
/// with the end of the next one. A bucket takes as long
/// as its slowest plan needs to empty it, and only where nothing is charged beyond the burst is
/// that a known time.
pub fn latest_expiry(limit: &Limit, now: Timestamp) -> Option<Timestamp> {
    match &limit.algorithm {
        Algorithm::FixedWindow { window_us } => Some(window::fixed_end(*window_us, now)),
        Algorithm::Calendar(calendar) => Some(calendar.window(now).end),
        Algorithm::SlidingLog { window_us } => Some(now.plus(*window_us)),
        Algorithm::SlidingWindow { window_us } => Some(Pair::latest_empty_at(*window_us, now)),
        Algorithm::Concurrency => None,
        &Algorithm::TokenBucket { window_us, burst, requests_min } => {
            let bounded = limit.on_exceed.votes()
                && limit.charge == Charge::Admitted
                && limit.budget != Budget::Unlimited
                && requests_min > 0;
            let slowest = Rate { requests: requests_min, window_us };
            bounded.then(|| now.plus(Bucket::empty_after_us(slowest, burst)))
        }
    }
}
