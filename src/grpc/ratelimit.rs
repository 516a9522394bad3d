//! `ShouldRateLimit`: read the call, decide, write the answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::answer;
use crate::gate::Gate;
use crate::store::journal::Ticket;

use super::proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use super::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use super::{from_proto, to_proto};

pub struct RateLimit {
    gate: Arc<Gate>,
}

impl RateLimit {
    pub fn new(gate: Arc<Gate>) -> RateLimit {
        RateLimit { gate }
    }

    /// The rules in force are held for this long and no longer: not across a wait.
    fn decide(
        &self,
        request: &RateLimitRequest,
    ) -> Result<(RateLimitResponse, Option<Ticket>), Status> {
        let query = from_proto::query(request)?;
        let rules = self.gate.rules();
        let verdict = self.gate.decide(&rules, &query);
        let answer = answer::answer(&verdict, &query);
        Ok((to_proto::response(&verdict, answer), verdict.ticket))
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimit {
    /// Waits for nothing but the disk, and for that only where a limit is strict, so the caller's
    /// deadline needs no timer.
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        if !self.gate.is_open() {
            return Err(Status::unavailable("starting: the counters are not back from disk yet"));
        }
        let (response, ticket) = self.decide(request.get_ref())?;
        if let Some(ticket) = ticket {
            self.gate.written(ticket).await.map_err(|_| {
                Status::unavailable("the charge could not be put on disk, as its limit promises")
            })?;
        }
        Ok(Response::new(response))
    }
}
