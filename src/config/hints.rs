//! What helps whoever wrote something else: how a key is written, and where it belongs.
//!
//! Hints only ever make a remedy better; nothing is decided by them. A test of the schema holds
//! them to the keys that there are.

/// Keys of the language whose values are lists or maps, as one would write them.
const SAMPLES: &[(&str, &str)] = &[
    ("alerts", "alerts: { ops: { url: https://hooks.example.com/x } }"),
    ("ban", "ban: { of: refusals, after: 20, within: 1m, for: 15m }"),
    ("body", "body: { type: application/json, text: … }"),
    ("costs", "costs: [{ match: { endpoint: \"/v1/export*\" }, cost: 5 }]"),
    ("count_by", "count_by: [key]"),
    ("dedupe", "dedupe: { by: request_id, for: 1m }"),
    (
        "descriptors",
        "descriptors: [{ key: path, rate_limit: { unit: hour, requests_per_unit: 5 } }]",
    ),
    ("descriptors_as", "descriptors_as: { charge: admitted }"),
    ("directory", "directory: { by: key, from: keys.csv }"),
    ("headers", "headers: { style: x-ratelimit }"),
    ("hold", "hold: { by: request_id, settle: { phase: done } }"),
    ("limits", "limits: [{ requests: 60, per: minute }]"),
    ("lists", "lists: { europe: [2.0.0.0/8, 2a00::/12] }"),
    ("match", "match: { endpoint: \"/v1/*\" }"),
    ("names", "names: { limit: X-Limit, remaining: X-Left, reset: X-Reset }"),
    ("on_refusal", "on_refusal: { body: { type: application/json, text: … } }"),
    ("plan", "plan: { from: plan, otherwise: free }"),
    ("plans", "plans: { free: { limits: [{ requests: 60, per: minute }] } }"),
    ("queue", "queue: { wait: 500ms, depth: 100 }"),
    (
        "rules",
        "rules: [{ name: per-key, count_by: [key], limits: [{ requests: 60, per: minute }] }]",
    ),
    ("secret_entries", "secret_entries: [key]"),
    ("settle", "settle: { phase: done }"),
];

/// How such a key is written.
pub fn sample(key: &str) -> Option<&'static str> {
    SAMPLES.iter().find(|(known, _)| *known == key).map(|(_, sample)| *sample)
}

/// Keys by what they are keys of; those of both a domain and a rule are never out of place.
const OF_DOMAIN: &[&str] = &[
    "domain",
    "time_zone",
    "overrides",
    "secret_entries",
    "my_usage",
    "directory",
    "lists",
    "plans",
    "rules",
    "unmatched",
    "alerts",
    "descriptors",
    "descriptors_as",
];
/// Keys of a domain, and of a rule as well.
const OF_ANSWERS: &[&str] = &["headers", "metadata", "on_refusal"];
const OF_RULE: &[&str] = &[
    "match",
    "count_by",
    "plan",
    "costs",
    "replaces",
    "counter",
    "enforce",
    "refundable",
    "hold",
    "dedupe",
    "ban",
];
const OF_LIMIT: &[&str] = &[
    "requests",
    "per",
    "algorithm",
    "burst",
    "on_exceed",
    "charge",
    "durability",
    "anchor_day",
    "alert_at",
    "alert_to",
    "archive",
];

/// Whether a key that a domain may have is one of `rules:`, and not of `descriptors:` alone.
pub fn of_rules(key: &str) -> bool {
    let of_both = matches!(key, "domain" | "descriptors");
    !of_both && (OF_DOMAIN.contains(&key) || OF_ANSWERS.contains(&key))
}

/// Where a key belongs that stands elsewhere.
pub fn home(key: &str) -> Option<&'static str> {
    let of = |keys: &[&str], home| keys.contains(&key).then_some(home);
    of(OF_DOMAIN, "it belongs to the domain: write it at the top of the file, beside `domain:`")
        .or_else(|| of(OF_RULE, "it belongs to a rule: write it beside the rule's `name:`"))
        .or_else(|| {
            of(OF_LIMIT, "it belongs to a limit: write it in the braces of `limits: [{ … }]`")
        })
}

/// What is meant by a test that other languages have.
pub fn test(word: &str) -> Option<&'static str> {
    Some(match word {
        "prefix" | "starts_with" | "startswith" => "write `/v1/*`: a star stands for any text",
        "suffix" | "ends_with" | "endswith" => "write `*.json`: a star stands for any text",
        "contains" => "write `*text*`: a star stands for any text",
        "in" | "any" | "one_of" | "any_of" => "write the values as a list: `[GET, HEAD]`",
        "is" | "eq" | "equals" | "exact" | "value" => "write the value itself",
        "exists" => "write `{ present: true }`",
        "not_in" | "none_of" => "write `{ not: [GET, HEAD] }`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::config::rules_schema;

    use super::*;

    /// The keys of one part of the language.
    fn keys(part: &Value) -> Vec<&str> {
        let properties = part["properties"].as_object().expect("a map");
        properties.keys().map(String::as_str).collect()
    }

    #[test]
    fn every_key_has_its_home() {
        let schema: Value = serde_json::from_str(&rules_schema()).expect("JSON");
        let parts = &schema["$defs"];
        let (domain, rule) = (keys(&schema), keys(&parts["Rule"]));
        let limit = keys(&parts["Limit"]);
        let of_both = ["headers", "metadata", "on_refusal", "name", "limits"];
        for (known, there) in [(OF_DOMAIN, domain), (OF_RULE, rule), (OF_LIMIT, limit)] {
            let missing: Vec<_> =
                there.iter().filter(|key| !known.contains(key) && !of_both.contains(key)).collect();
            assert!(missing.is_empty(), "{missing:?} have no home");
            let gone: Vec<_> = known.iter().filter(|key| !there.contains(key)).collect();
            assert!(gone.is_empty(), "{gone:?} are no keys");
        }
    }

    #[test]
    fn samples_begin_with_their_key() {
        for (key, sample) in SAMPLES {
            assert!(sample.starts_with(&format!("{key}: ")), "{sample}");
        }
    }
}
