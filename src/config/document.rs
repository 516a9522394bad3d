//! The mirror of a rules file: what may stand in it, as it stands there.
//!
//! Knows names and shapes. What the words mean, and whether they fit together, is for `compile`.
//! Keys that the language has and this release does not are listed too, so that using one is an
//! error that says so.

mod alert;
mod answer;
mod counted;
mod directory;
mod exceed;
mod limit;
mod rule;
mod test;
mod word;

pub use self::alert::Target;
pub use self::answer::{Body, Headers, Names, OnRefusal, RetryAfter};
pub use self::counted::{Counted, Masked};
pub use self::directory::Directory;
pub use self::exceed::OnExceed;
pub use self::limit::Limit;
pub use self::rule::{Cost, PlanChoice, Rule};
pub use self::test::{Networks, Test, Values};
pub use self::word::OneOrMore;

use serde::Deserialize;

use super::decode::{At, NotYet, Pairs};

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "keys of later releases are listed only to be refused")]
pub struct Document {
    pub domain: At<String>,
    pub time_zone: Option<At<String>>,
    #[serde(default = "yes")]
    pub overrides: bool,
    /// Named lists of values or networks, for conditions.
    pub lists: Option<Pairs<At<Vec<At<String>>>>>,
    pub plans: Option<Pairs<Plan>>,
    pub rules: Option<Vec<At<Rule>>>,
    pub alerts: Option<Pairs<At<Target>>>,
    pub descriptors: Option<NotYet>,
    pub directory: Option<Directory>,
    pub headers: Option<At<Headers>>,
    pub metadata: Option<bool>,
    pub on_refusal: Option<At<OnRefusal>>,
    pub secret_entries: Option<Vec<At<String>>>,
    pub unmatched: Option<At<String>>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
pub struct Plan {
    pub limits: At<Vec<At<Limit>>>,
}
