//! Conditions: what `match` asks, as the rules test it.

use crate::config::decode::{At, Pairs, nearest};
use crate::config::document;
use crate::config::hints;
use crate::config::problem::Span;
use crate::rules::{Condition, Pattern, Regex, RegexError, Test, Values};

use super::Compiler;

/// What a test may be, and what `not` may be of.
const TESTS: &[&str] = &["not", "present", "cidr", "regex", "list"];
const TESTS_OF_VALUES: &[&str] = &["cidr", "regex", "list"];

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
        let compiled = match &test.value {
            document::Test::Is(values) => self.values(span, values, TESTS).map(Test::Is),
            document::Test::IsNot(values) => {
                self.values(span, values, TESTS_OF_VALUES).map(Test::IsNot)
            }
            document::Test::Present(true) => Some(Test::Present),
            document::Test::Present(false) => Some(Test::Absent),
        };
        // Only where an error was found, and then nobody uses the outcome.
        compiled.unwrap_or(Test::Absent)
    }

    fn values(&mut self, span: Span, values: &document::Values, known: &[&str]) -> Option<Values> {
        match values {
            document::Values::Patterns(patterns) => {
                Some(Values::Patterns(self.patterns(span, patterns)))
            }
            document::Values::Cidr(networks) => self.network_set(networks).map(Values::Networks),
            document::Values::Regex(regex) => self.regex(regex).map(Values::Regex),
            document::Values::List(name) => self.value_list(name).map(Values::List),
            document::Values::Unknown(kind) => {
                let remedy = match (hints::test(&kind.value), nearest(&kind.value, known)) {
                    (Some(hint), _) => hint.into(),
                    (None, Some(known)) => format!("did you mean `{known}`?"),
                    (None, None) => {
                        format!("write a value, a list, or a map with: {}", known.join(", "))
                    }
                };
                self.error(span, format!("`{}` is not a test here", kind.value), remedy);
                None
            }
        }
    }

    fn patterns(&mut self, span: Span, values: &[String]) -> Box<[Pattern]> {
        if values.is_empty() {
            self.error(span, "an empty list matches nothing", "list at least one value");
        }
        values.iter().map(|value| Pattern::parse(value)).collect()
    }

    fn regex(&mut self, regex: &At<String>) -> Option<Regex> {
        let error = match Regex::new(&regex.value) {
            Ok(compiled) => return Some(compiled),
            Err(error) => error,
        };
        let remedy = match error {
            RegexError::TooLarge => "repeat less, or say `[0-9]` for `\\d` and `[a-z]` for `\\w`",
            RegexError::Syntax { .. } => {
                "write it in single quotes, where YAML leaves backslashes as they are; it must \
                 match the whole value"
            }
        };
        self.error(regex.span, format!("this regex cannot be used: {error}"), remedy);
        None
    }
}
