//! What `check` says of directory files: every case is a file, a place, a message, and no key.

mod harness;

use std::fs;

use harness::KEY;
use tempfile::TempDir;
use tollgate::config::{self, Loaded, Source};

const RULES: &str = "
domain: d
plans:
  free: { limits: [{ name: month, requests: 5, per: month },
                   { name: rate, requests: 5, per: minute, burst: 9 },
                   { name: log, requests: 5, per: minute, algorithm: sliding_log }] }
rules: [{ name: per-key, count_by: [key], plan: { from: plan, otherwise: free } }]
alerts: { ops: { url: https://hooks.example.com/x } }
";

/// A folder of rules beside one directory file.
struct Folder(TempDir);

impl Folder {
    fn new(file: &str, text: &str) -> Folder {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join(file), text).expect("a file");
        let rules = format!("{RULES}directory: {{ by: key, from: {file} }}\n");
        fs::write(folder.path().join("rules.yaml"), rules).expect("a file");
        Folder(folder)
    }

    fn load(&self) -> Loaded {
        config::load(KEY, &[self.0.path().to_owned()])
    }
}

/// Fails unless a directory file is rejected with exactly these: place, and a part of what is said.
fn check(file: &str, text: &str, expected: &[(&str, &str)]) {
    let rejected = Folder::new(file, text).load().rules.expect_err("a bad file").to_string();
    assert_eq!(rejected.matches("error: ").count(), expected.len(), "\n{rejected}");
    for (place, said) in expected {
        let found = rejected.split("\n\n").any(|problem| {
            problem.contains(&format!("{file}:{place}\n")) && problem.contains(said)
        });
        assert!(found, "`{said}` at {place} is missing from:\n{rejected}");
    }
    assert!(!rejected.contains("sk_live"), "a key is shown:\n{rejected}");
}

fn csv(text: &str, expected: &[(&str, &str)]) {
    check("keys.csv", text, expected);
}

fn yaml(text: &str, expected: &[(&str, &str)]) {
    check("keys.yaml", text, expected);
}

#[test]
fn cells_that_cannot_be() {
    let head = "key,plan,from,until,anchor_day,time_zone,alert_to,limit:per-key.month";
    let line = |cells: &str| format!("{head}\nsk_live_4f9a,{cells}\n");
    csv(&line("free,soon,,,,,"), &[("2:19", "`soon` is not a date")]);
    csv(&line("free,,2026-02-30,,,,"), &[("2:20", "`2026-02-30` is not a date")]);
    csv(&line("free,2026-04-01,2026-04-01,,,,"), &[("2:30", "`until` is not after `from`")]);
    csv(&line("free,,,32,,,"), &[("2:21", "`32` is not a day of the month")]);
    csv(&line("free,,,0,,,"), &[("2:21", "`0` is not a day of the month")]);
    csv(&line("free,,,,Mars/Base,,"), &[("2:22", "`Mars/Base` is not a known time zone")]);
    csv(&line("free,,,,,nobody,"), &[("2:23", "there is no alert target `nobody`")]);
    csv(&line("free,,,,,,many"), &[("2:24", "`many` is not a number of requests")]);
    csv(&line("free,,,,,,-1"), &[("2:24", "`-1` is not a number of requests")]);
    csv("key,limit:per-key.mont\nsk_live_1,5\n", &[("1:5", "there is no limit `per-key.mont`")]);
    csv("key,limit:per-key.rate\nsk_live_1,0\n", &[("2:11", "a bucket of 0 requests")]);
    csv("key,burst:per-key.month\nsk_live_1,9\n", &[("2:11", "this limit has no burst")]);
    csv("key,burst:per-key.rate\nsk_live_1,0\n", &[("2:11", "`0` is not a burst")]);
    csv("key,limit:per-key.log\nsk_live_1,10_001\n", &[("2:11", "10000 at most")]);
}

#[test]
fn lines_that_cannot_be() {
    csv("", &[("1:1", "the directory is empty")]);
    csv("sk_live_4f9a,free\n", &[("1:1", "the header has no column `key`")]);
    csv("key,plan,plan\na,free,free\n", &[("1:10", "this column is there already")]);
    csv("key,plan\nsk_live_4f9a\n", &[("2:1", "this line has 1 cells, and the header has 2")]);
    csv("key,plan\n\nsk_live_4f9a,a,b\n", &[("3:1", "has 3 cells")]);
    csv("key,plan\n,free\n", &[("2:1", "a key has 1 to")]);
    csv("key,plan\n\"sk_live_4f9a,free\nb,free\n", &[("2:1", "runs over the end of its line")]);
    csv(
        "plan,key\nfree,sk_live_4f9a\nfree,b\nfree,sk_live_4f9a\n",
        &[("4:6", "this key stands on line 2 already")],
    );
}

#[test]
fn yaml_that_cannot_be() {
    yaml("", &[("1:1", "the directory is empty")]);
    yaml("sk_live_4f9a: { plan: free }\n", &[("1:1", "expected `keys`")]);
    yaml("keys: [sk_live_4f9a]\n", &[("1:1", "expected `keys`")]);
    yaml("- sk_live_4f9a\n", &[("1:1", "expected a map with `keys`")]);
    yaml("keys: { sk_live_4f9a: { plan: [ }\n", &[("1:31", "this is not YAML")]);
    yaml("keys:\n  sk_live_4f9a: free\n", &[("2:17", "expected a map")]);
    yaml("keys:\n  sk_live_4f9a: { plan: }\n", &[("2:23", "expected a value")]);
    yaml("keys: { sk_live_4f9a: {}, sk_live_4f9a: {} }\n", &[("1:27", "stands here twice")]);
    yaml("keys:\n  a: { key: other }\n", &[("2:8", "cannot change it")]);
    let row = |row: &str| format!("keys:\n  sk_live_4f9a: {{ {row} }}\n");
    yaml(&row("limits: 5"), &[("2:27", "expected a map of limits")]);
    yaml(&row("limits: { per-key.year: 5 }"), &[("2:29", "there is no limit `per-key.year`")]);
    yaml(&row("limits: { per-key.rate: { rate: 5 } }"), &[("2:45", "this is not known here")]);
    yaml(&row("limits: { per-key.rate: { burst: 0 } }"), &[("2:52", "`0` is not a burst")]);
    yaml(&row("stages: { from: 2026-04-01 }"), &[("2:27", "expected a list of stages")]);
    yaml(&row("stages: [{ stages: [] }]"), &[("2:30", "a stage has no stages")]);
    yaml(&row("stages: [{ from: never }]"), &[("2:36", "`never` is not a date")]);
}

#[test]
fn one_error_does_not_hide_another_and_there_are_not_too_many() {
    csv(
        "key,anchor_day,time_zone\nsk_live_4f9a,40,Mars\nsk_live_77b0,2\nsk_live_88c1,0,UTC\n",
        &[
            ("2:14", "`40` is not a day"),
            ("2:17", "`Mars` is not a known"),
            ("3:1", "has 2 cells"),
            ("4:14", "`0` is not a day"),
        ],
    );
    let lines = "sk_live_4f9a\n".repeat(1000);
    let rejected = Folder::new("keys.csv", &format!("key,plan\n{lines}")).load().rules;
    let rejected = rejected.expect_err("a bad file").to_string();
    assert!(rejected.contains("only the first 100 problems"), "{rejected}");
    assert_eq!(rejected.matches("error: ").count(), 101);
}

#[test]
fn files_that_cannot_be_read() {
    let check = |from: &str, said: &str| {
        let text = format!("{RULES}directory: {{ by: key, from: {from} }}\n");
        let source = Source { name: "nowhere/f.yaml".into(), text };
        let rejected = config::compile_all(KEY, &[source]).rules.expect_err("bad").to_string();
        assert!(rejected.contains("nowhere/f.yaml:9:29\n"), "{rejected}");
        assert!(rejected.contains(said), "{rejected}");
    };
    check("keys.csv", "cannot read nowhere/keys.csv");
    let folder = Folder::new("keys.txt", "");
    let rejected = folder.load().rules.expect_err("a strange ending").to_string();
    assert!(rejected.contains("a directory is a *.csv or a *.yaml file"), "{rejected}");
}

#[test]
fn a_plan_that_no_rule_knows_is_an_error() {
    csv("key,plan\nsk_live_4f9a,gold\nb,free\n", &[("2:14", "no rule knows the plan `gold`")]);
    let staged = "keys:\n  sk_live_4f9a: { stages: [{ from: 2026-04-01, plan: gold }] }\n";
    yaml(staged, &[("2:54", "no rule knows the plan `gold`")]);
    // Columns that changed places: the plan is a key.
    csv("plan,key\nsk_live_8842cafe4f9a,free\n", &[("2:1", "no rule knows the plan `…4f9a`")]);
}

#[test]
fn errors_of_the_rules_are_not_repeated_for_the_directory() {
    let folder = Folder::new("keys.csv", "key,limit:per-key.month,plan\na,5,free\n");
    let rules = fs::read_to_string(folder.0.path().join("rules.yaml")).expect("the rules");
    let broken = rules.replace("per: month", "per: moon");
    fs::write(folder.0.path().join("rules.yaml"), broken).expect("a file");
    let rejected = folder.load().rules.expect_err("a bad limit").to_string();
    assert_eq!(rejected.matches("error: ").count(), 1, "{rejected}");
}

const CSV: &str = "\
plan,key,team,from,until,anchor_day,limit:per-key.month
free, a ,\"b, c\",,,31,25_000_000
free,a,,2026-04-01,2026-05-01,,unlimited
";

const YAML: &str = "
keys:
  a:
    plan: free
    team: b, c
    anchor_day: 31
    limits: { per-key.month: 25_000_000 }
    stages:
      - from: 2026-04-01
        until: 2026-05-01T00:00Z
        plan: free
        limits: { per-key.month: { requests: unlimited } }
";

#[test]
fn all_forms_say_the_same() {
    let rows = [("keys.csv", CSV), ("keys.yaml", YAML)];
    let [csv, yaml] = rows.map(|(file, text)| {
        let loaded = Folder::new(file, text).load();
        // A YAML file of rows in a folder of rules is not taken for rules.
        assert_eq!(loaded.files, 1);
        let rules = loaded.rules.unwrap_or_else(|rejected| panic!("{rejected}"));
        let directory = rules.domain("d").and_then(|domain| domain.directory.as_ref());
        let found = directory.expect("a directory").row("a").expect("a row");
        tollgate::directory::Row::clone(&found)
    });
    assert_eq!(csv, yaml);
}
