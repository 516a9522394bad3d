//! Generated limits and calls, dense where promises break: bursts within a microsecond, gaps of a
//! window give or take one, long silences, the edges of the calendar.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use tollgate::query::Hits;

use super::limit::{Limit, Measure, OnExceed, Period, SECOND_US};
use super::{Call, Descriptor};

/// 2026-03-10 at 12:00:00 UTC.
pub const NOON_US: u64 = 1_773_144_000 * SECOND_US;

pub const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Pyongyang",
];

pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone of the bundled database")
}

pub fn fixed() -> impl Strategy<Value = Measure> {
    seconds().prop_map(|seconds| Measure::Fixed { seconds })
}

pub fn log() -> impl Strategy<Value = Measure> {
    seconds().prop_map(|seconds| Measure::Log { seconds })
}

pub fn estimate() -> impl Strategy<Value = Measure> {
    seconds().prop_map(|seconds| Measure::Estimate { seconds })
}

pub fn bucket() -> impl Strategy<Value = Measure> {
    (seconds(), 1..=8u64).prop_map(|(seconds, burst)| Measure::Bucket { seconds, burst })
}

pub fn calendar(zone_name: &'static str) -> impl Strategy<Value = Measure> {
    let anchored = period().prop_flat_map(|period| (Just(period), anchor(period)));
    anchored.prop_map(move |(period, anchor)| {
        let zone = zone(zone_name);
        Measure::Calendar { period, zone, anchor }
    })
}

/// A day on which windows begin, of the month or counted from Monday as 1, mostly a late one.
fn anchor(period: Period) -> BoxedStrategy<Option<i8>> {
    match period {
        Period::Month => {
            let day = prop_oneof![2 => 28..=31i8, 1 => 1..=31i8];
            proptest::option::weighted(0.7, day).boxed()
        }
        Period::Week => proptest::option::of(1..=7i8).boxed(),
        Period::Hour | Period::Day | Period::Year => Just(None).boxed(),
    }
}

/// Any measure; calendars in UTC.
pub fn measure() -> impl Strategy<Value = Measure> {
    prop_oneof![fixed(), log(), estimate(), bucket(), calendar("UTC")]
}

pub fn period() -> impl Strategy<Value = Period> {
    select(vec![Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year])
}

/// A limit that refuses, and of which only what is admitted is charged.
pub fn plain(measure: impl Strategy<Value = Measure>) -> impl Strategy<Value = Limit> {
    (measure, 0..=6u64).prop_map(|(measure, budget)| Limit::plain(least(budget, &measure), measure))
}

/// Any kind of limit.
pub fn any_limit(name: &'static str) -> impl Strategy<Value = Limit> {
    let on_exceed = select(vec![OnExceed::Deny, OnExceed::Allow, OnExceed::Shadow]);
    let budget = prop_oneof![9 => (0..=6u64).prop_map(Some), 1 => Just(None)];
    let parts = (measure(), budget, on_exceed, any::<bool>());
    parts.prop_map(move |(measure, budget, on_exceed, charged_always)| {
        let budget = budget.map(|budget| least(budget, &measure));
        Limit { name, budget, measure, on_exceed, charged_always }
    })
}

/// A bucket must give something back.
pub fn least(budget: u64, measure: &Measure) -> u64 {
    budget.max(u64::from(matches!(measure, Measure::Bucket { .. })))
}

fn seconds() -> impl Strategy<Value = u64> {
    select(vec![1, 2, 3, 7, 60, 90, 3600])
}

/// Moments that never go back, from somewhere after noon: in fits and starts, or in a stream
/// that is dense beside the window.
pub fn moments(windows_us: Vec<u64>, calls: usize) -> impl Strategy<Value = Vec<u64>> {
    let window_us = select(windows_us);
    let fits_and_starts = vec(window_us.clone().prop_flat_map(gap_us), 1..calls);
    let stream = window_us.prop_flat_map(move |window_us| vec(1..=window_us / 8, 1..calls));
    let gaps = prop_oneof![3 => fits_and_starts, 1 => stream];
    (0..3600 * SECOND_US, gaps).prop_map(|(start, gaps)| {
        let mut at = NOON_US + start;
        let next = |gap: u64| {
            at += gap;
            at
        };
        gaps.into_iter().map(next).collect()
    })
}

fn gap_us(window_us: u64) -> impl Strategy<Value = u64> {
    // Whole parts of a window, for a bucket gives a hit back after such a part.
    let near_part = (1..=12u64, 0..=2u64).prop_map(move |(of, off)| window_us / of + off - 1);
    prop_oneof![
        6 => Just(0),
        2 => 1..=3u64,
        4 => window_us - 1..=window_us + 1,
        3 => near_part,
        3 => 0..=window_us / 8,
        2 => 0..=2 * window_us,
        1 => 3 * window_us..=10 * window_us,
    ]
}

pub fn hits() -> impl Strategy<Value = Hits> + Clone {
    let count = prop_oneof![12 => Just(1), 6 => 2..=4u64, 1 => Just(0), 2 => 5..=12u64];
    count.prop_map(Hits::Take)
}

/// Calls of one key, one descriptor each.
pub fn calls_of_one_key(limit: &Limit) -> impl Strategy<Value = Vec<Call>> + use<> {
    moments(vec![limit.measure.window_us()], 50)
        .prop_flat_map(|moments| {
            let hits = vec(hits(), moments.len());
            (Just(moments), hits)
        })
        .prop_map(|(moments, hits)| {
            let call = |(at, hits)| Call::new(at, vec![Descriptor::new(&[("key", "a")], hits)]);
            moments.into_iter().zip(hits).map(call).collect()
        })
}

/// Calls with descriptors as given.
pub fn calls(
    windows_us: Vec<u64>,
    descriptors: impl Strategy<Value = Vec<Descriptor>> + Clone + 'static,
    count: usize,
) -> impl Strategy<Value = Vec<Call>> {
    moments(windows_us, count)
        .prop_flat_map(move |moments| {
            let descriptors = vec(descriptors.clone(), moments.len());
            (Just(moments), descriptors)
        })
        .prop_map(|(moments, descriptors)| {
            let call = |(at, descriptors)| Call::new(at, descriptors);
            moments.into_iter().zip(descriptors).map(call).collect()
        })
}

/// Moments near the places where windows of the calendar meet, and a few anywhere; mostly in
/// order, but a clock may also leap about.
pub fn calendar_moments(zone_name: &str) -> impl Strategy<Value = Vec<u64>> + use<> {
    let off_us = prop_oneof![
        6 => -2..=2i64,
        3 => select(vec![-60, -30, 30, 60]).prop_map(|minutes| minutes * 60_000_000),
        3 => -7_200_000_000..=7_200_000_000i64,
        2 => -172_800_000_000..=172_800_000_000i64,
    ];
    let near_edge = vec(off_us, 1..12);
    let near_edge = (select(edges(zone_name)), near_edge).prop_map(|(edge, offs)| {
        offs.into_iter().map(|off| edge.checked_add_signed(off).expect("long after 1970")).collect()
    });
    // From 1971 to 2120.
    let anywhere = vec(31_536_000_000_000..4_733_510_400_000_000u64, 0..4);
    let in_order = prop::bool::weighted(0.8);
    (vec(near_edge, 1..4), anywhere, in_order).prop_map(|(near, anywhere, in_order)| {
        let near: Vec<Vec<u64>> = near;
        let mut moments: Vec<u64> = near.into_iter().flatten().chain(anywhere).collect();
        if in_order {
            moments.sort_unstable();
        }
        moments
    })
}

fn edges(zone_name: &str) -> Vec<u64> {
    let days = [
        date(2018, 2, 18), // São Paulo shows the hour before this midnight twice.
        date(2018, 11, 4), // São Paulo skips this midnight.
        date(2020, 2, 29),
        date(2023, 1, 31),
        date(2023, 2, 28),
        date(2023, 3, 1),
        date(2024, 1, 1),
        date(2024, 2, 29),
        date(2024, 3, 1),
        date(2024, 3, 30),
        date(2024, 4, 30),
        date(2024, 12, 30), // A Monday: the first week of 2025 begins in 2024.
        date(2025, 1, 1),
        date(2026, 5, 1),
        date(2026, 7, 31),
        date(2027, 1, 1),
    ];
    let midnight = |day: &Date| day.to_zoned(zone(zone_name)).expect("a day of this age");
    let midnights = days.iter().map(midnight).map(|zoned: Zoned| zoned.timestamp());
    let changes = CHANGES.iter().filter(|(zone, _)| *zone == zone_name);
    let changes = changes.map(|(_, text)| text.parse().expect("a moment"));
    // A zone has few changes beside so many days: each counts for several.
    let changes = changes.flat_map(|change| [change; 5]);
    let us = |edge: Timestamp| u64::try_from(edge.as_microsecond()).expect("after 1970");
    midnights.chain(changes).map(us).collect()
}

/// Where clocks went forward or back.
const CHANGES: [(&str, &str); 9] = [
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    // By half an hour.
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    // At midnight.
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    // In the middle of an hour.
    ("Asia/Pyongyang", "2018-05-04T15:00:00Z"),
];
