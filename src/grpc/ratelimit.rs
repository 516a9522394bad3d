//! `ShouldRateLimit`: read the call, decide, write the answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::gate::Gate;

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
}

#[tonic::async_trait]
impl RateLimitService for RateLimit {
    /// Nothing in here waits, so the caller's deadline needs no timer.
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let query = from_proto::query(request.get_ref())?;
        let rules = self.gate.rules();
        let verdict = self.gate.decide(&rules, &query);
        Ok(Response::new(to_proto::response(&verdict)))
    }
}
