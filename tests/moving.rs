//! State taken out of one data directory and put into another, with the real binary.

mod harness;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use harness::program::{Program, client};
use tempfile::TempDir;

const RULES: &str = "
domain: d
rules:
  - name: r
    count_by: [key]
    limits:
      - { name: fixed, requests: 100, per: 30 days }
      - { name: log, requests: 90, per: 30 days, algorithm: sliding_log }
      - { name: pair, requests: 85, per: 30 days, algorithm: sliding_window }
      - { name: bucket, requests: 80, per: 30 days, burst: 80 }
";

fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("rules.yaml"), RULES).expect("a writable folder");
    folder
}

async fn ask(folder: &Path, times: u32) -> u32 {
    let mut program = Program::start(folder, &[]);
    let channel = program.connect().await;
    program.line_with("ready").await;
    let mut left = 0;
    for _ in 0..times {
        let answer = client(&channel).ask("d", &["key=a"]).await;
        left = answer.statuses[0].limit_remaining;
    }
    assert_eq!(program.stop().await, 0);
    left
}

fn tollgate(arguments: &[&str], data: &Path) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let output = command.args(arguments).arg("--data").arg(data).output();
    let Output { status, stdout, stderr } = output.expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

#[tokio::test]
async fn what_is_exported_counts_on_where_it_is_imported() {
    let (old, new) = (folder(), folder());
    assert_eq!(ask(old.path(), 7).await, 73);
    let (code, exported, said) = tollgate(&["export"], &old.path().join("data"));
    assert_eq!((code, said.as_str()), (0, "exported 4 counters\n"));
    let file = new.path().join("export.txt");
    fs::write(&file, &exported).expect("a writable folder");
    let file = file.to_str().expect("temporary paths are text");
    let (code, _, said) = tollgate(&["import", file], &new.path().join("data"));
    assert_eq!(code, 0, "{said}");
    assert_eq!(ask(new.path(), 1).await, 72);
    // A second import puts the counters back to what they were.
    let (code, _, said) = tollgate(&["import", file], &new.path().join("data"));
    assert_eq!(code, 0, "{said}");
    assert_eq!(ask(new.path(), 1).await, 72);
}

#[tokio::test]
async fn a_bad_line_is_named_and_changes_nothing() {
    let folder = folder();
    assert_eq!(ask(folder.path(), 7).await, 73);
    let data = folder.path().join("data");
    let exported = tollgate(&["export"], &data).1;
    let file = folder.path().join("export.txt");
    let bad = exported.replace("bucket ", "bucket x");
    let line = 1 + bad.lines().position(|line| line.starts_with("bucket")).expect("a bucket");
    fs::write(&file, bad).expect("a writable folder");
    let file = file.to_str().expect("temporary paths are text");
    let (code, _, said) = tollgate(&["import", file], &data);
    assert_eq!(code, 1);
    assert!(said.contains(&format!("line {line}: this is neither counter nor note")), "{said}");
    assert_eq!(tollgate(&["export"], &data).1.len(), exported.len());
}

#[tokio::test]
async fn expired_lines_wipe_nothing() {
    // Last month's backup over a live counter handed everyone a fresh month.
    let folder = folder();
    assert_eq!(ask(folder.path(), 7).await, 73);
    let data = folder.path().join("data");
    let exported = tollgate(&["export"], &data).1;
    let expire = |line: &str| {
        let mut words: Vec<_> = line.split(' ').collect();
        if words.len() > 2 && words[0] != "hash-key" {
            words[2] = "1700000000000000";
        }
        words.join(" ") + "\n"
    };
    let file = folder.path().join("export.txt");
    fs::write(&file, exported.lines().map(expire).collect::<String>()).expect("writable");
    let (code, _, said) = tollgate(&["import", file.to_str().expect("text")], &data);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("4 had expired"), "{said}");
    assert_eq!(ask(folder.path(), 1).await, 72);
}

#[tokio::test]
async fn import_refuses_a_directory_in_use_and_one_under_another_secret() {
    let (used, other) = (folder(), folder());
    ask(used.path(), 1).await;
    let exported = tollgate(&["export"], &used.path().join("data")).1;
    let file = used.path().join("export.txt");
    fs::write(&file, exported).expect("a writable folder");
    let file = file.to_str().expect("temporary paths are text");
    let mut program = Program::start(used.path(), &[]);
    program.line_with("ready").await;
    let (code, _, said) = tollgate(&["import", file], &used.path().join("data"));
    assert_eq!(code, 1);
    assert!(said.contains("a server uses"), "{said}");
    assert_eq!(program.stop().await, 0);
    ask(other.path(), 1).await;
    let (code, _, said) = tollgate(&["import", file], &other.path().join("data"));
    assert_eq!(code, 1);
    assert!(said.contains("another secret"), "{said}");
}

#[test]
fn a_lost_secret_is_not_replaced() {
    let folder = folder();
    let data = folder.path().join("data");
    fs::create_dir_all(data.join("journal")).expect("a writable folder");
    fs::write(data.join("journal/log-0000000000000001"), "x").expect("a writable folder");
    let (code, _, said) = tollgate(&["export"], &data);
    assert_eq!(code, 1);
    assert!(said.contains("hash-key is gone"), "{said}");
}
