//! An alert as a value: what was crossed, and where word of it goes.
//!
//! Knows neither how a crossing is found nor how word is brought, only what both must agree on.

mod address;
mod webhook;

pub use self::address::is_public;
pub use self::webhook::{Unusable, Webhook};

use std::fmt;
use std::sync::Arc;

use crate::time::Timestamp;

/// Thresholds to a limit. Which of them were crossed is kept with each counter, in a few bits.
pub const THRESHOLDS_MAX: usize = 16;

/// The largest threshold, in percent of the budget: ten times the budget, and nobody can tell
/// more from a larger one.
pub const PERCENT_MAX: u32 = 1000;

/// Where a domain's alerts may go, under a name.
#[derive(Debug)]
pub struct Target {
    pub name: Box<str>,
    pub webhook: Webhook,
    pub form: Form,
    /// What alerts are signed with.
    pub secret: Option<Secret>,
    /// Whether the receiver may have an address that is not of the public Internet.
    pub allow_private: bool,
}

/// How an alert is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON object with a field for each fact.
    Plain,
    /// One sentence, as Slack and what imitates it reads it.
    Slack,
}

/// What alerts are signed with. It cannot be shown, not even by mistake.
pub struct Secret(Box<[u8]>);

/// At which shares of its budget a limit raises an alert, and to whom.
#[derive(Clone, Debug)]
pub struct AlertAt {
    /// Percent of the budget, ascending, each once, between 1 and `PERCENT_MAX`; at most
    /// `THRESHOLDS_MAX` of them.
    pub thresholds: Box<[u32]>,
    pub to: Recipient,
}

/// Who learns of a limit's crossings.
#[derive(Clone, Debug)]
pub enum Recipient {
    Target(Arc<Target>),
    /// Whomever the directory names for the key; nobody if it names none.
    KeysOwn,
}

/// One crossing of one threshold by one counter.
#[derive(Clone, Debug)]
pub struct Alert {
    pub domain: Box<str>,
    pub rule: Box<str>,
    /// Rule and limit name, as in `per-key.month`.
    pub limit: Box<str>,
    /// The threshold that was crossed, in percent of the budget.
    pub percent: u32,
    /// What is in use with the hits that crossed it.
    pub used: u64,
    pub budget: u64,
    /// When the window in which this happened began; unknown for what has no windows.
    pub window_start: Option<Timestamp>,
    /// When it ends.
    pub window_end: Option<Timestamp>,
    pub at: Timestamp,
    /// Entries that the counter counts by, each with its value as it may be shown: whoever
    /// raises an alert masks what is secret.
    pub values: Box<[(Box<str>, Box<str>)]>,
    pub to: To,
}

/// Where one alert goes.
#[derive(Clone, Debug)]
pub enum To {
    Target(Arc<Target>),
    /// A webhook of the key's own. It is written to plainly and unsigned, and only on the public
    /// Internet, because it may have been named by a customer.
    Own(Webhook),
}

impl Secret {
    pub fn new(bytes: &[u8]) -> Secret {
        Secret(bytes.into())
    }

    /// The secret itself, for whoever signs with it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl To {
    pub fn webhook(&self) -> &Webhook {
        match self {
            To::Target(target) => &target.webhook,
            To::Own(webhook) => webhook,
        }
    }

    pub fn form(&self) -> Form {
        match self {
            To::Target(target) => target.form,
            To::Own(_) => Form::Plain,
        }
    }

    pub fn secret(&self) -> Option<&Secret> {
        match self {
            To::Target(target) => target.secret.as_ref(),
            To::Own(_) => None,
        }
    }

    pub fn allow_private(&self) -> bool {
        match self {
            To::Target(target) => target.allow_private,
            To::Own(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_in_a_log_shows_neither_its_secret_nor_its_path() {
        let target = Target {
            name: "ops".into(),
            webhook: Webhook::parse("https://hooks.example.com/T0/s3cr3t?t=s3cr3t").expect("good"),
            form: Form::Slack,
            secret: Some(Secret::new(b"s3cr3t")),
            allow_private: false,
        };
        let shown = format!("{target:?}");
        assert!(shown.contains("hooks.example.com") && !shown.contains("s3cr3t"), "{shown}");
    }
}
