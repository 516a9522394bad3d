//! What a scalar is by the rules of YAML 1.1, as the reader of these files has always had them.

use crate::config::tree::Scalar;

const TRUE: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: [&str; 11] =
    ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
const NAN: [&str; 3] = [".nan", ".NaN", ".NAN"];
const INFINITE: [&str; 6] = [".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"];
const BELOW_ALL: [&str; 3] = ["-.inf", "-.Inf", "-.INF"];

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Nothing,
    Flag(bool),
    Whole(i64),
    /// A number with a fraction, or beyond what 63 bits hold.
    Number(f64),
    Text,
}

/// Text in quotes is text; without them it is what it looks like. Dates stay text.
pub fn kind(scalar: &Scalar) -> Kind {
    if scalar.plain { plain(&scalar.text) } else { Kind::Text }
}

/// What text without quotes is.
pub fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Nothing,
        text if TRUE.contains(&text) => Kind::Flag(true),
        text if FALSE.contains(&text) => Kind::Flag(false),
        text if NAN.contains(&text) => Kind::Number(f64::NAN),
        text if INFINITE.contains(&text) => Kind::Number(f64::INFINITY),
        text if BELOW_ALL.contains(&text) => Kind::Number(f64::NEG_INFINITY),
        text => number(text).unwrap_or(Kind::Text),
    }
}

fn number(text: &str) -> Option<Kind> {
    let begins = |char: char| char.is_ascii_digit() || matches!(char, '+' | '-' | '.');
    if !text.starts_with(begins) {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(whole) = whole(&digits) {
        let fits = i64::try_from(whole).map(Kind::Whole);
        // Larger than any count; how much so does not matter.
        return Some(fits.unwrap_or(Kind::Number(whole as f64)));
    }
    is_fraction(&digits).then(|| digits.parse().map_or(Kind::Text, Kind::Number))
}

/// A whole number of up to 64 bits: decimal, or by its prefix binary, octal or hexadecimal. A
/// leading zero makes it octal.
fn whole(digits: &str) -> Option<i128> {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let prefixed = |prefixes: [&str; 2]| prefixes.iter().find_map(|it| digits.strip_prefix(it));
    let (digits, radix) = if let Some(rest) = prefixed(["0x", "0X"]) {
        (rest, 16)
    } else if let Some(rest) = prefixed(["0b", "0B"]) {
        (rest, 2)
    } else if let Some(rest) = prefixed(["0o", "0O"]) {
        (rest, 8)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits, 10)
    };
    if !digits.starts_with(|char: char| char.is_ascii_alphanumeric()) {
        return None;
    }
    let number = sign * i128::from(u64::from_str_radix(digits, radix).ok()?);
    (i128::from(i64::MIN) <= number).then_some(number)
}

/// Whether it is written as a number with a fraction or an exponent, or has more digits than whole
/// numbers have.
fn is_fraction(digits: &str) -> bool {
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    let exponent_fits = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && are_digits(text)
    });
    has_digits && are_digits(whole) && are_digits(fraction) && exponent_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_yaml_1_1_takes_them_for() {
        for word in ["yes", "On", "TRUE", "y"] {
            assert_eq!(plain(word), Kind::Flag(true), "{word}");
        }
        for word in ["no", "OFF", "False", "N"] {
            assert_eq!(plain(word), Kind::Flag(false), "{word}");
        }
        for word in ["", "~", "null", "NULL"] {
            assert_eq!(plain(word), Kind::Nothing, "{word}");
        }
        for word in ["yEs", "nUll", "truth", "2026-03-10", "1:30", "127.0.0.1", "0x", "-", "."] {
            assert_eq!(plain(word), Kind::Text, "{word}");
        }
    }

    #[test]
    fn whole_numbers_have_four_bases_and_underscores() {
        for (text, number) in [
            ("0", 0),
            ("1_000", 1000),
            ("+5", 5),
            ("-5", -5),
            ("010", 8),
            ("0o10", 8),
            ("0x1F", 31),
            ("0b101", 5),
            ("-0b11", -3),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(plain(text), Kind::Whole(number), "{text}");
        }
    }

    #[test]
    fn what_no_count_can_be_is_a_number() {
        for (text, number) in [
            ("1.5", 1.5),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("1.", 1.0),
            ("08", 8.0),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("99999999999999999999", 1e20),
            (".inf", f64::INFINITY),
        ] {
            assert_eq!(plain(text), Kind::Number(number), "{text}");
        }
    }

    #[test]
    fn quotes_make_text() {
        for text in ["true", "5", "", "~"] {
            assert_eq!(kind(&Scalar { text: text.into(), plain: false }), Kind::Text, "{text}");
        }
    }
}
