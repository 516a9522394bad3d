//! How what stands under `descriptors:` is taken, where that is not as its own server does.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::decode::At;
use crate::config::words;

/// How `descriptors:` are decided.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DescriptorsAs {
    /// Whether all calls are charged (default), or only those that are admitted. In the first case
    /// a call that asks without charging is refused when more than the budget is used, in the
    /// second when there is no room for one more.
    #[schemars(extend("enum" = words::CHARGE))]
    pub charge: Option<At<String>>,
    /// Whether a month is 30 days (default), or one of the calendar, in UTC.
    #[schemars(extend("enum" = words::MONTHS))]
    pub months: Option<At<String>>,
    /// Whether every limit is as if it had `quota_mode`.
    #[serde(default)]
    pub quota_mode: bool,
    /// Whether no call is refused; what would be is told in the statuses alone.
    #[serde(default)]
    pub shadow_mode: bool,
}
