//! From a verdict, and what is to be said of it, to prost's message. What it says is `told`.

use crate::answer::{Answer, Header, Value};
use crate::limiter::Verdict;

use super::metadata;
use super::proto::envoy::config::core::v3::HeaderValue;
use super::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use super::proto::envoy::service::ratelimit::v3::rate_limit_response::{
    DescriptorStatus, RateLimit,
};
use super::told::{self, Told, ToldLimit};

pub fn response(verdict: &Verdict<'_>, answer: Option<Answer<'_>>) -> RateLimitResponse {
    let statuses = verdict.statuses.iter().map(|it| status(Told::of(it)));
    let response = RateLimitResponse {
        overall_code: told::code(!verdict.admitted).into(),
        statuses: statuses.collect(),
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

fn status(told: Told<'_>) -> DescriptorStatus {
    DescriptorStatus {
        code: told.code.into(),
        current_limit: told.limit.map(current_limit),
        limit_remaining: told.remaining,
        duration_until_reset: told.reset_s.map(duration),
        ..DescriptorStatus::default()
    }
}

fn current_limit(told: ToldLimit<'_>) -> RateLimit {
    RateLimit {
        name: told.name.to_owned(),
        requests_per_unit: told.requests,
        unit: told.unit.into(),
        unit_multiplier: told.multiplier,
    }
}

fn duration(seconds: u64) -> prost_types::Duration {
    // Microseconds divided by a million always fit in 63 bits.
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: 0 }
}
