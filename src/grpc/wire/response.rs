//! A verdict, and what is to be said of it, as the bytes of a `RateLimitResponse`.
//!
//! Fields stand in the order of their numbers, as prost has them.

use prost::bytes::BytesMut;

use crate::answer::{Answer, Header, Value};
use crate::limiter::Verdict;

use super::super::metadata;
use super::super::told::{self, Told, ToldLimit};
use super::key::{delimited, varint};
use super::write::Writer;

/// Appends the message, without the five bytes that gRPC puts ahead of it.
pub fn response(verdict: &Verdict<'_>, answer: Option<Answer<'_>>, out: &mut BytesMut) {
    const OVERALL_CODE: u32 = varint(1);
    const STATUS: u32 = delimited(2);
    let mut to = Writer::to(out);
    to.number(OVERALL_CODE, told::code(!verdict.admitted) as u64);
    for it in &verdict.statuses {
        to.message(STATUS, |to| status(to, &Told::of(it)));
    }
    if let Some(answer) = answer {
        said(&mut to, &answer);
    }
}

fn said(to: &mut Writer<'_>, answer: &Answer<'_>) {
    const HEADER: u32 = delimited(3);
    const BODY: u32 = delimited(5);
    const METADATA: u32 = delimited(6);
    for it in &answer.headers {
        to.message(HEADER, |to| header(to, it));
    }
    if let Some(body) = &answer.body {
        to.text(BODY, &body.text);
    }
    if let Some(metadata) = &answer.metadata {
        to.prost(METADATA, &metadata::to_struct(metadata));
    }
}

fn status(to: &mut Writer<'_>, told: &Told<'_>) {
    const CODE: u32 = varint(1);
    const CURRENT_LIMIT: u32 = delimited(2);
    const LIMIT_REMAINING: u32 = varint(3);
    const DURATION_UNTIL_RESET: u32 = delimited(4);
    const SECONDS: u32 = varint(1);
    to.number(CODE, told.code as u64);
    if let Some(limit) = &told.limit {
        to.message(CURRENT_LIMIT, |to| current_limit(to, limit));
    }
    to.number(LIMIT_REMAINING, told.remaining.into());
    if let Some(reset_s) = told.reset_s {
        to.message(DURATION_UNTIL_RESET, |to| to.number(SECONDS, reset_s));
    }
}

fn current_limit(to: &mut Writer<'_>, told: &ToldLimit<'_>) {
    const REQUESTS_PER_UNIT: u32 = varint(1);
    const UNIT: u32 = varint(2);
    const NAME: u32 = delimited(3);
    const UNIT_MULTIPLIER: u32 = delimited(4);
    const VALUE: u32 = varint(1);
    to.number(REQUESTS_PER_UNIT, told.requests.into());
    to.number(UNIT, told.unit as u64);
    to.text(NAME, told.name);
    if let Some(count) = told.multiplier {
        to.message(UNIT_MULTIPLIER, |to| to.number(VALUE, count.into()));
    }
}

fn header(to: &mut Writer<'_>, header: &Header<'_>) {
    const KEY: u32 = delimited(1);
    const VALUE: u32 = delimited(2);
    to.text(KEY, header.name);
    match &header.value {
        Value::Number(number) => to.digits(VALUE, *number),
        Value::Text(text) => to.text(VALUE, text),
        value => to.shown(VALUE, value),
    }
}
