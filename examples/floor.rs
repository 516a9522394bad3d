//! The floor: what a rate-limit call costs a tonic server that decides nothing.
//!
//! Every call is answered OK, with the same status for each of its descriptors; with
//! FLOOR_HEADERS=1 in the environment three headers come along. `scripts/bench` measures the server
//! beside it, so that its figures are ratios and mean the same on every machine.
//!
//! `cargo run --release --example floor -- ADDR [THREADS]`. Without THREADS all is done by one
//! thread, which is the cheapest that tonic can be. The first line printed says where it listens,
//! so that port 0 may be asked for.

use std::error::Error;
use std::net::SocketAddr;

use tokio::runtime::{Builder, Runtime};
use tollgate::grpc::proto::envoy::config::core::v3::HeaderValue;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit,
};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::rate_limit_service_server::{
    RateLimitService, RateLimitServiceServer,
};
use tollgate::grpc::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The server's own allocator, or the two would not compare.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: floor ADDR [THREADS], such as: floor 127.0.0.1:9081";

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let addr: SocketAddr = words.next().ok_or(USAGE)?.parse().map_err(|_| USAGE)?;
    let threads = words.next().map(|word| word.parse()).transpose().map_err(|_| USAGE)?;
    let headers = std::env::var("FLOOR_HEADERS").is_ok_and(|value| value == "1");
    runtime(threads)?.block_on(serve(addr, Floor { headers }))
}

async fn serve(addr: SocketAddr, floor: Floor) -> Result<(), Box<dyn Error>> {
    let incoming = TcpIncoming::bind(addr)?.with_nodelay(Some(true));
    println!("listening on {}", incoming.local_addr()?);
    let service = RateLimitServiceServer::new(floor);
    Ok(Server::builder().add_service(service).serve_with_incoming(incoming).await?)
}

fn runtime(threads: Option<usize>) -> std::io::Result<Runtime> {
    match threads {
        None => Builder::new_current_thread().enable_all().build(),
        Some(threads) => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}

/// Says OK to everybody.
struct Floor {
    /// Whether three headers are to be added to the request.
    headers: bool,
}

#[tonic::async_trait]
impl RateLimitService for Floor {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let asked = request.into_inner();
        let mut response = RateLimitResponse {
            overall_code: Code::Ok.into(),
            statuses: asked.descriptors.iter().map(|_| status()).collect(),
            ..RateLimitResponse::default()
        };
        if self.headers {
            response.response_headers_to_add = headers();
        }
        Ok(Response::new(response))
    }
}

/// What a server with one limit would say: all the fields that one fills in.
fn status() -> DescriptorStatus {
    let limit =
        RateLimit { requests_per_unit: 100, unit: Unit::Minute.into(), ..RateLimit::default() };
    DescriptorStatus {
        code: Code::Ok.into(),
        current_limit: Some(limit),
        limit_remaining: 42,
        duration_until_reset: Some(prost_types::Duration { seconds: 12, nanos: 0 }),
        ..DescriptorStatus::default()
    }
}

fn headers() -> Vec<HeaderValue> {
    let all = [
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "42"),
        ("x-ratelimit-reset", "12"),
    ];
    all.map(|(key, value)| HeaderValue {
        key: key.into(),
        value: value.into(),
        ..HeaderValue::default()
    })
    .into()
}
