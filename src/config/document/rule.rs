//! The mirror of a rule.

use serde::Deserialize;

use crate::config::decode::{At, NotYet, Pairs};

use super::{Counted, Headers, Limit, OnRefusal, OneOrMore, Test};

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "keys of later releases are listed only to be refused")]
pub struct Rule {
    pub name: At<String>,
    #[serde(rename = "match")]
    pub conditions: Option<Pairs<At<Test>>>,
    pub count_by: Option<Vec<At<Counted>>>,
    pub plan: Option<At<PlanChoice>>,
    pub costs: Option<Vec<Cost>>,
    pub limits: Option<At<Vec<At<Limit>>>>,
    pub ban: Option<NotYet>,
    pub counter: Option<At<String>>,
    pub dedupe: Option<Dedupe>,
    /// A share of the rule's counters, in percent.
    pub enforce: Option<At<String>>,
    pub headers: Option<At<Headers>>,
    pub hold: Option<Hold>,
    pub metadata: Option<bool>,
    pub on_refusal: Option<At<OnRefusal>>,
    #[serde(default)]
    pub refundable: bool,
    pub replaces: Option<At<OneOrMore>>,
}

#[derive(Debug, Deserialize)]
pub struct Hold {
    pub by: At<String>,
    pub settle: At<Pairs<At<Test>>>,
    pub estimate: Option<u64>,
    pub expires: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
pub struct Dedupe {
    pub by: At<String>,
    #[serde(rename = "for")]
    pub span: At<String>,
}

#[derive(Debug, Deserialize)]
pub struct PlanChoice {
    pub from: At<String>,
    pub otherwise: At<String>,
}

#[derive(Debug, Deserialize)]
pub struct Cost {
    #[serde(rename = "match")]
    pub conditions: Option<Pairs<At<Test>>>,
    pub cost: u64,
}
