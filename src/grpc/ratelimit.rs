//! `ShouldRateLimit`: read the call, decide, write the answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::answer;
use crate::gate::Gate;
use crate::limiter::Wait;
use crate::queue::Place;
use crate::store::journal::Ticket;

use super::proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use super::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use super::{from_proto, patience, to_proto};

/// What became of a call for now.
enum Decided {
    Answered(RateLimitResponse, Option<Ticket>),
    Waits(Box<Wait>),
}

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
        request: &Request<RateLimitRequest>,
        place: Option<Place>,
    ) -> Result<Decided, Status> {
        let query = from_proto::query(request.get_ref())?;
        let patience_us = || patience::patience_us(request.metadata());
        let rules = self.gate.rules();
        let mut verdict = self.gate.decide_or_wait(&rules, &query, &patience_us, place);
        if let Some(wait) = verdict.wait.take() {
            return Ok(Decided::Waits(wait));
        }
        let answer = answer::answer(&verdict, &query);
        Ok(Decided::Answered(to_proto::response(&verdict, answer), verdict.ticket))
    }

    /// Waits for as long as it takes until the call is decided, which the rules and the caller's
    /// patience bound. A call that is cancelled drops this, and its place with it.
    async fn wait(
        &self,
        request: &Request<RateLimitRequest>,
        mut wait: Box<Wait>,
    ) -> Result<(RateLimitResponse, Option<Ticket>), Status> {
        loop {
            let place = self.gate.wait(*wait).await;
            match self.decide(request, Some(place))? {
                Decided::Answered(response, ticket) => return Ok((response, ticket)),
                Decided::Waits(again) => wait = again,
            }
        }
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimit {
    /// Waits for the disk where a limit is strict, and for room where one has a queue; within the
    /// caller's deadline in that case, so that the deadline needs no timer.
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        if !self.gate.is_open() {
            return Err(Status::unavailable("starting: the counters are not back from disk yet"));
        }
        let (response, ticket) = match self.decide(&request, None)? {
            Decided::Answered(response, ticket) => (response, ticket),
            // Boxed, so that calls that do not wait need no memory for it.
            Decided::Waits(wait) => Box::pin(self.wait(&request, wait)).await?,
        };
        if let Some(ticket) = ticket {
            self.gate.written(ticket).await.map_err(|_| {
                Status::unavailable("the charge could not be put on disk, as its limit promises")
            })?;
        }
        Ok(Response::new(response))
    }
}
