//! What the table holds of one counter: its state, until when it counts, and what the journal has
//! of it, in sixteen bytes.
//!
//! A window is its end and a count, and ends when it ends. A bucket is a moment and a level, and
//! two counts of a sliding window are a moment and two numbers; until when these count stands
//! beside them, rounded up. What has no room in that, logs and slots first of all, lies on the
//! heap. Knows neither limits nor moments of its own.

use std::ops::Deref;

use crate::algorithm::State;
use crate::algorithm::sliding_window::Pair;
use crate::algorithm::token_bucket::Bucket;
use crate::algorithm::window::Count;
use crate::time::Timestamp;

/// What the journal has of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing, and it need not: the window is short.
    Not,
    /// All of it, or what is about to be written.
    Written,
    /// Less than there is: the counter stands in the list of those that changed.
    Changed,
}

#[derive(Clone, Debug)]
pub(super) enum Cell {
    Small(Small),
    Large(Box<Large>),
}

// The table's size is the promise: a key, this, and a byte of the table's own for each counter.
const _: () = assert!(size_of::<Cell>() == 16);

/// A state in fifteen bytes: a moment, how long after it the state counts, what the journal has of
/// it, and an amount.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small {
    form: Form,
    bits: [u8; 15],
}

/// What the bits are. It leaves values of its byte free, so that a pointer to something larger fits
/// beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Window,
    Bucket,
    Pair,
}

#[derive(Clone, Debug)]
pub(super) struct Large {
    state: State,
    expires_at: Timestamp,
    kept: Kept,
}

/// A state as it is looked at: unpacked, or where it lies.
pub(super) enum Seen<'c> {
    Unpacked(State),
    InPlace(&'c State),
}

/// Microseconds since 1970 up to the year 2112; later moments lie on the heap.
const MOMENT_BITS: u32 = 52;
/// Three bits of a number and five of how often it is doubled.
const SPAN_BITS: u32 = 8;
/// What the journal has of it.
const KEPT_BITS: u32 = 2;
/// What is left: a count, or a level of a bucket in hits × microseconds. A million hits in a
/// window of three days have room in it.
const AMOUNT_BITS: u32 = 58;
/// Each of two counts has half of an amount.
const HALF_BITS: u32 = AMOUNT_BITS / 2;

impl Cell {
    /// A bucket and two counts may be said to count up to an eighth longer than `expires_at`, and
    /// for a second at least: by then nothing is left of them, and they answer as a fresh counter
    /// would.
    pub fn new(state: State, expires_at: Timestamp, kept: Kept) -> Cell {
        match Small::pack(&state, expires_at, kept) {
            Some(small) => Cell::Small(small),
            None => Cell::Large(Box::new(Large { state, expires_at, kept })),
        }
    }

    #[inline]
    pub fn expires_at(&self) -> Timestamp {
        match self {
            Cell::Small(small) => small.expires_at(),
            Cell::Large(large) => large.expires_at,
        }
    }

    #[inline]
    pub fn kept(&self) -> Kept {
        match self {
            Cell::Small(small) => small.kept(),
            Cell::Large(large) => large.kept,
        }
    }

    pub fn set_kept(&mut self, kept: Kept) {
        match self {
            Cell::Small(small) => *small = small.with(kept),
            Cell::Large(large) => large.kept = kept,
        }
    }

    #[inline]
    pub fn state(&self) -> Seen<'_> {
        match self {
            Cell::Small(small) => Seen::Unpacked(small.state()),
            Cell::Large(large) => Seen::InPlace(&large.state),
        }
    }

    /// What it takes beside its sixteen bytes.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Cell::Small(_) => 0,
            Cell::Large(large) => size_of::<Large>() + large.state.heap_bytes(),
        }
    }

    pub fn into_state(self) -> State {
        match self {
            Cell::Small(small) => small.state(),
            Cell::Large(large) => large.state,
        }
    }

    /// Puts another state in the place of this one, which `step` is given to make it of, and says
    /// what `step` does beside.
    #[inline]
    pub fn change<T>(&mut self, step: impl FnOnce(&mut State) -> (Timestamp, T), kept: Kept) -> T {
        match self {
            Cell::Small(small) => {
                let mut state = small.state();
                let (expires_at, done) = step(&mut state);
                *self = Cell::new(state, expires_at, kept);
                done
            }
            Cell::Large(large) => {
                let (expires_at, done) = step(&mut large.state);
                (large.expires_at, large.kept) = (expires_at, kept);
                if let Some(small) = Small::pack(&large.state, large.expires_at, kept) {
                    *self = Cell::Small(small);
                }
                done
            }
        }
    }
}

/// Where the parts begin, from the lowest bit on; the moment is the lowest.
const SPAN_AT: u32 = MOMENT_BITS;
const KEPT_AT: u32 = SPAN_AT + SPAN_BITS;
const AMOUNT_AT: u32 = KEPT_AT + KEPT_BITS;

impl Small {
    #[inline]
    fn pack(state: &State, expires_at: Timestamp, kept: Kept) -> Option<Small> {
        let (form, moment, amount) = match state {
            State::Window(count) => (Form::Window, count.end, count.used),
            State::Bucket(bucket) => {
                (Form::Bucket, bucket.at(), u64::try_from(bucket.level()).ok()?)
            }
            State::Pair(pair) => (Form::Pair, pair.end, halves(pair)?),
            State::Log(_) | State::Slots(_) => return None,
        };
        let moment_us = moment.as_micros();
        if moment_us >> MOMENT_BITS != 0 || amount >> AMOUNT_BITS != 0 {
            return None;
        }
        let span = match form {
            // A window counts until it ends.
            Form::Window => 0,
            Form::Bucket | Form::Pair => span(expires_at.since(moment))?,
        };
        let word = u128::from(moment_us)
            | u128::from(span) << SPAN_AT
            | (kept as u128) << KEPT_AT
            | u128::from(amount) << AMOUNT_AT;
        Some(Small::of(form, word))
    }

    #[inline]
    fn of(form: Form, word: u128) -> Small {
        let mut bits = [0; 15];
        bits.copy_from_slice(&word.to_le_bytes()[..15]);
        Small { form, bits }
    }

    #[inline]
    fn word(&self) -> u128 {
        let mut bytes = [0; 16];
        bytes[..15].copy_from_slice(&self.bits);
        u128::from_le_bytes(bytes)
    }

    #[inline]
    fn moment(&self) -> Timestamp {
        Timestamp::from_micros(self.word() as u64 & ((1 << MOMENT_BITS) - 1))
    }

    #[inline]
    fn kept(&self) -> Kept {
        match (self.word() >> KEPT_AT) as u64 & ((1 << KEPT_BITS) - 1) {
            0 => Kept::Not,
            1 => Kept::Written,
            _ => Kept::Changed,
        }
    }

    fn with(&self, kept: Kept) -> Small {
        let others = self.word() & !(((1 << KEPT_BITS) - 1) << KEPT_AT);
        Small::of(self.form, others | (kept as u128) << KEPT_AT)
    }

    #[inline]
    fn state(&self) -> State {
        let (moment, amount) = (self.moment(), (self.word() >> AMOUNT_AT) as u64);
        match self.form {
            Form::Window => State::Window(Count { end: moment, used: amount }),
            Form::Bucket => State::Bucket(Bucket::new(u128::from(amount), moment)),
            Form::Pair => State::Pair(Pair {
                end: moment,
                previous: amount >> HALF_BITS,
                current: amount & ((1 << HALF_BITS) - 1),
            }),
        }
    }

    #[inline]
    fn expires_at(&self) -> Timestamp {
        match self.form {
            Form::Window => self.moment(),
            Form::Bucket | Form::Pair => {
                self.moment().plus(span_us((self.word() >> SPAN_AT) as u8))
            }
        }
    }
}

impl Deref for Seen<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        match self {
            Seen::Unpacked(state) => state,
            Seen::InPlace(state) => state,
        }
    }
}

/// Both counts in one number, if both are below half a thousand million.
fn halves(pair: &Pair) -> Option<u64> {
    let fits = (pair.previous | pair.current) >> HALF_BITS == 0;
    fits.then_some(pair.previous << HALF_BITS | pair.current)
}

/// The shortest span that can be told: a second, or a little more. Sweeping goes round once in a
/// minute, so nothing is gained by telling shorter ones apart.
const SPAN_SHIFT: u32 = 17;
const SPAN_LEAST_US: u64 = 8 << SPAN_SHIFT;

/// The code of a span of at least so many microseconds: eight to fifteen, doubled some times. None
/// if that is longer than a hundred years.
fn span(us: u64) -> Option<u8> {
    if us <= SPAN_LEAST_US {
        return Some(0);
    }
    let doubled = us.ilog2() - SPAN_LEAST_US.ilog2();
    let eighths = us.div_ceil(1 << (doubled + SPAN_SHIFT));
    // Rounding up may have reached sixteen, which is eight doubled once more.
    let (eighths, doubled) = if eighths == 16 { (8, doubled + 1) } else { (eighths, doubled) };
    (doubled < 1 << 5).then_some(((eighths - 8) << 5) as u8 | doubled as u8)
}

fn span_us(code: u8) -> u64 {
    let (eighths, doubled) = (8 + u64::from(code >> 5), u32::from(code & 31));
    eighths << (doubled + SPAN_SHIFT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_US: u64 = 1_773_144_000_000_000;

    fn moments() -> impl Strategy<Value = Timestamp> {
        prop_oneof![NOW_US - 1000..NOW_US + 1000, 0..1u64 << 53, any::<u64>()]
            .prop_map(Timestamp::from_micros)
    }

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![0..10u64, 0..1u64 << 30, (1u64 << 57)..(1 << 59), any::<u64>()]
    }

    fn states() -> impl Strategy<Value = State> {
        prop_oneof![
            (moments(), numbers()).prop_map(|(end, used)| State::Window(Count { end, used })),
            (moments(), numbers())
                .prop_map(|(at, level)| State::Bucket(Bucket::new(u128::from(level), at))),
            (moments(), numbers(), numbers())
                .prop_map(|(end, previous, current)| State::Pair(Pair { end, previous, current })),
        ]
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            state in states(),
            after in prop_oneof![0..10u64, 0..1u64 << 50, any::<u64>()],
            kept in prop_oneof![Just(Kept::Not), Just(Kept::Written), Just(Kept::Changed)],
        ) {
            let moment = match &state {
                State::Window(count) => count.end,
                State::Bucket(bucket) => bucket.at(),
                State::Pair(pair) => pair.end,
                _ => Timestamp::EPOCH,
            };
            let after = if matches!(state, State::Window(_)) { 0 } else { after };
            let expires_at = moment.plus(after);
            let mut cell = Cell::new(state.clone(), expires_at, Kept::Not);
            cell.set_kept(kept);
            prop_assert_eq!(&*cell.state(), &state);
            prop_assert_eq!(cell.kept(), kept);
            prop_assert!(expires_at <= cell.expires_at());
            let longest = after.saturating_add(after / 8).max(SPAN_LEAST_US).saturating_add(1);
            prop_assert!(cell.expires_at() <= moment.plus(longest));
        }

        #[test]
        fn spans_are_rounded_up_by_an_eighth_at_most(us in SPAN_LEAST_US..1 << 51) {
            let told = span_us(span(us).expect("below a hundred years"));
            prop_assert!(us <= told && told <= us + us / 8 + 1);
        }
    }

    #[test]
    fn what_is_too_large_for_sixteen_bytes_comes_back_when_it_is_small_again() {
        let at = Timestamp::from_micros(NOW_US);
        let count = |used| State::Window(Count { end: at, used });
        let mut cell = Cell::new(count(u64::MAX), at, Kept::Written);
        assert!(matches!(cell, Cell::Large(_)));
        let step = |state: &mut State| {
            *state = count(7);
            (at, ())
        };
        cell.change(step, Kept::Written);
        assert!(matches!(cell, Cell::Small(_)));
        assert_eq!(cell.kept(), Kept::Written);
    }
}
