//! How a domain's `descriptors:` are taken, and what they cannot stand beside.

use crate::config::Options;
use crate::config::decode::At;
use crate::config::descriptors::Months;
use crate::config::document::{DescriptorsAs, Document};
use crate::config::problem::Problem;
use crate::config::words::{CHARGE, MONTHS};
use crate::limit::Charge;
use crate::rules::Manner;

use super::unknown_word;

/// The manner of a domain, by what its file says and else by `options`.
pub fn manner(
    said: Option<&At<DescriptorsAs>>,
    options: Options,
    problems: &mut Vec<Problem>,
) -> (Manner, Months) {
    let Options { mut manner, mut months, .. } = options;
    let Some(At { value: said, .. }) = said else { return (manner, months) };
    if let Some(word) = &said.charge {
        match word.value.as_str() {
            "always" => manner.charge = Charge::Always,
            "admitted" => manner.charge = Charge::Admitted,
            other => problems.push(unknown_word(word.span, other, "charge", &CHARGE)),
        }
    }
    if let Some(word) = &said.months {
        match word.value.as_str() {
            "30 days" => months = Months::Days,
            "calendar" => months = Months::Calendar,
            other => problems.push(unknown_word(word.span, other, "months", &MONTHS)),
        }
    }
    manner.quota |= said.quota_mode;
    manner.shadow |= said.shadow_mode;
    (manner, months)
}

/// What is said of descriptors that are not there.
pub fn without_descriptors(document: &Document) -> Option<Problem> {
    let said = document.descriptors_as.as_ref().filter(|_| document.descriptors.is_none())?;
    let what = "`descriptors_as` has no effect: this file has no `descriptors`";
    Some(Problem::warning(said.span, what, "take it out"))
}

/// A directory adds entries of which no order is known, and a tree is walked down in order.
pub fn beside_directory(document: &Document) -> Option<Problem> {
    let directory = document.directory.as_ref().filter(|_| document.descriptors.is_some())?;
    let what = "a domain with `descriptors` cannot have a directory: the entries that it adds have \
                no order, and descriptors go by it";
    let remedy = "write what needs the directory as `rules:` in a domain of its own";
    Some(Problem::error(directory.by.span, what, remedy))
}
