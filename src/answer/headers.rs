//! Headers about limits, on calls that pass and on those that do not.

use std::fmt::Write as _;

use crate::limit::Budget;
use crate::limiter::{Reading, Verdict};
use crate::rules::{Names, ResetForm, Style};
use crate::time::{SECOND_US, Timestamp};

use super::Headers;
use super::choice::{Choice, Shown};

/// One header, its name as the rules write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'v> {
    pub name: &'v str,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    /// Shown as `-1`.
    Unlimited,
    Text(String),
}

const RATE_LIMIT: &str = "ratelimit";
const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
const OVERAGE: &str = "x-ratelimit-overage";

/// Structured fields have integers of at most 15 digits (RFC 9651).
const INTEGER_MAX: u64 = 999_999_999_999_999;

/// What limits that the call brought along are called where a name is needed.
pub const BROUGHT_ALONG: &str = "override";

/// Adds the headers about limits.
pub fn add<'v>(to: &mut Headers<'v>, choice: &Choice<'v>, verdict: &Verdict<'_>) {
    let (Some(headers), Some(shown)) = (choice.headers, choice.shown) else { return };
    let overage_name = match &headers.style {
        Style::Silent => return,
        Style::XRateLimit { names, reset } => {
            x_rate_limit(to, names, *reset, shown, verdict.at);
            &names.overage
        }
        Style::IetfDraft11 => {
            ietf_draft_11(to, &verdict.readings);
            OVERAGE
        }
    };
    // Whichever limit is shown: a call beyond a soft limit is one that will be charged for.
    let spoken = verdict.readings.iter().filter(|reading| reading.is_spoken());
    let overage = spoken.map(|reading| reading.overage).max().unwrap_or(0);
    if overage > 0 {
        to.push(Header { name: overage_name, value: Value::Number(overage) });
    }
}

fn x_rate_limit<'v>(
    to: &mut Headers<'v>,
    names: &'v Names,
    form: ResetForm,
    shown: Shown<'v>,
    now: Timestamp,
) {
    let (limit, remaining) = match shown.reading.budget {
        Budget::Requests(requests) => (Value::Number(requests), Value::Number(shown.remaining)),
        Budget::Unlimited => (Value::Unlimited, Value::Unlimited),
    };
    to.push(Header { name: &names.limit, value: limit });
    to.push(Header { name: &names.remaining, value: remaining });
    to.push(Header { name: &names.reset, value: Value::Number(reset(form, now, shown.wait_us)) });
}

/// When, or in how many seconds. Rounded up: a client that comes back too early is refused again.
pub fn reset(form: ResetForm, now: Timestamp, wait_us: u64) -> u64 {
    match form {
        ResetForm::Unix => now.plus(wait_us).as_micros().div_ceil(SECOND_US),
        ResetForm::Delta => wait_us.div_ceil(SECOND_US),
    }
}

/// All windows of the call, each once by its name, the tightest if it counts for several
/// descriptors. What is unlimited has no quota that these fields could state.
fn ietf_draft_11(to: &mut Headers<'_>, readings: &[Reading<'_>]) {
    let (mut policy, mut state) = (String::new(), String::new());
    for (position, reading) in readings.iter().enumerate() {
        let Budget::Requests(requests) = reading.budget else { continue };
        let earlier = |it: &Reading<'_>, at: usize| {
            (it.tightness, at) < (reading.tightness, position) && it.label == reading.label
        };
        let told_elsewhere = readings.iter().zip(0..).any(|(it, at)| earlier(it, at));
        if !reading.is_spoken() || told_elsewhere {
            continue;
        }
        let separator = if policy.is_empty() { "" } else { ", " };
        let name = if reading.label.is_empty() { BROUGHT_ALONG } else { reading.label };
        let integer = |number: u64| number.min(INTEGER_MAX);
        let (quota, window_s) = (integer(requests), integer(reading.per.window_s()));
        let remaining = integer(reading.remaining);
        let reset_s = integer(reading.wait_us().div_ceil(SECOND_US));
        // Writing to a string cannot fail. Names are letters, digits, `-` and `_`.
        let _ = write!(policy, "{separator}\"{name}\";q={quota};w={window_s}");
        let _ = write!(state, "{separator}\"{name}\";r={remaining};t={reset_s}");
    }
    if !policy.is_empty() {
        to.push(Header { name: RATE_LIMIT_POLICY, value: Value::Text(policy) });
        to.push(Header { name: RATE_LIMIT, value: Value::Text(state) });
    }
}
