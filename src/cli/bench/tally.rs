//! What was measured: how long calls took and how they ended.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::answer::{Answer, Code};
use super::target::Failure;

/// Latencies are counted up to this, in nanoseconds: an hour, which no run's patience reaches.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// Latencies are told apart to one in a thousand.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The names of gRPC's status codes, by their numbers.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The calls of one run that were measured, or of several runs together.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Nanoseconds from when each answered call was meant to be sent to its answer.
    pub latencies: Histogram<u64>,
    pub ok: u64,
    pub over_limit: u64,
    /// Answers whose code was neither.
    pub unknown: u64,
    pub errors: BTreeMap<String, Errors>,
    /// Calls that were due and could not be sent, because too many were open.
    pub unsent: u64,
    /// Calls that were still open when the run ended.
    pub unanswered: u64,
    /// Whether any answer named a limit.
    pub limited: bool,
    /// From the end of the warm-up to the last answer.
    pub took: Duration,
}

/// Errors of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    pub count: u64,
    /// What the first of them said.
    pub first: String,
}

impl Default for Tally {
    fn default() -> Tally {
        let latencies = Histogram::new_with_bounds(1, LATENCY_NS_MAX, SIGNIFICANT_DIGITS)
            .expect("bounds in order, and 0 to 5 digits");
        Tally {
            latencies,
            ok: 0,
            over_limit: 0,
            unknown: 0,
            errors: BTreeMap::new(),
            unsent: 0,
            unanswered: 0,
            limited: false,
            took: Duration::ZERO,
        }
    }
}

impl Tally {
    /// Takes down how a call ended, and after how long. Errors have no latency: a server that
    /// fails at once must not look like a fast one.
    pub fn note(&mut self, latency: Duration, ended: Result<Answer, Failure>) {
        let answer = match ended {
            Ok(answer) => answer,
            Err(failure) => return self.fail(failure),
        };
        self.latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        self.limited |= answer.limited;
        match answer.code {
            Code::Ok => self.ok += 1,
            Code::OverLimit => self.over_limit += 1,
            Code::Unknown => self.unknown += 1,
        }
    }

    fn fail(&mut self, failure: Failure) {
        let (kind, said) = match failure {
            Failure::Status { code, message } => (code_name(code), message),
            Failure::NotGrpc(what) => ("not gRPC".into(), what),
            Failure::Reset(why) => ("reset".into(), why),
            Failure::Lost(why) => ("connection lost".into(), why),
        };
        let errors = self.errors.entry(kind).or_default();
        errors.count += 1;
        if errors.count == 1 {
            errors.first = said;
        }
    }

    /// Adds what another thread measured at the same time.
    pub fn add_beside(&mut self, other: &Tally) {
        self.add(other, self.took.max(other.took));
    }

    /// Adds what was measured after this.
    pub fn add_after(&mut self, other: &Tally) {
        self.add(other, self.took + other.took);
    }

    fn add(&mut self, other: &Tally, took: Duration) {
        self.latencies.add(&other.latencies).expect("all have the same bounds");
        self.ok += other.ok;
        self.over_limit += other.over_limit;
        self.unknown += other.unknown;
        for (kind, errors) in &other.errors {
            let mine = self.errors.entry(kind.clone()).or_insert_with(|| errors.clone_first());
            mine.count += errors.count;
        }
        self.unsent += other.unsent;
        self.unanswered += other.unanswered;
        self.limited |= other.limited;
        self.took = took;
    }

    pub fn answered(&self) -> u64 {
        self.latencies.len()
    }

    pub fn failed(&self) -> u64 {
        self.errors.values().map(|errors| errors.count).sum()
    }

    /// Answers in a second.
    pub fn per_second(&self) -> f64 {
        if self.took.is_zero() { 0.0 } else { self.answered() as f64 / self.took.as_secs_f64() }
    }

    /// Microseconds within which this share of the answers came.
    pub fn quantile_us(&self, share: f64) -> f64 {
        us(self.latencies.value_at_quantile(share))
    }

    pub fn mean_us(&self) -> f64 {
        self.latencies.mean() / 1e3
    }

    pub fn max_us(&self) -> f64 {
        us(self.latencies.max())
    }
}

impl Errors {
    fn clone_first(&self) -> Errors {
        Errors { count: 0, first: self.first.clone() }
    }
}

fn us(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

pub fn code_name(code: u32) -> String {
    let name = usize::try_from(code).ok().and_then(|code| GRPC_CODES.get(code));
    name.map_or_else(|| format!("gRPC code {code}"), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(after_ms: u64) -> Tally {
        let mut tally = Tally::default();
        tally.note(Duration::from_millis(after_ms), Ok(Answer::default()));
        tally.took = Duration::from_secs(1);
        tally
    }

    #[test]
    fn latencies_are_kept_to_a_thousandth() {
        let mut tally = answered(20);
        tally.add_after(&answered(3000));
        assert!((19_980.0..20_020.0).contains(&tally.quantile_us(0.5)));
        assert!((2_997_000.0..3_003_000.0).contains(&tally.max_us()));
        assert_eq!(tally.took, Duration::from_secs(2));
        assert!((tally.per_second() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn errors_are_told_apart_and_have_no_latency() {
        let mut tally = answered(1);
        for message in ["first", "second"] {
            let failure = Failure::Status { code: 14, message: message.into() };
            tally.note(Duration::ZERO, Err(failure));
        }
        tally.add_beside(&tally.clone());
        assert_eq!((tally.answered(), tally.failed()), (2, 4));
        assert_eq!(tally.errors["UNAVAILABLE"], Errors { count: 4, first: "first".into() });
        assert_eq!(code_name(99), "gRPC code 99");
    }
}
