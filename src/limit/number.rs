//! Whole numbers as people write them.

/// Digits, with underscores between them if they help the reader.
pub fn parse_whole_number(text: &str) -> Option<u64> {
    let inner = text.starts_with(|char: char| char.is_ascii_digit()) && !text.ends_with('_');
    let digits: String = text.chars().filter(|&char| char != '_').collect();
    if inner && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}
