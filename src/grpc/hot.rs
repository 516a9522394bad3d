//! The hot call as it is answered in place: from the bytes of its message to those of its answer.
//!
//! `ShouldRateLimit` is nearly all that is ever asked here, and what a gRPC library does around a
//! method costs more than deciding. `tests/conformance.rs` asks both ways the same.

use std::sync::Arc;

use bytes::BytesMut;

use crate::gate::Gate;
use crate::queue::Place;
use crate::transport::{Answered, Method, Refusal};

use super::patience;
use super::ratelimit::{Decided, RateLimit};
use super::wire;

/// `ShouldRateLimit` without messages in between.
#[derive(Clone, Debug)]
pub struct Hot(RateLimit);

impl Hot {
    pub fn new(gate: Arc<Gate>) -> Hot {
        Hot(RateLimit::new(gate))
    }

    /// Appends the answer to `out` if there is one already.
    #[inline]
    fn decide(
        &self,
        message: &[u8],
        timeout: Option<&[u8]>,
        place: Option<Place>,
        out: &mut BytesMut,
    ) -> Result<Decided<()>, tonic::Status> {
        self.0.is_open()?;
        let query = wire::query(message)?;
        let patience_us = || patience::patience_us(timeout);
        Ok(self.0.decide(&query, &patience_us, place, |verdict, answer| {
            wire::response(verdict, answer, out);
        }))
    }

    /// Answers a call that waits, for room or for the disk.
    async fn later(
        self,
        decided: Decided<BytesMut>,
        message: Box<[u8]>,
        timeout: Option<Box<[u8]>>,
    ) -> Result<BytesMut, Refusal> {
        let again = |place| {
            let mut out = BytesMut::new();
            let decided = self.decide(&message, timeout.as_deref(), Some(place), &mut out)?;
            Ok(decided.with(|| out))
        };
        self.0.answered(decided, again).await.map_err(|status| refusal(&status))
    }
}

impl Method for Hot {
    const PATH: &'static str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

    #[inline]
    fn answer(&self, message: &[u8], timeout: Option<&[u8]>, out: &mut BytesMut) -> Answered {
        let start = out.len();
        match self.decide(message, timeout, None, out) {
            Ok(Decided::Answered((), None)) => Answered::Now,
            Ok(decided) => {
                let decided = decided.with(|| out.split_off(start));
                let later = self.clone().later(decided, message.into(), timeout.map(Box::from));
                Answered::Later(Box::pin(later))
            }
            Err(status) => Answered::Refused(refusal(&status)),
        }
    }
}

fn refusal(status: &tonic::Status) -> Refusal {
    // gRPC's codes are few.
    Refusal { code: status.code() as i32 as u8, message: status.message().to_owned() }
}
