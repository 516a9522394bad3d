//! What `check` says of bans that cannot be meant.

mod harness;

use harness::check::{check, load};

/// A rule with this ban, at column 12 of line 5.
fn rule(ban: &str) -> String {
    let limits = "limits: [{ requests: 1, per: s }]";
    let head = "domain: d\nrules:\n  - name: r\n    count_by: [key]";
    format!("{head}\n    ban: {{ {ban} }}\n    {limits}\n")
}

fn check_ban(ban: &str, expected: &[(usize, &str)]) {
    let places: Vec<_> = expected.iter().map(|(at, _)| format!("5:{}", 12 + at)).collect();
    let expected: Vec<_> =
        places.iter().zip(expected).map(|(place, (_, said))| (place.as_str(), *said)).collect();
    check(&rule(ban), &expected);
}

#[test]
fn every_kind_of_ban_can_be_written() {
    for ban in [
        "of: refusals, after: 20, within: 1m, for: 15m, up_to: 24h",
        "of: hits, after: 5, within: 10 minutes, for: 1h",
        "of: spike, times: 10, over: 1h, at_least: 100, for: 1h",
        "of: spike, times: 10, over: 1 week, within: 1h, at_least: 100, for: 1h",
        "of: distinct, entry: remote_address, after: 50, within: 1h, for: 2 days",
    ] {
        let loaded = load(&rule(ban));
        assert!(loaded.rules.is_ok(), "{ban}: {}", loaded.rules.expect_err("it is not"));
        assert_eq!(loaded.warnings, "", "{ban}");
    }
}

#[test]
fn what_is_no_refusal_needs_no_limits() {
    let text = |of: &str| {
        format!(
            "domain: d\nrules:\n  - {{ name: r, count_by: [key], \
             ban: {{ of: {of}, after: 5, within: 1m, for: 1m }} }}\n"
        )
    };
    assert!(load(&text("hits")).rules.is_ok());
    check(&text("refusals"), &[("3:5", "rule `r` has no limits")]);
}

#[test]
fn kinds_and_their_keys() {
    check_ban("of: refusal, after: 5, within: 1m, for: 1m", &[(4, "did you mean `refusals`?")]);
    check_ban("of: rage, for: 1m", &[(4, "known here: refusals, hits, spike, distinct")]);
    check_ban("of: refusals, for: 1m", &[(4, "needs `after`"), (4, "needs `within`")]);
    let said = "`times` means nothing";
    check_ban("of: hits, after: 5, within: 1m, times: 3, for: 1m", &[(39, said)]);
    check_ban("of: distinct, after: 5, within: 1m, for: 1m", &[(4, "needs `entry`")]);
    check_ban("of: spike, times: 3, over: 1h, for: 1m", &[(4, "needs `at_least`")]);
    check(&rule("of: hits, after: 5, within: 1m"), &[("5:10", "`for` is missing")]);
    let said = "did you mean `up_to`?";
    check_ban("of: hits, after: 5, within: 1m, for: 1m, upto: 1h", &[(41, said)]);
}

#[test]
fn numbers_and_spans_out_of_range() {
    check_ban("of: hits, after: 0, within: 1m, for: 1m", &[(17, "from 1 to 1000000")]);
    check_ban("of: hits, after: 1000001, within: 1m, for: 1m", &[(17, "from 1 to 1000000")]);
    check_ban("of: hits, after: 1, within: 0s, for: 1m", &[(28, "no time at all")]);
    check_ban("of: hits, after: 1, within: 8 days, for: 1m", &[(28, "too long")]);
    check_ban("of: hits, after: 1, within: soon, for: 1m", &[(28, "not a span of time")]);
    check_ban("of: hits, after: 1, within: 1m, for: 366 days", &[(37, "too long")]);
    check_ban(
        "of: hits, after: 1, within: 1m, for: 2h, up_to: 1h",
        &[(48, "the longest ban is shorter than the first")],
    );
    check_ban("of: spike, times: 1, over: 1h, at_least: 1, for: 1m", &[(18, "from 2 to 1000")]);
    check_ban(
        "of: spike, times: 2, over: 1h, within: 1h, at_least: 1, for: 1m",
        &[(39, "`over` holds 1 windows")],
    );
}

#[test]
fn whom_a_ban_keeps_out() {
    let text = "domain: d\nrules:\n  - name: r\n    limits: [{ requests: 1, per: s }]\n    \
                ban: { of: refusals, after: 5, within: 1m, for: 1m }\n";
    check(text, &[("5:10", "add `count_by:`")]);
    check_ban(
        "of: distinct, entry: key, after: 5, within: 1m, for: 1m",
        &[(21, "each counter has one value of it")],
    );
    // Different addresses of one network are another matter.
    let network = "domain: d\nrules:\n  - name: r\n    \
                   count_by: [{ entry: remote_address, v4: 24 }]\n    ban: \
                   { of: distinct, entry: remote_address, after: 9, within: 1m, for: 1m }\n";
    assert!(load(network).rules.is_ok());
}
