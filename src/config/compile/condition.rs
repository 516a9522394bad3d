//! Conditions: what `match` asks, as the rules test it.

use crate::config::decode::{At, Pairs, nearest};
use crate::config::document;
use crate::config::problem::Span;
use crate::rules::{Condition, Pattern, Test};

use super::Compiler;

impl Compiler<'_> {
    pub fn conditions(&mut self, tests: Option<&Pairs<At<document::Test>>>) -> Box<[Condition]> {
        let pairs = tests.map_or(&[][..], |Pairs(pairs)| pairs);
        let condition = |(entry, test): &(At<String>, At<document::Test>)| Condition {
            entry: entry.value.as_str().into(),
            test: self.test(test),
        };
        pairs.iter().map(condition).collect()
    }

    fn test(&mut self, test: &At<document::Test>) -> Test {
        let span = test.span;
        match &test.value {
            document::Test::AnyOf(values) => Test::AnyOf(self.patterns(span, values)),
            document::Test::NoneOf(values) => Test::NoneOf(self.patterns(span, values)),
            document::Test::Present(true) => Test::Present,
            document::Test::Present(false) => Test::Absent,
            document::Test::NotYet(kind) => {
                let what = format!("`{kind}` is part of the rules language, but not built yet");
                self.error(span, what, "use exact values, lists and `*`");
                Test::Absent
            }
            document::Test::Unknown(kind) => {
                let remedy = match nearest(kind, &["not", "present"]) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "write a value, a list, `{ not: … }` or `{ present: … }`".into(),
                };
                self.error(span, format!("`{kind}` is not a test"), remedy);
                Test::Absent
            }
        }
    }

    fn patterns(&mut self, span: Span, values: &[String]) -> Box<[Pattern]> {
        if values.is_empty() {
            self.error(span, "an empty list matches nothing", "list at least one value");
        }
        values.iter().map(|value| Pattern::parse(value)).collect()
    }
}
