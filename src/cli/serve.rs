//! `tollgate serve`: from settings to a running server, and its reloads.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::cli::check;
use crate::config::{self, Loaded, Rejected};
use crate::gate::Gate;
use crate::key::HashKey;
use crate::server;
use crate::settings::Serve;
use crate::time::Clock;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rules(#[from] Rejected),
    #[error("cannot listen on {addr}: {why}; choose another address with --grpc")]
    Listen { addr: SocketAddr, why: io::Error },
}

/// What the outside says to a running server.
#[derive(Debug)]
pub struct Signals<S> {
    pub stop: S,
    /// Each message asks for the rules to be read again.
    pub reload: mpsc::Receiver<()>,
}

/// Serves until the stop signal, and returns when everything has ended.
pub async fn run<S>(serve: &Serve, signals: Signals<S>) -> Result<(), Error>
where
    S: Future<Output = ()>,
{
    let key = HashKey::random();
    let Loaded { rules, warnings, .. } = config::load(key, &serve.rules);
    eprint!("{warnings}");
    let rules = rules?;
    let addr = serve.grpc;
    let listener = TcpListener::bind(addr).await.map_err(|why| Error::Listen { addr, why })?;
    let addr = listener.local_addr().unwrap_or(addr);
    tracing::info!(%addr, rules = check::summary(&rules), "serving gRPC");
    let gate = Arc::new(Gate::new(rules, Clock::system()));
    let reloading = tokio::spawn(reload(gate.clone(), key, serve.rules.clone(), signals.reload));
    let drain_deadline = Duration::from_secs(serve.drain_seconds.into());
    let stop = async {
        signals.stop.await;
        tracing::info!("draining");
    };
    let drained = server::run(listener, gate, stop, drain_deadline).await;
    reloading.abort();
    match drained.cut {
        0 => tracing::info!("drained"),
        cut => tracing::warn!(connections = cut, "the drain deadline cut connections short"),
    }
    Ok(())
}

async fn reload(gate: Arc<Gate>, key: HashKey, paths: Vec<PathBuf>, mut asked: mpsc::Receiver<()>) {
    while asked.recv().await.is_some() {
        let paths = paths.clone();
        // Reading and compiling may take a while, and calls must not wait for it.
        match tokio::task::spawn_blocking(move || config::load(key, &paths)).await {
            Ok(loaded) => put_in_force(&gate, loaded),
            Err(error) => tracing::error!(%error, "reading the rules failed; those in force stay"),
        }
    }
}

fn put_in_force(gate: &Gate, loaded: Loaded) {
    eprint!("{}", loaded.warnings);
    match loaded.rules {
        Err(rejected) => {
            eprintln!("{rejected}");
            tracing::error!(errors = rejected.errors, "reload refused; the rules in force stay");
        }
        Ok(rules) => {
            let (summary, kept) = (check::summary(&rules), rules.counters());
            let before = gate.replace(rules);
            tracing::info!(rules = summary, "reloaded");
            for orphan in before.counters().difference(&kept) {
                tracing::warn!(counter = orphan, "no rule uses this counter any more");
            }
        }
    }
}
