//! Warnings about children of one node that can hardly mean what they say: descriptors that are
//! never found, and entries that are taken for others.

use std::collections::HashSet;

use crate::config::document::Descriptor;
use crate::config::problem::{Problem, Span};
use crate::rules::{STAR, Wildcard};

/// Patterns are compared with one another; beyond this many on one level only the first are.
const PATTERNS_COMPARED_MAX: usize = 1_000;

/// One child.
#[derive(Debug)]
pub struct Sibling {
    key: Box<str>,
    /// Key and value joined, as calls are compared with it.
    name: Box<str>,
    has_value: bool,
    span: Span,
    pattern: Option<Wildcard>,
}

impl Sibling {
    pub fn of(descriptor: &Descriptor) -> Sibling {
        let name = descriptor.to_string();
        Sibling {
            key: descriptor.key.value.as_str().into(),
            has_value: descriptor.value.is_some(),
            span: descriptor.span,
            pattern: Wildcard::unescaped(&name),
            name: name.into(),
        }
    }

    /// Whether this pattern matches all that a text with stars stands for. Its own literal parts
    /// hold no star, so they can only be found in the literal parts of the other.
    fn covers(&self, text: &str) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.matches(text))
    }

    fn never_found(&self, by: &str, remedy: &str) -> Problem {
        let what = format!("`{}` is never found: `{by}` matches all that it does", self.name);
        self.warning(what, remedy)
    }

    fn warning(&self, what: String, remedy: &str) -> Problem {
        Problem::warning(self.span, what, remedy)
    }
}

/// What is odd about these children, of which the first `known` were looked at before.
pub fn warnings(siblings: &[Sibling], known: usize) -> Vec<Problem> {
    let mut warnings = Vec::new();
    if known < siblings.len() {
        patterns(siblings, known, &mut warnings);
        names(siblings, known, &mut warnings);
    }
    warnings
}

fn patterns(siblings: &[Sibling], known: usize, warnings: &mut Vec<Problem>) {
    let patterns: Vec<_> = (0..)
        .zip(siblings)
        .filter(|(_, it)| it.pattern.is_some())
        .take(PATTERNS_COMPARED_MAX)
        .collect();
    let new = patterns.iter().enumerate().filter(|(_, (at, _))| known <= *at);
    for (place, &(_, later)) in new {
        let above = || patterns[..place].iter().map(|(_, it)| *it);
        if let Some(first) = above().find(|first| first.covers(&later.name)) {
            warnings.push(later.never_found(&first.name, "put the narrower pattern first"));
        } else if let Some(first) =
            above().find(|first| !later.covers(&first.name) && overlap(first, later))
        {
            let what = format!(
                "`{}` and `{}` match some of the same values; the one that stands first is taken",
                first.name, later.name
            );
            warnings.push(later.warning(what, "put first what is to have precedence"));
        }
    }
    let bare = |(_, it): &(usize, &Sibling)| !it.has_value && it.pattern.is_none();
    for (at, sibling) in (0..).zip(siblings).filter(bare) {
        let all = format!("{}_{STAR}", sibling.key);
        let Some((other, pattern)) = patterns.iter().find(|(_, it)| it.covers(&all)) else {
            continue;
        };
        if known <= at.max(*other) {
            let remedy = "keep one of the two: patterns outrank a key alone wherever they stand";
            warnings.push(sibling.never_found(&pattern.name, remedy));
        }
    }
}

/// Whether two patterns may match one text, as far as their ends tell.
fn overlap(a: &Sibling, b: &Sibling) -> bool {
    let ends = |text: &str| {
        let (first, last) = (text.split(STAR).next(), text.rsplit(STAR).next());
        (first.unwrap_or_default().to_owned(), last.unwrap_or_default().to_owned())
    };
    let ((a_first, a_last), (b_first, b_last)) = (ends(&a.name), ends(&b.name));
    let begin = a_first.starts_with(&b_first) || b_first.starts_with(&a_first);
    begin && (a_last.ends_with(&b_last) || b_last.ends_with(&a_last))
}

/// Names that an entry of another key may have as well.
fn names(siblings: &[Sibling], known: usize, warnings: &mut Vec<Problem>) {
    let keys: HashSet<&str> = siblings.iter().map(|it| &*it.key).collect();
    for (position, sibling) in siblings.iter().enumerate() {
        let literal = sibling.name.split(STAR).next().unwrap_or_default();
        let parts = literal.match_indices('_').map(|(at, _)| &literal[..at]);
        let mut others = parts.filter(|key| **key != *sibling.key && keys.contains(key));
        let Some(key) = others.next() else { continue };
        let news = |it: &Sibling| *it.key == *key;
        if position < known && !siblings[known..].iter().any(news) {
            continue;
        }
        let value = &sibling.name[key.len() + 1..];
        let what = format!(
            "an entry `{key}` with the value `{value}` is taken for this one, for both are called \
             `{}`",
            sibling.name
        );
        warnings.push(sibling.warning(what, "give the keys names that differ, if it is not meant"));
    }
}
