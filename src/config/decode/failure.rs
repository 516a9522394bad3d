//! Why a value could not be read, and where.

use std::fmt;

use serde::de;

use crate::config::hints;
use crate::config::problem::{Problem, Span};
use crate::config::tree::{Key, Node, NodeId};

/// Why a value could not be read.
#[derive(Debug, Default)]
pub struct Failure {
    what: String,
    remedy: String,
    /// The value that failed: the innermost one, once known.
    at: Option<(NodeId, Span)>,
    /// The failure follows from one that is reported already.
    reported: bool,
    missing: Option<&'static str>,
    not_yet: bool,
    /// A list or a map is wanted, and something else stands there.
    misshapen: bool,
}

impl Failure {
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure { what: what.into(), remedy: remedy.into(), ..Failure::default() }
    }

    /// Something else than what is wanted; the remedy shows how that is written.
    pub fn unexpected(expected: &str, found: &str) -> Failure {
        let remedy = match expected {
            "a list" => "write `[one, two]`, or each on a line of its own after `- `",
            "a map" => "write `{ key: value }`, or `key: value` lines, indented below",
            "text" => "write a value here, or take the key out",
            "true or false" => "write true or false, without quotes",
            _ => "write a value of that kind here, or take the key out",
        };
        let misshapen = matches!(expected, "a list" | "a map");
        let what = format!("expected {expected}, found {found}");
        Failure { misshapen, ..Failure::new(what, remedy) }
    }

    pub fn not_yet() -> Failure {
        Failure { not_yet: true, ..Failure::default() }
    }

    pub fn at(mut self, node: &Node) -> Failure {
        self.at.get_or_insert((node.id, node.span));
        self
    }

    /// The failure of a map as a whole, which may follow from one of a part of it. A failure that
    /// stands deeper stays as it is.
    pub fn of_whole(mut self, node: &Node, follows: bool) -> Failure {
        if self.at.is_none() {
            self.reported = follows;
            self.missing = None;
        }
        self.at(node)
    }

    /// The field that a map lacks, if that is why it failed.
    pub fn missing(&self) -> Option<&'static str> {
        self.missing
    }

    /// What is not built is named by its key, which also is where the error points; of what has
    /// another shape the key tells how it is written.
    pub fn under(mut self, key: &Key) -> Failure {
        if std::mem::take(&mut self.misshapen)
            && let Some(sample) = hints::sample(&key.text)
        {
            self.remedy = format!("write it as `{sample}`");
        }
        if std::mem::take(&mut self.not_yet) {
            self.what = format!("`{}` is part of the rules language, but not built yet", key.text);
            self.remedy = format!("take `{}` out; nothing here is ever silently ignored", key.text);
            self.at = self.at.map(|(id, _)| (id, key.span));
        }
        self
    }

    pub fn settle(self, root: &Node) -> (NodeId, Option<Problem>) {
        let (id, span) = self.at.unwrap_or((root.id, root.span));
        let problem = Problem::error(span, self.what, self.remedy);
        (id, (!self.reported).then_some(problem))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Failure {
        Failure::new(message.to_string(), "")
    }

    fn missing_field(field: &'static str) -> Failure {
        let what = format!("`{field}` is missing");
        let remedy = match hints::sample(field) {
            Some(sample) => format!("add `{sample}` here"),
            None => format!("add `{field}: …` here"),
        };
        Failure { missing: Some(field), ..Failure::new(what, remedy) }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Failure {
        Failure::unexpected(&expected.to_string(), &describe(found))
    }
}

/// serde's words for what was found, in YAML's terms.
fn describe(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Map => "a map".into(),
        de::Unexpected::Seq => "a list".into(),
        de::Unexpected::Unit => "nothing".into(),
        de::Unexpected::Str(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}
