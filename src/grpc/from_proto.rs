//! From the wire to a query: bounds are checked here, and nothing else is decided.
//!
//! Every refusal is `INVALID_ARGUMENT` with a sentence. It is made before any counter is touched,
//! so a call that is refused here charges nothing.

use tonic::Status;

use crate::limit::{Per, Unit, WINDOW_S_MAX};
use crate::query::{Descriptor, Entries, Hits, Override, Query};
use crate::time::SECOND_US;

use super::proto::envoy::extensions::common::ratelimit::v3 as descriptor;
use super::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use super::proto::envoy::r#type::v3::RateLimitUnit;

/// Descriptors in one call. A proxy makes one for each rate limit of a route; hundreds would be a
/// strange configuration, and each costs a few counters.
pub const DESCRIPTORS_MAX: usize = 1000;

/// Entries in one descriptor: an action makes one, and no configuration has this many.
pub const ENTRIES_MAX: usize = 256;

/// Bytes in a key or a value. Above the 60 KiB of headers that Envoy forwards, so that no header,
/// however long, becomes a way round a limit.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// Hits of one descriptor: what 63 bits hold, the bound of the server that most callers know.
pub const HITS_MAX: u64 = i64::MAX as u64;

pub fn query(request: &RateLimitRequest) -> Result<Query<'_>, Status> {
    if request.domain.is_empty() {
        return Err(invalid("the domain must not be empty"));
    }
    if request.descriptors.is_empty() {
        return Err(invalid("at least one descriptor is needed"));
    }
    within("descriptors", request.descriptors.len(), DESCRIPTORS_MAX)?;
    within("bytes of domain", request.domain.len(), TEXT_BYTES_MAX)?;
    let common = match request.hits_addend {
        // An unset number reads as 0 and means one hit.
        0 => 1,
        hits => u64::from(hits),
    };
    let descriptors = request.descriptors.iter().map(|asked| descriptor(asked, common));
    let descriptors = descriptors.collect::<Result<_, _>>()?;
    Ok(Query { domain: &request.domain, descriptors, receipt: None })
}

fn descriptor(
    asked: &descriptor::RateLimitDescriptor,
    common_hits: u64,
) -> Result<Descriptor<'_>, Status> {
    within("entries in a descriptor", asked.entries.len(), ENTRIES_MAX)?;
    for entry in &asked.entries {
        within("bytes of an entry's key", entry.key.len(), TEXT_BYTES_MAX)?;
        within("bytes of an entry's value", entry.value.len(), TEXT_BYTES_MAX)?;
    }
    let entries = asked.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str()));
    Ok(Descriptor {
        entries: entries.collect::<Entries<'_>>(),
        hits: match hits(asked.hits_addend, common_hits)? {
            Hits::Take(hits) if asked.is_negative_hits => Hits::GiveBack(hits),
            hits => hits,
        },
        limit: asked.limit.as_ref().map(brought_along).transpose()?,
    })
}

/// A present 0 asks without charging; an absent number takes the call's.
fn hits(own: Option<u64>, common: u64) -> Result<Hits, Status> {
    match own {
        None => Ok(Hits::Take(common)),
        Some(0) => Ok(Hits::Peek),
        Some(hits) if HITS_MAX < hits => {
            Err(invalid(&format!("hits_addend is {hits}, more than {HITS_MAX}")))
        }
        Some(hits) => Ok(Hits::Take(hits)),
    }
}

fn brought_along(
    limit: &descriptor::rate_limit_descriptor::RateLimitOverride,
) -> Result<Override, Status> {
    let unit = match RateLimitUnit::try_from(limit.unit) {
        Ok(RateLimitUnit::Second) => Unit::Second,
        Ok(RateLimitUnit::Minute) => Unit::Minute,
        Ok(RateLimitUnit::Hour) => Unit::Hour,
        Ok(RateLimitUnit::Day) => Unit::Day,
        Ok(RateLimitUnit::Month) => Unit::Month,
        Ok(RateLimitUnit::Year) => Unit::Year,
        Ok(RateLimitUnit::Unknown) | Err(_) => {
            return Err(invalid(&format!("limit.unit {} is no unit of time", limit.unit)));
        }
    };
    let count = limit.unit_multiplier.unwrap_or(1);
    if count == 0 {
        return Err(invalid("limit.unit_multiplier must be above 0"));
    }
    let per = Per { count, unit };
    if WINDOW_S_MAX < per.window_s() {
        return Err(invalid("the window of limit is longer than ten years"));
    }
    let window_us = per.window_s() * SECOND_US;
    Ok(Override { requests: u64::from(limit.requests_per_unit), per, window_us })
}

fn within(what: &str, count: usize, most: usize) -> Result<(), Status> {
    if count <= most {
        return Ok(());
    }
    Err(invalid(&format!("{count} {what} are more than {most}")))
}

fn invalid(sentence: &str) -> Status {
    Status::invalid_argument(sentence)
}
