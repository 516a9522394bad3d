//! What `check` says of a file, held to what it should say.

use tollgate::config::{self, Loaded, Source};

use super::KEY;

/// Compiles one file, `f.yaml`.
pub fn load(text: &str) -> Loaded {
    config::compile_all(KEY, &[Source { name: "f.yaml".into(), text: text.into() }])
}

/// Fails unless the file is rejected with exactly these: place, and a part of what is said.
pub fn check(text: &str, expected: &[(&str, &str)]) {
    let rejected = load(text).rules.expect_err("bad rules").to_string();
    assert_eq!(rejected.matches("error: ").count(), expected.len(), "\n{rejected}");
    for (place, said) in expected {
        let found = rejected.split("\n\n").any(|problem| {
            problem.contains(&format!("f.yaml:{place}\n")) && problem.contains(said)
        });
        assert!(found, "`{said}` at {place} is missing from:\n{rejected}");
    }
}

/// Fails unless one limit of a rule is rejected with this at its column.
pub fn check_limit(limit: &str, column: usize, said: &str) {
    let text = format!("domain: d\nrules:\n  - name: r\n    limits:\n      - {{ {limit} }}\n");
    check(&text, &[(&format!("5:{}", 11 + column), said)]);
}
