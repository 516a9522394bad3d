//! How use is measured: pure steps from a limit, a state, a moment and a cost to an answer.
//!
//! No clock, no map, no lock, no logging in here. Each algorithm has its own file and promise;
//! this one holds what they share and chooses among them.

pub mod concurrency;
pub mod mend;
pub mod sliding_log;
pub mod sliding_window;
pub mod token_bucket;
pub mod window;

use crate::calendar::Window;
use crate::limit::{Algorithm, Budget, Limit, Terms};
use crate::time::Timestamp;

use self::concurrency::{Slot, Slots};
use self::sliding_log::Log;
use self::sliding_window::Pair;
use self::token_bucket::Bucket;
use self::window::Count;

/// What one counter remembers. Which form it has follows from its limit's algorithm, and the
/// algorithm is part of the counter's key, so only a file that was tampered with can bring a state
/// together with a limit of another kind. Such a state is worth nothing and counts as none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Window(Count),
    Log(Log),
    Bucket(Bucket),
    Pair(Pair),
    Slots(Slots),
}

/// Whether a cost has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Now,
    /// After so many microseconds, if nobody else comes; one microsecond earlier it has none.
    After(u64),
    /// The cost is beyond what the limit can ever hold.
    Never,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub used: u64,
    /// What is left of the capacity; for an unlimited budget the largest number there is.
    pub remaining: u64,
    /// Microseconds until the window ends, or where none does until nothing is used.
    pub reset_us: u64,
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// Whether it had room.
    pub fit: Fit,
    pub admitted: bool,
    /// How the limit stands after it.
    pub after: Reading,
    /// As [`expires_at`] says.
    pub expires_at: Timestamp,
}

impl State {
    /// The bytes that it has on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            State::Log(log) => log.heap_bytes(),
            State::Slots(slots) => slots.heap_bytes(),
            State::Window(_) | State::Bucket(_) | State::Pair(_) => 0,
        }
    }
}

/// The state of a counter that nobody has charged yet.
pub fn fresh(limit: &Limit) -> State {
    match limit.algorithm {
        Algorithm::FixedWindow { .. } | Algorithm::Calendar(_) => State::Window(Count::default()),
        Algorithm::SlidingLog { .. } => State::Log(Log::default()),
        Algorithm::SlidingWindow { .. } => State::Pair(Pair::default()),
        Algorithm::TokenBucket { .. } => State::Bucket(Bucket::default()),
        Algorithm::Concurrency => State::Slots(Slots::default()),
    }
}

/// Whether a limit has room for `cost` at `now`.
pub fn fit(terms: &Terms<'_>, state: &State, now: Timestamp, cost: u64) -> Fit {
    let Budget::Requests(requests) = terms.budget else { return Fit::Now };
    match (&terms.limit.algorithm, state) {
        (Algorithm::FixedWindow { .. } | Algorithm::Calendar(_), State::Window(count)) => {
            count.at(now, || window_end(terms, now)).fit(requests, now, cost)
        }
        (Algorithm::SlidingLog { window_us }, State::Log(log)) => {
            log.fit(*window_us, requests, now, cost)
        }
        (Algorithm::SlidingWindow { window_us }, State::Pair(pair)) => {
            pair.fit(*window_us, requests, now, cost)
        }
        (Algorithm::TokenBucket { window_us, .. }, State::Bucket(bucket)) => {
            bucket.fit(rate(terms, *window_us), terms.burst, now, cost)
        }
        (Algorithm::Concurrency, State::Slots(slots)) => slots.fit(requests, now, cost),
        _ => fit(terms, &fresh(terms.limit), now, cost),
    }
}

/// Whether a limit has room for `cost` at `now` behind others who wait for `ahead`, and who are let
/// go as soon as each of them has room.
///
/// A bucket that drains can be waited for however much stands ahead. Elsewhere what stands ahead
/// and the cost must fit into one window, or there is no telling: that is `Never`. For two counts
/// that estimate a window, the wait is an upper bound.
pub fn fit_behind(terms: &Terms<'_>, state: &State, now: Timestamp, ahead: u64, cost: u64) -> Fit {
    if ahead == 0 {
        return fit(terms, state, now, cost);
    }
    match (&terms.limit.algorithm, terms.budget, state) {
        (_, Budget::Unlimited, _) => Fit::Now,
        (Algorithm::TokenBucket { window_us, .. }, _, State::Bucket(bucket)) => {
            let rate = rate(terms, *window_us);
            bucket.charged(rate, now, ahead).fit(rate, terms.burst, now, cost)
        }
        _ => fit(terms, state, now, ahead.saturating_add(cost)),
    }
}

/// How a limit would stand at `now` if `pending` more were charged.
pub fn read(terms: &Terms<'_>, state: &State, now: Timestamp, pending: u64) -> Reading {
    let (used, reset_us) = match (&terms.limit.algorithm, state) {
        (Algorithm::FixedWindow { .. } | Algorithm::Calendar(_), State::Window(count)) => {
            count.at(now, || window_end(terms, now)).read(now, pending)
        }
        (Algorithm::SlidingLog { window_us }, State::Log(log)) => {
            log.read(*window_us, now, pending)
        }
        (Algorithm::SlidingWindow { window_us }, State::Pair(pair)) => {
            pair.read(*window_us, now, pending)
        }
        (Algorithm::TokenBucket { window_us, .. }, State::Bucket(bucket)) => {
            bucket.read(rate(terms, *window_us), now, pending)
        }
        (Algorithm::Concurrency, State::Slots(slots)) => slots.read(now, pending),
        _ => return read(terms, &fresh(terms.limit), now, pending),
    };
    let remaining = match terms.capacity() {
        Budget::Requests(capacity) => capacity.saturating_sub(used),
        Budget::Unlimited => u64::MAX,
    };
    Reading { used, remaining, reset_us }
}

/// Charges `cost` at `now`, room or no room.
pub fn charge(terms: &Terms<'_>, state: &mut State, now: Timestamp, cost: u64) {
    match (&terms.limit.algorithm, state) {
        (Algorithm::FixedWindow { .. } | Algorithm::Calendar(_), State::Window(count)) => {
            *count = count.at(now, || window_end(terms, now)).plus(cost);
        }
        (Algorithm::SlidingLog { window_us }, State::Log(log)) => {
            log.charge(*window_us, now, cost);
        }
        (Algorithm::SlidingWindow { window_us }, State::Pair(pair)) => {
            *pair = pair.charged(*window_us, now, cost);
        }
        (Algorithm::TokenBucket { window_us, .. }, State::Bucket(bucket)) => {
            *bucket = bucket.charged(rate(terms, *window_us), now, cost);
        }
        (Algorithm::Concurrency, State::Slots(_)) => {
            // Whoever takes a slot says for how long; see `hold`. Without that, it is no hold.
        }
        (_, state) => {
            *state = fresh(terms.limit);
            charge(terms, state, now, cost);
        }
    }
}

/// [`fit`], [`charge`] if there is room or the limit has no vote, [`read`] and [`expires_at`], in
/// one step for windows, which are most of all limits.
#[inline]
pub fn take(terms: &Terms<'_>, state: &mut State, now: Timestamp, cost: u64) -> Charged {
    let votes = terms.on_exceed.votes();
    if let (Algorithm::FixedWindow { .. } | Algorithm::Calendar(_), State::Window(count)) =
        (&terms.limit.algorithm, &mut *state)
    {
        let mut open = count.at(now, || window_end(terms, now));
        let fit = match terms.budget {
            Budget::Requests(requests) => open.fit(requests, now, cost),
            Budget::Unlimited => Fit::Now,
        };
        let admitted = fit == Fit::Now || !votes;
        if admitted {
            open = open.plus(cost);
            *count = open;
        }
        let (used, reset_us) = open.read(now, 0);
        let remaining = match terms.budget {
            Budget::Requests(requests) => requests.saturating_sub(used),
            Budget::Unlimited => u64::MAX,
        };
        let after = Reading { used, remaining, reset_us };
        return Charged { fit, admitted, after, expires_at: open.end };
    }
    let fit = fit(terms, state, now, cost);
    let admitted = fit == Fit::Now || !votes;
    if admitted {
        charge(terms, state, now, cost);
    }
    let after = read(terms, state, now, 0);
    Charged { fit, admitted, after, expires_at: expires_at(terms, state, now) }
}

/// Takes a slot at `now`, room or no room.
pub fn hold(state: &mut State, now: Timestamp, slot: Slot) {
    if let State::Slots(slots) = state {
        slots.take(now, slot);
    }
}

/// From when on the counter holds nothing worth keeping: it then answers as a fresh one would,
/// also to a key that has changed to the plan under which a bucket empties most slowly.
pub fn expires_at(terms: &Terms<'_>, state: &State, now: Timestamp) -> Timestamp {
    let reset_us = match (&terms.limit.algorithm, state) {
        (&Algorithm::TokenBucket { window_us, requests_min, .. }, State::Bucket(bucket)) => {
            let slowest = match terms.budget {
                Budget::Requests(requests) => requests.min(requests_min),
                Budget::Unlimited => requests_min,
            };
            bucket.read(token_bucket::Rate { requests: slowest, window_us }, now, 0).1
        }
        _ => read(terms, state, now, 0).reset_us,
    };
    now.plus(reset_us)
}

/// The window that `now` lies in, of limits whose windows follow one another.
pub fn window(terms: &Terms<'_>, now: Timestamp) -> Option<Window> {
    match &terms.limit.algorithm {
        Algorithm::Calendar(calendar) => Some(terms.calendar.unwrap_or(calendar).window(now)),
        Algorithm::FixedWindow { window_us } => {
            let end = window::fixed_end(*window_us, now);
            let start_us = end.as_micros().saturating_sub(*window_us);
            Some(Window { start: Timestamp::from_micros(start_us), end })
        }
        _ => None,
    }
}

/// The end of the fixed or calendar window that `now` lies in.
fn window_end(terms: &Terms<'_>, now: Timestamp) -> Timestamp {
    match &terms.limit.algorithm {
        Algorithm::Calendar(calendar) => terms.calendar.unwrap_or(calendar).window(now).end,
        Algorithm::FixedWindow { window_us } => window::fixed_end(*window_us, now),
        Algorithm::SlidingLog { .. }
        | Algorithm::SlidingWindow { .. }
        | Algorithm::TokenBucket { .. }
        | Algorithm::Concurrency => now,
    }
}

/// An unlimited bucket drains faster than any clock ticks: it shows what a call uses and then
/// forgets it, as befits a rate that nothing can exceed.
fn rate(terms: &Terms<'_>, window_us: u64) -> token_bucket::Rate {
    let requests = match terms.budget {
        Budget::Requests(requests) => requests,
        Budget::Unlimited => u64::MAX,
    };
    token_bucket::Rate { requests, window_us }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use crate::calendar::{Anchor, Calendar, Period, moment};
    use crate::key::HashKey;
    use crate::limit::{Charge, Durability, OnExceed, Per, Unit};

    use super::*;

    fn limit(unit: Unit, algorithm: Algorithm) -> Limit {
        Limit {
            label: "per-key.rate".into(),
            budget: Budget::Requests(10),
            per: Per { count: 1, unit },
            tag: HashKey::from_bytes([7; 16]).tag(&["rate"]),
            algorithm,
            on_exceed: OnExceed::Deny,
            charge: Charge::Admitted,
            durability: Durability::Ordinary,
            archive: false,
            crowd: HashKey::from_bytes([7; 16]).prefix(&["crowd"]).identity(),
            alert: None,
        }
    }

    #[test]
    fn a_bucket_is_kept_until_the_slowest_plan_has_emptied_it() {
        // Ten hits of a plan with 10 a microsecond were swept after that microsecond. A key that
        // had meanwhile changed to a plan with 1 found its bucket full or empty, depending on
        // whether the sweep had come by.
        let algorithm = Algorithm::TokenBucket { window_us: 1, burst: 10, requests_min: 1 };
        let limit = limit(Unit::Second, algorithm);
        let (mut state, now) = (fresh(&limit), Timestamp::from_secs(1));
        let terms = limit.terms();
        charge(&terms, &mut state, now, 10);
        assert_eq!(read(&terms, &state, now, 0).reset_us, 1);
        assert_eq!(expires_at(&terms, &state, now), now.plus(10));
    }

    #[test]
    fn a_key_with_a_new_anchor_ends_its_month_and_then_moves() {
        let at = |text| moment(text, &TimeZone::UTC).expect("a moment");
        let months = |day| {
            let anchor = Anchor::month_day(day).expect("a day of the month");
            Calendar::new(Period::Month, TimeZone::UTC, anchor)
        };
        let limit = limit(Unit::Month, Algorithm::Calendar(months(1)));
        let (first, last, ides) = (limit.terms(), months(31), months(15));
        let [last, ides] = [&last, &ides].map(|it| Terms { calendar: Some(it), ..limit.terms() });
        let mut state = fresh(&limit);
        // The key's own month is under way since 31 January when its anchor becomes the 15th.
        charge(&last, &mut state, at("2024-02-10T00:00:00Z"), 10);
        let end = at("2024-02-29T00:00:00Z");
        for now in ["2024-02-10T00:00:00Z", "2024-02-15T00:00:00Z", "2024-02-28T23:59:59.999999Z"] {
            let wait_us = end.since(at(now));
            for terms in [&ides, &first, &last] {
                assert_eq!(fit(terms, &state, at(now), 1), Fit::After(wait_us), "{now}");
                assert_eq!(expires_at(terms, &state, at(now)), end, "{now}");
            }
        }
        charge(&ides, &mut state, end, 3);
        let moved =
            Reading { used: 3, remaining: 7, reset_us: at("2024-03-15T00:00:00Z").since(end) };
        assert_eq!(read(&ides, &state, end, 0), moved);
        charge(&ides, &mut state, at("2024-03-15T00:00:00Z"), 1);
        let then = read(&ides, &state, at("2024-03-15T00:00:00Z"), 0);
        assert_eq!((then.used, then.reset_us), (1, 31 * 86_400 * crate::time::SECOND_US));
    }
}
