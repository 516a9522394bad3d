//! How long a caller waits for its answer, as gRPC has callers say it.

/// The header in which they do.
pub const TIMEOUT: &str = "grpc-timeout";

/// An answer must be on its way so long before the caller gives up. Envoy was seen to give up four
/// milliseconds early; the rest is for a timer of ours that fires late and for the way back.
const MARGIN_US: u64 = 10_000;

/// Microseconds for which an answer may be held back. A caller that does not say how long it waits,
/// or says it in a way that gRPC does not know, waits as long as we do.
pub fn patience_us(timeout: Option<&[u8]>) -> u64 {
    let said = timeout.and_then(|timeout| str::from_utf8(timeout).ok());
    said.and_then(timeout_us).map_or(u64::MAX, |us| us.saturating_sub(MARGIN_US))
}

/// Up to eight digits and a unit.
fn timeout_us(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    match unit {
        "H" => Some(number * 3_600_000_000),
        "M" => Some(number * 60_000_000),
        "S" => Some(number * 1_000_000),
        "m" => Some(number * 1000),
        "u" => Some(number),
        "n" => Some(number / 1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(timeout: &str) -> u64 {
        patience_us(Some(timeout.as_bytes()))
    }

    #[test]
    fn a_caller_says_how_long_it_waits() {
        assert_eq!(patience("250m"), 240_000);
        assert_eq!(patience("2S"), 1_990_000);
        assert_eq!(patience("20000u"), 10_000);
        assert_eq!(patience("5000000n"), 0);
        assert_eq!(patience("99999999H"), 99_999_999 * 3_600_000_000 - MARGIN_US);
    }

    #[test]
    fn who_says_nothing_that_grpc_knows_waits_as_long_as_we_do() {
        assert_eq!(patience_us(None), u64::MAX);
        assert_eq!(patience_us(Some(b"\xffm")), u64::MAX);
        for odd in ["", "m", "250", "250x", "+25m", "-5m", "1.5S", "123456789m", "2é"] {
            assert_eq!(patience(odd), u64::MAX, "{odd}");
        }
    }
}
