//! The rules' reference: every sample loads as it stands, every key has its section, and every
//! link of the documents leads somewhere.

mod harness;

use std::collections::HashSet;
use std::fs;

use harness::KEY;
use harness::samples::{self, Kind};
use serde_json::Value;
use tollgate::config;

const PAGE: &str = "docs/rules.md";

#[test]
fn every_sample_of_the_reference_loads_without_a_warning() {
    let samples = samples::samples(&samples::root().join(PAGE));
    assert!(samples.len() > 20, "the samples are where this test looks for them");
    for sample in samples {
        assert!(sample.kind == Kind::Rules, "{}", sample.at);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.yaml");
        fs::write(&path, &sample.text).expect("written");
        fs::write(folder.path().join("keys.csv"), "key,plan\n").expect("written");
        let loaded = config::load(KEY, &[path]);
        if let Err(rejected) = &loaded.rules {
            panic!("{}: {rejected}", sample.at);
        }
        assert_eq!(
            !loaded.warnings.is_empty(),
            sample.warned,
            "{}: {}",
            sample.at,
            loaded.warnings
        );
    }
}

/// A section of a page.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let start = text.find(&format!("\n## {heading}\n")).expect("the section");
    let rest = &text[start + 4..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

#[test]
fn every_key_has_a_section_of_its_own() {
    let text = fs::read_to_string(samples::root().join(PAGE)).expect("a readable page");
    let schema: Value = serde_json::from_str(&config::rules_schema()).expect("JSON");
    let parts = [
        ("The domain", &schema),
        ("A rule", &schema["$defs"]["Rule"]),
        ("A limit", &schema["$defs"]["Limit"]),
    ];
    for (heading, part) in parts {
        let section = section(&text, heading);
        let headings: Vec<_> = section.lines().filter(|line| line.starts_with("### ")).collect();
        for key in part["properties"].as_object().expect("keys").keys() {
            let key = format!("`{key}`");
            let told = headings.iter().any(|line| line.contains(&key));
            assert!(told, "{key} has no section under \"{heading}\"");
        }
    }
}

/// The name under which a page's section is linked to.
fn anchor(heading: &str) -> String {
    let kept = |char: &char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_');
    heading.to_lowercase().trim().chars().filter(kept).collect::<String>().replace(' ', "-")
}

fn anchors(text: &str) -> HashSet<String> {
    let mut anchors = HashSet::new();
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let plain = anchor(line.trim_start_matches('#'));
        let mut name = plain.clone();
        let mut times = 0;
        while !anchors.insert(name) {
            times += 1;
            name = format!("{plain}-{times}");
        }
    }
    anchors
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    for page in samples::documents() {
        let text = fs::read_to_string(&page).expect("a readable page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            let at = format!("{}: {link}", page.display());
            assert!(target.exists(), "{at}");
            if !section.is_empty() {
                let text = fs::read_to_string(&target).expect("a readable page");
                assert!(anchors(&text).contains(section), "{at}");
            }
        }
    }
}
