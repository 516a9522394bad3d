//! Speaking to people: a reader that went away is no reason to fail.

use std::io::{self, Write as _};

/// Writes a text to standard output.
pub fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Writes a text to standard error, if there is any.
pub fn complain(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
