//! The mirror of what a limit does to a call that would exceed it.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};

use crate::config::decode::At;

/// A word; or `queue` with its bounds.
#[derive(Debug)]
pub enum OnExceed {
    Word(String),
    Queue(Queue),
    /// The keys of another map, in place of the one key `queue`.
    Unknown(Vec<String>),
}

#[derive(Debug, Deserialize)]
pub struct Queue {
    /// A span of time, such as `500ms`.
    pub wait: Option<At<String>>,
    pub depth: Option<At<u64>>,
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
