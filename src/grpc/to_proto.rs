//! From a verdict, and what is to be said of it, to the wire.
//!
//! Envoy makes the `x-ratelimit-*` and `retry-after` headers of these statuses unless the rules
//! have headers of their own, so each number here is one that an API's customer reads.

use crate::answer::{Answer, Header, Value};
use crate::limit::{Per, Unit};
use crate::limiter::{Shown, Standing, Status, Verdict};
use crate::time::SECOND_US;

use super::metadata;
use super::proto::envoy::config::core::v3::HeaderValue;
use super::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use super::proto::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit, rate_limit,
};

pub fn response(verdict: &Verdict<'_>, answer: Option<Answer<'_>>) -> RateLimitResponse {
    let response = RateLimitResponse {
        overall_code: code(!verdict.admitted).into(),
        statuses: verdict.statuses.iter().map(status).collect(),
        ..RateLimitResponse::default()
    };
    let Some(answer) = answer else { return response };
    RateLimitResponse {
        response_headers_to_add: answer.headers.into_iter().map(header).collect(),
        raw_body: answer.body.map(|body| body.text.into_bytes()).unwrap_or_default(),
        dynamic_metadata: answer.metadata.map(|metadata| metadata::to_struct(&metadata)),
        ..response
    }
}

fn header(header: Header<'_>) -> HeaderValue {
    let value = match header.value {
        Value::Text(text) => text,
        value => value.to_string(),
    };
    HeaderValue { key: header.name.to_owned(), value, ..HeaderValue::default() }
}

fn status(status: &Status<'_>) -> DescriptorStatus {
    let bare = DescriptorStatus { code: code(status.refused).into(), ..Default::default() };
    match status.standing {
        Standing::Bare => bare,
        Standing::Banned { reset_us, .. } => {
            DescriptorStatus { duration_until_reset: Some(whole_seconds(reset_us)), ..bare }
        }
        // As the reference server shows it: no limit, and the largest number remaining.
        Standing::Unlimited => DescriptorStatus { limit_remaining: u32::MAX, ..bare },
        Standing::Limited { shown, remaining, reset_us } => DescriptorStatus {
            current_limit: Some(current_limit(shown)),
            limit_remaining: saturate(remaining),
            duration_until_reset: reset_us.map(whole_seconds),
            ..bare
        },
    }
}

fn code(refused: bool) -> Code {
    if refused { Code::OverLimit } else { Code::Ok }
}

fn current_limit(shown: Shown<'_>) -> RateLimit {
    let Per { count, unit } = shown.per;
    RateLimit {
        name: shown.name.to_owned(),
        requests_per_unit: saturate(shown.requests),
        unit: if shown.per == Per::AT_ONCE { rate_limit::Unit::Unknown } else { to_unit(unit) }
            .into(),
        unit_multiplier: (count > 1).then_some(count),
    }
}

fn to_unit(unit: Unit) -> rate_limit::Unit {
    match unit {
        Unit::Second => rate_limit::Unit::Second,
        Unit::Minute => rate_limit::Unit::Minute,
        Unit::Hour => rate_limit::Unit::Hour,
        Unit::Day => rate_limit::Unit::Day,
        Unit::Week => rate_limit::Unit::Week,
        Unit::Month => rate_limit::Unit::Month,
        Unit::Year => rate_limit::Unit::Year,
    }
}

/// Rounded up: Envoy cuts fractions off, and a client that comes back too early is refused again.
fn whole_seconds(us: u64) -> prost_types::Duration {
    // Microseconds divided by a million always fit in 63 bits.
    let seconds = i64::try_from(us.div_ceil(SECOND_US)).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: 0 }
}

/// The wire has 32 bits for what may be larger; the largest number stands for "more than that".
fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
