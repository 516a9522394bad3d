//! How single values are written, as the schema says it of them. None of these types is ever
//! made: the mirror keeps text with its place, and `compile` reads it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::alert::{PERCENT_MAX, THRESHOLDS_MAX};
use crate::config::compile::{NAME_CHARS_MAX, NAME_REMEDY};
use crate::config::per::{MILLISECONDS, PER_REMEDY, UNITS};

/// Lists the types of this file, each described where it is used and by these words.
macro_rules! written {
    ($($(#[doc = $doc:literal])* $name:ident => $schema:expr;)*) => {$(
        $(#[doc = $doc])*
        pub enum $name {}

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

written! {
    /// The name of a rule, a limit, a list or a target.
    Name => Schema::try_from(name()).unwrap_or_default();
    /// A span of time.
    Span => json_schema!({
        "type": "string",
        "pattern": span_pattern(&[]),
        "patternErrorMessage": PER_REMEDY,
        "examples": ["minute", "hour", "day", "month", "90s", "5 minutes"],
    });
    /// A span of time that may be shorter than a second.
    Wait => json_schema!({
        "type": "string",
        "pattern": span_pattern(&MILLISECONDS),
        "patternErrorMessage": "write a span of time, such as 500ms or 2s",
        "examples": ["500ms", "2s"],
    });
    /// A budget.
    Requests => json_schema!({
        "anyOf": [whole_number(), { "const": "unlimited" }],
    });
    /// A share, from 0% to 100%.
    Percent => json_schema!({
        "type": "string",
        "pattern": r"^(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?) *%$",
        "patternErrorMessage": "write a share from 0% to 100%, such as 25%",
    });
    /// A day on which windows begin.
    AnchorDay => json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 31 },
            { "type": "string", "pattern": weekday_pattern() },
            {
                "enum": [
                    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
                ],
            },
        ],
    });
    /// Shares of a budget, in percent.
    Thresholds => json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": PERCENT_MAX },
            {
                "type": "array",
                "items": { "type": "integer", "minimum": 1, "maximum": PERCENT_MAX },
                "minItems": 1,
                "maxItems": THRESHOLDS_MAX,
                "uniqueItems": true,
            },
        ],
    });
    /// A webhook's address.
    WebhookUrl => json_schema!({ "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://" });
}

pub fn name() -> Value {
    json!({
        "type": ["string", "integer"],
        "pattern": format!("^[A-Za-z0-9_-]{{1,{NAME_CHARS_MAX}}}$"),
        "patternErrorMessage": NAME_REMEDY,
    })
}

/// Digits, with underscores between them if they help the reader; YAML takes those for text.
pub fn whole_number() -> Value {
    json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]([0-9_]*[0-9])?$" })
}

fn span_pattern(shorter: &[&str]) -> String {
    let names = UNITS.iter().flat_map(|(_, names)| *names).chain(shorter);
    let names: Vec<_> = names.map(|name| any_case(name)).collect();
    format!("^ *[0-9]* *({}) *$", names.join("|"))
}

fn weekday_pattern() -> String {
    let days = ["mon", "tues", "wednes", "thurs", "fri", "satur", "sun"].map(any_case);
    format!("^({}){}$", days.join("|"), any_case("day"))
}

/// A word in letters of any case: patterns of a schema have no other way to say so.
fn any_case(word: &str) -> String {
    let letter = |letter: char| format!("[{}{letter}]", letter.to_ascii_uppercase());
    word.chars().map(letter).collect()
}
