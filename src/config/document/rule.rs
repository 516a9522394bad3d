//! The mirror of a rule.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::decode::{At, Pairs};

use super::written::{Name, Percent, Span};
use super::{Ban, Counted, Headers, Limit, OnRefusal, OneOrMore, Test};

/// To whom limits apply, and what they are counted by.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Rule {
    /// What answers and metrics call it.
    #[schemars(with = "Name")]
    pub name: At<String>,
    /// Conditions on entries of the call, by the entry's name. All must hold; without any, every
    /// call matches.
    #[serde(rename = "match")]
    pub conditions: Option<Pairs<At<Test>>>,
    /// Entries that each have a counter of their own. The rule does not apply to a call that lacks
    /// one of them. Without this key all calls share one counter.
    pub count_by: Option<Vec<At<Counted>>>,
    /// Limits by the call's plan. A rule has this or `limits`.
    pub plan: Option<At<PlanChoice>>,
    /// Limits of this rule alone. A rule has these or `plan`.
    #[schemars(length(min = 1))]
    pub limits: Option<At<Vec<At<Limit>>>>,
    /// What a request costs; the first that matches counts. 1 if none does.
    pub costs: Option<Vec<Cost>>,
    /// What this rule takes the place of, for the calls that it matches: another rule, or one
    /// limit of it as `rule.limit`; or a list of them.
    pub replaces: Option<At<OneOrMore>>,
    /// Another rule whose counters this one charges, so that what was used stays used. It then
    /// takes that rule's `count_by`, and its `costs` unless it has its own.
    #[schemars(with = "Option<Name>")]
    pub counter: Option<At<String>>,
    /// For which share of its counters the rule is in force, such as `25%`. For the others its
    /// limits are shadow. `0%` is a dry run.
    #[schemars(with = "Option<Percent>")]
    pub enforce: Option<At<String>>,
    /// Whether a call may give hits back, by a negative `hits_addend`.
    #[serde(default)]
    pub refundable: bool,
    /// Calls take an estimate, and a later call with the same id settles the true cost.
    pub hold: Option<Hold>,
    /// One id is charged once, however often it asks.
    pub dedupe: Option<Dedupe>,
    /// Response headers where this rule's limit is shown, in place of the domain's.
    pub headers: Option<At<Headers>>,
    /// Whether this rule's limits go into Envoy's dynamic metadata.
    pub metadata: Option<bool>,
    /// What a caller gets to read that this rule refuses, in place of the domain's.
    pub on_refusal: Option<At<OnRefusal>>,
    /// Whoever offends keeps being refused for a while, whatever they call.
    pub ban: Option<At<Ban>>,
}

/// A hold: taken by one call, ended by another, or by time.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Hold {
    /// The entry whose value both calls have, such as a request id.
    pub by: At<String>,
    /// Conditions that mark the call which ends a hold, such as `{ phase: done }`.
    #[schemars(extend("minProperties" = 1))]
    pub settle: At<Pairs<At<Test>>>,
    /// Hits that a call takes when it opens a hold; by default its own.
    #[schemars(range(min = 1))]
    pub estimate: Option<u64>,
    /// After this a hold that nobody settles ends: a slot is free again, any other estimate stays
    /// charged. Five minutes by default, a week at most.
    #[schemars(with = "Option<Span>")]
    pub expires: Option<At<String>>,
}

/// Which calls are repeats.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Dedupe {
    /// The entry that says which call it is. It must not be one that clients can choose.
    pub by: At<String>,
    /// How long an id is remembered; a week at most.
    #[serde(rename = "for")]
    #[schemars(with = "Span")]
    pub span: At<String>,
}

/// Where a call's plan comes from.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PlanChoice {
    /// The entry that names the plan; the directory may add it.
    pub from: At<String>,
    /// The plan for calls that name none or an unknown one; or `refuse`.
    pub otherwise: At<String>,
}

/// What requests of one kind cost.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Cost {
    /// Conditions on entries, as in a rule's `match`.
    #[serde(rename = "match")]
    pub conditions: Option<Pairs<At<Test>>>,
    /// Hits that each request takes. With 0 it is free: never charged, never refused.
    pub cost: u64,
}
