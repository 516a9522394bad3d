//! The day on which months and weeks begin.
//!
//! Knows civil dates and no time zone: which instant a day begins at is for the calendar.

use std::fmt;

use jiff::civil::{Date, Weekday};

use super::Period;

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The day on which the windows of a calendar begin, where their period leaves a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Anchor(Day);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Day {
    /// As the calendar on the wall has it.
    Usual,
    /// 1 to 31.
    OfMonth(i8),
    OfWeek(Weekday),
}

impl Anchor {
    /// Months begin on the 1st, weeks on Monday, years on 1 January.
    pub const USUAL: Anchor = Anchor(Day::Usual);

    /// This day of each month, 1 to 31, or the last day of a month that is shorter. So 31 is the
    /// last day of every month. Days that no month has are none.
    pub fn month_day(day: u8) -> Option<Anchor> {
        let day = i8::try_from(day).ok().filter(|day| (1..=31).contains(day))?;
        Some(Anchor(Day::OfMonth(day)))
    }

    /// The day of the month, or the 1st where it is none.
    pub fn day(self) -> u8 {
        match self.0 {
            // A day of the month is from 1 to 31.
            Day::OfMonth(day) => day.unsigned_abs(),
            Day::Usual | Day::OfWeek(_) => 1,
        }
    }

    /// A day of the week by its English name, in letters of any case.
    pub fn weekday(name: &str) -> Option<Anchor> {
        let (_, day) = WEEKDAYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(Anchor(Day::OfWeek(*day)))
    }

    /// What is left of this anchor for windows of such a period: the usual one where the period
    /// has no use for it or begins on that day anyway. Anchors that differ no longer differ here
    /// if they make the same windows.
    pub fn of(self, period: Period) -> Anchor {
        match (period, self.0) {
            (Period::Month, Day::OfMonth(day)) if day != 1 => self,
            (Period::Week, Day::OfWeek(day)) if day != Weekday::Monday => self,
            _ => Anchor::USUAL,
        }
    }

    /// The first day of the week that `date` lies in.
    pub(super) fn week_of(self, date: Date) -> Date {
        let first = match self.0 {
            Day::OfWeek(day) => day,
            Day::Usual | Day::OfMonth(_) => Weekday::Monday,
        };
        date.saturating_sub(jiff::Span::new().days(date.weekday().since(first)))
    }

    /// The first day of the month, by this anchor, that `date` lies in.
    pub(super) fn month_of(self, date: Date) -> Date {
        let here = self.in_month(date);
        if here <= date {
            return here;
        }
        self.in_month(date.first_of_month().saturating_sub(jiff::Span::new().days(1)))
    }

    /// The first day of the month that follows the one which begins on `first`.
    pub(super) fn month_after(self, first: Date) -> Date {
        self.in_month(first.last_of_month().saturating_add(jiff::Span::new().days(1)))
    }

    /// Where a month begins in the civil month of `date`: each has one such day, and they follow
    /// one another as the months do, so that the spans between them neither overlap nor miss a day.
    fn in_month(self, date: Date) -> Date {
        let day = match self.0 {
            Day::OfMonth(day) => day.min(date.days_in_month()),
            Day::Usual | Day::OfWeek(_) => 1,
        };
        let days = jiff::Span::new().days(day - 1);
        date.first_of_month().saturating_add(days)
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Day::Usual => f.write_str("the usual day"),
            Day::OfMonth(day) => write!(f, "day {day}"),
            Day::OfWeek(day) => write!(f, "{day:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_day_that_a_month_lacks_is_its_last() {
        let last = Anchor::month_day(31).expect("a day");
        let mut day = date(2024, 1, 31);
        let mut seen = Vec::new();
        for _ in 0..5 {
            day = last.month_after(day);
            seen.push((day.month(), day.day()));
        }
        assert_eq!(seen, [(2, 29), (3, 31), (4, 30), (5, 31), (6, 30)]);
    }

    #[test]
    fn every_day_lies_in_the_month_that_began_last() {
        for day in 1..=31 {
            let anchor = Anchor::month_day(day).expect("a day");
            let mut first = anchor.month_of(date(2022, 12, 31));
            let mut today = first;
            while today < date(2025, 1, 1) {
                assert_eq!(anchor.month_of(today), first, "{today} by {anchor}");
                today = today.tomorrow().expect("many more days");
                if today == anchor.month_after(first) {
                    assert!(today.day() == day as i8 || today == today.last_of_month());
                    first = today;
                }
            }
        }
    }

    #[test]
    fn what_changes_nothing_is_the_usual() {
        let (first, monday) = (Anchor::month_day(1), Anchor::weekday("Monday"));
        assert_eq!(first.expect("a day").of(Period::Month), Anchor::USUAL);
        assert_eq!(monday.expect("a day").of(Period::Week), Anchor::USUAL);
        let ides = Anchor::month_day(15).expect("a day");
        assert_eq!(ides.of(Period::Month), ides);
        for period in [Period::Hour, Period::Day, Period::Week, Period::Year] {
            assert_eq!(ides.of(period), Anchor::USUAL);
        }
    }

    #[test]
    fn there_is_no_day_0_or_32() {
        assert_eq!([0, 32, 255].map(Anchor::month_day), [None; 3]);
        assert_eq!(Anchor::weekday("mon"), None);
    }
}
