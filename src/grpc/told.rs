//! What a verdict says on the wire, decided once for both writers: prost's and our own.
//!
//! Envoy makes the `x-ratelimit-*` and `retry-after` headers of these statuses unless the rules
//! have headers of their own, so each number here is one that an API's customer reads.

use crate::limit::{Per, Unit};
use crate::limiter::{Shown, Standing, Status};
use crate::time::SECOND_US;

use super::proto::envoy::service::ratelimit::v3::rate_limit_response::{Code, rate_limit};

/// The status of one descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub code: Code,
    pub limit: Option<ToldLimit<'a>>,
    pub remaining: u32,
    pub reset_s: Option<u64>,
}

/// The limit that a status shows.
#[derive(Clone, Copy, Debug)]
pub struct ToldLimit<'a> {
    pub name: &'a str,
    pub requests: u32,
    pub unit: rate_limit::Unit,
    /// Absent for one unit.
    pub multiplier: Option<u32>,
}

impl<'a> Told<'a> {
    #[inline]
    pub fn of(status: &Status<'a>) -> Told<'a> {
        let code = code(status.refused);
        let bare = Told { code, limit: None, remaining: 0, reset_s: None };
        match status.standing {
            Standing::Bare => bare,
            Standing::Banned { reset_us, .. } => {
                Told { reset_s: Some(whole_seconds(reset_us)), ..bare }
            }
            // As the reference server shows it: no limit, and the largest number remaining.
            Standing::Unlimited => Told { remaining: u32::MAX, ..bare },
            Standing::Limited { shown, remaining, reset_us } => Told {
                limit: Some(ToldLimit::of(shown)),
                remaining: saturate(remaining),
                reset_s: reset_us.map(whole_seconds),
                ..bare
            },
        }
    }
}

impl<'a> ToldLimit<'a> {
    fn of(shown: Shown<'a>) -> ToldLimit<'a> {
        let Per { count, unit } = shown.per;
        ToldLimit {
            name: shown.name,
            requests: saturate(shown.requests),
            unit: if shown.per == Per::AT_ONCE { rate_limit::Unit::Unknown } else { to_unit(unit) },
            multiplier: (count > 1).then_some(count),
        }
    }
}

pub fn code(refused: bool) -> Code {
    if refused { Code::OverLimit } else { Code::Ok }
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
fn whole_seconds(us: u64) -> u64 {
    us.div_ceil(SECOND_US)
}

/// The wire has 32 bits for what may be larger; the largest number stands for "more than that".
fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
