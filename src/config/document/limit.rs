//! The mirror of a limit.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::decode::{At, NotYet};
use crate::config::words;

use super::written::{AnchorDay, Name, Requests, Span, Thresholds};
use super::{OnExceed, OneOrMore};

/// So many requests in a window.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "keys of later releases are listed only to be refused")]
pub struct Limit {
    /// What answers and metrics call it, after its rule's name: `per-key.month`. By default its
    /// window: `minute`, `90s`.
    #[schemars(with = "Option<Name>")]
    pub name: Option<At<String>>,
    /// The budget: a number such as `5000` or `25_000_000`, `0` to block, or `unlimited`, which
    /// counts and never refuses.
    #[schemars(with = "Requests")]
    pub requests: At<String>,
    /// The window: a unit, or a number of them, up to ten years. All algorithms but `concurrency`
    /// need one.
    #[schemars(with = "Option<Span>")]
    pub per: Option<At<String>>,
    /// How use is measured. `fixed_window` by default; `calendar` for months, years and where
    /// there is an `anchor_day`; `token_bucket` where there is a `burst`.
    #[schemars(extend("enum" = words::ALGORITHMS))]
    pub algorithm: Option<At<String>>,
    /// Of a `token_bucket`: how many requests may come at once. By default as many as `requests`.
    #[schemars(range(min = 1))]
    pub burst: Option<At<u64>>,
    /// What happens beyond the budget: `deny` (default), `allow` (soft: passes, marked as
    /// overage), `shadow` (counts, and says nothing to the caller), or `{ queue: { … } }`, where
    /// calls wait for room.
    pub on_exceed: Option<At<OnExceed>>,
    /// Whether only admitted calls are charged (default), or all: for costs that are told after
    /// the response, such as bytes.
    #[schemars(extend("enum" = words::CHARGE))]
    pub charge: Option<At<String>>,
    /// `strict` lets the answer leave only when its charge is on disk.
    #[schemars(extend("enum" = words::DURABILITY))]
    pub durability: Option<At<String>>,
    /// The day on which calendar windows begin: of the month, 1 to 31 (31 is always the last), or
    /// of the week, by name.
    #[schemars(with = "Option<AnchorDay>")]
    pub anchor_day: Option<At<String>>,
    /// Percentages of the budget at which somebody is told: once for each threshold, window and
    /// counter.
    #[schemars(with = "Option<Thresholds>")]
    pub alert_at: Option<At<OneOrMore>>,
    /// Who is told: the name of a target under `alerts`. Without it, whomever the directory names
    /// for the key.
    #[schemars(with = "Option<Name>")]
    pub alert_to: Option<At<String>>,
    /// Whether the final count of each closed window is kept, for billing. Only fixed and calendar
    /// windows close.
    #[serde(default)]
    pub archive: bool,
    pub consistency: Option<NotYet>,
}
