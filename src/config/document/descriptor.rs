//! The mirror of `descriptors:`, in the format of envoyproxy/ratelimit.
//!
//! Its scalars follow other rules than the rest of a file, so `descriptors` reads it, not serde.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, IgnoredAny};

use crate::config::decode::At;
use crate::config::problem::Span;
use crate::config::words;

/// One node: an entry that a call may bring, what limits a call that ends with it, and what may
/// follow.
#[derive(Debug, JsonSchema)]
pub struct Descriptor {
    /// The key of the entry.
    #[schemars(length(min = 1))]
    pub key: At<String>,
    /// Its value; any, each counted by itself, if there is none. A `*` stands for any text.
    #[schemars(default, with = "String")]
    pub value: Option<At<String>>,
    /// The limit of calls whose last entry this is. With neither limit nor descriptors below it,
    /// they are not limited.
    #[schemars(default, with = "RateLimit")]
    pub rate_limit: Option<At<RateLimit>>,
    /// The entries that may follow this one.
    #[schemars(default)]
    pub descriptors: Vec<Descriptor>,
    /// Whether the limit here counts and shows, and refuses nobody.
    #[schemars(default, schema_with = "flag")]
    pub shadow_mode: Option<At<bool>>,
    /// Whether the limit here refuses a call only together with all other quotas of that call.
    #[schemars(default, schema_with = "flag")]
    pub quota_mode: Option<At<bool>>,
    /// Whether statistics of the limit here are kept for each value by itself.
    #[schemars(default, schema_with = "flag")]
    pub detailed_metric: Option<At<bool>>,
    /// Whether statistics below here name the value that a call brought for this entry.
    #[schemars(default, schema_with = "flag")]
    pub value_to_metric: Option<At<bool>>,
    /// Whether all values that the pattern here matches share one counter.
    #[schemars(default, schema_with = "flag")]
    pub share_threshold: Option<At<bool>>,
    /// What goes into the dynamic metadata of calls that the limit here lets pass.
    #[schemars(default, schema_with = "anything")]
    pub metadata: Option<At<crate::rules::Metadata>>,
    #[schemars(skip)]
    pub span: Span,
}

/// So many requests per unit of time.
#[derive(Debug, JsonSchema)]
pub struct RateLimit {
    /// The window. A month has 30 days and a year 365.
    #[schemars(default, schema_with = "unit")]
    pub unit: Option<At<String>>,
    /// How many requests pass in each window. Without it none does.
    #[schemars(default, schema_with = "requests")]
    pub requests_per_unit: Option<At<u32>>,
    /// In place of a number and a unit: no limit, and no counter.
    #[schemars(default, schema_with = "flag")]
    pub unlimited: Option<At<bool>>,
    /// What the limit is called in answers, and by limits that replace it.
    #[schemars(default, with = "String")]
    pub name: Option<At<String>>,
    /// The limits, by name, that do not apply to a call that this one applies to.
    #[schemars(default)]
    pub replaces: Vec<Replaced>,
}

/// A limit that another takes the place of.
#[derive(Debug, JsonSchema)]
pub struct Replaced {
    /// The `name` of that limit.
    #[schemars(length(min = 1))]
    pub name: At<String>,
}

/// Passed over by serde.
#[derive(Debug)]
pub struct Descriptors;

impl<'de> Deserialize<'de> for Descriptors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Descriptors, D::Error> {
        deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Descriptors)
    }
}

impl JsonSchema for Descriptors {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Descriptors".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Vec<Descriptor>>()
    }
}

impl fmt::Display for Descriptor {
    /// The joined name by which the node is found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}_{}", self.key.value, value.value),
            None => f.write_str(&self.key.value),
        }
    }
}

/// Editors take YAML 1.2's words for booleans, and those of 1.1 for text.
fn flag(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["boolean", "string"],
        "pattern": "^([yYnN]|[yY]es|YES|[nN]o|NO|True|TRUE|False|FALSE|[oO]n|ON|[oO]ff|OFF)$",
    })
}

fn unit(_: &mut SchemaGenerator) -> Schema {
    let any_case = |letter: char| format!("[{}{}]", letter, letter.to_ascii_uppercase());
    let spelt = words::UNITS.map(|unit| unit.chars().map(any_case).collect::<String>());
    json_schema!({
        "type": "string",
        "pattern": format!("^({})$", spelt.join("|")),
        "examples": words::UNITS,
    })
}

fn requests(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["integer", "string"],
        "minimum": 0,
        "maximum": u32::MAX,
        "pattern": "^[0-9][0-9a-fA-FxXoObB_]*$",
    })
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": true })
}
