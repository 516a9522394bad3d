//! Headers about limits, on calls that pass and on those that do not.

use std::fmt;

use crate::limit::Budget;
use crate::limiter::{Reading, Verdict};
use crate::rules::{Names, ResetForm, Style};
use crate::time::{SECOND_US, Timestamp};

use super::Headers;
use super::choice::{Choice, Shown};

/// One header, its name as the rules write it.
#[derive(Clone, Debug)]
pub struct Header<'v> {
    pub name: &'v str,
    pub value: Value<'v>,
}

/// A value as its display writes it: nothing is written before it has a place to stand.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    Number(u64),
    /// Shown as `-1`.
    Unlimited,
    Text(String),
    /// The budgets and windows of all limits, as the draft has them.
    Policy(&'v [Reading<'v>]),
    /// What is left of them.
    State(&'v [Reading<'v>]),
}

const RATE_LIMIT: &str = "ratelimit";
const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
const OVERAGE: &str = "x-ratelimit-overage";

/// Structured fields have integers of at most 15 digits (RFC 9651).
const INTEGER_MAX: u64 = 999_999_999_999_999;

/// What limits that the call brought along are called where a name is needed.
pub const BROUGHT_ALONG: &str = "override";

/// Adds the headers about limits.
pub fn add<'v>(to: &mut Headers<'v>, choice: &Choice<'v>, verdict: &'v Verdict<'_>) {
    let (Some(headers), Some(shown)) = (choice.headers, choice.shown) else { return };
    let overage_name = match &headers.style {
        Style::Silent => return,
        Style::XRateLimit { names, reset } => {
            x_rate_limit(to, names, *reset, shown, verdict.at);
            &names.overage
        }
        Style::IetfDraft11 => {
            let readings: &'v [Reading<'v>] = &verdict.readings;
            if listed(readings).next().is_some() {
                to.push(Header { name: RATE_LIMIT_POLICY, value: Value::Policy(readings) });
                to.push(Header { name: RATE_LIMIT, value: Value::State(readings) });
            }
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

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Unlimited => f.write_str("-1"),
            Value::Text(text) => f.write_str(text),
            Value::Policy(readings) => list(f, readings, |f, requests, reading| {
                write!(f, "q={};w={}", integer(requests), integer(reading.per.window_s()))
            }),
            Value::State(readings) => list(f, readings, |f, _, reading| {
                let reset_s = reading.wait_us().div_ceil(SECOND_US);
                write!(f, "r={};t={}", integer(reading.remaining), integer(reset_s))
            }),
        }
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    readings: &[Reading<'_>],
    parameters: impl Fn(&mut fmt::Formatter<'_>, u64, &Reading<'_>) -> fmt::Result,
) -> fmt::Result {
    for (position, (reading, requests)) in listed(readings).enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        // Names are letters, digits, `-` and `_`.
        let name = if reading.label.is_empty() { BROUGHT_ALONG } else { reading.label };
        write!(f, "{separator}\"{name}\";")?;
        parameters(f, requests, reading)?;
    }
    Ok(())
}

/// All limits that the draft can state, each once by its name: the tightest, if it counts for
/// several descriptors. What is unlimited has no quota.
fn listed<'v>(readings: &'v [Reading<'v>]) -> impl Iterator<Item = (&'v Reading<'v>, u64)> {
    readings.iter().enumerate().filter_map(move |(position, reading)| {
        let Budget::Requests(requests) = reading.budget else { return None };
        let same = |it: &Reading<'_>| it.label == reading.label && it.is_spoken();
        let tighter = |(at, it): (usize, &Reading<'_>)| {
            same(it) && (it.tightness, at) < (reading.tightness, position)
        };
        let told_elsewhere = readings.iter().enumerate().any(tighter);
        (reading.is_spoken() && !told_elsewhere).then_some((reading, requests))
    })
}

fn integer(number: u64) -> u64 {
    number.min(INTEGER_MAX)
}
