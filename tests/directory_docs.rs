//! Every sample of docs/directory.md, tried.

mod harness;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use harness::{KEY, Server, tools};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tollgate::config;
use tollgate::time::SECOND_US;

/// The fenced blocks of the page: language and text, in order.
fn blocks() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/directory.md");
    let text = fs::read_to_string(path).expect("the page");
    let fenced = text.split("```").skip(1).step_by(2);
    let block = |block: &str| {
        let (language, text) = block.split_once('\n').expect("a language on a line of its own");
        (language.to_owned(), text.to_owned())
    };
    fenced.map(block).collect()
}

fn of(blocks: &[(String, String)], language: &str) -> Vec<String> {
    let of = blocks.iter().filter(|(it, _)| it == language);
    of.map(|(_, text)| text.clone()).collect()
}

/// A folder of the page's rules with this directory.
fn folder(rules: &str, file: &str, rows: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join(file), rows).expect("a file");
    let rules = rules.replace("keys.csv", folder.path().join(file).to_str().expect("a path"));
    fs::write(folder.path().join("rules.yaml"), rules).expect("a file");
    folder
}

#[test]
fn the_files_are_read_without_a_warning() {
    let blocks = blocks();
    let (yaml, csv) = (of(&blocks, "yaml"), of(&blocks, "csv"));
    let rules = &yaml[0];
    let files = [("keys.csv", &csv[0]), ("keys.yaml", &yaml[1]), ("keys.csv", &csv[1])];
    for (file, rows) in files {
        let folder = folder(rules, file, rows);
        let loaded = config::load(KEY, &[folder.path().join("rules.yaml")]);
        assert_eq!(loaded.warnings, "");
        let rules = loaded.rules.unwrap_or_else(|rejected| panic!("{rejected}"));
        let directory = rules.domain("shop-api").and_then(|domain| domain.directory.as_ref());
        let row = directory.expect("a directory").row("sk_live_9d1f_03a1").expect("a row");
        let mut plans = row.entries(harness::NOON).filter(|(name, _)| *name == "plan");
        assert_eq!(plans.next(), Some(("plan", "free")));
        let april = harness::NOON.plus(30 * 86_400 * SECOND_US);
        let plan = row.entries(april).filter(|(name, _)| *name == "plan").last();
        let scheduled = rows.contains("pro,2026-04-01");
        assert_eq!(plan, Some(("plan", if scheduled { "pro" } else { "free" })));
    }
}

#[tokio::test]
async fn every_call_gets_the_answer_beside_it() {
    let Some(grpcurl) = tools::find("grpcurl", "docs/directory.md") else { return };
    let Some(curl) = tools::installed("curl", "docs/directory.md") else { return };
    let blocks = blocks();
    let (calls, answers) = (of(&blocks, "sh"), of(&blocks, "json"));
    assert_eq!(calls.len(), answers.len());
    let folder = folder(&of(&blocks, "yaml")[0], "keys.csv", &of(&blocks, "csv")[0]);
    let rules = fs::read_to_string(folder.path().join("rules.yaml")).expect("the rules");
    let server = Server::start(&rules).await;
    for (call, answer) in calls.iter().zip(&answers) {
        let call = call.replace("127.0.0.1:8080", &server.http.to_string());
        let (program, rest) = call.split_once(' ').expect("a program and what it is told");
        let program = if program == "curl" { &curl } else { &grpcurl };
        let run = format!("{} {rest}", program.display());
        let output = Command::new("sh").arg("-c").arg(run).stderr(Stdio::inherit()).output().await;
        let said = String::from_utf8(output.expect("a shell").stdout).expect("text");
        let read = |text: &str| -> Value {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        assert_eq!(read(&said), read(answer), "{call}");
    }
    server.stop().await;
}
