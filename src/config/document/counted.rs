//! The mirror of what a rule counts by.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Visitor};

use crate::config::decode::At;
use crate::rules::{V4_BITS, V6_BITS};

/// An entry, or an entry with how many bits of an address in it count.
#[derive(Debug)]
pub enum Counted {
    Whole(String),
    Masked(Masked),
}

#[derive(Debug)]
pub struct Masked {
    pub entry: At<String>,
    pub v4: Option<At<u64>>,
    pub v6: Option<At<u64>>,
    /// Keys that this map does not have.
    pub unknown: Vec<At<String>>,
}

impl JsonSchema for Counted {
    fn schema_name() -> Cow<'static, str> {
        "Counted".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "description": "An entry, by its name." },
                {
                    "description": "An entry that holds an address, of which so many bits count.",
                    "type": "object",
                    "required": ["entry"],
                    "properties": {
                        "entry": { "type": "string" },
                        "v4": { "type": "integer", "minimum": 0, "maximum": V4_BITS },
                        "v6": { "type": "integer", "minimum": 0, "maximum": V6_BITS },
                    },
                },
            ],
        })
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Counted, D::Error> {
        deserializer.deserialize_any(CountedVisitor)
    }
}

struct CountedVisitor;

impl<'de> Visitor<'de> for CountedVisitor {
    type Value = Counted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry or `{ entry: …, v4: …, v6: … }`")
    }

    fn visit_str<E: de::Error>(self, entry: &str) -> Result<Counted, E> {
        Ok(Counted::Whole(entry.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Counted, A::Error> {
        let (mut entry, mut v4, mut v6) = (None, None, None);
        let mut unknown = Vec::new();
        while let Some(key) = map.next_key::<At<String>>()? {
            match key.value.as_str() {
                "entry" => entry = Some(map.next_value()?),
                "v4" => v4 = Some(map.next_value()?),
                "v6" => v6 = Some(map.next_value()?),
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                    unknown.push(key);
                }
            }
        }
        let entry = entry.ok_or_else(|| de::Error::missing_field("entry"))?;
        Ok(Counted::Masked(Masked { entry, v4, v6, unknown }))
    }
}
