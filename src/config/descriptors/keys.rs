//! The look over a whole file ahead of reading it: keys that there are, and values of kinds that
//! may stand there.
//!
//! There is one list of keys for all levels, as in the server that these files are for.

use crate::config::decode::nearest;
use crate::config::problem::Problem;
use crate::config::tree::{Key, Node, Pair, Value};

use super::scalar::{self, Kind};

const KEYS: [&str; 16] = [
    "domain",
    "key",
    "value",
    "descriptors",
    "rate_limit",
    "unit",
    "requests_per_unit",
    "unlimited",
    "shadow_mode",
    "quota_mode",
    "name",
    "replaces",
    "detailed_metric",
    "value_to_metric",
    "share_threshold",
    METADATA,
];

/// Whatever stands under it is the user's own.
const METADATA: &str = "metadata";

/// Everything that must not stand where it does.
pub fn check(node: &Node, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Map(pairs) => {
            for Pair { key, value } in pairs {
                problems.extend(unknown(key));
                if key.text != METADATA {
                    check(value, problems);
                }
            }
        }
        Value::List(items) => {
            for item in items {
                match &item.value {
                    Value::Map(_) => check(item, problems),
                    _ => problems.push(no_map(item)),
                }
            }
        }
        Value::Scalar(scalar) => {
            if let Kind::Number(_) = scalar::kind(scalar) {
                let what = format!(
                    "`{}` is a number with a fraction, or larger than any that may stand here",
                    scalar.text
                );
                let remedy = format!("write it in quotes if text is meant: \"{}\"", scalar.text);
                problems.push(Problem::error(node.span, what, remedy));
            }
        }
    }
}

fn unknown(key: &Key) -> Option<Problem> {
    if key.plain && scalar::plain(&key.text) != Kind::Text {
        let what = format!("a key must be text, and `{}` is none without quotes", key.text);
        let remedy = format!("known here: {}", KEYS.join(", "));
        return Some(Problem::error(key.span, what, remedy));
    }
    if KEYS.contains(&key.text.as_str()) {
        return None;
    }
    let remedy = match nearest(&key.text, &KEYS) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("known here: {}", KEYS.join(", ")),
    };
    Some(Problem::error(key.span, format!("`{}` is not known here", key.text), remedy))
}

fn no_map(item: &Node) -> Problem {
    let found = match &item.value {
        Value::Scalar(scalar) if scalar.is_null() => "nothing".into(),
        Value::Scalar(scalar) => format!("`{}`", scalar.text),
        _ => "a list".into(),
    };
    let what = format!("lists here hold maps alone, found {found}");
    Problem::error(item.span, what, "write `- key: …` for each descriptor, `- name: …` for others")
}

/// Whether the format has such a key, be it here or elsewhere.
pub fn is_known(key: &str) -> bool {
    KEYS.contains(&key)
}
