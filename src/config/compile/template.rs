//! Templates: texts in which `{word}` stands for a value of the answer.

use crate::config::decode::{At, nearest};
use crate::rules::{Field, Form, Piece, Template};

use super::Compiler;

const WORDS: [&str; 7] =
    ["limit", "remaining", "retry_after", "reset", "rule", "plan", "entry.NAME"];

/// A part of a template: as it stands there, or the word between its braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'t> {
    Text(&'t str),
    Word(&'t str),
}

impl Compiler<'_> {
    /// Compiles a text of some form. What a text has between braces is a placeholder if it is one
    /// word of letters, digits, `_`, `-` and `.`; all other braces are the text's own.
    pub fn template(&mut self, text: &At<String>, form: Form) -> Template {
        let mut pieces = Vec::new();
        let mut json = Json::default();
        let mut sample = String::new();
        let mut unknown = false;
        for part in parts(&text.value) {
            match part {
                Part::Text(piece) => {
                    json.read(piece);
                    sample += piece;
                    pieces.push(Piece::Text(piece.into()));
                }
                Part::Word(word) => {
                    let Some(field) = field(word) else {
                        unknown = true;
                        let what = format!("`{{{word}}}` is not known here");
                        self.error(text.span, what, remedy(word));
                        continue;
                    };
                    sample += if json.in_text { "0" } else { "null" };
                    pieces.push(Piece::Value { field, bare: !json.in_text });
                }
            }
        }
        let is_json =
            form != Form::Json || serde_json::from_str::<serde_json::Value>(&sample).is_ok();
        if !is_json && !unknown {
            let remedy = "mend it, or write another `type`";
            self.warning(text.span, "this body is not JSON, though its type says so", remedy);
        }
        Template { pieces: pieces.into() }
    }
}

fn field(word: &str) -> Option<Field> {
    Some(match word {
        "limit" => Field::Limit,
        "remaining" => Field::Remaining,
        "retry_after" => Field::RetryAfter,
        "reset" => Field::Reset,
        "rule" => Field::Rule,
        "plan" => Field::Plan,
        word => {
            let entry = word.strip_prefix("entry.").filter(|entry| !entry.is_empty())?;
            Field::Entry(entry.into())
        }
    })
}

fn remedy(word: &str) -> String {
    match nearest(word, &WORDS[..6]) {
        Some(known) => format!("did you mean `{{{known}}}`?"),
        None => {
            let words: Vec<_> = WORDS.iter().map(|word| format!("{{{word}}}")).collect();
            format!("known here: {}", words.join(" "))
        }
    }
}

/// Cuts a text at its placeholders.
fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut start, mut from) = (Vec::new(), 0, 0);
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let rest = &text[open + 1..];
        let length = rest.bytes().take_while(|&byte| is_of_word(byte)).count();
        from = open + 1;
        if length == 0 || rest.as_bytes().get(length) != Some(&b'}') {
            continue;
        }
        if start < open {
            parts.push(Part::Text(&text[start..open]));
        }
        parts.push(Part::Word(&rest[..length]));
        start = open + length + 2;
        from = start;
    }
    if start < text.len() {
        parts.push(Part::Text(&text[start..]));
    }
    parts
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Where in a JSON document one stands: a value within a text is a part of it, and one outside
/// has to be a value of its own.
#[derive(Clone, Copy, Debug, Default)]
struct Json {
    in_text: bool,
    escaped: bool,
}

impl Json {
    fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.in_text,
                b'"' => self.in_text = !self.in_text,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_between_braces_is_a_placeholder() {
        use Part::{Text, Word};
        for (text, expected) in [
            ("", vec![]),
            ("plain", vec![Text("plain")]),
            ("{limit}", vec![Word("limit")]),
            ("a{limit}b{x.y-z}", vec![Text("a"), Word("limit"), Text("b"), Word("x.y-z")]),
            ("{\"a\":{}}", vec![Text("{\"a\":{}}")]),
            ("{{rule}}", vec![Text("{"), Word("rule"), Text("}")]),
            ("{a b} {c", vec![Text("{a b} {c")]),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn a_value_within_a_text_of_json_is_told_from_one_outside() {
        let in_text = |text: &str| {
            let mut json = Json::default();
            json.read(text);
            json.in_text
        };
        assert!(!in_text(r#"{"a":"#) && in_text(r#"{"a":""#));
        assert!(in_text(r#"{"a":"\""#) && !in_text(r#"{"a":"\\""#));
    }
}
