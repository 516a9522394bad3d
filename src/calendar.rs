//! Calendar windows: the hours, days, weeks, months and years of a time zone as spans of time.
//!
//! Knows civil time and nothing of limits. Windows of one kind never overlap and leave no gap,
//! whatever the zone's offset does: that is what makes "at most N per day" a promise.

mod anchor;
mod own;

pub use self::anchor::Anchor;

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp as Instant;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::time::{SECOND_US, Timestamp};

use self::own::Own;

const HOUR_S: i64 = 3600;

/// The part of the calendar that one window covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    Hour,
    Day,
    /// Monday to Sunday, as in ISO 8601, unless anchored to another day.
    Week,
    Month,
    Year,
}

/// A half-open span of time: `start` belongs to it, `end` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Window {
    fn contains(self, moment: Timestamp) -> bool {
        self.start <= moment && moment < self.end
    }
}

/// One kind of calendar window in one time zone.
#[derive(Debug)]
pub struct Calendar {
    period: Period,
    zone: TimeZone,
    anchor: Anchor,
    /// The window found last, as start and length in seconds. All counters of a limit are in the
    /// same window at the same time, so civil arithmetic is done once per window, not per call.
    latest: AtomicU64,
    /// Those of keys that have another zone or day.
    own: Own,
}

impl Calendar {
    /// An anchor that such a period has no use for is the usual one.
    pub fn new(period: Period, zone: TimeZone, anchor: Anchor) -> Calendar {
        Calendar {
            period,
            zone,
            anchor: anchor.of(period),
            latest: AtomicU64::new(0),
            own: Own::default(),
        }
    }

    /// The date of a moment, as clocks of this calendar's zone show it.
    pub fn date(&self, moment: Timestamp) -> String {
        to_instant(moment).to_zoned(self.zone.clone()).date().to_string()
    }

    pub fn period(&self) -> Period {
        self.period
    }

    /// The day on which windows begin, as far as it is not the usual one.
    pub fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// The zone's IANA name, such as `Europe/Berlin`.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The window that holds `now`.
    pub fn window(&self, now: Timestamp) -> Window {
        // One word holds the whole window, so a reader never sees half of one; relaxed ordering
        // is enough because nothing else is published with it.
        let cached = unpack(self.latest.load(Ordering::Relaxed));
        if cached.contains(now) {
            return cached;
        }
        let found = self.find(now);
        self.latest.store(pack(found), Ordering::Relaxed);
        found
    }

    fn find(&self, now: Timestamp) -> Window {
        let instant = to_instant(now);
        match self.period {
            Period::Hour => self.hour(instant),
            _ => self.civil(instant),
        }
    }

    /// The civil hour around `now`. Where the offset changes within an hour, the change cuts
    /// that hour in two, so that an hour which the clock shows twice is counted twice.
    fn hour(&self, now: Instant) -> Window {
        let offset = i64::from(self.zone.to_offset(now).seconds());
        let into_hour = (now.as_second() + offset).rem_euclid(HOUR_S);
        let mut start = now.as_second() - into_hour;
        let mut end = start + HOUR_S;
        let next_tick = now.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(now);
        if let Some(change) = self.zone.preceding(next_tick).next() {
            start = start.max(change.timestamp().as_second());
        }
        if let Some(change) = self.zone.following(now).next() {
            end = end.min(change.timestamp().as_second());
        }
        Window { start: from_seconds(start), end: from_seconds(end) }
    }

    /// The window between the starts of two civil days. Decided by instants, not by the date
    /// that clocks show: near midnight an offset change can show yesterday's date again.
    fn civil(&self, now: Instant) -> Window {
        let mut first = self.first_day(now.to_zoned(self.zone.clone()).date());
        while now < self.midnight(first) {
            first = self.first_day(first.yesterday().unwrap_or(Date::MIN));
        }
        loop {
            let next = self.next(first);
            let end = self.midnight(next);
            // At the end of all dates the next one is no later.
            if now < end || next <= first {
                let start = self.midnight(first);
                let (start, end) = (start.as_second(), end.as_second());
                return Window { start: from_seconds(start), end: from_seconds(end) };
            }
            first = next;
        }
    }

    /// The first day of the period that `date` lies in.
    fn first_day(&self, date: Date) -> Date {
        match self.period {
            Period::Hour | Period::Day => date,
            Period::Week => self.anchor.week_of(date),
            Period::Month => self.anchor.month_of(date),
            Period::Year => date.first_of_year(),
        }
    }

    fn next(&self, first: Date) -> Date {
        let length = match self.period {
            Period::Hour | Period::Day => jiff::Span::new().days(1),
            Period::Week => jiff::Span::new().weeks(1),
            Period::Month => return self.anchor.month_after(first),
            Period::Year => jiff::Span::new().years(1),
        };
        first.saturating_add(length)
    }

    /// The first instant of a civil day: midnight, or where midnight was skipped, what followed.
    fn midnight(&self, date: Date) -> Instant {
        let noon = date.at(12, 0, 0, 0).to_zoned(self.zone.clone());
        noon.and_then(|noon| noon.start_of_day()).map_or(Instant::MAX, |start| start.timestamp())
    }
}

/// A moment as people and programs write it: RFC 3339, in UTC.
pub fn rfc3339(moment: Timestamp) -> String {
    to_instant(moment).to_string()
}

/// The date of a moment in UTC.
pub fn utc_date(moment: Timestamp) -> String {
    to_instant(moment).to_zoned(TimeZone::UTC).date().to_string()
}

/// A moment as people write it: RFC 3339; or a date, or a date and time, as clocks in `zone` show
/// it. Moments ahead of 1970 are taken for its beginning.
pub fn moment(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let instant = match text.parse::<Instant>() {
        Ok(instant) => instant,
        Err(_) => text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp(),
    };
    Some(Timestamp::from_micros(u64::try_from(instant.as_microsecond()).unwrap_or(0)))
}

fn to_instant(moment: Timestamp) -> Instant {
    let us = i64::try_from(moment.as_micros()).unwrap_or(i64::MAX);
    Instant::from_microsecond(us).unwrap_or(Instant::MAX)
}

/// Windows that began before 1970 are cut there: no clock of ours shows an earlier time.
fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Start and length in whole seconds, 32 bits each: starts reach to the year 2106, lengths to
/// 136 years. A window that does not fit is not kept, which costs time and nothing else.
fn pack(window: Window) -> u64 {
    let start = u32::try_from(window.start.as_micros() / SECOND_US);
    let length = u32::try_from(window.end.since(window.start) / SECOND_US);
    match (start, length) {
        (Ok(start), Ok(length)) => u64::from(start) << 32 | u64::from(length),
        _ => 0,
    }
}

fn unpack(word: u64) -> Window {
    let start = Timestamp::from_secs(word >> 32);
    Window { start, end: start.plus((word & u64::from(u32::MAX)) * SECOND_US) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let instant: Instant = text.parse().expect("a test's own timestamp");
        Timestamp::from_micros(u64::try_from(instant.as_microsecond()).expect("after 1970"))
    }

    fn check(period: Period, zone: &str, now: &str, start: &str, end: &str) {
        let zone = TimeZone::get(zone).expect("a zone of the bundled database");
        let window = Calendar::new(period, zone, Anchor::USUAL).window(at(now));
        assert_eq!(window, Window { start: at(start), end: at(end) }, "{period:?} at {now}");
    }

    /// Fails unless the months that begin on this day of these meet at these moments.
    fn check_months(day: u8, zone: &str, edges: &[&str]) {
        let zone = TimeZone::get(zone).expect("a zone of the bundled database");
        let anchor = Anchor::month_day(day).expect("a day of the month");
        let calendar = Calendar::new(Period::Month, zone, anchor);
        for pair in edges.windows(2) {
            let window = Window { start: at(pair[0]), end: at(pair[1]) };
            let last = Timestamp::from_micros(window.end.as_micros() - 1);
            for now in [window.start, last] {
                assert_eq!(calendar.window(now), window, "from day {day}, at {}", rfc3339(now));
            }
        }
    }

    #[test]
    fn the_last_day_of_the_month_is_where_each_month_has_it() {
        let leap = [
            "2024-01-31T00:00:00Z",
            "2024-02-29T00:00:00Z",
            "2024-03-31T00:00:00Z",
            "2024-04-30T00:00:00Z",
        ];
        check_months(31, "UTC", &leap);
        let common = ["2023-01-31T00:00:00Z", "2023-02-28T00:00:00Z", "2023-03-31T00:00:00Z"];
        check_months(31, "UTC", &common);
        let turn = ["2023-11-30T00:00:00Z", "2023-12-31T00:00:00Z", "2024-01-31T00:00:00Z"];
        check_months(31, "UTC", &turn);
    }

    #[test]
    fn day_30_moves_in_february_alone() {
        let edges = [
            "2024-01-30T00:00:00Z",
            "2024-02-29T00:00:00Z",
            "2024-03-30T00:00:00Z",
            "2024-04-30T00:00:00Z",
            "2024-05-30T00:00:00Z",
        ];
        check_months(30, "UTC", &edges);
    }

    #[test]
    fn anchored_months_follow_their_zone() {
        // Berlin's clocks go forward on 29 March 2026 at 02:00 and back on 25 October.
        let spring = ["2026-02-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-04-28T22:00:00Z"];
        check_months(29, "Europe/Berlin", &spring);
        let autumn = ["2026-09-24T22:00:00Z", "2026-10-24T22:00:00Z", "2026-11-24T23:00:00Z"];
        check_months(25, "Europe/Berlin", &autumn);
        // São Paulo skipped the midnight with which 4 November 2018 should have begun.
        let skipped = ["2018-10-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-12-04T02:00:00Z"];
        check_months(4, "America/Sao_Paulo", &skipped);
    }

    #[test]
    fn weeks_may_begin_on_sunday() {
        let sunday = Anchor::weekday("sunday").expect("a day of the week");
        let calendar = Calendar::new(Period::Week, TimeZone::UTC, sunday);
        let week = Window { start: at("2026-11-15T00:00:00Z"), end: at("2026-11-22T00:00:00Z") };
        for now in ["2026-11-15T00:00:00Z", "2026-11-18T12:00:00Z", "2026-11-21T23:59:59Z"] {
            assert_eq!(calendar.window(at(now)), week);
        }
    }

    #[test]
    fn the_end_of_all_dates_is_no_endless_search() {
        let last = Anchor::month_day(31).expect("a day of the month");
        for anchor in [Anchor::USUAL, last] {
            let calendar = Calendar::new(Period::Month, TimeZone::UTC, anchor);
            assert!(calendar.window(Timestamp::from_micros(u64::MAX)).start > at(WAY_AHEAD));
        }
    }

    const WAY_AHEAD: &str = "9000-01-01T00:00:00Z";

    #[test]
    fn months_have_their_own_lengths() {
        let (jan, feb) = ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z");
        check(Period::Month, "UTC", "2024-01-31T23:59:59.999999Z", jan, feb);
        check(Period::Month, "UTC", feb, feb, "2024-03-01T00:00:00Z");
        let (feb, march) = ("2023-02-01T00:00:00Z", "2023-03-01T00:00:00Z");
        check(Period::Month, "UTC", "2023-02-28T23:59:59Z", feb, march);
    }

    #[test]
    fn a_leap_day_belongs_to_its_month_and_is_a_day() {
        let (leap, march) = ("2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z");
        check(Period::Day, "UTC", "2024-02-29T12:00:00Z", leap, march);
        check(Period::Month, "UTC", leap, "2024-02-01T00:00:00Z", march);
    }

    #[test]
    fn a_moment_is_read_with_its_own_offset_or_in_a_zone() {
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone of the bundled database");
        let read = |text| moment(text, &berlin);
        assert_eq!(read("2026-04-01"), Some(at("2026-03-31T22:00:00Z")));
        assert_eq!(read("2026-12-01T08:30"), Some(at("2026-12-01T07:30:00Z")));
        assert_eq!(read("2026-04-01T00:00:00Z"), Some(at("2026-04-01T00:00:00Z")));
        assert_eq!(read("2026-04-01T00:00:00+05:30"), Some(at("2026-03-31T18:30:00Z")));
        assert_eq!(read("1969-01-01"), Some(Timestamp::EPOCH));
        assert_eq!([read("soon"), read("2026-02-30"), read("")], [None; 3]);
    }

    #[test]
    fn weeks_begin_on_monday() {
        let (monday, next) = ("2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
        check(Period::Week, "UTC", "2026-11-22T23:59:59Z", monday, next);
    }

    #[test]
    fn a_year_begins_in_its_own_zone() {
        let (start, end) = ("2025-12-31T15:00:00Z", "2026-12-31T15:00:00Z");
        check(Period::Year, "Asia/Tokyo", "2026-01-01T00:00:00Z", start, end);
    }

    #[test]
    fn days_of_a_changing_offset_are_23_and_25_hours_long() {
        let zone = "Europe/Berlin";
        let (start, end) = ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        check(Period::Day, zone, "2026-03-29T12:00:00Z", start, end);
        let (start, end) = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        check(Period::Day, zone, "2026-10-25T12:00:00Z", start, end);
    }

    #[test]
    fn an_hour_shown_twice_is_two_windows() {
        let zone = "Europe/Berlin";
        let (first, second, third) =
            ("2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z");
        check(Period::Hour, zone, "2026-10-25T00:30:00Z", first, second);
        check(Period::Hour, zone, "2026-10-25T01:30:00Z", second, third);
    }

    #[test]
    fn half_an_hour_of_change_cuts_the_hour() {
        // Lord Howe Island goes back by half an hour at 02:00: 01:30 to 02:00 comes twice.
        let zone = "Australia/Lord_Howe";
        let (start, change, end) =
            ("2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z");
        check(Period::Hour, zone, "2026-04-04T14:40:00Z", start, change);
        check(Period::Hour, zone, change, change, end);
    }

    #[test]
    fn a_midnight_that_was_skipped_starts_the_day_late() {
        let zone = "America/Sao_Paulo";
        let (start, end) = ("2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
        check(Period::Day, zone, "2018-11-04T03:00:00Z", start, end);
    }

    #[test]
    fn a_date_shown_again_after_midnight_still_is_the_new_day() {
        // St. John's went back at 00:01, so 7 November 2010 began, was left, and began again.
        let zone = "America/St_Johns";
        let (start, end) = ("2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
        check(Period::Day, zone, "2010-11-07T02:45:00Z", start, end);
    }
}
