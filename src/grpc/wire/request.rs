//! `RateLimitRequest` as a query that borrows its texts from the message.
//!
//! Each reader names the keys of its message as `proto/` numbers them. A field that comes again
//! replaces what was there; a message within, unless there may be many, adds to it.

use smallvec::SmallVec;
use tonic::Status;

use crate::query::Query;

use super::super::asked::{Asked, Brought, Call, DESCRIPTORS_MAX};
use super::fields::{Fields, Malformed};
use super::key::{delimited, varint};

/// The number of the last field that each message has.
const CALL_FIELDS: u32 = 3;
const DESCRIPTOR_FIELDS: u32 = 4;
const ENTRY_FIELDS: u32 = 2;
const LIMIT_FIELDS: u32 = 3;
const NUMBER_FIELDS: u32 = 1;

const DESCRIPTOR: u32 = delimited(2);

/// The query of a message, without the five bytes that gRPC puts ahead of it.
///
/// Bytes that are no message are refused as such, whatever else is wrong with them. So all of them
/// are read before a bound refuses the call, and what is beyond a bound is read and not kept.
pub fn query(message: &[u8]) -> Result<Query<'_>, Status> {
    let call = call(message).map_err(no_message)?;
    let mut refusal = call.check().err();
    let mut query = Query { domain: call.domain, descriptors: SmallVec::new(), receipt: None };
    let mut fields = Fields::of(message, CALL_FIELDS);
    for _ in 0..call.descriptors {
        let asked = next_descriptor(&mut fields).map_err(no_message)?;
        if refusal.is_some() || query.descriptors.len() == DESCRIPTORS_MAX {
            continue;
        }
        match asked.descriptor(call.hits()) {
            Ok(descriptor) => query.descriptors.push(descriptor),
            Err(status) => refusal = Some(status),
        }
    }
    refusal.map_or(Ok(query), Err)
}

/// As tonic answers where prost finds no message.
#[cold]
fn no_message(why: Malformed) -> Status {
    Status::internal(format!("the message is malformed: {why}"))
}

/// What holds for all descriptors, wherever it stands among them; and how many there are.
fn call(message: &[u8]) -> Result<Call<'_>, Malformed> {
    const DOMAIN: u32 = delimited(1);
    const HITS_ADDEND: u32 = varint(3);
    let mut call = Call::default();
    let mut fields = Fields::of(message, CALL_FIELDS);
    while let Some(key) = fields.key()? {
        match key {
            DOMAIN => call.domain = fields.text()?,
            DESCRIPTOR => {
                fields.message(DESCRIPTOR_FIELDS)?;
                call.descriptors += 1;
            }
            HITS_ADDEND => call.hits_addend = fields.varint()? as u32,
            key => fields.skip(key)?,
        }
    }
    Ok(call)
}

/// The next of the descriptors that were counted.
fn next_descriptor<'a>(fields: &mut Fields<'a>) -> Result<Asked<'a>, Malformed> {
    while let Some(key) = fields.key()? {
        if key == DESCRIPTOR {
            return descriptor(fields.message(DESCRIPTOR_FIELDS)?);
        }
        fields.skip_any(key)?;
    }
    Err(Malformed::Cut)
}

fn descriptor(mut fields: Fields<'_>) -> Result<Asked<'_>, Malformed> {
    const ENTRY: u32 = delimited(1);
    const LIMIT: u32 = delimited(2);
    const HITS_ADDEND: u32 = delimited(3);
    const IS_NEGATIVE_HITS: u32 = varint(4);
    let mut asked = Asked::default();
    while let Some(key) = fields.key()? {
        match key {
            ENTRY => {
                let (key, value) = entry(fields.message(ENTRY_FIELDS)?)?;
                asked.push(key, value);
            }
            LIMIT => {
                let before = asked.limit.unwrap_or_default();
                asked.limit = Some(limit(fields.message(LIMIT_FIELDS)?, before)?);
            }
            HITS_ADDEND => {
                let before = asked.hits_addend.unwrap_or_default();
                asked.hits_addend = Some(number(fields.message(NUMBER_FIELDS)?, before)?);
            }
            IS_NEGATIVE_HITS => asked.is_negative_hits = fields.varint()? != 0,
            key => fields.skip(key)?,
        }
    }
    Ok(asked)
}

#[inline]
fn entry(mut fields: Fields<'_>) -> Result<(&str, &str), Malformed> {
    const KEY: u32 = delimited(1);
    const VALUE: u32 = delimited(2);
    let (mut name, mut value) = ("", "");
    while let Some(key) = fields.key()? {
        match key {
            KEY => name = fields.text()?,
            VALUE => value = fields.text()?,
            key => fields.skip(key)?,
        }
    }
    Ok((name, value))
}

/// Numbers of 32 bits are the lower half of what is sent.
fn limit(mut fields: Fields<'_>, before: Brought) -> Result<Brought, Malformed> {
    const REQUESTS_PER_UNIT: u32 = varint(1);
    const UNIT: u32 = varint(2);
    const UNIT_MULTIPLIER: u32 = delimited(3);
    let mut limit = before;
    while let Some(key) = fields.key()? {
        match key {
            REQUESTS_PER_UNIT => limit.requests_per_unit = fields.varint()? as u32,
            UNIT => limit.unit = fields.varint()? as i32,
            UNIT_MULTIPLIER => {
                let before = limit.unit_multiplier.unwrap_or_default();
                let count = number(fields.message(NUMBER_FIELDS)?, u64::from(before))?;
                limit.unit_multiplier = Some(count as u32);
            }
            key => fields.skip(key)?,
        }
    }
    Ok(limit)
}

/// A number that may be absent is a message with the number in it.
fn number(mut fields: Fields<'_>, before: u64) -> Result<u64, Malformed> {
    const VALUE: u32 = varint(1);
    let mut number = before;
    while let Some(key) = fields.key()? {
        match key {
            VALUE => number = fields.varint()?,
            key => fields.skip(key)?,
        }
    }
    Ok(number)
}
