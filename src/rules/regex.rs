//! Regular expressions over the whole of a value.

use std::fmt;

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::{Hir, Look};

/// Room for three or four Unicode classes such as `\w`, the largest thing that is usual. The time
/// of a match may grow with the size times the length of the value, and clients choose the value.
const PROGRAM_BYTES_MAX: usize = 256 << 10;

/// What each thread that matches may keep of states met before, for each expression.
const CACHE_BYTES_MAX: usize = 1 << 20;

/// An expression that a value must match from its first character to its last.
#[derive(Clone)]
pub struct Regex {
    text: Box<str>,
    program: meta::Regex,
}

/// Why a text is no expression that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    #[error("{why}, at its character {position}")]
    Syntax { why: String, position: usize },
    #[error("it is too large")]
    TooLarge,
}

impl Regex {
    pub fn new(text: &str) -> Result<Regex, RegexError> {
        let inner = regex_syntax::parse(text).map_err(|error| syntax(&error))?;
        let whole = Hir::concat(vec![Hir::look(Look::Start), inner, Hir::look(Look::End)]);
        // The limits bound what an expression costs even if it is well-formed.
        let config = meta::Config::new()
            .nfa_size_limit(Some(PROGRAM_BYTES_MAX))
            .hybrid_cache_capacity(CACHE_BYTES_MAX)
            .which_captures(WhichCaptures::None);
        let program = meta::Builder::new().configure(config).build_from_hir(&whole);
        let program = program.map_err(|_| RegexError::TooLarge)?;
        Ok(Regex { text: text.into(), program })
    }

    /// Allocates only where a thread meets the expression for the first times.
    pub fn matches(&self, value: &str) -> bool {
        self.program.is_match(value)
    }
}

fn syntax(error: &regex_syntax::Error) -> RegexError {
    let (why, span) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
        other => return RegexError::Syntax { why: other.to_string(), position: 1 },
    };
    RegexError::Syntax { why, position: span.start.column }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(regex: &str, value: &str) -> bool {
        Regex::new(regex).expect("an expression").matches(value)
    }

    #[test]
    fn the_whole_value_must_match() {
        for (regex, value) in [
            ("/v[0-9]+/users", "/v12/users"),
            ("a|ab", "ab"),
            ("^a$", "a"),
            ("(?x) a  # a comment to the end", "a"),
            ("(?i)mozilla/.*", "Mozilla/5.0"),
            ("", ""),
            (r"\w+", "größe"),
        ] {
            assert!(matches(regex, value), "{regex} should match {value}");
        }
        for (regex, value) in [
            ("/v[0-9]+/users", "/v12/users/7"),
            ("/v[0-9]+/users", " /v12/users"),
            ("a|b", "ab"),
            ("a", "a\n"),
            ("(?m)a$", "a\nb"),
            ("", "a"),
        ] {
            assert!(!matches(regex, value), "{regex} should not match {value}");
        }
    }

    #[test]
    fn what_is_no_expression_says_why_and_where() {
        for (regex, said) in [
            ("a)(b", "unopened group, at its character 2"),
            ("(?=a)", "look-around, including look-ahead and look-behind, is not supported"),
            ("[z-a]", "invalid character class range"),
            (r"(a)\1", "backreferences are not supported"),
        ] {
            let error = Regex::new(regex).expect_err(regex).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_large_expression_is_refused_quickly() {
        for regex in ["((a{1000}){1000}){1000}", ".{10000}", r"\w{100}"] {
            assert_eq!(Regex::new(regex).expect_err(regex), RegexError::TooLarge);
        }
    }
}
