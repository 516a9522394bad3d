//! Bringing one alert to its receiver: tries, waits between them, and when to stop.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use crate::alert::Alert;
use crate::time::{Clock, Timestamp};

use super::form;
use super::patience::Patience;
use super::resolver::{NotPublic, PublicOnly};
use super::signature;

/// By this a receiver knows who sent the alert.
const SIGNATURE: &str = "tollgate-signature";

/// By this it knows an alert that comes again.
const ID: &str = "tollgate-alert-id";

/// A connection is kept for the next alert of a burst, and no longer.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Posts alerts.
#[derive(Debug)]
pub struct Courier {
    /// For receivers on the public Internet alone.
    guarded: Client,
    /// For those that may be anywhere.
    open: Client,
    patience: Patience,
    clock: Clock,
    random: SystemRandom,
}

/// The client cannot be built; the reason is the library's.
#[derive(Debug, thiserror::Error)]
pub enum Unbuildable {
    #[error("no TLS for alerts: {0}")]
    Tls(#[from] rustls::Error),
    #[error("no HTTP for alerts: {0}")]
    Http(#[from] reqwest::Error),
}

/// What came of one try.
enum Tried {
    Delivered,
    /// Another try may go better, after the wait that the receiver asks for.
    Again {
        why: String,
        asked: Option<Duration>,
    },
    /// No other try will.
    Never {
        why: String,
    },
}

impl Courier {
    pub fn new(patience: Patience, clock: Clock) -> Result<Courier, Unbuildable> {
        let tls = tls()?;
        let client = || client(&tls, patience.try_max);
        Ok(Courier {
            guarded: client().dns_resolver(PublicOnly).build()?,
            open: client().build()?,
            patience,
            clock,
            random: SystemRandom::new(),
        })
    }

    /// The clock's reading, by which alerts are signed.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Posts an alert, again and again if need be.
    ///
    /// # Errors
    ///
    /// Why it was not delivered, without any part of the receiver's address but its host.
    pub async fn deliver(&self, alert: &Alert) -> Result<(), String> {
        let webhook = alert.to.webhook();
        if let Some(address) = webhook.private_address().filter(|_| !alert.to.allow_private()) {
            return Err(format!("{address}: {NotPublic}"));
        }
        let id = signature::id(alert);
        let body = form::body(alert, &id);
        for tried in 1.. {
            match self.attempt(alert, &id, &body).await {
                Tried::Delivered => return Ok(()),
                Tried::Never { why } => return Err(why),
                Tried::Again { why, .. } if self.patience.tries_max <= tried => {
                    return Err(format!("{why}, after {tried} tries"));
                }
                Tried::Again { asked, .. } => {
                    tokio::time::sleep(self.patience.wait(tried, asked, self.draw())).await;
                }
            }
        }
        Ok(())
    }

    async fn attempt(&self, alert: &Alert, id: &str, body: &str) -> Tried {
        let client = if alert.to.allow_private() { &self.open } else { &self.guarded };
        let mut request = client
            .post(alert.to.webhook().url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID, id)
            .body(body.to_owned());
        if let Some(secret) = alert.to.secret() {
            request = request.header(SIGNATURE, signature::signature(secret, self.now(), body));
        }
        match request.send().await {
            Ok(response) => answered(&response, self.now()),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Tried {
        let causes = causes(error);
        if let Some(refused) = causes.iter().find(|cause| cause.is::<NotPublic>()) {
            return Tried::Never { why: refused.to_string() };
        }
        let why = match causes.last() {
            _ if error.is_timeout() => format!("no answer within {:?}", self.patience.try_max),
            // The error itself would tell the whole address; its last cause knows none.
            Some(cause) => cause.to_string(),
            None => "the request failed".to_owned(),
        };
        Tried::Again { why, asked: None }
    }

    /// Any number. Without randomness all waits are the shortest, which harms nobody.
    fn draw(&self) -> u8 {
        let mut draw = [0];
        let _ = self.random.fill(&mut draw);
        draw[0]
    }
}

/// The causes of an error, the first one last.
fn causes(error: &reqwest::Error) -> Vec<&(dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}

fn answered(response: &Response, now: Timestamp) -> Tried {
    let status = response.status();
    let why = format!("the receiver answered {}", status.as_u16());
    match status {
        status if status.is_success() => Tried::Delivered,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Tried::Again { why, asked: asked(response.headers(), now) }
        }
        status if status.is_server_error() => {
            Tried::Again { why, asked: asked(response.headers(), now) }
        }
        // A redirect is not followed: where it leads to, nobody has allowed.
        _ => Tried::Never { why },
    }
}

/// The wait that a receiver asks for, in seconds or as a date.
fn asked(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_microsecond();
    let date = Timestamp::from_micros(u64::try_from(date).ok()?);
    Some(Duration::from_micros(date.since(now)))
}

/// TLS with its cryptography and its roots named here, so that neither depends on what the process
/// or the machine has installed.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tls)
}

fn client(tls: &ClientConfig, try_max: Duration) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .timeout(try_max)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(1)
        .redirect(Policy::none())
        // Retries are ours alone, and a proxy would look names up for itself.
        .retry(reqwest::retry::never())
        .no_proxy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_asks_for_time_in_seconds_or_by_date() {
        let now = Timestamp::from_secs(1_773_144_000);
        let asked = |text: &str| {
            let text = text.parse().expect("a header's value");
            asked(&HeaderMap::from_iter([(RETRY_AFTER, text)]), now).map(|wait| wait.as_secs())
        };
        assert_eq!(asked("7"), Some(7));
        assert_eq!(asked("Tue, 10 Mar 2026 12:00:30 GMT"), Some(30));
        assert_eq!(asked("Tue, 10 Mar 2026 11:00:00 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
        assert_eq!(super::asked(&HeaderMap::new(), now), None);
    }
}
