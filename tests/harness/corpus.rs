//! Calls and answers as data: rules, a line of three strokes, and a line for each call.
//!
//! ```text
//! # What the file is about.
//! domain: d
//! descriptors: […]
//! ---
//! 0   | a=1,b=2; c=3 +5 | OVER | OK 4/5 minute 60s; OVER 0/3 hour 3600s "name"
//! ```
//!
//! The columns are seconds since noon, the call's descriptors, the overall code, and a status for
//! each descriptor: its code, what remains of how much in which unit, the time to the reset,
//! `never` if there is none, and the name. A descriptor may end with its hits (`+5`, `+0`, or `-5`
//! to give back) and a budget of its own (`limit 5/minute`). A call may begin with its hits
//! (`hits 3:`) or with another domain (`@e:`). `OK bare` is a status without a limit, `OK
//! unlimited` one that has no end.

use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::RateLimitOverride;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus,
};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tollgate::grpc::proto::envoy::r#type::v3::RateLimitUnit;
use tonic::Status;

use super::{Server, descriptor};

/// A file of calls.
pub struct Corpus {
    pub rules: String,
    pub cases: Vec<Case>,
}

/// One call and its answer.
pub struct Case {
    pub line: usize,
    /// Microseconds since noon.
    at_us: u64,
    pub request: RateLimitRequest,
    pub answer: String,
}

impl Corpus {
    pub fn read(text: &str) -> Corpus {
        let (rules, calls) = text.split_once("\n---\n").expect("rules, `---`, calls");
        let first = rules.lines().count() + 2;
        let cases = (first..).zip(calls.lines()).filter_map(|(line, text)| case(line, text));
        Corpus { rules: rules.to_owned(), cases: cases.collect() }
    }

    /// Makes every call to a server, and says which were answered otherwise.
    pub async fn play(&self, server: Server) -> Vec<String> {
        let mut client = server.client().await;
        let (mut now_us, mut wrong) = (0, Vec::new());
        for case in &self.cases {
            server.clock.advance_us(case.at_us.checked_sub(now_us).expect("in order of time"));
            now_us = case.at_us;
            let answer = show(client.call(case.request.clone()).await);
            if answer != case.answer {
                let Case { line, answer: expected, .. } = case;
                wrong.push(format!("line {line}:\n  expected {expected}\n  answered {answer}"));
            }
        }
        server.stop().await;
        wrong
    }
}

fn case(line: usize, text: &str) -> Option<Case> {
    let text = text.split(" # ").next().unwrap_or_default();
    if text.trim().is_empty() || text.starts_with('#') {
        return None;
    }
    let mut columns = text.split('|').map(str::trim);
    let mut column = || columns.next().unwrap_or_else(|| panic!("line {line} has no four columns"));
    let (at, call, overall, statuses) = (column(), column(), column(), column());
    let at_s: f64 = at.parse().unwrap_or_else(|_| panic!("line {line}: `{at}` is no moment"));
    let answer =
        if statuses.is_empty() { overall.into() } else { format!("{overall} | {statuses}") };
    Some(Case { line, at_us: (at_s * 1e6).round() as u64, request: request(call), answer })
}

fn request(mut call: &str) -> RateLimitRequest {
    let (mut domain, mut hits_addend) = ("d", 0);
    while let Some((head, rest)) = call.split_once(": ") {
        if let Some(name) = head.strip_prefix('@') {
            domain = name;
        } else if let Some(hits) = head.strip_prefix("hits ") {
            hits_addend = hits.parse().expect("a number of hits");
        } else {
            break;
        }
        call = rest;
    }
    let descriptors = call.split("; ").filter(|text| !text.is_empty()).map(asked).collect();
    RateLimitRequest { domain: domain.into(), descriptors, hits_addend }
}

fn asked(text: &str) -> RateLimitDescriptor {
    let mut words = text.trim().split(' ');
    let mut asked = descriptor(words.next().unwrap_or_default());
    while let Some(word) = words.next() {
        if let Some(hits) = word.strip_prefix('+') {
            asked.hits_addend = Some(hits.parse().expect("a number of hits"));
        } else if let Some(hits) = word.strip_prefix('-') {
            asked.hits_addend = Some(hits.parse().expect("a number of hits"));
            asked.is_negative_hits = true;
        } else if word == "limit" {
            asked.limit = Some(limit(words.next().expect("a budget")));
        } else {
            panic!("`{word}` is nothing that a descriptor ends with");
        }
    }
    asked
}

fn limit(text: &str) -> RateLimitOverride {
    let (requests, unit) = text.split_once('/').expect("requests/unit");
    let known = RateLimitUnit::from_str_name(&unit.to_uppercase()).map(i32::from);
    RateLimitOverride {
        requests_per_unit: requests.parse().expect("a number of requests"),
        unit: known.unwrap_or_else(|| unit.parse().expect("a unit or its number")),
        unit_multiplier: None,
    }
}

fn show(answered: Result<RateLimitResponse, Status>) -> String {
    match answered {
        Ok(response) => {
            let statuses: Vec<_> = response.statuses.iter().map(status).collect();
            format!("{} | {}", code(response.overall_code), statuses.join("; "))
        }
        Err(status) => format!("{:?}", status.code()),
    }
}

fn status(status: &DescriptorStatus) -> String {
    let code = code(status.code);
    let Some(limit) = &status.current_limit else {
        let rest = match status.limit_remaining {
            0 => "bare",
            u32::MAX => "unlimited",
            _ => "without a limit",
        };
        return format!("{code} {rest}");
    };
    let unit = Unit::try_from(limit.unit).map_or("no unit", |unit| unit.as_str_name());
    let reset = status.duration_until_reset.as_ref();
    let reset = reset.map_or("never".into(), |reset| format!("{}s", reset.seconds));
    let (remaining, requests) = (status.limit_remaining, limit.requests_per_unit);
    let name = match limit.name.as_str() {
        "" => String::new(),
        name => format!(" \"{name}\""),
    };
    format!("{code} {remaining}/{requests} {} {reset}{name}", unit.to_lowercase())
}

fn code(code: i32) -> &'static str {
    match Code::try_from(code) {
        Ok(Code::Ok) => "OK",
        Ok(Code::OverLimit) => "OVER",
        _ => "UNKNOWN",
    }
}
