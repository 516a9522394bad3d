//! The address of a webhook, which is a secret as a whole: only its host is ever shown.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::is_public;

/// A longer address is a mistake, and alerts that wait hold one each.
const BYTES_MAX: usize = 2048;

/// Where an alert is posted: `http` or `https`, a host, and whatever follows.
#[derive(Clone)]
pub struct Webhook(Url);

/// Why a text is not the address of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is not a URL: {0}")]
    NotAUrl(String),
    #[error("it is a URL of `{0}`, not of http or https")]
    Scheme(String),
    #[error("it has a user name or a password, which would be sent to the receiver")]
    Credentials,
    #[error("it is longer than {BYTES_MAX} bytes")]
    TooLong,
}

impl Webhook {
    pub fn parse(text: &str) -> Result<Webhook, Unusable> {
        if BYTES_MAX < text.len() {
            return Err(Unusable::TooLong);
        }
        let url = Url::parse(text).map_err(|error| Unusable::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Unusable::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Unusable::Credentials);
        }
        Ok(Webhook(url))
    }

    /// The whole address, for whoever posts there. It must not reach a log.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// What of the address may be shown.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Scheme, host and port: alerts that go to one receiver have them in common.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The host, if it is an address that is not of the public Internet. A name says nothing
    /// here: what it stands for is known only when it is looked up.
    pub fn private_address(&self) -> Option<IpAddr> {
        let address = match self.0.host()? {
            Host::Domain(_) => return None,
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
        };
        (!is_public(address)).then_some(address)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({}://{}/…)", self.0.scheme(), self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_of_a_webhook_is_told_apart() {
        let why = |text: &str| Webhook::parse(text).expect_err(text);
        assert!(matches!(why("hooks.example.com"), Unusable::NotAUrl(_)));
        assert!(matches!(why("https://"), Unusable::NotAUrl(_)));
        assert_eq!(why("ftp://example.com/x"), Unusable::Scheme("ftp".into()));
        assert_eq!(why("mailto:ops@example.com"), Unusable::Scheme("mailto".into()));
        assert_eq!(why("https://ops:pw@example.com/"), Unusable::Credentials);
        assert_eq!(why(&format!("https://example.com/{}", "x".repeat(3000))), Unusable::TooLong);
    }

    #[test]
    fn a_private_address_is_seen_however_it_is_written() {
        let hosts = [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "127.0.0.1.",
            "0",
            "10.1.2.3:80",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[fd00::1]",
            "[fe80::1]",
        ];
        for host in hosts {
            let webhook = Webhook::parse(&format!("http://{host}/")).expect(host);
            assert!(webhook.private_address().is_some(), "{host}");
        }
        for host in ["1.1.1.1", "[2606:4700::1111]", "localhost", "example.com"] {
            let webhook = Webhook::parse(&format!("http://{host}/")).expect(host);
            assert_eq!(webhook.private_address(), None, "{host}");
        }
    }
}
