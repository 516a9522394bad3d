//! What `check` says of rules that share counters, replace one another, hold, and repeat.

mod harness;

use harness::check::{check, load};

const RULE: &str = "{ name: r, count_by: [key], limits: [{ requests: 1, per: s }] }";

/// Fails unless a second rule with these keys is rejected with this, on its third line.
fn check_rule(keys: &str, column: usize, said: &str) {
    let limits = "limits: [{ requests: 9, per: s }]";
    let text = format!("domain: d\nrules:\n  - {RULE}\n  - {{ name: q, {keys}, {limits} }}\n");
    check(&text, &[(&format!("4:{}", 15 + column), said)]);
}

#[test]
fn counters_of_other_rules() {
    check_rule("counter: s", 10, "there is no rule `s`");
    check_rule("counter: r, count_by: [key]", 24, "say already what they count by");
    let other = "{ name: p, counter: r, limits: [{ name: second, requests: 1, per: 2s }] }";
    check(
        &format!("domain: d\nrules:\n  - {RULE}\n  - {other}\n"),
        &[("4:37", "measures otherwise than in rule `r`, with which it shares")],
    );
    check_rule("replaces: s", 11, "there is no rule `s`");
    check_rule("replaces: r.month", 11, "rule `r` has no limit `r.month`");
    check_rule("replaces: q", 11, "a rule cannot replace itself");
}

#[test]
fn rules_that_replace_one_another() {
    let rule = |name: &str, replaces: &str| {
        let limits = "limits: [{ requests: 1, per: s }]";
        format!("  - {{ name: {name}, replaces: {replaces}, {limits} }}\n")
    };
    // Of two rules that replaced each other none was left, and the call was held to nothing.
    let said = "is itself replaced by what it replaces";
    let text = format!("domain: d\nrules:\n{}{}", rule("a", "b"), rule("b", "a.second"));
    check(&text, &[("3:26", said), ("4:26", said)]);
    let (a, b, c) = (rule("a", "b"), rule("b", "c"), rule("c", "b"));
    check(&format!("domain: d\nrules:\n{a}{b}{c}"), &[("4:26", said), ("5:26", said)]);
}

#[test]
fn holds_of_what_cannot_be_settled() {
    let hold = "hold: { by: id, settle: { a: b } }";
    let limits = "limits: [{ requests: 9, per: s, charge: always }]";
    let text = format!("domain: d\nrules:\n  - {{ name: q, {hold}, {limits} }}\n");
    check(&text, &[("3:28", "`q.second` charges refused calls, which hold nothing")]);
    check_rule(
        "hold: { by: id, settle: { a: b }, estimate: 0 }",
        13,
        "an estimate of 0 holds nothing",
    );
}

#[test]
fn shares_holds_and_repeats() {
    check_rule("enforce: 101%", 10, "`101%` is not a share");
    check_rule("enforce: 25", 10, "`25` is not a share");
    check_rule("hold: { by: id, settle: {} }", 25, "`settle` asks for nothing");
    check_rule("hold: { by: id, settle: { a: b }, expires: 8d }", 44, "longer than a week");
    check_rule("dedupe: { by: id, for: soon }", 24, "`soon` is not a span of time");
}

#[test]
fn concurrency_and_archives() {
    let text = |limit: &str, keys: &str| {
        format!("domain: d\nrules:\n  - name: r\n{keys}    limits:\n      - {{ {limit} }}\n")
    };
    let hold = "    hold: { by: id, settle: { a: b } }\n";
    check(
        &text("requests: 1, algorithm: concurrency", ""),
        &[("3:5", "holds no slots that anything could end")],
    );
    check(
        &text("requests: 1, per: s, algorithm: concurrency", hold),
        &[("6:29", "for what goes on at once")],
    );
    check(
        &text("requests: 10_001, algorithm: concurrency", hold),
        &[("6:21", "10000 at once at most")],
    );
    check(&text("requests: 1", ""), &[("5:21", "`per` is missing")]);
    check(
        &text("requests: 1, per: s, algorithm: sliding_log, archive: true", ""),
        &[("5:21", "only fixed and calendar windows close")],
    );
    let plan = |keys: &str| format!("{{ limits: [{{ requests: 1, per: month{keys} }}] }}");
    let plans = format!("  free: {}\n  pro: {}\n", plan(", archive: true"), plan(""));
    let rule = "rules: [{ name: r, plan: { from: plan, otherwise: free } }]";
    check(&format!("domain: d\nplans:\n{plans}{rule}\n"), &[("4:19", "measures otherwise")]);
    check("domain: d\nunmatched: refuse\n", &[("2:12", "`refuse` is no value of `unmatched`")]);
}

#[test]
fn an_estimate_that_no_budget_has_room_for_is_warned_of() {
    let warnings = |estimate: u64, limits: &str| {
        let hold = format!("hold: {{ by: id, settle: {{ a: b }}, estimate: {estimate} }}");
        let text = format!("domain: d\nrules:\n  - {{ name: r, {hold}, limits: [{limits}] }}\n");
        let loaded = load(&text);
        assert!(loaded.rules.is_ok(), "{text}");
        loaded.warnings
    };
    let two = "{ requests: 900, per: m }, { requests: 800, per: h }";
    assert_eq!(warnings(800, two), "");
    let warned = warnings(801, two);
    assert!(warned.contains("no call can hold 801: `r.hour` has room for 800"), "{warned}");
    assert!(warned.contains(":3:28\n"), "{warned}");
    let bucket = "{ requests: 900, per: m, algorithm: token_bucket, burst: 5 }";
    assert!(warnings(6, bucket).contains("`r.minute` has room for 5 at most"));
    for fits in [
        "{ requests: 5, per: m, on_exceed: allow }",
        "{ requests: 5, per: m, on_exceed: shadow }",
        "{ requests: unlimited, per: m }",
        "{ requests: 0, per: m }",
        "{ requests: 5, algorithm: concurrency }",
    ] {
        assert_eq!(warnings(6, fits), "", "{fits}");
    }
}
