//! The mirror of a rule.

use serde::Deserialize;

use crate::config::decode::{At, NotYet, Pairs};

use super::{Counted, Headers, Limit, OnRefusal, Test};

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
    pub counter: Option<NotYet>,
    pub dedupe: Option<NotYet>,
    pub enforce: Option<NotYet>,
    pub headers: Option<At<Headers>>,
    pub hold: Option<NotYet>,
    pub metadata: Option<bool>,
    pub on_refusal: Option<At<OnRefusal>>,
    pub refundable: Option<NotYet>,
    pub replaces: Option<NotYet>,
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
