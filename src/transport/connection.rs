//! One connection of the data side, from its first byte to its last.

use std::pin::pin;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::exchange::Exchange;
use super::http2::Method;
use super::library::{self, Services};
use super::preface;

/// What is served on a connection.
#[derive(Clone, Debug)]
pub struct Served<M, S> {
    /// What is answered in place; without it, the library serves everything.
    pub method: Option<M>,
    pub services: S,
}

/// Serves until the peer leaves, or until told to stop and all accepted calls are answered.
pub async fn serve<I, M, S>(mut stream: I, served: Served<M, S>, mut stop: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    M: Method,
    S: Services,
{
    let greeted = tokio::select! {
        greeted = preface::http2(&mut stream) => greeted,
        // Who has not said a word yet has asked nothing.
        () = super::stopped(&mut stop) => return,
    };
    if let Err(error) = greeted {
        tracing::debug!(%error, "connection refused");
        return;
    }
    let Served { method, services } = served;
    match method {
        Some(method) => Exchange::new(stream, method, services, stop).run().await,
        None => by_library(preface::again(stream), services, stop).await,
    }
}

/// Lets the library serve all of a connection.
async fn by_library<I, S>(stream: I, services: S, mut stop: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Services,
{
    let mut serving = pin!(library::of_a_peer().serve_connection(TokioIo::new(stream), services));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = super::stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // A peer that goes away or speaks another protocol is no fault of ours.
        tracing::debug!(%error, "connection ended");
    }
}
