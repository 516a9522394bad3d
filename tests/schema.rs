//! `tollgate schema`: editors that go by it accept what `check` accepts, and refuse what is wrong
//! with keys and words.

mod harness;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use boon::{Compiler, SchemaIndex, Schemas};
use harness::samples::{self, Kind};
use harness::yaml;
use serde_json::Value;
use tollgate::config;

/// A schema that values can be held against.
struct Held {
    schemas: Schemas,
    schema: SchemaIndex,
}

impl Held {
    fn new(text: &str) -> Held {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema: Value = serde_json::from_str(text).expect("JSON");
        let id = schema["$id"].as_str().expect("an id").to_owned();
        compiler.add_resource(&id, schema).expect("a schema");
        let schema = compiler.compile(&id, &mut schemas).expect("a sound schema");
        Held { schemas, schema }
    }

    fn rules() -> Held {
        Held::new(&config::rules_schema())
    }

    /// What it has against a file, if anything.
    fn against(&self, text: &str) -> Option<String> {
        let value = yaml::read(text);
        let refused = self.schemas.validate(&value, self.schema).err();
        refused.map(|why| format!("{why:#}"))
    }
}

fn example_rules() -> Vec<PathBuf> {
    let mut waiting = vec![samples::root().join("deploy/rules")];
    let mut files = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("a readable folder").path();
            match path.extension() {
                None => waiting.push(path),
                Some(extension) if extension == "yaml" => files.push(path),
                Some(_) => {}
            }
        }
    }
    files
}

#[test]
fn the_example_rules_are_as_the_schema_says() {
    let files = example_rules();
    assert!(files.len() > 3, "the examples are where this test looks for them");
    let (rules, directory) = (Held::rules(), Held::new(&config::directory_schema()));
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable file");
        let is_directory = text.lines().any(|line| line == "keys:");
        let schema = if is_directory { &directory } else { &rules };
        if let Some(why) = schema.against(&text) {
            panic!("{}: {why}", file.display());
        }
    }
}

#[test]
fn every_sample_of_the_documents_is_as_the_schema_says() {
    let (rules, directory) = (Held::rules(), Held::new(&config::directory_schema()));
    let mut seen = 0;
    for document in samples::documents() {
        for sample in samples::samples(&document) {
            let schema = match sample.kind {
                Kind::Rules => &rules,
                Kind::Directory => &directory,
            };
            if let Some(why) = schema.against(&sample.text) {
                panic!("{}: {why}\n{}", sample.at, sample.text);
            }
            seen += 1;
        }
    }
    assert!(seen > 3, "the samples are where this test looks for them");
}

/// A file with one rule, whose keys are these.
fn rule(keys: &str) -> String {
    format!("domain: d\nrules:\n  - {{ {keys} }}\n")
}

fn limit(keys: &str) -> String {
    rule(&format!("name: r, limits: [{{ {keys} }}]"))
}

/// A file with one descriptor, whose keys are these.
fn node(keys: &str) -> String {
    format!("domain: d\ndescriptors: [{{ key: k, {keys} }}]\n")
}

#[test]
fn what_people_may_write_is_not_refused() {
    let rules = Held::rules();
    for good in [
        "domain: 7\n".to_owned(),
        limit("requests: 25_000_000, per: 1 Hour, burst: 5_000"),
        limit("requests: unlimited, per: month, anchor_day: 31, alert_at: 90, alert_to: ops"),
        limit("requests: 1, per: week, anchor_day: Sunday, archive: true"),
        limit("requests: 5, algorithm: concurrency"),
        rule("name: 2024, match: { status: 404, beta: true, a: { not: { cidr: [::1, europe] } } }"),
        rule("name: r, match: { a: { not: [x, 5] }, b: { present: false }, c: { regex: 'a+' } }"),
        rule("name: r, count_by: [key, { entry: address, v4: 24 }], enforce: 0.5%"),
        limit("requests: 1, per: s, on_exceed: { queue: { wait: 500 ms, depth: 10 } }"),
        limit("requests: 1, per: s, on_exceed: queue"),
        rule("name: r, ban: { of: spike, times: 9, over: 1h, at_least: 9, for: 15m, up_to: day }"),
        rule("name: r, headers: { retry_after: false }, replaces: [a, b.month], counter: a"),
        node("value: 5, rate_limit: { unit: HOUR, requests_per_unit: 1_000, name: 7 }"),
        node("rate_limit: { unlimited: yes, replaces: [{ name: a }] }, shadow_mode: off"),
        node("metadata: { any: [1.5, { b: c }] }, descriptors: [{ key: l }], quota_mode: true"),
    ] {
        assert_eq!(rules.against(&good), None, "{good}");
    }
}

#[test]
fn what_is_wrong_with_keys_and_words_is_refused() {
    let rules = Held::rules();
    for bad in [
        "rules: []\n".to_owned(),
        "domain: d\nrulse: []\n".to_owned(),
        "domain: d\ndescriptors: 5\n".to_owned(),
        "domain: d\ndescriptors_as: { charge: often }\n".to_owned(),
        "domain: d\ndescriptors: [{ value: v }]\n".to_owned(),
        "domain: d\ndescriptors: [{ keyy: k }]\n".to_owned(),
        node("rate_limit: { unit: eon }"),
        node("rate_limit: { unit: hour, requests_per_unit: -1 }"),
        node("rate_limit: { unit: hour, requests_per_unit: 4294967296 }"),
        node("rate_limit: { unit: hour, replaces: [{}] }"),
        node("shadow_mode: maybe"),
        node("metadata: 5"),
        "domain: d\nunmatched: refuse\n".to_owned(),
        "domain: d\noverrides: maybe\n".to_owned(),
        "domain: d\nlists: { a.b: [x] }\n".to_owned(),
        "domain: d\nalerts: { ops: { url: example.com } }\n".to_owned(),
        "domain: d\nalerts: { ops: { url: 'https://e.com', form: slak } }\n".to_owned(),
        "domain: d\nheaders: { style: x-rate-limit }\n".to_owned(),
        "domain: d\nheaders: { retry_after: { jiter: 10% } }\n".to_owned(),
        "domain: d\non_refusal: { status: 503 }\n".to_owned(),
        rule("name: a.b"),
        rule("nome: r"),
        rule("name: r, match:"),
        rule("name: r, match: { e: { nott: a } }"),
        rule("name: r, match: { e: { not: a, present: true } }"),
        rule("name: r, match: { e: { not: { present: true } } }"),
        rule("name: r, match: { e: [] }"),
        rule("name: r, count_by: [{ entry: a, v4: 33 }]"),
        rule("name: r, count_by: [{ v4: 24 }]"),
        rule("name: r, plan: { from: plan }"),
        rule("name: r, enforce: 101%"),
        rule("name: r, ban: { of: rage, after: 5, within: 1m, for: 15m }"),
        rule("name: r, ban: { of: hits, after: 0, within: 1m, for: 15m }"),
        rule("name: r, ban: { of: hits, after: 5, within: 1m }"),
        rule("name: r, enforce: 25"),
        rule("name: r, hold: { by: id, settle: {} }"),
        rule("name: r, hold: { by: id, settle: { a: b }, estimate: 0 }, limits: []"),
        rule("name: r, dedupe: { by: id, for: soon }"),
        rule("name: r, limits: []"),
        limit("per: minute"),
        limit("requests: many, per: minute"),
        limit("requests: -1, per: minute"),
        limit("requests: 1, per: 60"),
        limit("requests: 1, per: fortnight"),
        limit("requests: 1, per: s, algorithm: leaky"),
        limit("requests: 1, per: s, burst: 0"),
        limit("requests: 1, per: s, on_exceed: denie"),
        limit("requests: 1, per: s, on_exceed: { queue: { wiat: 5s } }"),
        limit("requests: 1, per: s, on_exceed: { queue: { depth: 1001 } }"),
        limit("requests: 1, per: s, on_exceed: {}"),
        limit("requests: 1, per: s, charge: often"),
        limit("requests: 1, per: s, durability: strickt"),
        limit("requests: 1, per: s, consistency: strict"),
        limit("requests: 1, per: month, anchor_day: 32"),
        limit("requests: 1, per: s, alert_at: [90, 1001]"),
    ] {
        assert!(rules.against(&bad).is_some(), "{bad}");
        let source = config::Source { name: "f.yaml".into(), text: bad.clone() };
        let checked = config::compile_all(harness::KEY, &[source]).rules;
        assert!(checked.is_err(), "`check` accepts what the schema refuses:\n{bad}");
    }
}

#[test]
fn what_is_wrong_in_a_directory_is_refused() {
    let directory = Held::new(&config::directory_schema());
    for bad in [
        "k: { plan: free }\n",
        "keys: [k]\n",
        "keys: { k: free }\n",
        "keys: { k: { plan: [free] } }\n",
        "keys: { k: { anchor_day: 32 } }\n",
        "keys: { k: { limits: { per-key.month: many } } }\n",
        "keys: { k: { limits: { per-key.rate: { request: 5 } } } }\n",
        "keys: { k: { stages: { plan: pro } } }\n",
    ] {
        assert!(directory.against(bad).is_some(), "{bad}");
    }
}

/// Editors show these, so no key goes without.
#[test]
fn every_key_is_described() {
    fn look(part: &Value, path: &str, bare: &mut Vec<String>) {
        for (name, property) in part["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let described = property["description"].as_str().is_some_and(|text| text.len() > 10);
            if !described && !matches!(name.as_str(), "entry" | "v4" | "v6") {
                bare.push(path.clone());
            }
            look(property, &path, bare);
        }
        for choice in part["anyOf"].as_array().into_iter().flatten() {
            look(choice, path, bare);
        }
    }
    let schema: Value = serde_json::from_str(&config::rules_schema()).expect("JSON");
    let mut bare = Vec::new();
    look(&schema, "", &mut bare);
    for (name, part) in schema["$defs"].as_object().expect("definitions") {
        look(part, name, &mut bare);
    }
    assert_eq!(bare, [""; 0]);
}

#[test]
fn the_command_prints_it() {
    for (arguments, expected) in [
        (&["schema"][..], config::rules_schema()),
        (&["schema", "rules"], config::rules_schema()),
        (&["schema", "directory"], config::directory_schema()),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        let output = command.args(arguments).output().expect("it starts");
        assert!(output.status.success());
        let printed = String::from_utf8(output.stdout).expect("text");
        assert_eq!(printed, format!("{expected}\n"));
    }
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let output = wrong.args(["schema", "poems"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
}
