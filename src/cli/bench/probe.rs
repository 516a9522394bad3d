//! One call ahead of a run: what would go wrong with every call is told once, and in words.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime;
use tokio::task::LocalSet;

use super::target::{Caller, Failure, GRPC_UNIMPLEMENTED};
use crate::settings::Target;

/// A server that takes longer for one call is not worth loading with many.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a server cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("error: nobody listens at {0}; start the server, or name another with --target")]
    Nobody(Target),
    #[error("error: cannot connect to {target}: {why}")]
    Unreachable { target: Target, why: io::Error },
    #[error(
        "error: {target} does not speak HTTP/2 as gRPC does without TLS ({why}); is that the port \
         for gRPC?"
    )]
    NotHttp2 { target: Target, why: String },
    #[error("error: {target} speaks HTTP/2 but not gRPC: {why}")]
    NotGrpc { target: Target, why: String },
    #[error(
        "error: {0} serves gRPC, but not envoy.service.ratelimit.v3.RateLimitService, which is \
         what is measured here"
    )]
    OtherService(Target),
    #[error("error: {0} took the call and did not answer within 5 s")]
    Silent(Target),
}

/// Makes one call. Errors that a server may well give to some calls and not to others are none
/// here: they are counted in the run.
pub fn probe(target: &Target, message: Bytes) -> Result<(), Error> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Error::Unreachable { target: target.clone(), why })?;
    LocalSet::new().block_on(&runtime, call(target, message))
}

async fn call(target: &Target, message: Bytes) -> Result<(), Error> {
    let mut caller = Caller::connect(target).await.map_err(|why| unreachable(target, why))?;
    let target = target.clone();
    match tokio::time::timeout(PATIENCE, caller.call(message)).await {
        Err(_) => Err(Error::Silent(target)),
        Ok(Err(Failure::Lost(why))) => Err(Error::NotHttp2 { target, why }),
        Ok(Err(Failure::NotGrpc(why))) => Err(Error::NotGrpc { target, why }),
        Ok(Err(Failure::Status { code: GRPC_UNIMPLEMENTED, .. })) => {
            Err(Error::OtherService(target))
        }
        Ok(Ok(_) | Err(Failure::Status { .. } | Failure::Reset(_))) => Ok(()),
    }
}

fn unreachable(target: &Target, why: io::Error) -> Error {
    let target = target.clone();
    match why.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Error::Nobody(target),
        _ => Error::Unreachable { target, why },
    }
}
