//! What is wrong in a file: where, what, and what to do about it.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::Source;

/// A stretch of a file, in bytes; `end` does not belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The rules cannot be used.
    Error,
    /// They can, but hardly mean what was meant.
    Warning,
}

/// One finding about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub span: Span,
    /// What is wrong, as a sentence without its full stop.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    pub fn error(span: Span, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { severity: Severity::Error, span, what: what.into(), remedy: remedy.into() }
    }

    pub fn warning(span: Span, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(span, what, remedy) }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The problem for people: file, line, column, the line itself, and the remedy.
    pub fn render(&self, source: &Source) -> String {
        self.draw(source, 1, self.first_line(&source.text))
    }

    /// The problem as found at `span` of a part of a file that begins with line `first_line`.
    pub fn draw(&self, part: &Source, first_line: usize, span: Span) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let snippet = Snippet::source(part.text.as_str())
            .path(part.name.as_str())
            .line_start(first_line)
            .annotation(AnnotationKind::Primary.span(span.start..span.end));
        let mut group: Group<'_> = level.primary_title(self.what.as_str()).element(snippet);
        if !self.remedy.is_empty() {
            group = group.element(Level::HELP.message(self.remedy.as_str()));
        }
        Renderer::plain().render(&[group])
    }

    /// A whole rule may be many lines long; its first one is enough to find it.
    fn first_line(&self, text: &str) -> Span {
        // A place in the middle of a character means the whole character.
        let start = text.floor_char_boundary(self.span.start);
        let end = text.ceil_char_boundary(self.span.end.max(start));
        let line_end = text[start..end].find('\n').map_or(end, |length| start + length);
        Span { start, end: line_end }
    }
}

/// The problems of one file, rendered one after another.
pub fn render_all(source: &Source, problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\n", problem.render(source));
    }
    text
}
