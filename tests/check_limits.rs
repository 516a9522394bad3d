//! What `check` says of bad limits, as in `check.rs`.

mod harness;

use harness::check::{check, check_limit, load};

#[test]
fn limits_that_cannot_be() {
    check_limit("requests: -1, per: s", 10, "`-1` is not a number of requests");
    check_limit("requests: 1.5, per: s", 10, "`1.5` is not a number of requests");
    check_limit("requests: 1, per: 60", 18, "`60` is not a span of time");
    check_limit("requests: 1, per: 0s", 18, "`0s` is no time at all");
    check_limit("requests: 1, per: 11 years", 18, "longer than any window");
    check_limit("requests: 1, per: 2 months", 18, "the calendar has no window of 2 month");
    check_limit("requests: 1, per: minute, algorithm: calendar", 18, "has no window of 1 minute");
    check_limit("requests: 1, per: month, algorithm: fixed_window", 36, "differ in length");
    check_limit("requests: 1, per: month, algorithm: sliding_window", 36, "differ in length");
    check_limit("requests: 1, per: s, algorithm: sliding_window, burst: 2", 55, "has no burst");
    check_limit("requests: 1, per: s, algorithm: leaky", 32, "`leaky` is not an algorithm");
    check_limit("requests: 1, per: s, algorithm: concurrency", 18, "what goes on at once");
    check_limit("requests: 10_001, per: s, algorithm: sliding_log", 10, "10000 at most");
    check_limit("requests: 1, per: s, algorithm: calendar, burst: 2", 49, "has no burst");
    check_limit("requests: 1, per: s, burst: 0", 28, "burst 0 never lets a call pass");
    check_limit("requests: 0, per: s, burst: 1", 10, "a bucket of 0 requests");
    check_limit("requests: 1, per: s, burst: two", 28, "`two` is not a whole number");
    check_limit("requests: 1, per: s, on_exceed: denie", 32, "did you mean `deny`?");
    check_limit("requests: 1, per: s, charge: often", 29, "`often` is no value of `charge`");
    check(
        "domain: d\nrules: [{ name: r, limits: [{ per: s }] }]\n",
        &[("2:29", "`requests` is missing")],
    );
    check_limit("name: a.b, requests: 1, per: s", 6, "`a.b` is not a name");
}

#[test]
fn days_that_windows_cannot_begin_on() {
    let number = "write a number from 1 to 31; 31 is the last day of each month";
    for day in ["0", "32", "sunday", "1.5", "-1"] {
        let limit = format!("requests: 1, per: month, anchor_day: {day}");
        check_limit(&limit, 37, &format!("`{day}` is not a day of the month"));
        check_limit(&limit, 37, number);
    }
    check_limit("requests: 1, per: week, anchor_day: 7", 36, "`7` is not a day of the week");
    check_limit("requests: 1, per: week, anchor_day: mon", 36, "such as monday or sunday");
    for (per, column) in [("hour", 36), ("day", 35), ("year", 36)] {
        let limit = format!("requests: 1, per: {per}, anchor_day: 3");
        check_limit(&limit, column, "only months and weeks can begin on a day of their own");
    }
    check_limit("requests: 1, per: 30 days, anchor_day: 3", 18, "has no window of 30 day");
    check_limit(
        "requests: 1, per: week, algorithm: sliding_log, anchor_day: 3",
        60,
        "has no anchor day",
    );
    check_limit("requests: 1, per: day, burst: 2, anchor_day: 3", 45, "has no anchor day");
    check_limit("requests: 1, per: month, anchor_day:", 35, "found nothing");
    check(
        "domain: d
plans:
  free: { limits: [{ requests: 1, per: month, anchor_day: 15 }] }
  pro: { limits: [{ requests: 9, per: month }] }
rules: [{ name: r, count_by: [key], plan: { from: plan, otherwise: refuse } }]
",
        &[("4:19", "measures otherwise than in plan `free`")],
    );
}

#[test]
fn an_anchor_names_other_counters_and_no_anchor_the_same_as_ever() {
    let measured = |limit: &str| {
        let limit = format!("{{ requests: 1, {limit} }}");
        let text = format!("domain: d\nrules: [{{ name: r, limits: [{limit}] }}]\n");
        let rules = load(&text).rules.expect("good rules");
        let limit = rules.domain("d").expect("the domain").rules()[0].all_limits().next();
        limit.expect("a limit").algorithm.to_string()
    };
    // Journals of earlier releases name their counters by these words.
    assert_eq!(measured("per: month"), "calendar Month in UTC");
    assert_eq!(measured("per: month, anchor_day: 1"), "calendar Month in UTC");
    assert_eq!(measured("per: week, anchor_day: monday"), "calendar Week in UTC");
    assert_eq!(measured("per: month, anchor_day: 15"), "calendar Month from day 15 in UTC");
    assert_eq!(measured("per: week, anchor_day: sunday"), "calendar Week from Sunday in UTC");
}

#[test]
fn plans_must_agree_on_what_a_limit_measures() {
    check(
        "domain: d
plans:
  free: { limits: [{ name: rate, requests: 1, per: minute }] }
  pro: { limits: [{ name: rate, requests: 9, per: hour }] }
rules: [{ name: r, count_by: [key], plan: { from: plan, otherwise: refuse } }]
",
        &[("4:19", "measures otherwise than in plan `free`")],
    );
}

#[test]
fn queues_that_cannot_be() {
    let bad = |queue: &str, column: usize, said: &str| {
        let limit = format!("requests: 1, per: s, on_exceed: {{ queue: {{ {queue} }} }}");
        check_limit(&limit, 32 + 11 + column, said);
    };
    bad("wait: 0ms", 6, "`0ms` is no time at all");
    bad("wait: 500", 6, "`500` is not a span of time");
    bad("wait: 1.5s", 6, "`1.5s` is not a span of time");
    bad("wait: 31s", 6, "longer than any call may wait");
    bad("wait: 30001ms", 6, "at most 30s");
    bad("depth: 0", 7, "no length of a line");
    bad("depth: 1001", 7, "a number from 1 to 1000");
    bad("depth: many", 7, "`many` is not a whole number");
    bad("wiat: 1s", 0, "did you mean `wait`?");
    let limit = |on_exceed: &str, column: usize, said: &str| {
        check_limit(&format!("requests: 1, per: s, on_exceed: {on_exceed}"), column, said);
    };
    limit("{ deny: {} }", 32, "`deny` is not known here");
    limit("{ queue: {}, deny: {} }", 32, "`deny` is not known here");
    limit("{}", 32, "this map says nothing");
    limit("{ queue: 5s }", 41, "expected a map, found `5s`");
    check(
        "domain: d
rules:
  - name: r
    hold: { by: id, settle: { phase: done } }
    limits: [{ requests: 1, algorithm: concurrency, on_exceed: queue }]
",
        &[("5:64", "nobody knows when one will be free")],
    );
}

#[test]
fn waits_beyond_a_proxys_own_are_warned_of_once() {
    let file = |waits: [&str; 2]| {
        let [first, second] = waits.map(|wait| format!("{{ queue: {{ wait: {wait} }} }}"));
        let text = format!(
            "domain: d
plans:
  pro:
    limits:
      - {{ name: a, requests: 1, per: minute, on_exceed: {first} }}
      - {{ name: b, requests: 1, per: hour, on_exceed: {second} }}
rules:
  - {{ name: r, count_by: [key], plan: {{ from: plan, otherwise: pro }} }}
  - {{ name: s, count_by: [key], plan: {{ from: plan, otherwise: pro }} }}
"
        );
        load(&text).warnings
    };
    assert_eq!(file(["20ms", "5ms"]), "");
    let warnings = file(["500ms", "2s"]);
    assert_eq!(warnings.matches("warning: ").count(), 1, "{warnings}");
    assert!(warnings.contains("f.yaml:6:"), "the longest is shown: {warnings}");
    assert!(warnings.contains("calls may wait 2000 ms here"), "{warnings}");
    assert!(warnings.contains("docs/queueing.md"), "{warnings}");
    let usual = load(
        "domain: d\nrules: [{ name: r, limits: [{ requests: 1, per: s, on_exceed: queue }] }]\n",
    );
    assert!(usual.warnings.contains("calls may wait 500 ms here"), "{}", usual.warnings);
}
