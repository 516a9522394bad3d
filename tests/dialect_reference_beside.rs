//! What `descriptors:` have to do with the rest of the server: metadata, people's side, reloads.

mod harness;

use harness::{NOON, Server, request, rules};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tollgate::config::{self, Options, Source};
use tollgate::gate::Gate;
use tollgate::limiter;
use tollgate::query::{Descriptor, Hits, Query};
use tollgate::store::Memory;
use tollgate::time::ManualClock;

/// A value as one would write it in JSON, short.
fn show(value: &Value) -> String {
    match value.kind.as_ref().expect("a kind") {
        Kind::NullValue(_) => "null".into(),
        Kind::NumberValue(number) => number.to_string(),
        Kind::StringValue(text) => text.clone(),
        Kind::BoolValue(flag) => flag.to_string(),
        Kind::StructValue(fields) => show_all(fields),
        Kind::ListValue(list) => {
            format!("[{}]", list.values.iter().map(show).collect::<Vec<_>>().join(", "))
        }
    }
}

fn show_all(fields: &Struct) -> String {
    let pairs = fields.fields.iter().map(|(key, value)| format!("{key}: {}", show(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

const WITH_METADATA: &str = "
domain: d
metadata: true
secret_entries: [key]
descriptors:
  - key: a
    rate_limit: { unit: hour, requests_per_unit: 2 }
    metadata: { tier: gold, owner: { team: red, floor: 3 }, list: [1.5, ~, no] }
  - key: b
    rate_limit: { unit: hour, requests_per_unit: 1 }
    metadata: { tier: silver, owner: { team: blue, desk: 7 }, more: true }
  - { key: key, rate_limit: { unit: hour, requests_per_unit: 1 } }
  - { key: u, rate_limit: { unlimited: true }, metadata: { unlimited: yes } }
";

#[tokio::test]
async fn metadata_of_rules_that_let_a_call_pass_is_told() {
    let server = Server::start(WITH_METADATA).await;
    let mut client = server.client().await;
    let answer = client.ask("d", &["a=x", "b=x", "u=x"]).await;
    let told = answer.dynamic_metadata.expect("metadata").fields;
    assert_eq!(show(&told["domain"]), "d");
    assert_eq!(
        show(&told["descriptors"]),
        "[{entries: [a=x]}, {entries: [b=x]}, {entries: [u=x]}]"
    );
    // Of what both say the first counts, and maps are put together.
    assert_eq!(
        show(&told["metadata"]),
        "{list: [1.5, null, false], more: true, owner: {desk: 7, floor: 3, team: red}, tier: gold}"
    );
    // One that refuses says nothing more, and nobody is left to say anything in the end.
    let told = client.ask("d", &["b=x", "a=x"]).await.dynamic_metadata.expect("metadata").fields;
    assert_eq!(show(&told["refused_by"]), "b.hour");
    assert!(show(&told["metadata"]).contains("tier: gold"));
    let told = client.ask("d", &["b=x", "c=x"]).await.dynamic_metadata.expect("metadata").fields;
    assert!(!told.contains_key("metadata"));
    server.stop().await;
}

#[tokio::test]
async fn what_was_asked_is_told_without_secrets() {
    let server = Server::start(WITH_METADATA).await;
    let mut client = server.client().await;
    let mut call = request("d", &["key=secret-key-0001", "a=x", "a=y"]);
    call.descriptors[1].hits_addend = Some(0);
    call.descriptors[2].hits_addend = Some(2);
    let told = client.call(call).await.expect("an answer").dynamic_metadata.expect("metadata");
    let descriptors = show(&told.fields["descriptors"]);
    assert!(!descriptors.contains("secret-key"), "{descriptors}");
    assert!(descriptors.contains("{entries: [a=x], hitsAddend: 0}"), "{descriptors}");
    assert!(descriptors.contains("{entries: [a=y], hitsAddend: 2}"), "{descriptors}");
    server.stop().await;
}

fn query<'a>(entries: &[(&'a str, &'a str)]) -> Query<'a> {
    let entries = entries.iter().copied().collect();
    let descriptor = Descriptor { entries, hits: Hits::Take(1), limit: None };
    Query { domain: "d", descriptors: [descriptor].into_iter().collect(), receipt: None }
}

#[test]
fn metadata_can_be_asked_for_from_outside_the_files() {
    let text = "domain: d\ndescriptors: [{ key: k, metadata: { a: b } }]\n".to_owned();
    let source = Source { name: "f.yaml".into(), text };
    for metadata in [false, true] {
        let options = Options { metadata, ..Options::default() };
        let loaded = config::compile_with(harness::KEY, std::slice::from_ref(&source), options);
        let rules = loaded.rules.expect("sound rules");
        assert_eq!(rules.domain("d").expect("the domain").speaks(), metadata);
    }
}

/// A limit, and with what it is written otherwise.
fn limited(unit: &str, requests: u32) -> String {
    format!(
        "domain: d\ndescriptors:\n  - {{ key: k, rate_limit: {{ unit: {unit}, requests_per_unit: \
         {requests} }} }}\n"
    )
}

#[test]
fn another_number_keeps_the_count_and_another_unit_does_not() {
    let store = Memory::new();
    let remaining = |text: &str| {
        let rules = rules(text);
        let verdict = limiter::decide(&rules, &store, &query(&[("k", "x")]), NOON);
        match verdict.statuses[0].standing {
            limiter::Standing::Limited { remaining, .. } => remaining,
            _ => panic!("it is limited"),
        }
    };
    assert_eq!(remaining(&limited("hour", 5)), 4);
    assert_eq!(remaining(&limited("hour", 9)), 7);
    assert_eq!(remaining(&limited("minute", 9)), 8);
    assert_eq!(remaining(&limited("hour", 5)), 2);
}

#[test]
fn what_a_reload_leaves_behind_has_a_name() {
    let before = rules(&limited("hour", 5)).counters();
    assert!(before.iter().any(|name| name.contains("k.hour")), "{before:?}");
    assert!(rules(&limited("day", 5)).counters().is_disjoint(&before));
}

#[test]
fn people_can_switch_a_descriptor_off() {
    let clock = ManualClock::starting_at(NOON);
    let gate = Gate::new(rules(&limited("hour", 0)), clock.clock());
    let decide = || gate.decide(&gate.rules(), &query(&[("k", "x")])).admitted;
    assert!(!decide());
    gate.switch("d", "k", tollgate::rules::Mode::Shadow);
    assert!(decide());
    gate.switch("d", "k", tollgate::rules::Mode::On);
    assert!(!decide());
    gate.switch("d", "k", tollgate::rules::Mode::Off);
    assert!(decide());
}

#[test]
fn ten_thousand_siblings_compile() {
    let mut text = "domain: d\ndescriptors:\n".to_owned();
    for number in 0..10_000 {
        text += &format!(
            "  - {{ key: path, value: /v1/{number}, rate_limit: {{ unit: hour, requests_per_unit: \
             1 }} }}\n"
        );
    }
    let rules = rules(&text);
    let store = Memory::new();
    let verdict = limiter::decide(&rules, &store, &query(&[("path", "/v1/9999")]), NOON);
    assert!(verdict.admitted);
    let verdict = limiter::decide(&rules, &store, &query(&[("path", "/v1/9999")]), NOON);
    assert!(!verdict.admitted);
}
