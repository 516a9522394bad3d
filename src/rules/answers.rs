//! What a domain or a rule has its callers told beyond the statuses, as compiled.
//!
//! Knows which words are said and under which names; what the numbers are is for each answer.

use super::template::Template;

/// Whatever is `None` here is not said here: the domain's own stands in for a rule's.
#[derive(Debug, Default)]
pub struct Answers {
    pub headers: Option<Headers>,
    /// Whether limits are told as dynamic metadata, for access logs.
    pub metadata: Option<bool>,
    pub on_refusal: Option<OnRefusal>,
}

#[derive(Debug)]
pub struct Headers {
    pub style: Style,
    /// The limit that is always shown when it is part of the call, as `rule.limit`.
    pub show: Option<Box<str>>,
    pub retry_after: Option<RetryAfter>,
}

#[derive(Debug)]
pub enum Style {
    /// Envoy makes its own of the statuses, or nobody does.
    Silent,
    /// One limit, by three headers.
    XRateLimit { names: Names, reset: ResetForm },
    /// All limits, by the two headers of draft-ietf-httpapi-ratelimit-headers-11.
    IetfDraft11,
}

/// What the headers of the style `x-ratelimit` are called.
#[derive(Debug)]
pub struct Names {
    pub limit: Box<str>,
    pub remaining: Box<str>,
    pub reset: Box<str>,
    /// Sent only when a soft limit is exceeded.
    pub overage: Box<str>,
}

/// How a moment is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetForm {
    /// Seconds since 1970.
    Unix,
    /// Seconds from now.
    Delta,
}

/// How long a refused caller is asked to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// Up to so much is added, so that callers who were refused together do not return together.
    pub jitter_percent: u8,
    /// In seconds.
    pub at_most_s: u64,
}

/// What a refused caller gets.
#[derive(Debug)]
pub struct OnRefusal {
    pub body: Option<Body>,
    /// Names and values.
    pub headers: Box<[(Box<str>, Template)]>,
}

#[derive(Debug)]
pub struct Body {
    pub content_type: Box<str>,
    pub form: Form,
    pub text: Template,
}

/// How values are written into a text, so that they cannot become part of its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    /// HTML and XML.
    Markup,
    /// Values lose their control characters.
    Plain,
    /// The value of a header: one line of visible ASCII, the rest percent-encoded.
    Header,
}

/// A client whose timer holds milliseconds in 31 bits comes back at once when told to wait for a
/// month; a day is short enough for all, and long enough to be no burden.
pub const RETRY_AFTER_S_MAX: u64 = 86_400;

impl Answers {
    pub fn are_silent(&self) -> bool {
        let headers = self.headers.as_ref().is_some_and(Headers::are_sent);
        !headers && self.metadata != Some(true) && self.on_refusal.is_none()
    }
}

impl Headers {
    fn are_sent(&self) -> bool {
        !matches!(self.style, Style::Silent) || self.retry_after.is_some()
    }
}

impl Default for RetryAfter {
    fn default() -> RetryAfter {
        RetryAfter { jitter_percent: 0, at_most_s: RETRY_AFTER_S_MAX }
    }
}

impl Default for Names {
    fn default() -> Names {
        Names {
            limit: "x-ratelimit-limit".into(),
            remaining: "x-ratelimit-remaining".into(),
            reset: "x-ratelimit-reset".into(),
            overage: "x-ratelimit-overage".into(),
        }
    }
}
