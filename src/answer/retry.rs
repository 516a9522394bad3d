//! How long a refused caller is asked to wait.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::limiter::{Standing, Verdict};
use crate::query::Query;
use crate::time::SECOND_US;

use super::choice::Choice;

pub const RETRY_AFTER: &str = "retry-after";

/// Seconds to wait, rounded up; none if the call passes or no wait would help.
pub fn retry_after_s(choice: &Choice<'_>, verdict: &Verdict<'_>, query: &Query<'_>) -> Option<u64> {
    let wait_us = wait_us(verdict)?;
    let terms = choice.retry_after.unwrap_or_default();
    let spread_us = u128::from(wait_us) * u128::from(terms.jitter_percent) / 100;
    let later_us = match spread_us {
        0 => 0,
        // The upper half of a product with 64 random bits is a random part of the other factor.
        spread_us => (spread_us * u128::from(lot(verdict, query))) >> 64,
    };
    let later_us = u64::try_from(later_us).unwrap_or(u64::MAX);
    let seconds = wait_us.saturating_add(later_us).div_ceil(SECOND_US);
    Some(seconds.max(1).min(terms.at_most_s))
}

/// Microseconds until the whole call would pass: the longest wait of those who refuse it.
fn wait_us(verdict: &Verdict<'_>) -> Option<u64> {
    let mut longest_us = None;
    for status in verdict.statuses.iter().filter(|status| status.refused) {
        match status.standing {
            Standing::Limited { reset_us: Some(wait_us), .. } => {
                longest_us = longest_us.max(Some(wait_us));
            }
            Standing::Banned { reset_us, .. } => longest_us = longest_us.max(Some(reset_us)),
            _ => return None,
        }
    }
    longest_us
}

/// 64 bits that differ between callers and between their calls. They only spread callers out, so
/// it does no harm that one could foresee them.
fn lot(verdict: &Verdict<'_>, query: &Query<'_>) -> u64 {
    let mut hasher = FixedState::with_seed(verdict.at.as_micros()).build_hasher();
    for descriptor in &query.descriptors {
        for entry in descriptor.entries.iter() {
            hasher.write(entry.key.as_bytes());
            hasher.write(entry.value.as_bytes());
        }
    }
    hasher.finish()
}
