//! The mirror of what `match` may ask of one entry.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};

use super::OneOrMore;

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
