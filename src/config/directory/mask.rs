//! What of a directory file is never shown: keys, and whatever looks like one.
//!
//! Each byte that is blotted out becomes a star, so that columns stay where they are.

use crate::config::problem::{Problem, Span};
use crate::config::source::Source;
use crate::directory::{SHOWN_CHARS, looks_secret};

/// Of keys longer than this the end is shown, of others nothing.
const SHORT_CHARS_MAX: usize = 8;

/// Parts of a file that no message shows.
#[derive(Debug, Default)]
pub struct Masked {
    /// Where keys stand, at least on every line that a problem is on.
    pub keys: Vec<Span>,
    /// Starts of problems whose lines are not shown at all: nobody knows where a key stands there.
    pub hidden: Vec<usize>,
}

/// The number of the line that holds this byte, counted from 1.
pub fn line_number(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

impl Masked {
    /// The problem for people, over its line without what must not be shown.
    pub fn render(&self, problem: &Problem, source: &Source) -> String {
        let text = source.text.as_str();
        let at = text.floor_char_boundary(problem.span.start);
        let start = text[..at].rfind('\n').map_or(0, |position| position + 1);
        let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
        let line = if self.hidden.contains(&problem.span.start) {
            "*".repeat(end - start)
        } else {
            self.line(&text[start..end], start)
        };
        let last = text.ceil_char_boundary(problem.span.end.clamp(at, end));
        let span = Span { start: at - start, end: last - start };
        let part = Source { name: source.name.clone(), text: line };
        problem.draw(&part, line_number(text, at), span)
    }

    fn line(&self, line: &str, start: usize) -> String {
        let mut bytes = line.as_bytes().to_vec();
        for key in &self.keys {
            let from = key.start.clamp(start, start + line.len()) - start;
            let to = key.end.clamp(start, start + line.len()) - start;
            blot(&mut bytes, line, from, to);
        }
        let is_word = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
        for word in line.split(|char| !is_word(char)).filter(|word| looks_secret(word)) {
            let from = word.as_ptr() as usize - line.as_ptr() as usize;
            blot(&mut bytes, line, from, from + word.len());
        }
        // Whole characters are blotted out, so what is left is text.
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn blot(bytes: &mut [u8], line: &str, from: usize, to: usize) {
    let (from, to) = (line.floor_char_boundary(from), line.ceil_char_boundary(to));
    let word = &line[from..to];
    let chars = word.chars().count();
    let left = if chars <= SHORT_CHARS_MAX { 0 } else { SHOWN_CHARS };
    let shown = word.char_indices().nth(chars - left).map_or(word.len(), |(at, _)| at);
    bytes[from..from + shown].fill(b'*');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_what_looks_like_one_are_blotted_out() {
        let text = "first\nsk_live_4f9a,gold,alice,abcdefghijklm0123\nlast";
        let masked = Masked { keys: vec![Span { start: 6, end: 18 }], hidden: Vec::new() };
        let problem = Problem::error(Span { start: 19, end: 23 }, "odd", "");
        let source = Source { name: "f.csv".into(), text: text.into() };
        let shown = masked.render(&problem, &source);
        assert!(shown.contains("********4f9a,gold,alice,*************0123"), "{shown}");
        assert!(shown.contains("f.csv:2:14"), "{shown}");
        let hidden = Masked { hidden: vec![19], ..masked };
        assert!(!hidden.render(&problem, &source).contains("4f9a"));
    }
}
