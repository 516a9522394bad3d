//! The mirror of a ban.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::decode::At;
use crate::config::words;

use super::written::Span;

/// Who is kept out of the whole domain, and for how long.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Ban {
    /// What it falls for. `refusals` and `hits` go with `after` and `within`; `spike` with `times`,
    /// `over` and `at_least`; `distinct` with `entry`, `after` and `within`.
    #[schemars(extend("enum" = words::BANS))]
    pub of: At<String>,
    /// The last of so many is too much; of different values, one more than so many.
    #[schemars(range(min = 1, max = words::BAN_AFTER_MAX))]
    pub after: Option<At<u64>>,
    /// The span in which they count; a week at most. Of a spike, the window whose hits are compared
    /// with those before: a sixtieth of `over` by default.
    #[schemars(with = "Option<Span>")]
    pub within: Option<At<String>>,
    /// The entry of which a counter shows too many values.
    pub entry: Option<At<String>>,
    /// How many times the average of the windows before is too much.
    #[schemars(range(min = 2, max = 1000))]
    pub times: Option<At<u64>>,
    /// The span over which hits are averaged; a week at most.
    #[schemars(with = "Option<Span>")]
    pub over: Option<At<String>>,
    /// Fewer hits in one window are never a spike.
    #[schemars(range(min = 1, max = words::BAN_AFTER_MAX))]
    pub at_least: Option<At<u64>>,
    /// How long the first ban lasts. Each that follows within `up_to` of the last lasts twice as
    /// long.
    #[serde(rename = "for")]
    #[schemars(with = "Span")]
    pub span: At<String>,
    /// How long the longest lasts. A day by default, a year at most.
    #[schemars(with = "Option<Span>")]
    pub up_to: Option<At<String>>,
}
