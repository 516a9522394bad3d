//! The mirror of what `match` may ask of one entry.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Visitor};
use serde_json::{Value, json};

use crate::config::decode::At;

/// What `match` may ask of one entry.
#[derive(Debug)]
pub enum Test {
    Is(Values),
    IsNot(Values),
    Present(bool),
}

/// Some of all values.
#[derive(Debug)]
pub enum Values {
    Patterns(Vec<String>),
    /// Addresses, networks and names of lists of them.
    Cidr(At<Networks>),
    Regex(At<String>),
    /// The name of a list of values.
    List(At<String>),
    Unknown(At<String>),
}

/// A word, whose place is that of the whole, or a list of words with places of their own.
#[derive(Debug)]
pub enum Networks {
    One(String),
    More(Vec<At<String>>),
}

const TEST: &str = "a value, a list of values, `{ not: … }` or `{ present: … }`";
const VALUES: &str = "a value, a list of values, `{ cidr: … }`, `{ regex: … }` or `{ list: … }`";

impl JsonSchema for Test {
    fn schema_name() -> Cow<'static, str> {
        "Test".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let not = generator.subschema_for::<Values>();
        let own = json!({
            "not": {
                "description": "The value is none of these, or the entry is not there.",
                "allOf": [not],
            },
            "present": {
                "description": "Whether the entry is there, whatever its value.",
                "type": "boolean",
            },
        });
        choices("What `match` asks of one entry.", own)
    }
}

impl JsonSchema for Values {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        choices("Some of all values.", json!({}))
    }
}

/// A value, several of them, or a map with one of the tests: those that tests of values have, and
/// some of `own`.
fn choices(description: &str, own: Value) -> Schema {
    let words = json!([
        { "type": "string" },
        { "type": "array", "items": { "type": "string" }, "minItems": 1 },
    ]);
    let mut tests = json!({
        "cidr": {
            "description": "The value is an address in one of these networks: networks, \
                            addresses, or names of `lists`.",
            "anyOf": words,
        },
        "regex": {
            "description": "The whole value matches this expression.",
            "type": "string",
        },
        "list": {
            "description": "The value is one of this list under `lists`, letter by letter.",
            "type": "string",
        },
    });
    if let (Value::Object(tests), Value::Object(own)) = (&mut tests, own) {
        tests.extend(own);
    }
    json_schema!({
        "description": description,
        "anyOf": [
            {
                "description": "The value; `*` stands for any text, `\\*` for a star.",
                "type": "string",
            },
            {
                "description": "The value is one of these.",
                "type": "array",
                "items": { "type": "string" },
                "minItems": 1,
            },
            {
                "type": "object",
                "properties": tests,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ],
    })
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Test, D::Error> {
        deserializer.deserialize_any(TestVisitor)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Values, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Networks, D::Error> {
        deserializer.deserialize_any(NetworksVisitor)
    }
}

struct TestVisitor;

impl<'de> Visitor<'de> for TestVisitor {
    type Value = Test;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TEST)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Test, E> {
        ValuesVisitor.visit_str(value).map(Test::Is)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Test, A::Error> {
        ValuesVisitor.visit_seq(seq).map(Test::Is)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Test, A::Error> {
        let kind = kind(&mut map, TEST)?;
        let test = match kind.value.as_str() {
            "not" => Test::IsNot(map.next_value()?),
            "present" => Test::Present(map.next_value()?),
            _ => Test::Is(values(&mut map, kind.clone())?),
        };
        end(&mut map, &kind.value)?;
        Ok(test)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VALUES)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Values, E> {
        Ok(Values::Patterns(vec![value.to_owned()]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
        let mut patterns = Vec::new();
        while let Some(pattern) = seq.next_element()? {
            patterns.push(pattern);
        }
        Ok(Values::Patterns(patterns))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let kind = kind(&mut map, VALUES)?;
        let values = values(&mut map, kind.clone())?;
        end(&mut map, &kind.value)?;
        Ok(values)
    }
}

struct NetworksVisitor;

impl<'de> Visitor<'de> for NetworksVisitor {
    type Value = Networks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network, the name of a list, or a list of them")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Networks, E> {
        Ok(Networks::One(word.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Networks, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = seq.next_element()? {
            words.push(word);
        }
        Ok(Networks::More(words))
    }
}

/// The first key of a map, which says what the map is.
fn kind<'de, A: de::MapAccess<'de>>(map: &mut A, expected: &str) -> Result<At<String>, A::Error> {
    let empty = || de::Error::custom(format!("expected {expected}, found an empty map"));
    map.next_key()?.ok_or_else(empty)
}

/// The value of that key.
fn values<'de, A: de::MapAccess<'de>>(map: &mut A, kind: At<String>) -> Result<Values, A::Error> {
    Ok(match kind.value.as_str() {
        "cidr" => Values::Cidr(map.next_value()?),
        "regex" => Values::Regex(map.next_value()?),
        "list" => Values::List(map.next_value()?),
        _ => {
            map.next_value::<de::IgnoredAny>()?;
            Values::Unknown(kind)
        }
    })
}

fn end<'de, A: de::MapAccess<'de>>(map: &mut A, kind: &str) -> Result<(), A::Error> {
    match map.next_key::<String>()? {
        None => Ok(()),
        Some(second) => {
            let what = format!("one test to an entry, but `{second}` follows `{kind}`");
            Err(de::Error::custom(what))
        }
    }
}
