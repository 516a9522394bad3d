//! `descriptors:` through the wire: what envoyproxy/ratelimit would answer, call by call.
//!
//! The calls stand in `tests/data/descriptors`; `harness::corpus` says how they are written.

mod harness;

use std::fs;

use harness::corpus::Corpus;
use harness::{Server, samples};
use tollgate::key::CounterKey;
use tollgate::limit::Durability;
use tollgate::store::NoteKey;
use tollgate::store::ledger::{Grant, Kind, Note};
use tollgate::time::Timestamp;

/// Every file of calls, with its name.
fn corpora() -> Vec<(String, Corpus)> {
    let folder = samples::root().join("tests/data/descriptors");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let corpus = |path: &std::path::PathBuf| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        (name, Corpus::read(&fs::read_to_string(path).expect("a readable file")))
    };
    paths.iter().map(corpus).collect()
}

/// Makes all calls of all files, each file to a server of its own.
async fn play(prepare: impl Fn(&Server)) {
    let (mut calls, mut wrong) = (0, Vec::new());
    for (name, corpus) in corpora() {
        calls += corpus.cases.len();
        let server = Server::start(&corpus.rules).await;
        prepare(&server);
        let answers = corpus.play(server).await;
        wrong.extend(answers.into_iter().map(|what| format!("{name}, {what}")));
    }
    assert!(wrong.is_empty(), "{} of {calls} calls\n{}", wrong.len(), wrong.join("\n"));
    assert!(calls >= 200, "only {calls} calls are tried");
}

#[tokio::test]
async fn calls_are_answered_as_the_format_has_it() {
    play(|_| ()).await;
}

/// A grant to anybody has every call decided by the way that knows all there is.
#[tokio::test]
async fn the_way_of_few_steps_answers_as_the_other() {
    play(|server| {
        let (domain, label, values) = ("elsewhere".into(), "r.month".into(), Vec::new());
        let grant = Grant { domain, label, values, granted: 1, left: 1, since_us: 1 };
        let key = NoteKey::of_counter(Kind::Grant, CounterKey::from_u128(1));
        let never = Timestamp::from_micros(u64::MAX);
        let ledger = server.gate.memory().ledger();
        ledger.open(&[key]).put(key, Note::Grant(grant), never, Durability::Ordinary);
    })
    .await;
}
