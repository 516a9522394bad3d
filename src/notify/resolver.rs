//! Looking up names, without the addresses that are nobody's business.
//!
//! What is filtered here is what is then connected to, so a name that changes its mind between two
//! look-ups (DNS rebinding) gains nothing.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::alert::is_public;

/// Finds only addresses of the public Internet.
#[derive(Debug)]
pub struct PublicOnly;

/// A name stands only for addresses that are not of the public Internet.
#[derive(Debug, thiserror::Error)]
#[error("the receiver has no address of the public Internet, and its target does not allow others")]
pub struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's, and put in by whoever asked.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|addr| is_public(addr.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
