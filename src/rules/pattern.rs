//! Patterns over the value of one entry.

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Exact(Box<str>),
    Wildcard(Wildcard),
}

/// Literal parts with anything between them: `/v1/*/export*` is `/v1/`, `/export` and an empty
/// end. There are always at least two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard {
    first: Box<str>,
    middle: Box<[Box<str>]>,
    last: Box<str>,
}

impl Pattern {
    /// Reads a pattern: `*` stands for any text, none included, and `\*` for itself. A backslash
    /// ahead of anything else is a backslash.
    pub fn parse(text: &str) -> Pattern {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut rest = text.chars().peekable();
        while let Some(char) = rest.next() {
            match char {
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' if rest.next_if_eq(&'*').is_some() => part.push('*'),
                other => part.push(other),
            }
        }
        parts.push(part);
        let mut parts = parts.into_iter().map(String::into_boxed_str);
        let first = parts.next().unwrap_or_default();
        match parts.next_back() {
            None => Pattern::Exact(first),
            Some(last) => Pattern::Wildcard(Wildcard { first, middle: parts.collect(), last }),
        }
    }

    pub fn matches(&self, value: &str) -> bool {
        match self {
            Pattern::Exact(text) => **text == *value,
            Pattern::Wildcard(wildcard) => wildcard.matches(value),
        }
    }
}

impl Wildcard {
    /// Reads a pattern in which every `*` stands for any text and a backslash for itself; none if
    /// it holds no `*`.
    pub fn unescaped(text: &str) -> Option<Wildcard> {
        let mut parts = text.split('*').map(Box::from);
        let (first, last) = (parts.next()?, parts.next_back()?);
        Some(Wildcard { first, middle: parts.collect(), last })
    }

    /// The text that every match begins with.
    pub fn prefix(&self) -> &str {
        &self.first
    }

    /// Whether whatever begins with the prefix matches.
    pub fn is_prefix(&self) -> bool {
        self.middle.is_empty() && self.last.is_empty()
    }

    /// The first place that fits is as good as any later one, so no step is ever taken back and
    /// the time is bounded by the value's length, whatever the pattern.
    pub fn matches(&self, value: &str) -> bool {
        let Some(mut rest) = value.strip_prefix(&*self.first) else { return false };
        for part in &self.middle {
            match rest.find(&**part) {
                Some(position) => rest = &rest[position + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(&*self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        Pattern::parse(pattern).matches(value)
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, value) in [
            ("/v1/search*", "/v1/search"),
            ("/v1/search*", "/v1/search/images"),
            ("*", ""),
            ("*/export", "/v1/export"),
            ("/v1/*/export*", "/v1/a/b/export/csv"),
            ("a*a", "aa"),
            ("a*b*c", "a-b-b-c"),
        ] {
            assert!(matches(pattern, value), "{pattern} should match {value}");
        }
        for (pattern, value) in [
            ("/v1/search*", "/v2/search"),
            ("/v1/search", "/v1/search/"),
            ("*/export", "/v1/exports"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
        ] {
            assert!(!matches(pattern, value), "{pattern} should not match {value}");
        }
    }

    #[test]
    fn a_star_with_a_backslash_stands_for_itself() {
        assert_eq!(Pattern::parse(r"a\*"), Pattern::Exact("a*".into()));
        assert_eq!(Pattern::parse(r"a\b"), Pattern::Exact(r"a\b".into()));
        assert!(matches(r"\**", "*anything"));
        assert!(!matches(r"\**", "anything"));
    }
}
