//! The mirror of `directory`.

use serde::Deserialize;

use crate::config::decode::At;

#[derive(Debug, Deserialize)]
pub struct Directory {
    /// The entry whose value leads to a row.
    pub by: At<String>,
    /// A file of rows, beside the rules. Without one, people set rows while the server runs.
    pub from: Option<At<String>>,
}
