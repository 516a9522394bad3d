//! The mirror of a limit.

use serde::Deserialize;

use crate::config::decode::{At, NotYet};

use super::{OnExceed, OneOrMore};

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "keys of later releases are listed only to be refused")]
pub struct Limit {
    pub name: Option<At<String>>,
    /// A number, or `unlimited`.
    pub requests: At<String>,
    /// All but `concurrency` need one.
    pub per: Option<At<String>>,
    pub algorithm: Option<At<String>>,
    pub burst: Option<At<u64>>,
    pub on_exceed: Option<At<OnExceed>>,
    pub charge: Option<At<String>>,
    pub durability: Option<At<String>>,
    /// A day of the month, or of the week by name.
    pub anchor_day: Option<At<String>>,
    /// Percentages of the budget.
    pub alert_at: Option<At<OneOrMore>>,
    pub alert_to: Option<At<String>>,
    #[serde(default)]
    pub archive: bool,
    pub consistency: Option<NotYet>,
}
