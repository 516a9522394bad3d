//! The schema of a directory file in YAML. Its rows are read by hand, so this is written by hand.

use schemars::{Schema, json_schema};
use serde_json::{Value, json};

use crate::config::document::whole_number;

pub fn schema() -> Schema {
    json_schema!({
        "description": "Keys, and what is known of each.",
        "type": "object",
        "required": ["keys"],
        "properties": {
            "keys": {
                "description": "Rows by key.",
                "type": "object",
                "additionalProperties": row(true),
            },
        },
    })
}

/// A row, or a stage of one: words of the language, and entries beside them.
fn row(whole: bool) -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let mut properties = json!({
        "plan": text("The key's plan, where rules take it from an entry of this name."),
        "from": text("From when this counts: a date or a moment, such as 2026-04-01."),
        "until": text("Until just before when this counts."),
        "anchor_day": {
            "description": "The day on which this key's months begin; 31 is always the last.",
            "type": "integer",
            "minimum": 1,
            "maximum": 31,
        },
        "time_zone": text("The zone of this key's `calendar` limits: an IANA name."),
        "alert_to": text("The target under `alerts` that is told of this key."),
        "limits": limits(),
    });
    if whole {
        properties["stages"] = json!({
            "description": "Changes with their dates. Of what two in force say, the later counts.",
            "type": "array",
            "items": row(false),
        });
    }
    json!({
        "description": "What is known of a key. Any other word is an entry of that name.",
        "type": "object",
        "properties": properties,
        "additionalProperties": { "type": "string" },
    })
}

fn limits() -> Value {
    let requests = json!({ "anyOf": [whole_number(), { "const": "unlimited" }] });
    json!({
        "description": "Budgets of this key's own, by rule and limit: `per-key.month`.",
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                requests,
                {
                    "type": "object",
                    "properties": {
                        "requests": requests,
                        "burst": whole_number(),
                    },
                },
            ],
        },
    })
}
