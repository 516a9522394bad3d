//! A descriptor's `metadata`: values of its own, which must be such as JSON has.

use crate::config::problem::Problem;
use crate::config::tree::{Node, Value};
use crate::rules::Metadata;

use super::scalar::{self, Kind};

/// Reads the map; an empty one is as good as none.
pub fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<Metadata> {
    match &node.value {
        Value::Map(pairs) if pairs.is_empty() => None,
        Value::Map(_) => Some(value(node, problems)),
        Value::Scalar(scalar) if scalar::kind(scalar) == Kind::Nothing => None,
        _ => {
            let remedy = "write `metadata: { key: value }`";
            problems.push(Problem::error(node.span, "metadata must be a map", remedy));
            None
        }
    }
}

fn value(node: &Node, problems: &mut Vec<Problem>) -> Metadata {
    match &node.value {
        Value::Scalar(written) => match scalar::kind(written) {
            Kind::Nothing => Metadata::Null,
            Kind::Flag(flag) => Metadata::Flag(flag),
            // JSON's numbers are no larger.
            Kind::Whole(number) => Metadata::Number(number as f64),
            Kind::Number(number) => Metadata::Number(number),
            Kind::Text => Metadata::Text(written.text.as_str().into()),
        },
        Value::List(items) => {
            Metadata::List(items.iter().map(|item| value(item, problems)).collect())
        }
        Value::Map(pairs) => {
            for key in pairs.iter().map(|pair| &pair.key) {
                if key.plain && scalar::plain(&key.text) != Kind::Text {
                    let what =
                        format!("a key of metadata must be text, and `{}` is none", key.text);
                    problems.push(Problem::error(key.span, what, "write it in quotes"));
                }
            }
            let pair = |pair: &crate::config::tree::Pair| {
                (pair.key.text.as_str().into(), value(&pair.value, problems))
            };
            Metadata::Map(pairs.iter().map(pair).collect())
        }
    }
}
