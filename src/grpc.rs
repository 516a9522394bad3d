//! The rim: gRPC services over the gate.
//!
//! The only place with wire types and status codes. Nothing here decides.

mod asked;
mod bans;
mod charges;
mod directory;
mod health;
mod history;
mod hot;
mod metadata;
mod patience;
mod quotas;
mod ratelimit;
mod told;

// The hot call's two codecs, which tests and benches hold against each other.
pub mod from_proto;
pub mod to_proto;
pub mod wire;

pub use self::health::Health;
pub use self::hot::Hot;

use std::sync::Arc;

use tonic::service::Routes;
use tonic_reflection::pb::{v1, v1alpha};

use crate::gate::Gate;
use crate::quota::Quota;

use self::proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitServiceServer;
use self::proto::tollgate::v1::bans_server::BansServer;
use self::proto::tollgate::v1::directory_server::DirectoryServer;
use self::proto::tollgate::v1::quotas_server::QuotasServer;
use self::ratelimit::RateLimit;

/// Generated from `proto/`. Public so that tests and tools can call a server.
pub mod proto {
    #![allow(
        clippy::all,
        clippy::allow_attributes_without_reason,
        unused_qualifications,
        reason = "generated code"
    )]

    pub mod envoy {
        pub mod config {
            pub mod core {
                pub mod v3 {
                    tonic::include_proto!("envoy.config.core.v3");
                }
            }
        }
        pub mod extensions {
            pub mod common {
                pub mod ratelimit {
                    pub mod v3 {
                        tonic::include_proto!("envoy.extensions.common.ratelimit.v3");
                    }
                }
            }
        }
        pub mod service {
            pub mod ratelimit {
                pub mod v3 {
                    tonic::include_proto!("envoy.service.ratelimit.v3");
                }
            }
        }
        pub mod r#type {
            pub mod v3 {
                tonic::include_proto!("envoy.r#type.v3");
            }
        }
    }
    pub mod tollgate {
        pub mod v1 {
            tonic::include_proto!("tollgate.v1");
        }
    }
}

/// What reflection serves: the files in `proto/` as compiled.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The full name of the service that Envoy calls; also a name that health answers to.
pub const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";

/// What reflection itself is called.
const REFLECTION: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// The largest request that is read: gRPC's usual bound, and that of the server which most
/// proxies were set up for. The longest header that Envoy forwards, 60 KiB, fits 68 times.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// All services of the data side.
pub fn routes(gate: Arc<Gate>, health: &Health) -> Routes {
    let service = RateLimitServiceServer::new(RateLimit::new(gate))
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    let routes = Routes::new(service).add_service(health.service());
    with_reflection(routes, &[SERVICE, "grpc.health.v1.Health"]).prepare()
}

/// The services of the people's port, with messages of up to so many bytes.
pub fn people_routes(quota: Arc<Quota>, bytes_max: usize) -> Routes {
    let directory = DirectoryServer::new(directory::Service::new(quota.clone()))
        .max_decoding_message_size(bytes_max);
    let bans =
        BansServer::new(bans::Service::new(quota.clone())).max_decoding_message_size(bytes_max);
    let quotas =
        QuotasServer::new(quotas::Service::new(quota)).max_decoding_message_size(bytes_max);
    let routes = Routes::new(quotas).add_service(directory).add_service(bans);
    with_reflection(routes, &["tollgate.v1.Quotas", "tollgate.v1.Directory", "tollgate.v1.Bans"])
}

/// Adds both versions of reflection, which list these services and themselves.
fn with_reflection(routes: Routes, services: &[&str]) -> Routes {
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false);
        let listed = services.iter().chain(&REFLECTION);
        listed.fold(builder, |builder, &service| builder.with_service_name(service))
    };
    let reflection_v1 = reflection().build_v1().expect("the compiled descriptors are sound");
    let reflection_v1alpha =
        reflection().build_v1alpha().expect("the compiled descriptors are sound");
    routes.add_service(reflection_v1).add_service(reflection_v1alpha)
}
