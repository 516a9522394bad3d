//! The language of windows: `minute`, `90s`, `5 minutes`.

use crate::limit::{Per, Unit};
use crate::time::SECOND_US;

/// Names of units, the first of each being its name in messages.
pub const UNITS: [(Unit, &[&str]); 7] = [
    (Unit::Second, &["second", "seconds", "sec", "s"]),
    (Unit::Minute, &["minute", "minutes", "min", "m"]),
    (Unit::Hour, &["hour", "hours", "h"]),
    (Unit::Day, &["day", "days", "d"]),
    (Unit::Week, &["week", "weeks", "w"]),
    (Unit::Month, &["month", "months"]),
    (Unit::Year, &["year", "years"]),
];

/// Names of a unit that only waits may have.
pub const MILLISECONDS: [&str; 3] = ["ms", "millisecond", "milliseconds"];

pub const PER_REMEDY: &str =
    "write a unit, or a whole number and a unit: minute, 90s, 5 minutes, hour, day, month";

/// Reads a window as people write it. The error says what is wrong.
pub fn parse(text: &str) -> Result<Per, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, word) = text.split_at(digits);
    let word = word.trim().to_lowercase();
    let known = UNITS.iter().find(|(_, names)| names.contains(&word.as_str()));
    let Some(&(unit, _)) = known else {
        return Err(format!("`{text}` is not a span of time"));
    };
    let count = if number.is_empty() { Ok(1) } else { number.parse() };
    match count {
        Ok(0) => Err(format!("`{text}` is no time at all")),
        Ok(count) => Ok(Per { count, unit }),
        Err(_) => Err(format!("`{text}` is longer than any window")),
    }
}

/// Reads a span of time that may be as short as milliseconds, in microseconds. The error says what
/// is wrong.
pub fn parse_us(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, word) = text.split_at(digits);
    if !MILLISECONDS.contains(&word.trim().to_lowercase().as_str()) {
        return parse(text).map(|per| per.window_s().saturating_mul(SECOND_US));
    }
    match number.parse::<u64>() {
        Ok(0) => Err(format!("`{text}` is no time at all")),
        Ok(ms) => Ok(ms.saturating_mul(1000)),
        Err(_) => Err(format!("`{text}` is not a span of time")),
    }
}

/// What a limit is called that says no name: the same for all ways to write one window, so that
/// `minute` in one plan and `1 minute` in another are one limit.
pub fn default_name(per: Per) -> String {
    let short = match per.unit {
        Unit::Second => "s",
        Unit::Minute => "min",
        Unit::Hour => "h",
        Unit::Day => "d",
        Unit::Week => "w",
        Unit::Month => "months",
        Unit::Year => "years",
    };
    if per == Per::AT_ONCE {
        return "at_once".into();
    }
    if per.count == 1 { name(per.unit).to_owned() } else { format!("{}{short}", per.count) }
}

pub fn name(unit: Unit) -> &'static str {
    UNITS.iter().find(|(known, _)| *known == unit).map_or("", |(_, names)| names[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_windows_in_many_ways() {
        for (text, count, unit) in [
            ("minute", 1, Unit::Minute),
            ("90s", 90, Unit::Second),
            ("90 s", 90, Unit::Second),
            ("5 minutes", 5, Unit::Minute),
            ("1 Hour", 1, Unit::Hour),
            ("month", 1, Unit::Month),
        ] {
            assert_eq!(parse(text), Ok(Per { count, unit }), "{text}");
        }
    }

    #[test]
    fn waits_may_be_milliseconds() {
        assert_eq!(parse_us("500ms"), Ok(500_000));
        assert_eq!(parse_us("20 Milliseconds"), Ok(20_000));
        assert_eq!(parse_us("2s"), Ok(2_000_000));
        for text in ["", "ms", "0ms", "-1ms", "1.5ms", "0s", "99999999999999999999ms"] {
            assert!(parse_us(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_window_is_an_error() {
        for text in ["", "60", "0s", "-1s", "1.5h", "fortnight", "99999999999s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
