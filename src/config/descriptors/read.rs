//! From a tree to the mirror of `descriptors:`, with every value that is not of its kind.
//!
//! Kinds alone are looked at here; whether the parts fit together is for those who compile them.
//! Numbers that may stand nowhere are passed over: `keys` has reported them.

use crate::config::decode::At;
use crate::config::document::{Descriptor, RateLimit, Replaced};
use crate::config::problem::{Problem, Span};
use crate::config::tree::{Node, Value};

use super::DESCRIPTORS;
use super::keys;
use super::metadata;
use super::scalar::{self, Kind};

/// What was read of a file that has no keys of the other dialect.
#[derive(Debug)]
pub struct Root {
    /// None if it is missing or empty, which is reported.
    pub domain: Option<At<String>>,
    pub descriptors: Vec<Descriptor>,
    pub problems: Vec<Problem>,
}

/// Reads a whole file.
pub fn read_root(root: &Node) -> Root {
    let mut reader = Reader::default();
    keys::check(root, &mut reader.problems);
    reader.out_of_place(root, &["domain", DESCRIPTORS]);
    let domain = reader.text(root, "domain").filter(|domain| !domain.value.is_empty());
    if domain.is_none() {
        let span = root.get("domain").map_or(root.span, |node| node.span);
        let known = reader.problems.iter().any(|problem| problem.span == span);
        if !known {
            let remedy = "write `domain: NAME`, with the name that the proxy's configuration has";
            reader.error(span, "the domain is missing or empty", remedy);
        }
    }
    let descriptors = reader.descriptors(root);
    Root { domain, descriptors, problems: reader.problems }
}

/// Reads what stands under `descriptors:` of a file with other keys beside it.
pub fn read(root: &Node) -> (Vec<Descriptor>, Vec<Problem>) {
    let mut reader = Reader::default();
    if let Some(node) = root.get(DESCRIPTORS) {
        keys::check(node, &mut reader.problems);
    }
    (reader.descriptors(root), reader.problems)
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn error(&mut self, span: Span, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::error(span, what, remedy));
    }

    fn unexpected(&mut self, node: &Node, expected: &str, remedy: &str) {
        let found = match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => "nothing".into(),
            Value::Scalar(scalar) => format!("`{}`", scalar.text),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        };
        self.error(node.span, format!("expected {expected}, found {found}"), remedy);
    }

    /// Keys that the format has, though not here: they are not read, and so may be a slip.
    fn out_of_place(&mut self, node: &Node, here: &[&str]) {
        let Value::Map(pairs) = &node.value else { return };
        for key in pairs.iter().map(|pair| &pair.key) {
            if keys::is_known(&key.text) && !here.contains(&key.text.as_str()) {
                let what = format!("`{}` has no meaning here and is not read", key.text);
                let remedy = format!("known here: {}", here.join(", "));
                self.problems.push(Problem::warning(key.span, what, remedy));
            }
        }
    }

    /// A list of maps; nothing is an empty list.
    fn maps<'n>(&mut self, node: &'n Node, key: &str) -> impl Iterator<Item = &'n Node> + use<'n> {
        let list = node.get(key);
        let items = match list.map(|list| &list.value) {
            Some(Value::List(items)) => &items[..],
            Some(Value::Scalar(scalar)) if scalar::kind(scalar) == Kind::Nothing => &[],
            Some(_) => {
                let remedy = "write each of them on a line of its own after `- `";
                list.into_iter().for_each(|list| self.unexpected(list, "a list", remedy));
                &[]
            }
            None => &[],
        };
        items.iter().filter(|item| matches!(item.value, Value::Map(_)))
    }

    fn descriptors(&mut self, node: &Node) -> Vec<Descriptor> {
        self.maps(node, DESCRIPTORS).map(|node| self.descriptor(node)).collect()
    }

    fn descriptor(&mut self, node: &Node) -> Descriptor {
        const HERE: [&str; 10] = [
            "key",
            "value",
            "rate_limit",
            DESCRIPTORS,
            "shadow_mode",
            "quota_mode",
            "detailed_metric",
            "value_to_metric",
            "share_threshold",
            "metadata",
        ];
        self.out_of_place(node, &HERE);
        let empty = At { span: node.get("key").unwrap_or(node).span, value: String::new() };
        Descriptor {
            key: self.text(node, "key").unwrap_or(empty),
            // An empty value is none, as in the format's own reader.
            value: self.text(node, "value").filter(|value| !value.value.is_empty()),
            rate_limit: self.rate_limit(node),
            descriptors: self.descriptors(node),
            shadow_mode: self.flag(node, "shadow_mode"),
            quota_mode: self.flag(node, "quota_mode"),
            detailed_metric: self.flag(node, "detailed_metric"),
            value_to_metric: self.flag(node, "value_to_metric"),
            share_threshold: self.flag(node, "share_threshold"),
            metadata: self.metadata(node),
            span: node.span,
        }
    }

    fn rate_limit(&mut self, node: &Node) -> Option<At<RateLimit>> {
        const HERE: [&str; 5] = ["unit", "requests_per_unit", "unlimited", "name", "replaces"];
        let node = node.get("rate_limit")?;
        match &node.value {
            Value::Map(_) => {}
            Value::Scalar(scalar) if scalar::kind(scalar) == Kind::Nothing => return None,
            _ => {
                let remedy = "write `rate_limit: { unit: minute, requests_per_unit: 60 }`";
                self.unexpected(node, "a map", remedy);
                return None;
            }
        }
        self.out_of_place(node, &HERE);
        let replaces: Vec<_> = self.maps(node, "replaces").collect();
        let limit = RateLimit {
            unit: self.text(node, "unit"),
            requests_per_unit: self.number(node, "requests_per_unit"),
            unlimited: self.flag(node, "unlimited"),
            name: self.text(node, "name").filter(|name| !name.value.is_empty()),
            replaces: replaces.into_iter().map(|node| self.replaced(node)).collect(),
        };
        Some(At { span: node.span, value: limit })
    }

    fn replaced(&mut self, node: &Node) -> Replaced {
        self.out_of_place(node, &["name"]);
        let empty = At { span: node.get("name").unwrap_or(node).span, value: String::new() };
        Replaced { name: self.text(node, "name").unwrap_or(empty) }
    }

    fn metadata(&mut self, node: &Node) -> Option<At<crate::rules::Metadata>> {
        let node = node.get("metadata")?;
        let value = metadata::read(node, &mut self.problems)?;
        Some(At { span: node.span, value })
    }

    /// Text is what was written, also where it looks like something else.
    fn text(&mut self, node: &Node, key: &str) -> Option<At<String>> {
        let node = node.get(key)?;
        let Value::Scalar(scalar) = &node.value else {
            self.unexpected(node, "text", "write a value here, or take the key out");
            return None;
        };
        match scalar::kind(scalar) {
            Kind::Nothing | Kind::Number(_) => None,
            _ => Some(At { span: node.span, value: scalar.text.clone() }),
        }
    }

    fn flag(&mut self, node: &Node, key: &str) -> Option<At<bool>> {
        let node = node.get(key)?;
        let kind = match &node.value {
            Value::Scalar(scalar) => scalar::kind(scalar),
            _ => Kind::Text,
        };
        match kind {
            Kind::Flag(value) => Some(At { span: node.span, value }),
            Kind::Nothing | Kind::Number(_) => None,
            Kind::Whole(_) | Kind::Text => {
                self.unexpected(node, "true or false", "write true or false, without quotes");
                None
            }
        }
    }

    fn number(&mut self, node: &Node, key: &str) -> Option<At<u32>> {
        let node = node.get(key)?;
        let kind = match &node.value {
            Value::Scalar(scalar) => scalar::kind(scalar),
            _ => Kind::Text,
        };
        let number = match kind {
            Kind::Whole(number) => u32::try_from(number).ok(),
            Kind::Nothing | Kind::Number(_) => return None,
            Kind::Flag(_) | Kind::Text => None,
        };
        if number.is_none() {
            let expected = format!("a whole number from 0 to {}", u32::MAX);
            self.unexpected(node, &expected, "write digits, without quotes");
        }
        number.map(|value| At { span: node.span, value })
    }
}
