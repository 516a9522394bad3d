//! The mirror of an alert target.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::decode::At;
use crate::config::words;

use super::written::WebhookUrl;

/// A webhook that alerts are posted to.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Target {
    /// Its address, `http` or `https`, without user name and password.
    #[schemars(with = "WebhookUrl")]
    pub url: At<String>,
    /// How alerts are written: `plain` JSON (default), or a text for Slack and what imitates it.
    #[schemars(extend("enum" = words::FORMS))]
    pub form: Option<At<String>>,
    /// A file with a secret of 16 characters or more that alerts are signed with. A path is
    /// relative to this file.
    pub secret_file: Option<At<String>>,
    /// Whether the receiver may have an address that is not of the public Internet.
    #[serde(default)]
    pub allow_private: bool,
}
