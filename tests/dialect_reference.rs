//! `descriptors:` through the wire: what envoyproxy/ratelimit would answer, call by call.
//!
//! The calls stand in `tests/data/descriptors`; `harness::corpus` says how they are written.

mod harness;

use std::fs;
use std::path::PathBuf;

use harness::corpus::Corpus;
use harness::samples;

fn files() -> Vec<PathBuf> {
    let folder = samples::root().join("tests/data/descriptors");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn calls_are_answered_as_the_format_has_it() {
    let (mut calls, mut wrong) = (0, Vec::new());
    for file in files() {
        let corpus = Corpus::read(&fs::read_to_string(&file).expect("a readable file"));
        calls += corpus.cases.len();
        let name = file.file_name().expect("a file").to_string_lossy();
        wrong.extend(corpus.play().await.into_iter().map(|what| format!("{name}, {what}")));
    }
    assert!(wrong.is_empty(), "{} of {calls} calls\n{}", wrong.len(), wrong.join("\n"));
    assert!(calls >= 200, "only {calls} calls are tried");
}
