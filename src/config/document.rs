//! The mirror of a rules file: what may stand in it, as it stands there.
//!
//! Knows names and shapes. What the words mean, and whether they fit together, is for `compile`.
//! Keys that the language has and this release does not are listed too, so that using one is an
//! error that says so.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};

use super::decode::{At, NotYet, Pairs};

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "keys of later releases are listed only to be refused")]
pub struct Document {
    pub domain: At<String>,
    pub time_zone: Option<At<String>>,
    #[serde(default = "yes")]
    pub overrides: bool,
    pub plans: Option<Pairs<Plan>>,
    pub rules: Option<Vec<At<Rule>>>,
    pub alerts: Option<NotYet>,
    pub descriptors: Option<NotYet>,
    pub directory: Option<NotYet>,
    pub headers: Option<NotYet>,
    pub lists: Option<NotYet>,
    pub metadata: Option<NotYet>,
    pub on_refusal: Option<NotYet>,
    pub secret_entries: Option<NotYet>,
    pub unmatched: Option<NotYet>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
pub struct Plan {
    pub limits: At<Vec<At<Limit>>>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "keys of later releases are listed only to be refused")]
pub struct Rule {
    pub name: At<String>,
    #[serde(rename = "match")]
    pub conditions: Option<Pairs<At<Test>>>,
    pub count_by: Option<Vec<At<Word>>>,
    pub plan: Option<At<PlanChoice>>,
    pub costs: Option<Vec<Cost>>,
    pub limits: Option<At<Vec<At<Limit>>>>,
    pub ban: Option<NotYet>,
    pub counter: Option<NotYet>,
    pub dedupe: Option<NotYet>,
    pub enforce: Option<NotYet>,
    pub headers: Option<NotYet>,
    pub hold: Option<NotYet>,
    pub metadata: Option<NotYet>,
    pub on_refusal: Option<NotYet>,
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

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "keys of later releases are listed only to be refused")]
pub struct Limit {
    pub name: Option<At<String>>,
    /// A number, or `unlimited`.
    pub requests: At<String>,
    pub per: At<String>,
    pub algorithm: Option<At<String>>,
    pub burst: Option<At<u64>>,
    pub on_exceed: Option<At<Word>>,
    pub charge: Option<At<String>>,
    pub durability: Option<At<String>>,
    pub alert_at: Option<NotYet>,
    pub alert_to: Option<NotYet>,
    pub anchor_day: Option<NotYet>,
    pub archive: Option<NotYet>,
    pub consistency: Option<NotYet>,
}

/// A word; or a map where the language has one and this release does not.
#[derive(Debug)]
pub enum Word {
    Plain(String),
    /// The first key of the map that stands where a word was expected.
    Map(String),
}

/// What `match` may ask of one entry.
#[derive(Debug)]
pub enum Test {
    AnyOf(Vec<String>),
    NoneOf(Vec<String>),
    Present(bool),
    /// A test that the language has and this release does not.
    NotYet(String),
    Unknown(String),
}

const TEST: &str = "a value, a list of values, `{ not: … }` or `{ present: … }`";

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Word, E> {
        Ok(Word::Plain(word.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Word, A::Error> {
        let first = map.next_entry::<String, de::IgnoredAny>()?;
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(Word::Map(first.map(|(key, _)| key).unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Test, D::Error> {
        deserializer.deserialize_any(TestVisitor)
    }
}

struct TestVisitor;

impl<'de> Visitor<'de> for TestVisitor {
    type Value = Test;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TEST)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Test, E> {
        Ok(Test::AnyOf(vec![value.to_owned()]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Test, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Test::AnyOf(values))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Test, A::Error> {
        let Some(kind) = map.next_key::<String>()? else {
            return Err(de::Error::custom(format!("expected {TEST}, found an empty map")));
        };
        let test = match kind.as_str() {
            "not" => Test::NoneOf(map.next_value::<OneOrMore>()?.0),
            "present" => Test::Present(map.next_value()?),
            kind => {
                map.next_value::<de::IgnoredAny>()?;
                match kind {
                    "regex" | "cidr" | "list" => Test::NotYet(kind.to_owned()),
                    _ => Test::Unknown(kind.to_owned()),
                }
            }
        };
        match map.next_key::<String>()? {
            None => Ok(test),
            Some(second) => {
                let what = format!("one test to an entry, but `{second}` follows `{kind}`");
                Err(de::Error::custom(what))
            }
        }
    }
}

/// A value or a list of them.
struct OneOrMore(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<OneOrMore, D::Error> {
        deserializer.deserialize_any(OneOrMoreVisitor)
    }
}

struct OneOrMoreVisitor;

impl<'de> Visitor<'de> for OneOrMoreVisitor {
    type Value = OneOrMore;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<OneOrMore, E> {
        Ok(OneOrMore(vec![value.to_owned()]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMore, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(OneOrMore(values))
    }
}
