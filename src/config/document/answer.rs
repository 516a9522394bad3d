//! The mirror of what callers are told: headers and refusals.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Visitor};

use crate::config::decode::{At, Pairs};
use crate::config::words;

use super::written::{Percent, Span};

/// Response headers about limits.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Headers {
    /// `x-ratelimit` (default): limit, remaining and reset of one limit. `ietf-draft-11`:
    /// `RateLimit` and `RateLimit-Policy`, with all windows. `none`: no headers about limits.
    #[schemars(extend("enum" = words::STYLES))]
    pub style: Option<At<String>>,
    /// Other names for the headers of `x-ratelimit`.
    pub names: Option<At<Names>>,
    /// How `x-ratelimit` tells when a limit resets: as `unix` time (default), or in seconds from
    /// now (`delta`).
    #[schemars(extend("enum" = words::RESETS))]
    pub reset: Option<At<String>>,
    /// The limit that is always shown, such as `per-key.hour`. By default the tightest.
    #[schemars(extend("pattern" = r"^[^.]+\.[^.]+$"))]
    pub show: Option<At<String>>,
    /// Whether and how refused callers are told in `retry-after` how long to wait.
    pub retry_after: Option<At<RetryAfter>>,
}

/// Names of headers.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Names {
    /// The budget; by default `x-ratelimit-limit`.
    pub limit: Option<At<String>>,
    /// What is left of it; by default `x-ratelimit-remaining`.
    pub remaining: Option<At<String>>,
    /// When it resets; by default `x-ratelimit-reset`.
    pub reset: Option<At<String>>,
    /// By how much a soft limit is exceeded, where one is; by default `x-ratelimit-overage`.
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

/// What a refused caller gets to read.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OnRefusal {
    /// The body of the response.
    pub body: Option<Body>,
    /// Headers by name. Their values may hold placeholders, as the body's text does.
    pub headers: Option<Pairs<At<String>>>,
    /// Not ours to say; listed so that whoever looks for it here is told where it is.
    #[schemars(skip)]
    pub status: Option<At<String>>,
}

/// A body.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Body {
    /// Its type, such as `application/json`. Values are escaped as the type needs.
    #[serde(rename = "type")]
    #[schemars(extend("examples" = ["application/json", "text/plain; charset=utf-8"]))]
    pub content_type: At<String>,
    /// Its text. Placeholders: `{limit}` `{remaining}` `{retry_after}` `{reset}` `{rule}` `{plan}`
    /// `{entry.NAME}`; all other braces are the text's own.
    pub text: At<String>,
}

impl JsonSchema for RetryAfter {
    fn schema_name() -> Cow<'static, str> {
        "RetryAfter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut jitter = generator.subschema_for::<Percent>();
        jitter.insert(
            "description".into(),
            "A random addition of up to so much of the wait, so that callers do not all come back \
             at once."
                .into(),
        );
        let mut at_most = generator.subschema_for::<Span>();
        at_most.insert(
            "description".into(),
            "The longest wait that is told; a day by default. Many clients' timers overflow after \
             24 days."
                .into(),
        );
        json_schema!({
            "anyOf": [
                { "type": "boolean" },
                { "type": "object", "properties": { "jitter": jitter, "at_most": at_most } },
            ],
        })
    }
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
