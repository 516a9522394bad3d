//! What the README and the examples say, tried with the real programs.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness::http::Http;
use harness::{KEY, Server, tools};
use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tollgate::config::{self, Source};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of a language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let after = text.split(&fence).skip(1);
    after.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(root).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[tokio::test]
async fn the_call_in_the_readme_gets_the_answer_in_the_readme() {
    let Some(grpcurl) = tools::find("grpcurl", "the README's call") else { return };
    let readme = read("README.md");
    let calls = blocks(&readme, "sh");
    let call = calls.iter().find(|block| block.starts_with("grpcurl")).expect("the call");
    let expected = blocks(&readme, "json").remove(0);
    let server = Server::start(&read("deploy/rules/quickstart.yaml")).await;
    // The README shows a call made with 44 seconds of its minute left.
    server.advance_s(16);
    let grpcurl = grpcurl.to_str().expect("a path of text");
    let call = call.replacen("grpcurl", grpcurl, 1);
    let call = call.replace("127.0.0.1:8081", &server.addr.to_string());
    let mut shell = Command::new("sh");
    let output = shell.arg("-c").arg(call).stderr(Stdio::inherit()).output().await;
    let answer = String::from_utf8(output.expect("a shell").stdout).expect("text");
    assert_eq!(answer, expected);
    server.stop().await;
}

/// Each command and what is said to come of it: the fenced blocks of a text, two by two.
fn examples(text: &str) -> Vec<(String, String)> {
    let mut fenced = text.split("```").skip(1).step_by(2);
    let mut examples = Vec::new();
    while let (Some(command), Some(answer)) = (fenced.next(), fenced.next()) {
        let command = command.strip_prefix("sh\n").expect("a command ahead of its answer");
        let (_, answer) = answer.split_once('\n').expect("a language on a line of its own");
        examples.push((command.to_owned(), answer.to_owned()));
    }
    examples
}

/// JSON as such, with nothing in it that time changes; other texts as they are.
fn comparable(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
    if let Some(uptime) = value.get_mut("uptime_seconds") {
        *uptime = 0.into();
    }
    value
}

#[tokio::test]
async fn every_call_in_the_api_pages_gets_the_answer_beside_it() {
    let Some(grpcurl) = tools::find("grpcurl", "docs/api.md") else { return };
    let Some(curl) = tools::installed("curl", "docs/api.md") else { return };
    let server = Server::start(&read("deploy/rules/quickstart.yaml")).await;
    server.advance_s(16);
    server.client().await.ask("quickstart", &["key=alice,plan=free"]).await;
    try_all(&read("docs/api.md"), &server, (&curl, &grpcurl)).await;
    server.stop().await;
}

#[tokio::test]
async fn every_call_in_the_page_on_charges_gets_the_answer_beside_it() {
    let Some(grpcurl) = tools::find("grpcurl", "docs/quota.md") else { return };
    let Some(curl) = tools::installed("curl", "docs/quota.md") else { return };
    let page = read("docs/quota.md");
    let (rules, calls) = (blocks(&page, "yaml").remove(0), page.split_once("## Charge"));
    let server = Server::start(&rules).await;
    let http = Http::new(server.http);
    let row = json!({ "domain": "tracker", "key": "alice", "row": {} });
    http.ask(Method::PUT, "/v1/directory", row.to_string()).await.good();
    let used = json!({ "domain": "tracker", "entries": { "key": "alice" }, "hits": 41 });
    http.post("/v1/charge", used).await.good();
    server.advance_s(31 * 86_400 + 16);
    let (_, calls) = calls.expect("the first section");
    try_all(calls, &server, (&curl, &grpcurl)).await;
    server.stop().await;
}

/// Runs every command of a text against a server, and compares what comes of it.
async fn try_all(text: &str, server: &Server, (curl, grpcurl): (&Path, &Path)) {
    let examples = examples(text);
    assert!(examples.len() > 8, "the examples are where this test looks for them");
    for (command, answer) in examples {
        let mut run = command.replace("127.0.0.1:8080", &server.http.to_string());
        for (name, path) in [("grpcurl", grpcurl), ("curl", curl)] {
            if let Some(rest) = run.strip_prefix(&format!("{name} ")) {
                run = format!("{} {rest}", path.display());
                break;
            }
        }
        let output = Command::new("sh").arg("-c").arg(run).stderr(Stdio::inherit()).output().await;
        let said = String::from_utf8(output.expect("a shell").stdout).expect("text");
        assert_eq!(comparable(&said), comparable(&answer), "{command}");
    }
}

#[test]
fn the_rules_in_the_readme_compile_without_a_warning() {
    let text = blocks(&read("README.md"), "yaml").remove(0);
    let loaded = config::compile_all(KEY, &[Source { name: "README.md".into(), text }]);
    if let Err(rejected) = &loaded.rules {
        panic!("{rejected}");
    }
    assert_eq!(loaded.warnings, "");
}

#[test]
fn the_example_rules_compile() {
    let folders = ["deploy/rules", "deploy/rules/providers"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let loaded = config::load(KEY, &folders.map(|folder| root.join(folder)));
    if let Err(rejected) = &loaded.rules {
        panic!("{rejected}");
    }
    // One file has queues, and says so; its Envoy waits long enough.
    let (known, rest) = loaded.warnings.split_once("\n\n").unwrap_or((&loaded.warnings, ""));
    assert!(known.contains("providers/jetpero.yaml"), "{known}");
    assert!(known.starts_with("warning: calls may wait 4000 ms here"), "{known}");
    assert_eq!(rest.trim(), "");
}

#[tokio::test]
async fn envoy_accepts_the_example_configurations() {
    let Some(envoy) = tools::find("envoy", "the example configurations") else { return };
    let providers = yaml_files("deploy/envoy/providers");
    for file in yaml_files("deploy/envoy").into_iter().chain(providers) {
        let mut validate = Command::new(&envoy);
        validate.args(["--mode", "validate", "-l", "warn", "-c"]).arg(&file);
        let output = validate.output().await.expect("Envoy starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", file.display());
    }
}

#[test]
fn the_samples_of_what_callers_are_told_compile_without_a_warning() {
    let shop = "domain: shop\nrules: [{ name: r, limits: [{ requests: 1, per: minute }] }]\n";
    let samples = blocks(&read("docs/answers.md"), "yaml");
    assert!(samples.len() > 3, "the samples are where this test looks for them");
    for sample in samples {
        let whole = sample.starts_with("domain:");
        let text = if whole { sample } else { format!("{shop}{sample}") };
        let loaded = config::compile_all(KEY, &[Source { name: "answers.md".into(), text }]);
        if let Err(rejected) = &loaded.rules {
            panic!("{rejected}");
        }
        assert_eq!(loaded.warnings, "");
    }
}
