//! Which limit of a call is shown, which one refused it, and who says how.

use crate::limit::{Budget, OnExceed};
use crate::limiter::{Reading, Standing, Status, Verdict};
use crate::rules::{Answers, Domain, Headers, OnRefusal, ResetForm, RetryAfter, Style};

/// What one answer is made of.
#[derive(Debug)]
pub struct Choice<'v> {
    /// Whose limits the headers tell, and how.
    pub headers: Option<&'v Headers>,
    pub shown: Option<Shown<'v>>,
    /// The ban that refuses; the longest if there are several. No limit is then shown: none of
    /// them is why.
    pub banned: Option<Banned<'v>>,
    /// The tightest limit that refuses; none if the call passes, or was refused by no limit.
    pub refusing: Option<&'v Reading<'v>>,
    /// What refused callers get, for a refused call.
    pub on_refusal: Option<&'v OnRefusal>,
    /// How long they are asked to wait, if they are.
    pub retry_after: Option<RetryAfter>,
    /// How moments are told.
    pub reset: ResetForm,
}

/// The limit that is shown, and what is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'v> {
    pub reading: &'v Reading<'v>,
    pub remaining: u64,
    pub wait_us: u64,
}

/// A ban that is told of.
#[derive(Clone, Copy, Debug)]
pub struct Banned<'v> {
    /// The position of its descriptor in the call.
    pub descriptor: usize,
    pub rule: &'v str,
    pub wait_us: u64,
}

impl<'v> Choice<'v> {
    pub fn of(domain: &'v Domain, verdict: &'v Verdict<'_>) -> Choice<'v> {
        let banned = banned(verdict);
        let readings: &'v [Reading<'v>] = if banned.is_some() { &[] } else { &verdict.readings };
        // A quota that is used up may let the call pass.
        let refuses = |reading: &&Reading<'_>| !verdict.admitted && reading.refuses();
        let refusing = tightest(readings.iter().filter(refuses));
        let own = match banned {
            Some(banned) => domain.rule(banned.rule).and_then(|rule| rule.answers.as_deref()),
            None => refusing.and_then(|reading| own_answers(reading)),
        };
        let told = own.and_then(|own| own.headers.as_ref()).or(domain.answers.headers.as_ref());
        let on_refusal =
            own.and_then(|own| own.on_refusal.as_ref()).or(domain.answers.on_refusal.as_ref());
        let (headers, shown) = shown(domain, readings);
        let reset = match headers.or(told).map(|headers| &headers.style) {
            Some(Style::XRateLimit { reset, .. }) => *reset,
            _ => ResetForm::Unix,
        };
        Choice {
            headers,
            shown,
            banned,
            refusing,
            on_refusal: on_refusal.filter(|_| !verdict.admitted),
            retry_after: told.filter(|_| !verdict.admitted).and_then(|told| told.retry_after),
            reset,
        }
    }

    /// Whether a refused caller is told in a header how long to wait.
    pub fn asks_to_wait(&self) -> bool {
        self.retry_after.is_some()
    }
}

/// The longest ban that meets the call.
fn banned<'v>(verdict: &'v Verdict<'_>) -> Option<Banned<'v>> {
    let of = |(descriptor, status): (usize, &Status<'v>)| match status.standing {
        Standing::Banned { rule, reset_us } => Some(Banned { descriptor, rule, wait_us: reset_us }),
        _ => None,
    };
    verdict.statuses.iter().enumerate().filter_map(of).max_by_key(|banned| banned.wait_us)
}

/// The limit to show, and how. A limit whose rule has no headers is not shown, save that nothing
/// else is when it refuses: a limit with room left is no explanation of a refusal.
fn shown<'v>(
    domain: &'v Domain,
    readings: &'v [Reading<'v>],
) -> (Option<&'v Headers>, Option<Shown<'v>>) {
    let spoken = || readings.iter().filter(|reading| reading.is_spoken());
    let named = |show: &str| tightest(spoken().filter(|reading| reading.label == show));
    let shows = |headers: Option<&'v Headers>| headers.and_then(|headers| headers.show.as_deref());
    if let Some(reading) = shows(domain.answers.headers.as_ref()).and_then(named) {
        return (headers_of(domain, reading), Some(Shown::within_rule(reading, readings)));
    }
    let heard = |reading: &&Reading<'_>| reading.refuses() || is_told(headers_of(domain, reading));
    let Some(reading) = tightest(spoken().filter(heard)) else { return (None, None) };
    let headers = headers_of(domain, reading);
    let shown = match shows(headers).and_then(named) {
        Some(named) => Shown::within_rule(named, readings),
        None => Shown { reading, remaining: reading.remaining, wait_us: reading.wait_us() },
    };
    (headers, Some(shown))
}

impl<'v> Shown<'v> {
    /// A limit that is shown because it was named. Another limit of its rule may leave less, or
    /// nothing; then what is told is that, for a customer reads how much he may still send and
    /// when he may send again, whichever window it is that decides.
    fn within_rule(reading: &'v Reading<'v>, readings: &[Reading<'_>]) -> Shown<'v> {
        let mut shown = Shown { reading, remaining: reading.remaining, wait_us: reading.wait_us() };
        if reading.budget == Budget::Unlimited {
            return shown;
        }
        let rule = |it: &Reading<'_>| it.rule.map(std::ptr::from_ref);
        let beside = |it: &&Reading<'_>| {
            let hard = !matches!(it.on_exceed, OnExceed::Allow | OnExceed::Shadow);
            hard && it.descriptor == reading.descriptor && rule(it) == rule(reading)
        };
        let blocks = |it: &Reading<'_>| it.refuses() || it.remaining == 0;
        let mut blocked = blocks(reading);
        for other in readings.iter().filter(beside) {
            shown.remaining = shown.remaining.min(other.remaining);
            if blocks(other) {
                let known_us = if blocked { shown.wait_us } else { 0 };
                shown.wait_us = other.wait_us().max(known_us);
                blocked = true;
            }
        }
        shown
    }
}

fn own_answers<'v>(reading: &Reading<'v>) -> Option<&'v Answers> {
    reading.rule.and_then(|rule| rule.answers.as_deref())
}

fn headers_of<'v>(domain: &'v Domain, reading: &Reading<'v>) -> Option<&'v Headers> {
    let own = own_answers(reading).and_then(|own| own.headers.as_ref());
    own.or(domain.answers.headers.as_ref())
}

fn is_told(headers: Option<&Headers>) -> bool {
    headers.is_some_and(|headers| !matches!(headers.style, Style::Silent))
}

/// Of equally tight limits the first.
fn tightest<'v>(readings: impl Iterator<Item = &'v Reading<'v>>) -> Option<&'v Reading<'v>> {
    readings.min_by_key(|reading| reading.tightness)
}
