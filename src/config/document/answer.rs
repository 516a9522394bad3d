//! The mirror of what callers are told: headers and refusals.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};

use crate::config::decode::{At, Pairs};

#[derive(Debug, Deserialize)]
pub struct Headers {
    pub style: Option<At<String>>,
    pub names: Option<At<Names>>,
    pub reset: Option<At<String>>,
    pub show: Option<At<String>>,
    pub retry_after: Option<At<RetryAfter>>,
}

#[derive(Debug, Deserialize)]
pub struct Names {
    pub limit: Option<At<String>>,
    pub remaining: Option<At<String>>,
    pub reset: Option<At<String>>,
    pub overage: Option<At<String>>,
}

/// Whether refused callers are told how long to wait, and how.
#[derive(Debug)]
pub enum RetryAfter {
    Sent(bool),
    With {
        jitter: Option<At<String>>,
        at_most: Option<At<String>>,
        /// Keys that mean nothing here.
        unknown: Vec<At<String>>,
    },
}

#[derive(Debug, Deserialize)]
pub struct OnRefusal {
    pub body: Option<Body>,
    pub headers: Option<Pairs<At<String>>>,
    /// Not ours to say; listed so that whoever looks for it here is told where it is.
    pub status: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
pub struct Body {
    #[serde(rename = "type")]
    pub content_type: At<String>,
    pub text: At<String>,
}

const RETRY_AFTER: &str = "true, false or `{ jitter: 10%, at_most: 1d }`";

impl<'de> Deserialize<'de> for RetryAfter {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<RetryAfter, D::Error> {
        deserializer.deserialize_any(RetryAfterVisitor)
    }
}

struct RetryAfterVisitor;

impl<'de> Visitor<'de> for RetryAfterVisitor {
    type Value = RetryAfter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(RETRY_AFTER)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<RetryAfter, E> {
        match word {
            "true" => Ok(RetryAfter::Sent(true)),
            "false" => Ok(RetryAfter::Sent(false)),
            other => Err(E::custom(format!("expected {RETRY_AFTER}, found `{other}`"))),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RetryAfter, A::Error> {
        let (mut jitter, mut at_most, mut unknown) = (None, None, Vec::new());
        while let Some(key) = map.next_key::<At<String>>()? {
            match key.value.as_str() {
                "jitter" => jitter = Some(map.next_value()?),
                "at_most" => at_most = Some(map.next_value()?),
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                    unknown.push(key);
                }
            }
        }
        Ok(RetryAfter::With { jitter, at_most, unknown })
    }
}
