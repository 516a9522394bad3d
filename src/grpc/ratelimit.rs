//! `ShouldRateLimit`: what becomes of a call, whichever way it was read and is to be written.
//!
//! The service is the way by prost's messages; `hot` is the other.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::answer::{self, Answer};
use crate::gate::Gate;
use crate::limiter::{Verdict, Wait};
use crate::query::Query;
use crate::queue::Place;
use crate::store::journal::Ticket;

use super::proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use super::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use super::{from_proto, patience, to_proto};

/// What became of a call for now; `R` is its answer as it is written.
pub enum Decided<R> {
    Answered(R, Option<Ticket>),
    Waits(Box<Wait>),
}

impl<R> Decided<R> {
    /// The same with another answer.
    pub fn with<S>(self, answer: impl FnOnce() -> S) -> Decided<S> {
        match self {
            Decided::Answered(_, ticket) => Decided::Answered(answer(), ticket),
            Decided::Waits(wait) => Decided::Waits(wait),
        }
    }
}

#[derive(Clone, Debug)]
pub struct RateLimit {
    gate: Arc<Gate>,
}

impl RateLimit {
    pub fn new(gate: Arc<Gate>) -> RateLimit {
        RateLimit { gate }
    }

    /// Fails until the gate decides.
    pub fn is_open(&self) -> Result<(), Status> {
        if self.gate.is_open() {
            return Ok(());
        }
        Err(Status::unavailable("starting: the counters are not back from disk yet"))
    }

    /// The rules in force are held for this long and no longer: not across a wait.
    #[inline]
    pub fn decide<R>(
        &self,
        query: &Query<'_>,
        patience_us: &dyn Fn() -> u64,
        place: Option<Place>,
        write: impl FnOnce(&Verdict<'_>, Option<Answer<'_>>) -> R,
    ) -> Decided<R> {
        let rules = self.gate.rules();
        let mut verdict = self.gate.decide_or_wait(&rules, query, patience_us, place);
        if let Some(wait) = verdict.wait.take() {
            return Decided::Waits(wait);
        }
        let written = write(&verdict, answer::answer(&verdict, query));
        Decided::Answered(written, verdict.ticket)
    }

    /// Waits for the disk where a limit is strict, and for room where one has a queue; within the
    /// caller's deadline in that case, so that the deadline needs no timer.
    pub async fn answered<R>(
        &self,
        decided: Decided<R>,
        again: impl Fn(Place) -> Result<Decided<R>, Status>,
    ) -> Result<R, Status> {
        let (written, ticket) = match decided {
            Decided::Answered(written, ticket) => (written, ticket),
            // Boxed, so that calls that do not wait need no memory for it.
            Decided::Waits(wait) => Box::pin(self.wait(wait, again)).await?,
        };
        if let Some(ticket) = ticket {
            self.gate.written(ticket).await.map_err(|_| {
                Status::unavailable("the charge could not be put on disk, as its limit promises")
            })?;
        }
        Ok(written)
    }

    /// Waits for as long as it takes until the call is decided, which the rules and the caller's
    /// patience bound. A call that is cancelled drops this, and its place with it.
    async fn wait<R>(
        &self,
        mut wait: Box<Wait>,
        again: impl Fn(Place) -> Result<Decided<R>, Status>,
    ) -> Result<(R, Option<Ticket>), Status> {
        loop {
            let place = self.gate.wait(*wait).await;
            match again(place)? {
                Decided::Answered(written, ticket) => return Ok((written, ticket)),
                Decided::Waits(longer) => wait = longer,
            }
        }
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimit {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        self.is_open()?;
        let decide = |place| {
            let query = from_proto::query(request.get_ref())?;
            let timeout = request.metadata().as_ref().get(patience::TIMEOUT);
            let patience_us = || patience::patience_us(timeout.map(|it| it.as_bytes()));
            Ok(self.decide(&query, &patience_us, place, to_proto::response))
        };
        let decided = decide(None)?;
        self.answered(decided, |place| decide(Some(place))).await.map(Response::new)
    }
}
