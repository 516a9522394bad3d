//! `tollgate serve`: from settings to a running server, and its reloads.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::audit::Audit;
use crate::cli::check;
use crate::cli::machine;
use crate::cli::say::complain;
use crate::config::{self, Loaded, Rejected};
use crate::gate::Gate;
use crate::http::{Access, Token, Unfit};
use crate::key::HashKey;
use crate::limit::Durability;
use crate::rules::RuleSet;
use crate::server::{self, Data, Parts, People};
use crate::settings::Serve;
use crate::store::journal::{Home, Shared};
use crate::time::{Clock, SECOND_US};

/// The audit log's name in the data directory.
const AUDIT_LOG: &str = "audit.log";

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rules(#[from] Rejected),
    #[error("error: cannot listen on {addr}: {why}; choose another address with {flag}")]
    Listen { addr: SocketAddr, flag: &'static str, why: io::Error },
    #[error("error: cannot use the token file {path}: {why}", path = path.display())]
    Token { path: PathBuf, why: Unfit },
    #[error("error: cannot write the audit log {path}: {why}", path = path.display())]
    Audit { path: PathBuf, why: io::Error },
    #[error("error: cannot use the data directory {path}: {why}", path = path.display())]
    Data { path: PathBuf, why: io::Error },
    #[error(
        "error: limit {limit} of domain {domain} is `durability: strict`, but there is no disk to \
         keep its promise on; add --data DIR, or take `durability` out"
    )]
    NoDisk { domain: String, limit: String },
    #[error("error: {0}")]
    Server(#[from] server::Error),
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
    let home = serve.data.as_deref().map(home).transpose()?;
    let key = match &home {
        Some((home, path)) => home.hash_key().map_err(|why| unusable(path, why))?,
        None => HashKey::random(),
    };
    let Loaded { rules, warnings, .. } = config::load(key, &serve.rules);
    complain(warnings.trim_end());
    let rules = rules?;
    if home.is_none() {
        refuse_strict(&rules)?;
    }
    let (listener, addr) = listen(serve.grpc, "--grpc").await?;
    let people = people(serve).await?;
    tracing::info!(%addr, rules = check::summary(&rules), "serving gRPC");
    let lock_wait = Duration::from_secs(serve.lock_wait_seconds.into());
    let data = home.map(|(home, _)| Data { home, lock_wait });
    let gate = Arc::new(gate(rules, serve, data.is_some()));
    let source = Source { key, paths: serve.rules.clone(), strict: data.is_some() };
    let reloading = tokio::spawn(reload(gate.clone(), source, signals.reload));
    let drain_deadline = Duration::from_secs(serve.drain_seconds.into());
    let stop = async {
        signals.stop.await;
        tracing::info!("draining");
    };
    let threads = serve.threads.unwrap_or_else(|| {
        // Cores that this process may use, by its affinity and its cgroup's quota.
        std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
    });
    let parts = Parts { listener, people, gate, data, hot: serve.hot_path, threads };
    let served = server::run(parts, stop, drain_deadline).await;
    reloading.abort();
    match served?.cut {
        0 => tracing::info!("drained"),
        cut => tracing::warn!(connections = cut, "the drain deadline cut connections short"),
    }
    Ok(())
}

async fn listen(addr: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |why| Error::Listen { addr, flag, why };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().unwrap_or(addr);
    Ok((listener, addr))
}

/// The side for people: its port, its token and its audit log.
async fn people(serve: &Serve) -> Result<People, Error> {
    let token = |path: &PathBuf| {
        Token::from_file(path).map_err(|why| Error::Token { path: path.clone(), why })
    };
    let token = serve.token_file.as_ref().map(token).transpose()?;
    let beside_data = || serve.data.as_ref().map(|data| data.join(AUDIT_LOG));
    let audit = match serve.audit_log.clone().or_else(beside_data) {
        Some(path) => Audit::file(&path).map_err(|why| Error::Audit { path, why })?,
        None => Audit::Log,
    };
    let (listener, addr) = listen(serve.http, "--http").await?;
    let access = Access::new(addr, token);
    tracing::info!(%addr, "serving people");
    if access.is_shut() {
        tracing::warn!(
            %addr,
            "the people's side listens beyond loopback without a token: all but /healthcheck and \
             /metrics is refused; give it one with --token-file"
        );
    }
    let failed = |why| Error::Listen { addr, flag: "--http", why };
    let listener = listener.into_std().map_err(failed)?;
    Ok(People { listener, access, audit })
}

fn home(path: &Path) -> Result<(Home, &Path), Error> {
    Home::at(path).map(|home| (home, path)).map_err(|why| unusable(path, why))
}

fn unusable(path: &Path, why: io::Error) -> Error {
    Error::Data { path: path.to_owned(), why }
}

fn gate(rules: RuleSet, serve: &Serve, kept: bool) -> Gate {
    let gate = if kept {
        let window_us_min = u64::from(serve.durable_from_seconds) * SECOND_US;
        Gate::kept(rules, Clock::system(), Arc::new(Shared::new()), window_us_min)
    } else {
        Gate::new(rules, Clock::system())
    };
    match serve.max_memory.or_else(machine::share_of_memory) {
        Some(bytes) => {
            tracing::info!(bytes, "the most that counters and notes may take");
            gate.memory().space().limit_to(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        None => tracing::warn!(
            "nothing tells how much memory there is; say with --max-memory what counters may take"
        ),
    }
    gate
}

/// A promise that cannot be kept must not be made.
fn refuse_strict(rules: &RuleSet) -> Result<(), Error> {
    for domain in rules.domains() {
        let mut limits = domain.rules().iter().flat_map(|rule| rule.all_limits());
        if let Some(limit) = limits.find(|limit| limit.durability == Durability::Strict) {
            let limit = limit.label.to_string();
            return Err(Error::NoDisk { domain: domain.name.to_string(), limit });
        }
    }
    Ok(())
}

/// Where rules are read from again, and under which conditions.
struct Source {
    key: HashKey,
    paths: Vec<PathBuf>,
    /// Whether strict limits have a disk.
    strict: bool,
}

async fn reload(gate: Arc<Gate>, source: Source, mut asked: mpsc::Receiver<()>) {
    while asked.recv().await.is_some() {
        let (key, paths) = (source.key, source.paths.clone());
        // Reading and compiling may take a while, and calls must not wait for it.
        match tokio::task::spawn_blocking(move || config::load(key, &paths)).await {
            Ok(loaded) => put_in_force(&gate, loaded, source.strict),
            Err(error) => tracing::error!(%error, "reading the rules failed; those in force stay"),
        }
    }
}

fn put_in_force(gate: &Gate, loaded: Loaded, strict: bool) {
    complain(loaded.warnings.trim_end());
    let usable = |rules| if strict { Ok(rules) } else { refuse_strict(&rules).map(|()| rules) };
    match loaded.rules.map_err(Error::from).and_then(usable) {
        Err(error) => {
            tracing::error!("reload refused, the rules in force stay:\n{error}");
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
