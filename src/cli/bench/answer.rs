//! Answers as far as a load generator cares: which code, and whether any limit was named.
//!
//! Reads the bytes of Envoy's `RateLimitResponse` and skips all that it does not look for, so that
//! reading costs next to nothing beside sending.

/// Bytes ahead of a gRPC message.
const HEAD_BYTES: usize = 5;

/// Numbers of the fields looked for.
mod field {
    pub const OVERALL_CODE: u64 = 1;
    pub const STATUSES: u64 = 2;
    pub const CURRENT_LIMIT: u64 = 2;
}

/// What a server said of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub code: Code,
    /// Whether a limit was named: if never, no rule is for these calls.
    pub limited: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    #[default]
    Unknown,
    Ok,
    OverLimit,
}

/// Reads one message with its head. None if it is not a message at all.
pub fn read(bytes: &[u8]) -> Option<Answer> {
    let mut answer = Answer::default();
    for (number, value) in fields(bytes.get(HEAD_BYTES..)?) {
        match (number, value?) {
            (field::OVERALL_CODE, Value::Number(code)) => {
                answer.code = match code {
                    1 => Code::Ok,
                    2 => Code::OverLimit,
                    _ => Code::Unknown,
                };
            }
            (field::STATUSES, Value::Bytes(status)) if !answer.limited => {
                answer.limited = fields(status).any(|(number, _)| number == field::CURRENT_LIMIT);
            }
            _ => {}
        }
    }
    Some(answer)
}

/// A field's value; fixed-width ones are of no use here.
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
    Other,
}

/// The fields of a message with their numbers; a value is None where the bytes end too early.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Option<Value<'_>>)> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let key = varint(&mut bytes).unwrap_or(0);
        let value = value(&mut bytes, key & 7);
        if value.is_none() {
            bytes = &[];
        }
        Some((key >> 3, value))
    })
}

fn value<'b>(bytes: &mut &'b [u8], kind: u64) -> Option<Value<'b>> {
    let length = match kind {
        0 => return varint(bytes).map(Value::Number),
        1 => 8,
        2 => usize::try_from(varint(bytes)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(if kind == 2 { Value::Bytes(value) } else { Value::Other })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::grpc::proto::envoy::service::ratelimit::v3::RateLimitResponse;
    use crate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::{
        DescriptorStatus, RateLimit,
    };

    fn framed(response: &RateLimitResponse) -> Vec<u8> {
        let message = response.encode_to_vec();
        [&[0; HEAD_BYTES][..], &message].concat()
    }

    #[test]
    fn a_code_and_a_limit_are_found_in_any_order_of_statuses() {
        for (number, code) in [(0, Code::Unknown), (1, Code::Ok), (2, Code::OverLimit)] {
            for limited in [false, true] {
                let none = DescriptorStatus { limit_remaining: 7, ..DescriptorStatus::default() };
                let limit = Some(RateLimit { requests_per_unit: 300, ..RateLimit::default() });
                let one = DescriptorStatus { current_limit: limit, ..none.clone() };
                let response = RateLimitResponse {
                    overall_code: number,
                    statuses: if limited { vec![none, one] } else { vec![none] },
                    raw_body: vec![9; 200],
                    ..RateLimitResponse::default()
                };
                assert_eq!(read(&framed(&response)), Some(Answer { code, limited }));
            }
        }
    }

    #[test]
    fn a_message_that_ends_too_early_is_none() {
        assert_eq!(read(&[0; 3]), None);
        assert_eq!(read(&[0, 0, 0, 0, 2, 0x12, 5]), None);
        assert_eq!(read(&[0, 0, 0, 0, 0]), Some(Answer::default()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
