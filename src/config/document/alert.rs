//! The mirror of an alert target.

use serde::Deserialize;

use crate::config::decode::At;

#[derive(Debug, Deserialize)]
pub struct Target {
    pub url: At<String>,
    pub form: Option<At<String>>,
    /// A path, relative to the rules file.
    pub secret_file: Option<At<String>>,
    #[serde(default)]
    pub allow_private: bool,
}
