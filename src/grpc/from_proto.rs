//! From prost's messages to a query. What they may say is checked in `asked`.

use tonic::Status;

use crate::query::Query;

use super::asked::{Asked, Brought, Call};
use super::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use super::proto::envoy::service::ratelimit::v3::RateLimitRequest;

pub fn query(request: &RateLimitRequest) -> Result<Query<'_>, Status> {
    let call = Call {
        domain: &request.domain,
        hits_addend: request.hits_addend,
        descriptors: request.descriptors.len(),
    };
    call.check()?;
    let descriptors = request.descriptors.iter().map(|said| asked(said).descriptor(call.hits()));
    let descriptors = descriptors.collect::<Result<_, _>>()?;
    Ok(Query { domain: call.domain, descriptors, receipt: None })
}

fn asked(said: &RateLimitDescriptor) -> Asked<'_> {
    let mut asked = Asked::default();
    asked.hits_addend = said.hits_addend;
    asked.is_negative_hits = said.is_negative_hits;
    asked.limit = said.limit.map(|limit| Brought {
        requests_per_unit: limit.requests_per_unit,
        unit: limit.unit,
        unit_multiplier: limit.unit_multiplier,
    });
    for entry in &said.entries {
        asked.push(&entry.key, &entry.value);
    }
    asked
}
