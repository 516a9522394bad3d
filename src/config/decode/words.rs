//! Readings of single words.

pub use crate::limit::parse_whole_number;

/// The candidate most like `text`, if any is like it.
pub fn nearest<'a>(text: &str, candidates: &[&'a str]) -> Option<&'a str> {
    const SIMILARITY_MIN: f64 = 0.7;
    let similarity = |candidate: &&str| strsim::jaro_winkler(text, candidate);
    let best = candidates.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (SIMILARITY_MIN <= similarity(best)).then_some(best)
}
