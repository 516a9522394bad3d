//! The mirror of a rules file: what may stand in it, as it stands there.
//!
//! Knows names and shapes. What the words mean, and whether they fit together, is for `compile`.
//! Keys that the language has and this release does not are listed too, so that using one is an
//! error that says so. What is said here of a field is what editors show of the key: `schema`
//! takes it over, with the types.

mod alert;
mod answer;
mod ban;
mod counted;
mod descriptor;
mod descriptors_as;
mod directory;
mod exceed;
mod limit;
mod rule;
mod test;
mod word;
mod written;

pub use self::alert::Target;
pub use self::answer::{Body, Headers, Names, OnRefusal, RetryAfter};
pub use self::ban::Ban;
pub use self::counted::{Counted, Masked};
pub use self::descriptor::{Descriptor, Descriptors, RateLimit, Replaced};
pub use self::descriptors_as::DescriptorsAs;
pub use self::directory::Directory;
pub use self::exceed::OnExceed;
pub use self::limit::Limit;
pub use self::rule::{Cost, PlanChoice, Rule};
pub use self::test::{Networks, Test, Values};
pub use self::word::OneOrMore;
pub use self::written::whole_number;

use schemars::JsonSchema;
use serde::Deserialize;

use super::decode::{At, Pairs};
use super::words;

/// The rules of one domain: who may ask how often, in plans, windows and counters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// The name that the proxy's configuration sends along. All rules of a domain stand in one
    /// file.
    #[schemars(length(min = 1))]
    pub domain: At<String>,
    /// Where days, weeks, months and years begin: an IANA name, such as `Europe/Berlin`. UTC if
    /// not said.
    #[schemars(extend("examples" = ["UTC", "Europe/Berlin", "America/New_York"]))]
    pub time_zone: Option<At<String>>,
    /// Whether a call may bring a budget of its own, which then replaces all rules for that
    /// descriptor.
    #[serde(default = "yes")]
    pub overrides: bool,
    /// Entries whose values are secrets, such as keys: shown anywhere only by their last four
    /// characters.
    pub secret_entries: Option<Vec<At<String>>>,
    /// Whether whoever holds a key may see at `/v1/my/usage` what it has used.
    #[serde(default)]
    pub my_usage: bool,
    /// What is known of each key: its plan, team and region, its own budgets, its alert target.
    pub directory: Option<Directory>,
    /// Lists of networks or values, by name, for conditions: `{ cidr: NAME }` or `{ list: NAME }`.
    #[schemars(extend("propertyNames" = written::name()))]
    pub lists: Option<Pairs<At<Vec<At<String>>>>>,
    /// The plans that you sell, by name. Rules with `plan:` take their limits from here.
    pub plans: Option<Pairs<Plan>>,
    /// The rules. All that match a call apply to it, as one decision.
    pub rules: Option<Vec<At<Rule>>>,
    /// What becomes of a descriptor that no rule matches: it passes, or is refused.
    #[schemars(extend("enum" = words::UNMATCHED))]
    pub unmatched: Option<At<String>>,
    /// Response headers about limits, on calls that pass and on those that do not. Without this
    /// key tollgate sends none; Envoy can make its own.
    pub headers: Option<At<Headers>>,
    /// Whether all limits of a call go into Envoy's dynamic metadata, for access logs.
    pub metadata: Option<bool>,
    /// What a refused caller gets to read.
    pub on_refusal: Option<At<OnRefusal>>,
    /// Where alerts may go, by name. Limits with `alert_at` name one in `alert_to`.
    #[schemars(extend("propertyNames" = written::name()))]
    pub alerts: Option<Pairs<At<Target>>>,
    /// Rules in the format of envoyproxy/ratelimit. A descriptor is held to the one that its
    /// entries lead to, besides the rules above that match it.
    pub descriptors: Option<Descriptors>,
    /// How `descriptors` are taken, where that is not as envoyproxy/ratelimit does.
    pub descriptors_as: Option<At<DescriptorsAs>>,
}

fn yes() -> bool {
    true
}

/// What a customer of this plan may do.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Plan {
    /// All of these limits hold at once. One that several plans have, by its name, needs the same
    /// window and algorithm in all of them, and keeps what was used when a key changes plans.
    #[schemars(length(min = 1))]
    pub limits: At<Vec<At<Limit>>>,
}
