//! Values as they are written into a text of some form, so that they cannot break out of it.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::rules::Form;

/// A value of a call is shown up to so many characters: its sender chose it, and an answer must
/// not grow with what it was sent.
pub const VALUE_CHARS_MAX: usize = 256;

/// What one place of a template is filled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filling<'a> {
    Number(u64),
    /// Written as -1.
    Unlimited,
    Text(Cow<'a, str>),
    Absent,
}

/// Writes a value; `bare` if it stands by itself as a value of JSON.
pub fn write(to: &mut String, form: Form, bare: bool, filling: Filling<'_>) {
    let quoted = bare && form == Form::Json;
    // Writing to a string cannot fail.
    let _ = match filling {
        Filling::Number(number) => write!(to, "{number}"),
        Filling::Unlimited => to.write_str("-1"),
        Filling::Absent if quoted => to.write_str("null"),
        Filling::Absent => Ok(()),
        Filling::Text(text) if quoted => {
            to.push('"');
            escape(to, form, &text);
            to.write_char('"')
        }
        Filling::Text(text) => {
            escape(to, form, &text);
            Ok(())
        }
    };
}

fn escape(to: &mut String, form: Form, text: &str) {
    for char in text.chars().take(VALUE_CHARS_MAX) {
        match form {
            Form::Json => json(to, char),
            Form::Markup => markup(to, char),
            Form::Plain if char.is_control() => {}
            Form::Plain => to.push(char),
            Form::Header => header(to, char),
        }
    }
}

fn json(to: &mut String, char: char) {
    match char {
        '"' => to.push_str("\\\""),
        '\\' => to.push_str("\\\\"),
        char if char.is_control() => {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                let _ = write!(to, "\\u{unit:04x}");
            }
        }
        char => to.push(char),
    }
}

fn markup(to: &mut String, char: char) {
    match char {
        '&' => to.push_str("&amp;"),
        '<' => to.push_str("&lt;"),
        '>' => to.push_str("&gt;"),
        '"' => to.push_str("&quot;"),
        '\'' => to.push_str("&#39;"),
        char if char.is_control() => {}
        char => to.push(char),
    }
}

fn header(to: &mut String, char: char) {
    if char.is_ascii_graphic() && char != '%' {
        to.push(char);
        return;
    }
    let mut bytes = [0; 4];
    for byte in char.encode_utf8(&mut bytes).bytes() {
        let _ = write!(to, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form, bare: bool, filling: Filling<'_>) -> String {
        let mut text = String::new();
        write(&mut text, form, bare, filling);
        text
    }

    #[test]
    fn values_cannot_break_out_of_their_text() {
        let hostile = Filling::Text("a\"\\<&'>\r\n\u{7f}\u{e9}%".into());
        for (form, expected) in [
            (Form::Json, "a\\\"\\\\<&'>\\u000d\\u000a\\u007f\u{e9}%"),
            (Form::Markup, "a&quot;\\&lt;&amp;&#39;&gt;\u{e9}%"),
            (Form::Plain, "a\"\\<&'>\u{e9}%"),
            (Form::Header, "a\"\\<&'>%0D%0A%7F%C3%A9%25"),
        ] {
            assert_eq!(written(form, false, hostile.clone()), expected, "{form:?}");
        }
    }

    #[test]
    fn a_bare_value_of_json_is_a_value_of_json() {
        for (filling, expected) in [
            (Filling::Number(7), "7"),
            (Filling::Unlimited, "-1"),
            (Filling::Absent, "null"),
            (Filling::Text("a\"b".into()), "\"a\\\"b\""),
        ] {
            assert_eq!(written(Form::Json, true, filling), expected);
        }
        assert_eq!(written(Form::Plain, true, Filling::Absent), "");
    }

    #[test]
    fn what_a_caller_sent_does_not_make_an_answer_grow() {
        let long = "x".repeat(60 << 10);
        assert_eq!(
            written(Form::Plain, false, Filling::Text(long.as_str().into())).len(),
            VALUE_CHARS_MAX
        );
    }
}
