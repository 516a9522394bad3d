//! What `check` says of files with `descriptors:`: everything that their own server rejects is an
//! error with a place, and what it takes without a word though it can hardly be meant a warning.

mod harness;

use harness::KEY;
use harness::check::{check, load};
use tollgate::config::{self, Options, Source};

/// A file whose descriptors are these.
fn file(descriptors: &str) -> String {
    format!("domain: d\ndescriptors:\n{descriptors}\n")
}

/// A file with one descriptor, whose limit is this; it begins in line 3, column 26.
fn limit(limit: &str) -> String {
    file(&format!("  - {{ key: k, rate_limit: {limit} }}"))
}

#[test]
fn files_that_are_not_of_the_format() {
    check("domain: d\ndescriptors: [\n", &[("2:14", "this is not YAML")]);
    check("domain: d\ndescriptors: 5\n", &[("2:14", "expected a list, found `5`")]);
    check("domain: d\ndescriptors: { key: k }\n", &[("2:14", "expected a list, found a map")]);
    check("descriptors: []\n", &[("1:1", "the domain is missing or empty")]);
    check("domain: ''\ndescriptors: []\n", &[("1:9", "the domain is missing or empty")]);
    check("domain: ~\ndescriptors: []\n", &[("1:9", "the domain is missing or empty")]);
    check("domain: { key: d }\ndescriptors: []\n", &[("1:9", "expected text, found a map")]);
    check("", &[("1:1", "the file is empty")]);
}

#[test]
fn keys_that_are_not_of_the_format() {
    check("domain: d\ndescriptors: []\nno: 5\n", &[("3:1", "`no` is none without quotes")]);
    check("domain: d\ndescriptors: []\n0.25: 5\n", &[("3:1", "`0.25` is none without quotes")]);
    check("domain: d\ndescriptors: []\n5: 5\n", &[("3:1", "a key must be text")]);
    check(&file("  - { keyy: k }"), &[("3:7", "did you mean `key`?"), ("3:5", "has no `key`")]);
    check(&file("  - { key: k, rate_limits: {} }"), &[("3:15", "did you mean `rate_limit`?")]);
    check(&limit("{ unit: hour, request_per_unit: 5 }"), &[("3:41", "did you mean `requests_per")]);
    check(&file("  - { key: k, 'yes': 5 }"), &[("3:15", "`yes` is not known here")]);
}

#[test]
fn values_that_may_stand_nowhere() {
    let said = "is a number with a fraction, or larger";
    check(&file("  - { key: k, value: 1.5 }"), &[("3:22", said)]);
    check(&file("  - { key: k, value: 08 }"), &[("3:22", "in quotes if text is meant: \"08\"")]);
    check(&limit("{ unit: hour, requests_per_unit: 1e3 }"), &[("3:60", said)]);
    check(&limit("{ unit: hour, requests_per_unit: 9223372036854775808 }"), &[("3:60", said)]);
    check(&file("  - k"), &[("3:5", "lists here hold maps alone, found `k`")]);
    check(&file("  -"), &[("3:4", "found nothing")]);
    check(&file("  - [{ key: k }]"), &[("3:5", "lists here hold maps alone, found a list")]);
    let list = "{ unit: hour, requests_per_unit: 1, replaces: [a] }";
    check(&limit(list), &[("3:74", "lists here hold maps alone, found `a`")]);
}

#[test]
fn values_of_another_kind() {
    let said = "expected a whole number from 0 to 4294967295";
    for number in ["-1", "4294967296", "'5'", "five", "yes", "[5]"] {
        let text = limit(&format!("{{ unit: hour, requests_per_unit: {number} }}"));
        let expected: &[(&str, &str)] = match number {
            // A list of what is no map is an error of its own.
            "[5]" => &[("3:60", said), ("3:61", "lists here hold maps alone")],
            _ => &[("3:60", said)],
        };
        check(&text, expected);
    }
    check(&limit("5"), &[("3:27", "expected a map, found `5`")]);
    check(
        &limit("{ unit: { a: 5 } }").replace("a: 5", "key: 5"),
        &[("3:35", "expected text, found a map"), ("3:27", "the limit has no `unit`")],
    );
    for flag in ["shadow_mode", "quota_mode", "detailed_metric", "value_to_metric"] {
        let text = file(&format!("  - {{ {flag}: maybe, key: k }}"));
        check(&text, &[(&format!("3:{}", 9 + flag.len()), "expected true or false")]);
    }
    check(
        &limit("{ unlimited: 'true' }"),
        &[("3:40", "expected true or false, found `true`"), ("3:27", "the limit has no `unit`")],
    );
    check(
        &file("  - { key: [k] }"),
        &[
            ("3:12", "expected text, found a list"),
            ("3:12", "has no `key`"),
            ("3:13", "lists here hold maps alone"),
        ],
    );
}

#[test]
fn descriptors_that_cannot_be() {
    check(&file("  - { value: v }"), &[("3:5", "the descriptor has no `key`")]);
    check(&file("  - { key: '' }"), &[("3:12", "the descriptor has no `key`")]);
    check(&file("  - { key: ~ }"), &[("3:12", "the descriptor has no `key`")]);
    check(&file("  - key: k\n  - key: k"), &[("4:5", "`d.k` stands here twice")]);
    check(
        &file("  - { key: k, value: v }\n  - { key: k, value: v }"),
        &[("4:5", "`d.k_v` stands here twice")],
    );
    // Key and value are compared joined.
    check(
        &file("  - { key: a, value: b_c }\n  - { key: a_b, value: c }"),
        &[("4:5", "`d.a_b_c` stands here twice")],
    );
    check(
        &file("  - key: a\n    descriptors: [{ key: b, descriptors: [{ key: c }, { key: c }] }]"),
        &[("4:55", "`d.a.b.c` stands here twice")],
    );
    check(
        &file("  - { key: k, value: v, share_threshold: true }"),
        &[("3:42", "`k_v` is no pattern")],
    );
    check(&file("  - { key: k, share_threshold: yes }"), &[("3:32", "`k` is no pattern")]);
}

#[test]
fn limits_that_cannot_be() {
    check(&limit("{}"), &[("3:27", "the limit has no `unit`")]);
    check(&limit("{ requests_per_unit: 5 }"), &[("3:27", "the limit has no `unit`")]);
    check(&limit("{ unit: '', requests_per_unit: 5 }"), &[("3:35", "the limit has no `unit`")]);
    check(&limit("{ unit: minutes, requests_per_unit: 5 }"), &[("3:35", "did you mean `minute`?")]);
    check(&limit("{ unit: unknown, requests_per_unit: 5 }"), &[("3:35", "is no unit of time")]);
    check(&limit("{ unit: fortnight }"), &[("3:35", "`fortnight` is no unit of time")]);
    check(&limit("{ unlimited: true, unit: hour }"), &[("3:52", "cannot be `unlimited` and have")]);
    let replaces = |what: &str| {
        limit(&format!("{{ unit: hour, requests_per_unit: 5, name: n, replaces: [{what}] }}"))
    };
    check(&replaces("{}"), &[("3:83", "`replaces` names no limit here")]);
    check(&replaces("{ name: '' }"), &[("3:91", "`replaces` names no limit here")]);
    check(&replaces("{ name: n }"), &[("3:91", "limit `n` replaces itself")]);
}

#[test]
fn metadata_that_is_not_such_as_json_has() {
    check(&file("  - { key: k, metadata: 5 }"), &[("3:25", "metadata must be a map")]);
    check(&file("  - { key: k, metadata: [] }"), &[("3:25", "metadata must be a map")]);
    check(
        &file("  - { key: k, metadata: { a: { 5: x } } }"),
        &[("3:32", "a key of metadata must be text, and `5` is none")],
    );
    // Any other key and any number may stand there.
    assert!(load(&file("  - { key: k, metadata: { any: [1.5, ~, { b: c }] } }")).rules.is_ok());
}

#[test]
fn one_error_does_not_hide_another() {
    check(
        &file(
            "  - { key: a, rate_limit: { unit: eon } }\n  - { key: a }\n  - { keyy: b }\n  \
             - { key: c, descriptors: [{ key: d, rate_limit: {} }] }",
        ),
        &[
            ("3:35", "`eon` is no unit of time"),
            ("4:5", "`d.a` stands here twice"),
            ("5:7", "did you mean `key`?"),
            ("5:5", "has no `key`"),
            ("6:51", "the limit has no `unit`"),
        ],
    );
}

#[test]
fn what_stands_beside_descriptors() {
    check(
        "domain: d\ndescriptors_as: { charge: often }\ndescriptors: []\n",
        &[("2:27", "`often` is no value of `charge`")],
    );
    check(
        "domain: d\ndescriptors_as: { months: lunar }\ndescriptors: []\n",
        &[("2:27", "`lunar` is no value of `months`")],
    );
    check(
        "domain: d\ndirectory: { by: key }\ndescriptors: [{ key: key }]\n",
        &[("2:18", "cannot have a directory")],
    );
    // A file with keys of ours is read with the rigour that such files are used to.
    check(
        "domain: d\nunmatched: pass\ndescriptors: [{ key: k, key: l }]\n",
        &[("3:25", "`key` stands here twice")],
    );
    check(
        "domain: d\nrules: []\ndescriptors: [{ keyy: k }]\n",
        &[("3:17", "did you mean `key`?"), ("3:15", "has no `key`")],
    );
}

fn two_files(options: Options, first: &str, second: &str) -> config::Loaded {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    config::compile_with(KEY, &[source("a.yaml", first), source("b.yaml", second)], options)
}

#[test]
fn one_domain_in_two_files() {
    let merged = Options { merge_domains: true, ..Options::default() };
    let (first, second) = (file("  - { key: a }"), file("  - { key: b }"));
    let rejected = two_files(Options::default(), &first, &second).rules.expect_err("twice");
    assert!(rejected.to_string().contains("domain `d` is defined in a.yaml already"), "{rejected}");
    assert!(rejected.to_string().contains("b.yaml:1:9"), "{rejected}");
    let loaded = two_files(merged, &first, &second);
    let rules = loaded.rules.expect("one domain");
    assert_eq!(rules.domain("d").expect("the domain").rules().len(), 2);
    // Whoever stands at the top of both is there twice, whatever stands below.
    let below = |key: &str| file(&format!("  - {{ key: a, descriptors: [{{ key: {key} }}] }}"));
    let rejected = two_files(merged, &below("x"), &below("y")).rules.expect_err("twice");
    assert!(rejected.to_string().contains("b.yaml:3:5"), "{rejected}");
    assert!(rejected.to_string().contains("`d.a` stands here twice"), "{rejected}");
    // Rules of ours stay in one file.
    let ours = "domain: d\nrules: []\n";
    let rejected = two_files(merged, ours, &first).rules.expect_err("two kinds");
    assert!(rejected.to_string().contains("is defined in a.yaml already"), "{rejected}");
    // One bad file, and nothing of the others is used.
    let rejected = two_files(merged, &first, "domain: e\ndescriptors: 5\n").rules.expect_err("bad");
    assert_eq!(rejected.errors, 1);
    // A limit may be replaced from the other file.
    let replaces = "unit: hour, requests_per_unit: 1, replaces: [{ name: n }]";
    let (one, other) = (limit(&format!("{{ {replaces} }}")), limit("{ unit: day, name: n }"));
    let loaded = two_files(merged, &one, &other.replace("key: k", "key: l"));
    assert!(!loaded.warnings.contains("no limit is called"), "{}", loaded.warnings);
}

/// Fails unless a file loads with exactly these warnings.
fn warned(text: &str, expected: &[(&str, &str)]) {
    let loaded = load(text);
    if let Err(rejected) = &loaded.rules {
        panic!("{rejected}");
    }
    let warnings = &loaded.warnings;
    assert_eq!(warnings.matches("warning: ").count(), expected.len(), "\n{warnings}");
    for (place, said) in expected {
        let found = warnings.split("\n\n").any(|problem| {
            problem.contains(&format!("f.yaml:{place}\n")) && problem.contains(said)
        });
        assert!(found, "`{said}` at {place} is missing from:\n{warnings}");
    }
}

#[test]
fn what_is_clear_is_not_warned_of() {
    for text in [
        file("  - { key: k }"),
        "domain: d\ndescriptors:\n".to_owned(),
        limit("{ unit: hour, requests_per_unit: 5 }"),
        file("  - { key: k, value: '/v1/users/*' }\n  - { key: k, value: '/*' }\n  - { key: k }"),
        file("  - { key: key_1 }\n  - { key: key_2 }"),
        file("  - { key: k, value: 'a*' }\n  - { key: k, value: 'b*' }"),
    ] {
        warned(&text, &[]);
    }
}

#[test]
fn names_that_may_be_taken_for_others() {
    warned(
        &file("  - { key: key_1 }\n  - { key: key }"),
        &[("3:5", "an entry `key` with the value `1` is taken for this one")],
    );
    warned(
        &file("  - { key: a, value: x }\n  - { key: a_b, value: c }"),
        &[("4:5", "an entry `a` with the value `b_c` is taken for this one")],
    );
    // The other way round as well, where both may be meant.
    warned(
        &file("  - { key: a, value: b_c }\n  - { key: a_b }"),
        &[
            ("3:5", "an entry `a_b` with the value `c` is taken for this one"),
            ("4:5", "an entry `a` with the value `b` is taken for this one"),
        ],
    );
}

#[test]
fn descriptors_that_are_never_found() {
    warned(
        &file("  - { key: k, value: '/*' }\n  - { key: k, value: '/v1/*' }"),
        &[("4:5", "`k_/v1/*` is never found: `k_/*` matches all that it does")],
    );
    warned(
        &file("  - { key: k }\n  - { key: k, value: '*' }"),
        &[("3:5", "`k` is never found: `k_*` matches all that it does")],
    );
    warned(
        &file("  - { key: k, value: 'a*' }\n  - { key: k, value: '*b' }"),
        &[("4:5", "match some of the same values; the one that stands first is taken")],
    );
}

#[test]
fn what_has_no_effect() {
    let named = "{ unit: hour, requests_per_unit: 1, replaces: [{ name: nobody }] }";
    warned(&limit(named), &[("3:82", "no limit is called `nobody`, so nothing is replaced")]);
    warned(
        &file("  - { key: k, shadow_mode: true, quota_mode: yes }"),
        &[("3:28", "`shadow_mode` has no effect"), ("3:46", "`quota_mode` has no effect")],
    );
    warned(&limit("{ unit: hour }"), &[("3:27", "this limit lets nothing pass")]);
    warned(
        &file("  - { key: k, detailed_metric: on, value_to_metric: true }"),
        &[
            ("3:32", "`detailed_metric` has no effect yet"),
            ("3:53", "`value_to_metric` has no effect yet"),
        ],
    );
    warned(
        &limit("{ unlimited: true, requests_per_unit: 5, unit: eon }"),
        &[
            ("3:65", "`requests_per_unit` has no meaning beside `unlimited`"),
            ("3:74", "a `unit` has no meaning beside `unlimited`"),
        ],
    );
    let rule = "rules: [{ name: r, limits: [{ requests: 1, per: s }] }]";
    let text = format!("domain: d\n{rule}\ndescriptors_as: {{ charge: admitted }}\n");
    warned(&text, &[("3:17", "`descriptors_as` has no effect")]);
    warned(
        "domain: d\nunit: hour\ndescriptors: [{ key: k, domain: e }]\n",
        &[
            ("2:1", "`unit` has no meaning here and is not read"),
            ("3:25", "`domain` has no meaning here and is not read"),
        ],
    );
}

#[test]
fn slips_that_the_format_forgives() {
    warned("domain: d\ndomain: e\ndescriptors: []\n", &[("2:1", "`domain` stands here twice")]);
    let two = "domain: d\ndescriptors: []\n---\ndomain: e\n";
    warned(two, &[("3:1", "a second document in one file would not be read")]);
}
