//! Calendars of keys that have a zone or an anchor day of their own, kept beside the common one.
//!
//! Keys are many, zones and days few: each pair has one calendar, found when first asked for and
//! shared from then on. Looking one up takes no lock; there are never more than days times zones.

use std::sync::OnceLock;

use jiff::tz::TimeZone;

use super::{Anchor, Calendar, Period};

/// Days of a month, and none.
const SLOTS: usize = 32;

/// Calendars by day, and of each day by zone.
#[derive(Debug, Default)]
pub struct Own(OnceLock<Box<[Chain; SLOTS]>>);

type Chain = OnceLock<Box<Link>>;

#[derive(Debug)]
struct Link {
    calendar: Calendar,
    next: Chain,
}

impl Calendar {
    /// The calendar of a key that has a zone or a day of the month of its own, of the same period
    /// as this one; none if it does not differ.
    pub fn of_key(&self, zone: Option<&TimeZone>, month_day: Option<u8>) -> Option<&Calendar> {
        if zone.is_none() && month_day.is_none() {
            return None;
        }
        let day = month_day.filter(|_| self.period == Period::Month);
        let anchor = day.and_then(Anchor::month_day).map_or(self.anchor, |it| it.of(self.period));
        let zone = zone.unwrap_or(&self.zone);
        let is_own = anchor != self.anchor || zone.iana_name() != self.zone.iana_name();
        is_own.then(|| self.own.find(self.period, zone, anchor, day.unwrap_or(0)))
    }
}

impl Calendar {
    /// By what a key's own calendar is found again: its zone, and the day on which months begin.
    pub fn own_names(&self) -> (String, u8) {
        (self.zone_name().to_owned(), self.anchor.day())
    }

    /// The calendar of these names; none if it does not differ from this one, or if the zone is no
    /// longer known.
    pub fn of_names(&self, zone: &str, month_day: u8) -> Option<&Calendar> {
        let zone = TimeZone::get(zone).ok()?;
        self.of_key(Some(&zone), Some(month_day))
    }
}

impl Own {
    fn find(&self, period: Period, zone: &TimeZone, anchor: Anchor, day: u8) -> &Calendar {
        let slots = self.0.get_or_init(Box::default);
        let mut chain = &slots[usize::from(day) % SLOTS];
        loop {
            let link = chain.get_or_init(|| {
                let calendar = Calendar::new(period, zone.clone(), anchor);
                Box::new(Link { calendar, next: OnceLock::new() })
            });
            let found = &link.calendar;
            if found.anchor == anchor && found.zone.iana_name() == zone.iana_name() {
                return found;
            }
            chain = &link.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone of the bundled database")
    }

    #[test]
    fn one_calendar_serves_all_keys_of_a_zone_and_a_day() {
        let months = Calendar::new(Period::Month, TimeZone::UTC, Anchor::USUAL);
        let (berlin, tokyo) = (zone("Europe/Berlin"), zone("Asia/Tokyo"));
        let own = |zone, day| months.of_key(zone, day).expect("a calendar of its own");
        assert!(std::ptr::eq(own(Some(&berlin), Some(31)), own(Some(&berlin), Some(31))));
        assert!(!std::ptr::eq(own(Some(&berlin), Some(31)), own(Some(&tokyo), Some(31))));
        assert!(!std::ptr::eq(own(None, Some(31)), own(None, Some(30))));
        assert_eq!(own(Some(&tokyo), None).zone_name(), "Asia/Tokyo");
        assert_eq!(Some(own(None, Some(15)).anchor()), Anchor::month_day(15));
    }

    #[test]
    fn what_does_not_differ_is_the_common_one() {
        let months = Calendar::new(Period::Month, TimeZone::UTC, Anchor::USUAL);
        assert!(months.of_key(None, None).is_none());
        assert!(months.of_key(Some(&TimeZone::UTC), Some(1)).is_none());
        let days = Calendar::new(Period::Day, TimeZone::UTC, Anchor::USUAL);
        assert!(days.of_key(None, Some(15)).is_none());
    }
}
