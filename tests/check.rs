//! What `check` says of bad rules: every case is a file, a place, a message and a remedy.

mod harness;

use harness::KEY;
use harness::check::{check, load};
use tollgate::config::{self, Source};

#[test]
fn files_that_are_not_rules() {
    check("", &[("1:1", "the file is empty")]);
    check("a: [", &[("1:4", "this is not YAML")]);
    check("- 1\n", &[("1:1", "expected a map, found a list")]);
    check("rules: []\n", &[("1:1", "`domain` is missing")]);
    check("domain: ''\n", &[("1:9", "the domain is empty")]);
    check("domain:\nrules: []\n", &[("1:7", "expected text, found nothing")]);
    check("domain: d\n---\ndomain: e\n", &[("2:1", "a second document")]);
    check("domain: d\ndomain: e\n", &[("2:1", "`domain` stands here twice")]);
    check("domain: d\ntime_zone: Mars/Base\n", &[("2:12", "not a known time zone")]);
}

#[test]
fn keys_that_are_wrong_or_not_built() {
    check("domain: d\nrulse: []\n", &[("2:1", "did you mean `rules`?")]);
    let said = "`consistency` is part of the rules language, but not built";
    let limit = "[{ requests: 1, per: s, consistency: strict }]";
    check(&format!("domain: d\nrules: [{{ name: r, limits: {limit} }}]\n"), &[("2:52", said)]);
}

#[test]
fn rules_that_do_not_fit_together() {
    let rule = "limits: [{ requests: 1, per: s }]";
    check(
        &format!("domain: d\nrules:\n  - {{ name: r, {rule} }}\n  - {{ name: r, {rule} }}\n"),
        &[("4:13", "two rules are called `r`")],
    );
    check("domain: d\nrules:\n  - name: r\n", &[("3:5", "rule `r` has no limits")]);
    check(
        "domain: d\nrules: [{ name: r, limits: [] }]\n",
        &[("2:28", "this list of limits is empty")],
    );
    check(
        "domain: d\nrules: [{ name: r, plan: { from: plan, otherwise: gold } }]\n",
        &[("2:51", "there is no plan `gold`")],
    );
    check(
        "domain: d
plans: { p: { limits: [{ requests: 1, per: s }] } }
rules: [{ name: r, plan: { from: plan, otherwise: p }, limits: [{ requests: 1, per: s }] }]
",
        &[("3:26", "not from both")],
    );
    check(
        "domain: d
rules: [{ name: r, limits: [{ requests: 1, per: s }, { requests: 2, per: s }] }]
",
        &[("2:54", "two limits here are called `second`")],
    );
}

#[test]
fn one_error_does_not_hide_another() {
    check(
        "domain: d
plans:
  free: { limits: [{ requests: many, per: day }] }
rules:
  - { name: one, count_by: [{ entry: a, v4: 33 }], limits: [{ requests: 1, per: eon }] }
  - { nome: two }
  - { name: three, limits: 7 }
",
        &[
            ("3:32", "`many` is not a number of requests"),
            ("5:45", "an IPv4 address has no 33 bits"),
            ("5:81", "`eon` is not a span of time"),
            ("6:7", "did you mean `name`?"),
            ("6:5", "`name` is missing"),
            ("7:28", "expected a list"),
        ],
    );
}

#[test]
fn keys_without_a_value_do_not_widen_a_rule() {
    // An empty `match:` was taken for none, and the rule for all calls.
    let rule = |key: &str| {
        format!(
            "domain: d\nrules:\n  - name: r\n    {key}\n    limits: [{{ requests: 1, per: s }}]\n"
        )
    };
    check(&rule("match:"), &[("4:10", "expected a map, found nothing")]);
    check(&rule("count_by: ~"), &[("4:15", "expected a list, found nothing")]);
    check(&rule("ban:"), &[("4:8", "expected a map, found nothing")]);
    check(&rule("<<: 5"), &[("4:9", "brings in the keys of a map")]);
    check(&rule("count_by: !set [a]"), &[("4:20", "tags such as")]);
}

#[test]
fn an_error_on_a_character_of_several_bytes_is_shown() {
    // The place was one byte long, and cutting a character in two ended the program.
    check("domain: d\nrules:\n  - name: \"b\" \u{e9}\n", &[("3:15", "this is not YAML")]);
}

#[test]
fn an_alias_of_nothing_is_told_from_bad_syntax() {
    check("domain: *d\n", &[("1:9", "this alias names nothing above it")]);
}

#[test]
fn a_plan_that_cannot_be_read_is_not_missed() {
    check(
        "domain: d
plans: { free: { limits: 5 } }
rules: [{ name: r, plan: { from: plan, otherwise: free } }]
",
        &[("2:26", "expected a list, found `5`")],
    );
}

#[test]
fn one_window_has_one_default_name_however_it_is_written() {
    // `minute` and `1 minute` were two limits, so that an upgrade forgot what was used.
    let text = |per: &str, other: &str| {
        format!(
            "domain: d
plans:
  free: {{ limits: [{{ requests: 1, per: {per} }}] }}
  pro: {{ limits: [{{ requests: 2, per: {other} }}] }}
rules: [{{ name: r, plan: {{ from: plan, otherwise: free }} }}]
"
        )
    };
    for (per, other) in [("minute", "1 minute"), ("\"5\\nminutes\"", "5m")] {
        let rules = load(&text(per, other)).rules.expect("good rules");
        let domain = rules.domain("d").expect("the domain");
        let labels: Vec<_> = domain.rules()[0].all_limits().map(|limit| &limit.label).collect();
        assert_eq!(labels[0], labels[1]);
        assert!(labels[0].chars().all(|char| !char.is_control()));
    }
}

#[test]
fn odd_but_usable_rules_are_warned_of() {
    let warned = load("domain: d\n");
    assert!(warned.rules.is_ok());
    assert!(warned.warnings.contains("this domain has no rules"), "{}", warned.warnings);
    let warned = load(
        "domain: d
plans: { free: { limits: [{ requests: 1, per: s }] } }
rules: [{ name: r, limits: [{ requests: 1, per: s }] }]
",
    );
    assert!(warned.warnings.contains("no rule uses these plans"), "{}", warned.warnings);
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let loaded = load(
        "domain: d
plans:
  free: &free { limits: [&day { name: day, requests: 5, per: day }] }
  pro: { limits: [{ <<: *day, requests: 50 }] }
  trial: *free
rules: [{ name: r, plan: { from: plan, otherwise: free } }]
",
    );
    assert!(loaded.rules.is_ok(), "{:?}", loaded.rules.err().map(|error| error.to_string()));
}

/// Fails unless one alert target is rejected with this at its column.
fn check_target(target: &str, column: usize, said: &str) {
    let text = format!(
        "domain: d
alerts:
  ops: {{ {target} }}
rules: [{{ name: r, limits: [{{ requests: 1, per: s, alert_at: 90, alert_to: ops }}] }}]
"
    );
    check(&text, &[(&format!("3:{}", 8 + column), said)]);
}

#[test]
fn alert_targets_that_cannot_be() {
    check_target("url: hooks.example.com/x", 7, "this is no webhook: it is not a URL");
    check_target("url: 'ftp://example.com'", 7, "a URL of `ftp`, not of http or https");
    check_target("url: 'https://me:pw@example.com'", 7, "take them out");
    check_target("url: 'http://127.1/x'", 7, "127.0.0.1 is not an address of the public Internet");
    check_target("url: 'http://[fd00::1]/x', allow_private: false", 7, "add `allow_private: true`");
    check_target("url: 'https://e.com', form: slak", 30, "did you mean `slack`?");
    check_target("url: 'https://e.com', secret_file: /none/such", 37, "it cannot be read");
    check_target(
        "url: 'https://e.com', secret_file: /dev/zero",
        37,
        "it is larger than 4096 bytes",
    );
    check_target("url: 'https://e.com', secret: abc", 24, "`secret`");
    check_target("form: plain", 0, "`url` is missing");
}

#[test]
fn a_secret_is_read_beside_its_rules_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yaml");
    let text = "domain: d
alerts: { ops: { url: 'https://e.com/', secret_file: ops.key } }
rules: [{ name: r, limits: [{ requests: 1, per: s, alert_at: 90, alert_to: ops }] }]
";
    std::fs::write(&rules, text).expect("written");
    let load = || config::load(KEY, std::slice::from_ref(&rules));
    std::fs::write(folder.path().join("ops.key"), "abc").expect("written");
    let rejected = load().rules.expect_err("a short secret").to_string();
    assert!(rejected.contains("its secret has 3 characters"), "{rejected}");
    std::fs::write(folder.path().join("ops.key"), "sixteen or more chars\n").expect("written");
    let rules = load().rules.expect("good rules");
    let target = &rules.domain("d").expect("the domain").alerts["ops"];
    assert_eq!(
        target.secret.as_ref().map(|secret| secret.bytes()),
        Some(&b"sixteen or more chars"[..])
    );
    assert!(!format!("{rules:?}").contains("sixteen or"));
}

#[test]
fn limits_whose_alerts_cannot_be() {
    let limit = |limit: &str, column: usize, said: &str| {
        let text = format!(
            "domain: d
alerts: {{ ops: {{ url: 'https://hooks.example.com/x' }} }}
rules:
  - {{ name: a, limits: [{{ requests: 1, per: s, alert_at: 90, alert_to: ops }}] }}
  - name: b
    limits:
      - {{ {limit} }}
"
        );
        check(&text, &[(&format!("7:{}", 11 + column), said)]);
    };
    limit("requests: 1, per: s, alert_at: 90, alert_to: opps", 45, "did you mean `ops`?");
    limit("requests: 1, per: s, alert_at: 90, alert_to: finance", 45, "define it under `alerts:`");
    limit("requests: 1, per: s, alert_to: ops", 31, "without `alert_at`");
    limit("requests: unlimited, per: s, alert_at: 1, alert_to: ops", 39, "no share of this budget");
    limit("requests: 0, per: s, alert_at: 1, alert_to: ops", 31, "no share of this budget");
    for percents in ["0", "[90, 1001]", "90%", "[9.5]", "-1", "[]"] {
        let said = if percents == "[]" { "0 thresholds" } else { "whole numbers from 1 to 1000" };
        limit(&format!("requests: 1, per: s, alert_at: {percents}, alert_to: ops"), 31, said);
    }
    limit("requests: 1, per: s, alert_at: [90, 90], alert_to: ops", 31, "stand here twice");
}

#[test]
fn alerts_that_nobody_gets_are_warned_of() {
    let warned = load(
        "domain: d
alerts: { ops: { url: 'https://hooks.example.com/x' } }
rules: [{ name: r, limits: [{ requests: 1, per: s, alert_at: [100, 90] }] }]
",
    );
    let warnings = &warned.warnings;
    assert!(warnings.contains("nobody is told what this limit is watched for"), "{warnings}");
    assert!(warnings.contains("no limit tells `ops` anything"), "{warnings}");
    let rules = warned.rules.expect("good rules");
    let limit = rules.domain("d").expect("the domain").rules()[0].all_limits().next();
    let alert = limit.and_then(|limit| limit.alert.as_ref()).expect("thresholds");
    assert_eq!(*alert.thresholds, [90, 100]);
}

#[test]
fn a_target_that_cannot_be_read_is_not_missed() {
    check(
        "domain: d
alerts: { ops: 5 }
rules: [{ name: r, limits: [{ requests: 1, per: s, alert_at: 9, alert_to: ops }] }]
",
        &[("2:16", "expected a map, found `5`")],
    );
}

#[test]
fn a_flood_of_aliases_is_stopped() {
    let mut text = "domain: d\nplans:\n  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        text += &format!("  a{level}: &a{level} [{}]\n", vec![alias; 10].join(","));
    }
    let rejected = load(&text).rules.expect_err("a billion values").to_string();
    assert!(rejected.contains("grows beyond"), "{rejected}");
}

#[test]
fn a_domain_defined_twice_names_both_files() {
    let source = |name: &str| Source {
        name: name.into(),
        text: "domain: d\nrules: [{ name: r, limits: [{ requests: 1, per: s }] }]\n".into(),
    };
    let loaded = config::compile_all(KEY, &[source("a.yaml"), source("b.yaml")]);
    let rejected = loaded.rules.expect_err("two of one domain").to_string();
    assert!(rejected.contains("domain `d` is defined in a.yaml already"), "{rejected}");
    assert!(rejected.contains("b.yaml:1:9"), "{rejected}");
}

#[test]
fn remedies_show_how_a_key_is_written_and_where_it_belongs() {
    let rule = |keys: &str| format!("domain: d\nrules:\n  - name: r\n    {keys}\n");
    let with_limit =
        |keys: &str| format!("{}    limits: [{{ requests: 1, per: s }}]\n", rule(keys));
    check(&with_limit("count_by: key"), &[("4:15", "write it as `count_by: [key]`")]);
    check(&with_limit("dedupe: 1m"), &[("4:13", "`dedupe: { by: request_id, for: 1m }`")]);
    check(&with_limit("hold: { by: id, settle: done }"), &[("4:29", "`settle: { phase: done }`")]);
    check(&rule("limits: { requests: 1 }"), &[("4:13", "write it as `limits: [{ requests: 60")]);
    check(&with_limit("burst: 5"), &[("4:5", "it belongs to a limit")]);
    check(&with_limit("unmatched: deny"), &[("4:5", "it belongs to the domain")]);
    check("domain: d\ncount_by: [key]\nrules: []\n", &[("2:1", "it belongs to a rule")]);
    check(&with_limit("match: { e: { prefix: /v1 } }"), &[("4:17", "a star stands for any text")]);
    check(&with_limit("match: { e: { in: [a] } }"), &[("4:17", "write the values as a list")]);
    check(&with_limit("match: { e: !not a }"), &[("4:22", "`{ not: … }` means all others")]);
    check(&with_limit("match: { e: { regex: \"\\d\" } }"), &[("4:26", "in single quotes")]);
    check("domain: d\nrules:\n\t- name: r\n", &[("3:2", "indent with spaces")]);
    check(&rule("limits: [{ requests: 60/min, per: s }]"), &[("4:26", "write the window apart")]);
    // What is missing may be no fault where a word beside it is not understood.
    let limits = "limits: [{ requests: 1, algorithm: concurency }]";
    check(&rule(limits), &[("4:40", "did you mean `concurrency`?")]);
}
