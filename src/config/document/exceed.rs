//! The mirror of what a limit does to a call that would exceed it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Visitor};

use crate::config::decode::At;
use crate::config::words::ON_EXCEED;
use crate::limit::DEPTH_MAX;

use super::written::Wait;

/// A word; or `queue` with its bounds.
#[derive(Debug)]
pub enum OnExceed {
    Word(String),
    Queue(Queue),
    /// The keys of another map, in place of the one key `queue`.
    Unknown(Vec<String>),
}

/// A line of calls before one counter: first come, first served.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Queue {
    /// How long a call waits at most, such as `500ms` (the default); 30 seconds at most. Envoy's
    /// own timeout must be longer.
    #[schemars(with = "Option<Wait>")]
    pub wait: Option<At<String>>,
    /// How many calls wait at once before one counter; 100 by default.
    #[schemars(range(min = 1, max = DEPTH_MAX))]
    pub depth: Option<At<u64>>,
}

impl JsonSchema for OnExceed {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OnExceed".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut queue = generator.subschema_for::<Queue>();
        let what = "Calls wait for room, in line.";
        queue.insert("description".into(), what.into());
        json_schema!({
            "anyOf": [
                { "type": "string", "enum": ON_EXCEED },
                { "type": "object", "properties": { "queue": queue }, "required": ["queue"] },
            ],
        })
    }
}

impl<'de> Deserialize<'de> for OnExceed {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<OnExceed, D::Error> {
        deserializer.deserialize_any(OnExceedVisitor)
    }
}

struct OnExceedVisitor;

impl<'de> Visitor<'de> for OnExceedVisitor {
    type Value = OnExceed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or `{ queue: … }`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<OnExceed, E> {
        Ok(OnExceed::Word(word.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<OnExceed, A::Error> {
        let (mut keys, mut queue) = (Vec::new(), None);
        while let Some(key) = map.next_key::<String>()? {
            if key == "queue" {
                queue = Some(map.next_value()?);
            } else {
                map.next_value::<de::IgnoredAny>()?;
            }
            keys.push(key);
        }
        match queue {
            Some(queue) if keys.len() == 1 => Ok(OnExceed::Queue(queue)),
            _ => Ok(OnExceed::Unknown(keys)),
        }
    }
}
