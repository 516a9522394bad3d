//! Health over gRPC: whether this server wants calls.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::SERVICE;

/// The names that probes use: the whole server, the service's full name, and the short one that
/// envoyproxy/ratelimit answers to.
const NAMES: [&str; 3] = ["", SERVICE, "ratelimit"];

/// The status of all names, changed together.
#[derive(Clone, Debug)]
pub struct Health(HealthReporter);

impl Health {
    /// Not serving, until told otherwise.
    pub async fn starting() -> Health {
        let health = Health(HealthReporter::new());
        health.set(ServingStatus::NotServing).await;
        health
    }

    pub async fn serving(&self) {
        self.set(ServingStatus::Serving).await;
    }

    async fn not_serving(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    /// Not serving, and never again: also ends every open `Watch` after it has seen this, since an
    /// endless stream would keep its connection from draining.
    pub async fn ending(&mut self) {
        self.not_serving().await;
        for name in NAMES {
            // Watches end with the old entry; the new one goes on answering checks.
            self.0.clear_service_status(name).await;
        }
        self.not_serving().await;
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }

    async fn set(&self, status: ServingStatus) {
        for name in NAMES {
            self.0.set_service_status(name, status).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus as Shown;
    use tonic_health::pb::health_server::Health as _;

    use super::*;

    #[tokio::test]
    async fn checks_are_answered_to_the_end() {
        // Ending the watches took the names away, and a probe during a drain got NOT_FOUND.
        let mut health = Health::starting().await;
        let service = HealthService::from_health_reporter(health.0.clone());
        let check = async |name: &str| {
            let request = tonic::Request::new(HealthCheckRequest { service: name.into() });
            service.check(request).await.map(|answer| answer.into_inner().status())
        };
        for name in NAMES {
            assert_eq!(check(name).await.ok(), Some(Shown::NotServing));
        }
        health.serving().await;
        assert_eq!(check("ratelimit").await.ok(), Some(Shown::Serving));
        health.ending().await;
        for name in NAMES {
            assert_eq!(check(name).await.ok(), Some(Shown::NotServing));
        }
    }
}
