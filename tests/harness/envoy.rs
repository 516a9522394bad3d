//! A real Envoy between a client, a backend and a tollgate server, all on free loopback ports.
//!
//! A test brings the rules and the route's `rate_limits`; the rest of Envoy's configuration is the
//! template in here. Envoy fails closed and waits long, so that a decision it did not get shows as
//! a 500 and is never taken for a pass.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::backend::{Application, Backend};
use super::{PATIENCE, Server, tools};

/// How often something is looked at that cannot be waited for.
const POLL: Duration = Duration::from_millis(10);

/// By this the harness asks Envoy where it listens.
const ADMIN: &str = "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }";

/// Names in capitals are filled in.
///
/// The limits stand in the route's filter configuration rather than in the route itself, because
/// there Envoy ignores `hits_addend` without a word and counts every call as one hit.
const BOOTSTRAP: &str = r#"
static_resources:
  listeners:
  - name: edge
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager\
            .v3.HttpConnectionManager"
          stat_prefix: edge
          route_config:
            virtual_hosts:
            - name: api
              domains: ["*"]
              routes:
              - match: { prefix: / }
                route: { cluster: backend }
                typed_per_filter_config:
                  envoy.filters.http.ratelimit:
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit\
                      .v3.RateLimitPerRoute"
                    rate_limits:
                    RATE_LIMITS
          http_filters:
          FILTERS
          - name: envoy.filters.http.ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
              domain: shop
              timeout: 30s
              failure_mode_deny: true
              enable_x_ratelimit_headers: DRAFT_VERSION_03
              enable_retry_after_header: true
              rate_limit_service:
                transport_api_version: V3
                grpc_service: { envoy_grpc: { cluster_name: CLUSTER } }
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: backend
    load_assignment:
      cluster_name: backend
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: BACKEND } } }] }]
  - name: CLUSTER
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment:
      cluster_name: CLUSTER
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { TOLLGATE } } }] }]
"#;

/// A client's view of an API behind Envoy, and the hands on what is behind it.
pub struct Edge {
    pub envoy: Envoy,
    pub server: Server,
    pub backend: Backend,
}

/// The parts of Envoy's configuration that a test brings, as YAML lists.
#[derive(Clone, Copy, Default)]
pub struct Config<'a> {
    pub rate_limits: &'a str,
    /// HTTP filters ahead of the rate limit filter.
    pub filters: &'a str,
    /// What Envoy calls the server, if not `tollgate`; it says so in `:authority`.
    pub cluster: Option<&'a str>,
    /// A Unix socket of the server, where Envoy is not to come by TCP.
    pub socket: Option<&'a Path>,
}

impl Edge {
    /// Starts all three; nothing if Envoy is missing and `test` is to be skipped.
    pub async fn start(test: &str, rules: &str, rate_limits: &str) -> Option<Edge> {
        Edge::start_with(test, rules, Config { rate_limits, ..Config::default() }).await
    }

    pub async fn start_with(test: &str, rules: &str, config: Config<'_>) -> Option<Edge> {
        let binary = tools::find("envoy", test)?;
        Some(Edge::before(&binary, Server::start(rules).await, config).await)
    }

    /// Starts the others for a server that a test has started.
    pub async fn before(binary: &Path, server: Server, config: Config<'_>) -> Edge {
        let backend = Backend::start().await;
        let config = config.bootstrap(server.addr, backend.addr);
        let envoy = Envoy::start(binary, &format!("{ADMIN}\n{config}")).await;
        Edge { envoy, server, backend }
    }

    /// All three with a whole configuration of Envoy as it is shipped in `deploy/`: only addresses
    /// are replaced, and how long Envoy waits for a decision, which a busy machine may make long.
    pub async fn start_shipped(test: &str, rules: &str, shipped: &str) -> Option<Edge> {
        let binary = tools::find("envoy", test)?;
        let server = Server::start(rules).await;
        Some(Edge::around(&binary, server, Backend::start().await, shipped).await)
    }

    /// The same with an application of the test's behind it, which may ask the server itself.
    pub async fn start_application<A: Application>(
        test: &str,
        rules: &str,
        shipped: &str,
        application: impl FnOnce(&Server) -> Arc<A>,
    ) -> Option<Edge> {
        let binary = tools::find("envoy", test)?;
        let server = Server::start(rules).await;
        let backend = Backend::serving(application(&server)).await;
        Some(Edge::around(&binary, server, backend, shipped).await)
    }

    async fn around(binary: &Path, server: Server, backend: Backend, shipped: &str) -> Edge {
        let mut config = patient(shipped);
        let mut put = |written: u16, port: u16| {
            let written = format!("port_value: {written} }}");
            let found = config.contains(&written);
            config = config.replace(&written, &format!("port_value: {port} }}"));
            found
        };
        assert!(put(10_000, 0) && put(9_000, backend.addr.port()), "both are in:\n{shipped}");
        // One side of the server may be enough.
        let [data, people] = [put(8_081, server.addr.port()), put(8_080, server.http.port())];
        assert!(data || people, "the server is in:\n{shipped}");
        let envoy = Envoy::start(binary, &format!("{ADMIN}\n{config}")).await;
        Edge { envoy, server, backend }
    }

    /// One request of a client, with headers such as `x-key: a`.
    pub async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.envoy.get(path, headers).await
    }

    /// A request whose client leaves when it has come as far as the backend.
    pub async fn leave(&self, path: &str, headers: &[&str]) {
        let before = self.backend.served();
        let hanging = [headers, &["x-hang: yes"]].concat();
        let asking = self.envoy.get(path, &hanging);
        let reached = eventually("the request is with the backend", async || {
            (before < self.backend.served()).then_some(())
        });
        tokio::select! {
            answer = asking => panic!("a request that hangs is answered: {answer:?}"),
            () = reached => {}
        }
    }

    /// The same with a method that changes things, and no body.
    pub async fn post(&self, path: &str, headers: &[&str]) -> Answer {
        self.send(Method::POST, path, headers, "").await
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[&str], body: &str) -> Answer {
        send(self.envoy.addr, method, path, headers, body).await
    }
}

/// A shipped configuration whose rate limit filter waits long for a decision.
fn patient(shipped: &str) -> String {
    let patient = |line: &str| match line.split_once("timeout: ") {
        // Other timeouts have longer names, or stand behind a dash.
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}timeout: 30s\n"),
        _ => format!("{line}\n"),
    };
    shipped.lines().map(patient).collect()
}

impl Config<'_> {
    fn bootstrap(&self, tollgate: SocketAddr, backend: SocketAddr) -> String {
        let address =
            |addr: SocketAddr| format!("{{ address: {}, port_value: {} }}", addr.ip(), addr.port());
        let tollgate = match self.socket {
            Some(path) => format!("pipe: {{ path: {} }}", path.display()),
            None => format!("socket_address: {}", address(tollgate)),
        };
        let cluster = format!("'{}'", self.cluster.unwrap_or("tollgate"));
        BOOTSTRAP
            .replace("CLUSTER", &cluster)
            .replace("RATE_LIMITS", &indented(self.rate_limits, 20))
            .replace("FILTERS", &indented(self.filters, 10))
            .replace("BACKEND", &address(backend))
            .replace("TOLLGATE", &tollgate)
    }
}

/// Moves all lines of a block but the first, whose place the template gives.
fn indented(block: &str, columns: usize) -> String {
    block.trim().replace('\n', &format!("\n{}", " ".repeat(columns)))
}

/// A running Envoy; killed when dropped.
pub struct Envoy {
    pub addr: SocketAddr,
    process: Child,
    directory: TempDir,
}

impl Envoy {
    /// Starts Envoy and waits until it serves.
    async fn start(binary: &Path, config: &str) -> Envoy {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = File::create(directory.path().join("log")).expect("a file for the log");
        let process = Command::new(binary)
            .args(["--config-yaml", config, "--log-level", "warning", "--concurrency", "2"])
            // A test that reads an access log would otherwise wait ten seconds for it.
            .args(["--file-flush-interval-msec", "20"])
            // Hot restart shares memory between processes of one number; these are strangers.
            .args(["--disable-hot-restart", "--admin-address-path"])
            .arg(directory.path().join("admin"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Envoy can be run");
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut envoy = Envoy { addr: unknown, process, directory };
        envoy.addr = eventually("Envoy listens", async || envoy.listening().await).await;
        envoy
    }

    pub async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        get(self.addr, path, headers).await
    }

    /// Where Envoy takes requests, once it does.
    async fn listening(&mut self) -> Option<SocketAddr> {
        if let Some(status) = self.process.try_wait().expect("a child can be waited for") {
            panic!("Envoy ended with {status}: {}", self.file("log"));
        }
        let admin: SocketAddr = self.file("admin").parse().ok()?;
        if get(admin, "/ready", &[]).await.status != StatusCode::OK {
            return None;
        }
        let listeners = get(admin, "/listeners?format=json", &[]).await.body;
        let listeners: serde_json::Value = serde_json::from_str(&listeners).expect("JSON");
        let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let port = address["port_value"].as_u64()?;
        Some(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port"))))
    }

    /// What Envoy wrote there so far.
    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Errors here mean that it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("Envoy's log:\n{}", self.file("log"));
        }
    }
}

/// What a client got.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// All headers about limits, as lines in the order of their names.
    pub fn about_limits(&self) -> Vec<String> {
        let mut lines: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| {
                name.as_str().contains("ratelimit") || *name == http::header::RETRY_AFTER
            })
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("a plain text")))
            .collect();
        lines.sort();
        lines
    }

    /// A header that is there once, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a plain text"))
    }
}

async fn get(addr: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    send(addr, Method::GET, path, headers, "").await
}

async fn send(
    addr: SocketAddr,
    method: Method,
    path: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let stream = TcpStream::connect(addr).await.expect("Envoy accepts");
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.expect("Envoy speaks HTTP/1.1");
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "api.test");
    for header in headers {
        let (name, value) = header.split_once(": ").expect("a header is `name: value`");
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
    let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Asks until there is an answer, or for so long that something must hang.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            match ask().await {
                Some(answer) => break answer,
                None => tokio::time::sleep(POLL).await,
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.unwrap_or_else(|_| panic!("after {PATIENCE:?} it is still not so: {what}"))
}
