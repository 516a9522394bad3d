//! Limits told from the whole history of a counter, as the design describes them.
//!
//! Nothing is kept but hits with their moments. Use is summed anew each time, windows are told
//! apart by their labels in civil time, and waits are found by trying moments.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub const SECOND_US: u64 = 1_000_000;

/// No limit of any test still holds a call back after this long: some eleven hundred years.
const FAR_US: u64 = 1 << 55;

#[derive(Clone, Debug)]
pub struct Limit {
    pub name: &'static str,
    /// None is unlimited.
    pub budget: Option<u64>,
    pub measure: Measure,
    pub on_exceed: OnExceed,
    pub charged_always: bool,
}

#[derive(Clone, Debug)]
pub enum Measure {
    Fixed {
        seconds: u64,
    },
    Calendar {
        period: Period,
        zone: TimeZone,
        anchor: Option<i8>,
    },
    Log {
        seconds: u64,
    },
    Estimate {
        seconds: u64,
    },
    Bucket {
        seconds: u64,
        burst: u64,
    },
    /// Calls that go on at once.
    Slots,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExceed {
    Deny,
    Allow,
    Shadow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// Hits that a counter was charged with.
#[derive(Clone, Debug)]
pub struct Charged {
    pub at: u64,
    pub amount: u64,
    /// The budget of whoever charged them, which another plan may have set.
    pub budget: Option<u64>,
    /// The window that they fell into, by name.
    pub window: String,
    /// What a bucket was given back at that moment, in parts.
    pub back: u128,
    /// By whom and until when slots are held.
    pub held: Held,
}

/// By which call, if it said which it is, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub by: Option<String>,
    pub until: u64,
}

/// Where in a counter's time something was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub at: u64,
    pub window: String,
    /// When nothing would be used any more, had nobody come since.
    pub empty_at: u64,
    pub held: Held,
}

impl Limit {
    /// A limit of the usual kind: it refuses, and only what is admitted is charged.
    pub fn plain(budget: u64, measure: Measure) -> Limit {
        let budget = Some(budget);
        Limit { name: "x", budget, measure, on_exceed: OnExceed::Deny, charged_always: false }
    }

    pub fn capacity(&self) -> Option<u64> {
        match self.measure {
            Measure::Bucket { burst, .. } => self.budget.map(|_| burst),
            _ => self.budget,
        }
    }

    pub fn charge(&self, history: &mut Vec<Charged>, at: u64, amount: u64, held: &Held) {
        let at = self.measure.moment(history, at);
        let window = self.measure.window(at);
        let (budget, held) = (self.budget, held.clone());
        history.push(Charged { at, amount, budget, window, back: 0, held });
    }

    /// Takes so many of the newest hits away that still count.
    pub fn give_back(&self, history: &mut Vec<Charged>, at: u64, amount: u64) {
        let now = self.measure.moment(history, at);
        let window_us = self.measure.window_us();
        let window = self.measure.window(now);
        match self.measure {
            Measure::Bucket { .. } => {
                self.empty(history, now, u128::from(amount) * self.measure.parts())
            }
            Measure::Slots => {
                // Those that would be held the longest.
                history.sort_by_key(|hit| hit.held.until);
                take_away(history, amount, |hit| at < hit.held.until);
            }
            Measure::Log { .. } => take_away(history, amount, |hit| now < hit.at + window_us),
            Measure::Estimate { .. } => {
                take_away(history, amount, |hit| now / window_us <= hit.at / window_us + 1);
            }
            _ => take_away(history, amount, |hit| hit.window == window),
        }
    }

    /// Takes away so many hits that were taken there, if they still count.
    pub fn put_back(&self, history: &mut Vec<Charged>, at: u64, amount: u64, taken: &Taken) {
        let now = self.measure.moment(history, at);
        let window_us = self.measure.window_us();
        match self.measure {
            Measure::Bucket { .. } => {
                let drains = u128::from(taken.empty_at.saturating_sub(now));
                let left = drains * u128::from(self.budget.unwrap_or(u64::MAX));
                let back = (u128::from(amount) * self.measure.parts()).min(left);
                self.empty(history, now, back);
            }
            Measure::Slots => history.retain(|hit| hit.held != taken.held),
            Measure::Log { .. } => take_away(history, amount, |hit| hit.at == taken.at),
            Measure::Estimate { .. } => {
                take_away(history, amount, |hit| hit.at / window_us == taken.at / window_us);
            }
            // Of a window that has closed it is all the same.
            _ => take_away(history, amount, |hit| hit.window == taken.window),
        }
    }

    fn empty(&self, history: &mut Vec<Charged>, at: u64, back: u128) {
        let (budget, held) = (self.budget, Held::default());
        history.push(Charged { at, amount: 0, budget, window: String::new(), back, held });
    }

    /// Whether `cost` more would keep the promise.
    pub fn fits(&self, history: &[Charged], at: u64, cost: u128) -> bool {
        let Some(capacity) = self.capacity() else { return true };
        let parts = self.measure.parts();
        let room = u128::from(capacity) * parts;
        cost <= u128::from(capacity) && self.used_parts(history, at) + cost * parts <= room
    }

    /// Microseconds until `cost` fits if nobody else comes; none if it never will.
    pub fn wait_us(&self, history: &[Charged], at: u64, cost: u128) -> Option<u64> {
        first_moment(at, |moment| self.fits(history, moment, cost)).map(|moment| moment - at)
    }

    pub fn remaining(&self, history: &[Charged], at: u64) -> u64 {
        let used = self.used_parts(history, at).div_ceil(self.measure.parts());
        let Some(capacity) = self.capacity() else { return u64::MAX };
        u64::try_from(u128::from(capacity).saturating_sub(used)).expect("no more than a capacity")
    }

    /// Microseconds until the window ends, or otherwise until nothing is used.
    pub fn reset_us(&self, history: &[Charged], at: u64) -> Option<u64> {
        let now = self.measure.window(self.measure.moment(history, at));
        let over = |moment| match self.measure {
            Measure::Fixed { .. } | Measure::Calendar { .. } => {
                self.measure.window(self.measure.moment(history, moment)) != now
            }
            _ => self.used_parts(history, moment) == 0,
        };
        first_moment(at, over).map(|moment| moment - at)
    }

    fn used_parts(&self, history: &[Charged], at: u64) -> u128 {
        let now = self.measure.moment(history, at);
        let sum = |counts: &dyn Fn(&Charged) -> bool| -> u128 {
            history.iter().filter(|hit| counts(hit)).map(|hit| u128::from(hit.amount)).sum()
        };
        match self.measure {
            Measure::Fixed { .. } | Measure::Calendar { .. } => {
                let window = self.measure.window(now);
                sum(&|hit| hit.window == window)
            }
            Measure::Log { seconds } => sum(&|hit| now < hit.at + seconds * SECOND_US),
            Measure::Estimate { seconds } => {
                let window_us = seconds * SECOND_US;
                let number = now / window_us;
                let in_window = |number| sum(&|hit| hit.at / window_us == number);
                let end = (number + 1) * window_us;
                // A clock that was set back cannot cover more than the whole window before.
                let covered_us = u128::from((end - at).min(window_us));
                let before = number.checked_sub(1).map_or(0, in_window);
                in_window(number) * u128::from(window_us) + before * covered_us
            }
            Measure::Bucket { seconds, .. } => self.overhang(history, seconds, now),
            Measure::Slots => sum(&|hit| at < hit.held.until),
        }
    }

    /// The promise of a bucket read backwards: over all spans that end now, the most that came
    /// in beyond what the span, and people in it, gave back.
    fn overhang(&self, history: &[Charged], seconds: u64, now: u64) -> u128 {
        let over_span = |first: usize| {
            let came: u128 = history[first..].iter().map(|hit| u128::from(hit.amount)).sum();
            let by_people: u128 = history[first..].iter().map(|hit| hit.back).sum();
            let given_back = by_people + self.given_back(&history[first..], now);
            (came * u128::from(seconds * SECOND_US)).saturating_sub(given_back)
        };
        (0..history.len()).map(over_span).max().unwrap_or(0)
    }

    /// What a bucket gave back since the first of these hits, in parts. The time between two hits
    /// counts at the later one's budget, since the plan may have changed in between.
    fn given_back(&self, hits: &[Charged], now: u64) -> u128 {
        let at_rate = |span_us: u64, budget: Option<u64>| {
            u128::from(span_us) * u128::from(budget.unwrap_or(u64::MAX))
        };
        let between = hits.windows(2).map(|pair| at_rate(pair[1].at - pair[0].at, pair[1].budget));
        let since_last = hits.last().map_or(0, |last| at_rate(now - last.at, self.budget));
        between.sum::<u128>() + since_last
    }
}

impl Measure {
    pub fn is_slots(&self) -> bool {
        matches!(self, Measure::Slots)
    }

    /// The length for which gaps are worth choosing; about right for the calendar.
    pub fn window_us(&self) -> u64 {
        let seconds = match self {
            Measure::Fixed { seconds }
            | Measure::Log { seconds }
            | Measure::Estimate { seconds }
            | Measure::Bucket { seconds, .. } => *seconds,
            // Holds of the tests last about as long.
            Measure::Slots => 60,
            Measure::Calendar { period: Period::Hour, .. } => 3600,
            Measure::Calendar { period: Period::Day, .. } => 86_400,
            Measure::Calendar { period: Period::Week, .. } => 7 * 86_400,
            Measure::Calendar { period: Period::Month, .. } => 30 * 86_400,
            Measure::Calendar { period: Period::Year, .. } => 365 * 86_400,
        };
        seconds * SECOND_US
    }

    /// Parts of a hit: a bucket gives back less than a whole one in a microsecond, and a window
    /// that is covered in part counts for less than its hits.
    fn parts(&self) -> u128 {
        match self {
            Measure::Estimate { seconds } | Measure::Bucket { seconds, .. } => {
                u128::from(seconds * SECOND_US)
            }
            _ => 1,
        }
    }

    /// What is charged stays charged when the clock is set back: a counter lives by the latest
    /// moment that it was charged at.
    fn moment(&self, history: &[Charged], at: u64) -> u64 {
        history.last().map_or(at, |last| last.at.max(at))
    }

    /// The name of the window at a moment. Two moments share a window if and only if they share
    /// its name; what has no windows has no names.
    pub fn window(&self, at: u64) -> String {
        match self {
            Measure::Fixed { seconds } => (at / (seconds * SECOND_US)).to_string(),
            Measure::Calendar { period, zone, anchor } => {
                let us = i64::try_from(at).expect("a moment of this age");
                let moment = Timestamp::from_microsecond(us).expect("a moment of this age");
                let zoned = moment.to_zoned(zone.clone());
                match anchor {
                    Some(day) => first_day(*period, *day, zoned.date()).to_string(),
                    None => zoned.strftime(period.format()).to_string(),
                }
            }
            _ => String::new(),
        }
    }
}

impl Period {
    /// How a window of this kind is written. An hour that clocks show twice is two windows, told
    /// apart by the offset.
    fn format(self) -> &'static str {
        match self {
            Period::Hour => "%Y-%m-%d %H %::z",
            Period::Day => "%Y-%m-%d",
            Period::Week => "%G-W%V",
            Period::Month => "%Y-%m",
            Period::Year => "%Y",
        }
    }
}

/// The day on which the month or week of a date began, found by going back day by day. Weeks begin
/// on the day of so many from Monday as 1 on, months on the day of the month, or on their last.
fn first_day(period: Period, day: i8, mut date: Date) -> Date {
    let begins = |date: Date| match period {
        Period::Week => date.weekday().to_monday_one_offset() == day,
        _ => date.day() == day || date == date.last_of_month() && date.day() < day,
    };
    while !begins(date) {
        date = date.yesterday().expect("a date of this age");
    }
    date
}

/// Takes so many hits away of those, the newest first.
fn take_away(history: &mut [Charged], mut amount: u64, of: impl Fn(&Charged) -> bool) {
    for hit in history.iter_mut().rev().filter(|hit| of(hit)) {
        let away = hit.amount.min(amount);
        hit.amount -= away;
        amount -= away;
    }
}

/// The first moment from `from` on at which something holds that then holds for ever.
fn first_moment(from: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if holds(from) {
        return Some(from);
    }
    let mut step = 1;
    while !holds(from + step) {
        step *= 2;
        if FAR_US < step {
            return None;
        }
    }
    let (mut before, mut after) = (from + step / 2, from + step);
    while 1 < after - before {
        let middle = before + (after - before) / 2;
        if holds(middle) { after = middle } else { before = middle }
    }
    Some(after)
}
