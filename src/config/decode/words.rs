//! Readings of single words.

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

/// The candidate most like `text`, if any is like it.
pub fn nearest<'a>(text: &str, candidates: &[&'a str]) -> Option<&'a str> {
    const SIMILARITY_MIN: f64 = 0.7;
    let similarity = |candidate: &&str| strsim::jaro_winkler(text, candidate);
    let best = candidates.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (SIMILARITY_MIN <= similarity(best)).then_some(best)
}
