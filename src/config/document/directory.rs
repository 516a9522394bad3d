//! The mirror of `directory`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::decode::At;

/// Keys, and what is known of each.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Directory {
    /// The entry whose value leads to a row.
    #[schemars(length(min = 1))]
    pub by: At<String>,
    /// A file of rows, `*.csv` or `*.yaml`, relative to this one. Without it, people set rows
    /// while the server runs.
    #[schemars(extend("pattern" = r"\.(csv|yaml)$"))]
    pub from: Option<At<String>>,
}
