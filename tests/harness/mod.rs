//! The entrance for tests through the wire: a server on a free port with a manual clock, a client.
//!
//! Tools that a test needs (Envoy, grpcurl) are found by `tools`; `envoy` puts a real proxy in
//! front of a server, with a `backend` behind it.

#![allow(dead_code, reason = "each test binary uses its own part of the harness")]

pub mod backend;
pub mod check;
pub mod corpus;
pub mod disk;
pub mod envoy;
pub mod http;
pub mod jetpero;
pub mod job_tracker;
pub mod program;
pub mod provider;
pub mod raw;
pub mod receiver;
pub mod samples;
pub mod tools;
pub mod yaml;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollgate::audit::Audit;
use tollgate::config::{self, Source};
use tollgate::gate::Gate;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tollgate::grpc::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tollgate::http::{Access, Token};
use tollgate::key::HashKey;
use tollgate::rules::RuleSet;
use tollgate::server::{self, Parts, People};
use tollgate::time::{ManualClock, Timestamp};
use tollgate::transport::{Drained, Listeners, Unix};
use tonic::Status;
use tonic::transport::Channel;

/// 2026-03-10, a Tuesday, at 12:00:00 UTC: the start of a minute, an hour and nothing longer.
pub const NOON: Timestamp = Timestamp::from_secs(1_773_144_000);

/// Nothing here takes longer, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Enough that connections are spread, and few enough for many servers at once.
const THREADS: NonZeroUsize = NonZeroUsize::new(2).expect("two is above nothing");

/// The secret of test servers, so that failures repeat.
pub const KEY: HashKey = HashKey::from_bytes([42; 16]);

/// Compiles rules, or fails with what the file's author would read.
pub fn rules(text: &str) -> RuleSet {
    let source = Source { name: "test.yaml".into(), text: text.into() };
    config::compile_all(KEY, &[source]).rules.unwrap_or_else(|rejected| panic!("{rejected}"))
}

/// A running server and its clock, which stands at `NOON` until moved.
pub struct Server {
    pub addr: SocketAddr,
    /// The people's side.
    pub http: SocketAddr,
    pub clock: ManualClock,
    pub gate: Arc<Gate>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<Drained, server::Error>>,
}

impl Server {
    pub async fn start(rules_text: &str) -> Server {
        Server::start_with_drain(rules_text, PATIENCE).await
    }

    pub async fn start_with_drain(rules_text: &str, drain_deadline: Duration) -> Server {
        let clock = ManualClock::starting_at(NOON);
        let gate = Arc::new(Gate::new(rules(rules_text), clock.clock()));
        Server::start_parts(
            gate,
            clock,
            PeopleOf::default(),
            Way { drain_deadline, ..Way::default() },
        )
        .await
    }

    /// A server that answers `ShouldRateLimit` in place, or by the gRPC library as all else.
    pub async fn start_way(rules_text: &str, hot: bool) -> Server {
        let clock = ManualClock::starting_at(NOON);
        let gate = Arc::new(Gate::new(rules(rules_text), clock.clock()));
        Server::start_parts(gate, clock, PeopleOf::default(), Way { hot, ..Way::default() }).await
    }

    /// A server that can also be reached by a Unix socket.
    pub async fn start_at(rules_text: &str, socket: &Path) -> Server {
        let clock = ManualClock::starting_at(NOON);
        let gate = Arc::new(Gate::new(rules(rules_text), clock.clock()));
        let unix = Unix::bind(socket).expect("a free path");
        Server::start_parts(
            gate,
            clock,
            PeopleOf::default(),
            Way { unix: Some(unix), ..Way::default() },
        )
        .await
    }

    /// A server whose people's side is as the test says.
    pub async fn start_for(rules_text: &str, people: PeopleOf<'_>) -> Server {
        let clock = ManualClock::starting_at(NOON);
        let gate = Arc::new(Gate::new(rules(rules_text), clock.clock()));
        Server::start_parts(gate, clock, people, Way::default()).await
    }

    async fn start_parts(
        gate: Arc<Gate>,
        clock: ManualClock,
        people: PeopleOf<'_>,
        way: Way,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let people = people.parts();
        let http = people.listener.local_addr().expect("a bound listener has an address");
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or(()) };
        let Way { hot, unix, drain_deadline } = way;
        let listeners = Listeners { tcp: listener, unix };
        let parts =
            Parts { listeners, people, gate: gate.clone(), data: None, hot, threads: THREADS };
        let running = tokio::spawn(server::run(parts, stopped, drain_deadline));
        Server { addr, http, clock, gate, stop, running }
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.addr));
        endpoint.expect("an address").connect().await.expect("the server accepts")
    }

    pub async fn client(&self) -> Client {
        Client(RateLimitServiceClient::new(self.channel().await))
    }

    pub fn advance_s(&self, seconds: u64) {
        self.clock.advance_us(seconds * tollgate::time::SECOND_US);
    }

    /// Says stop, and waits until the server has ended.
    pub async fn stop(self) -> Drained {
        self.begin_stop().await
    }

    /// Says stop, and returns what will end with the server.
    pub fn begin_stop(self) -> impl Future<Output = Drained> {
        let _ = self.stop.send(());
        async { self.running.await.expect("no panic").expect("a memory server cannot fail") }
    }
}

/// How calls come to a test's server, and how long its end may take.
struct Way {
    /// Whether the hot call is answered in place.
    hot: bool,
    unix: Option<Unix>,
    drain_deadline: Duration,
}

impl Default for Way {
    fn default() -> Way {
        Way { hot: true, unix: None, drain_deadline: PATIENCE }
    }
}

/// The people's side of a test's server: on loopback, without a token, its changes in the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeopleOf<'a> {
    /// Whether it listens on every address of the machine.
    pub beyond_loopback: bool,
    pub token_file: Option<&'a Path>,
    pub audit_log: Option<&'a Path>,
}

impl PeopleOf<'_> {
    fn parts(self) -> People {
        let host = if self.beyond_loopback { "0.0.0.0:0" } else { "127.0.0.1:0" };
        let listener = std::net::TcpListener::bind(host).expect("a free port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let token = self.token_file.map(|path| Token::from_file(path).expect("a fit token"));
        let audit = self.audit_log.map_or(Audit::Log, |path| Audit::file(path).expect("a file"));
        People { listener, access: Access::new(addr, token), audit }
    }
}

/// Calls `ShouldRateLimit`.
#[derive(Clone)]
pub struct Client(pub RateLimitServiceClient<Channel>);

impl Client {
    /// One call in a domain, one descriptor for each text such as `key=a,plan=free`.
    pub async fn ask(&mut self, domain: &str, descriptors: &[&str]) -> RateLimitResponse {
        self.call(request(domain, descriptors)).await.expect("an answer")
    }

    pub async fn call(&mut self, request: RateLimitRequest) -> Result<RateLimitResponse, Status> {
        Ok(self.0.should_rate_limit(request).await?.into_inner())
    }
}

pub fn request(domain: &str, descriptors: &[&str]) -> RateLimitRequest {
    let descriptors = descriptors.iter().map(|text| descriptor(text)).collect();
    RateLimitRequest { domain: domain.into(), descriptors, hits_addend: 0 }
}

/// Reads `key=a,plan=free` as a descriptor.
pub fn descriptor(text: &str) -> RateLimitDescriptor {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let entries = pairs.map(|(key, value)| Entry { key: key.into(), value: value.into() });
    RateLimitDescriptor { entries: entries.collect(), ..RateLimitDescriptor::default() }
}
