//! What `check` says of bad headers, refusals and templates.

mod harness;

use harness::check::{check, load};

/// A file of one rule with one limit, `r.minute`, whose fourth line is this.
fn with(line: &str) -> String {
    format!(
        "domain: d\nrules:\n  - {{ name: r, limits: [{{ requests: 1, per: minute }}] }}\n{line}\n"
    )
}

/// Fails unless `headers` of a domain is rejected with this at its column.
fn check_headers(headers: &str, column: usize, said: &str) {
    check(&with(&format!("headers: {{ {headers} }}")), &[(&format!("4:{}", 11 + column), said)]);
}

/// Fails unless the body's text or type is rejected with this at its column.
fn check_body(body: &str, column: usize, said: &str) {
    let text = with(&format!("on_refusal: {{ body: {{ {body} }} }}"));
    check(&text, &[(&format!("4:{}", 22 + column), said)]);
}

#[test]
fn headers_that_cannot_be() {
    check_headers("style: x-rate-limit", 8, "did you mean `x-ratelimit`?");
    check_headers("style: draft-03", 8, "`draft-03` is no value of `style`");
    check_headers("reset: epoch", 8, "`epoch` is no value of `reset`");
    check_headers("show: r.minutes", 7, "did you mean `r.minute`?");
    check_headers("show: other.hour", 7, "there is no limit `other.hour` to show");
    check_headers("style: ietf-draft-11, show: r.minute", 29, "means nothing in the style");
    check_headers("style: none, reset: unix", 21, "`reset` means nothing in the style `none`");
    check_headers("style: none, names: { limit: a }", 21, "take `names` out");
    check_headers("style: none, sytle: x", 14, "did you mean `style`?");
    check("domain: d\nheaders: none\n", &[("2:10", "expected a map, found `none`")]);
}

#[test]
fn names_of_headers_that_cannot_be() {
    let names = [
        ("':status'", "is no header, but a part of the response's head"),
        ("''", "is not a name for a header"),
        ("'a b'", "is not a name for a header"),
        ("'a: b'", "is not a name for a header"),
        ("\"a\\r\\nb\"", "is not a name for a header"),
        ("Transfer-Encoding", "how a message is carried"),
        ("content-length", "how a message is carried"),
        ("Content-Type", "write it as `type` of the `body`"),
        ("retry-after", "use `retry_after` under `headers`"),
        ("X-RateLimit-Reset", "two headers here are called `X-RateLimit-Reset`"),
    ];
    for (name, said) in names {
        check_headers(&format!("names: {{ limit: {name} }}"), 17, said);
    }
    let text = with("on_refusal: { headers: { ':status': '418' } }");
    check(&text, &[("4:26", "is no header")]);
    let text = with("on_refusal: { headers: { x-why: \"a\\r\\nset-cookie: b\" } }");
    check(&text, &[("4:33", "this cannot stand in a header")]);
}

#[test]
fn waits_that_cannot_be() {
    check_headers("retry_after: perhaps", 14, "expected true, false or");
    check_headers("retry_after: { jiter: 10% }", 16, "did you mean `jitter`?");
    check_headers("retry_after: { jitter: 10 }", 24, "`10` is not a share of the wait");
    check_headers("retry_after: { jitter: 101% }", 24, "write 0% to 100%");
    check_headers("retry_after: { at_most: 60 }", 25, "`60` is not a span of time");
    let warned = load(&with("headers: { retry_after: { at_most: 30 days } }"));
    assert!(warned.rules.is_ok());
    assert!(warned.warnings.contains("timers overflow after 24 days"), "{}", warned.warnings);
}

#[test]
fn refusals_that_cannot_be() {
    check(&with("on_refusal: {}"), &[("4:13", "this refusal says nothing")]);
    let text = with("on_refusal: { status: 503, headers: { x-why: quota } }");
    check(&text, &[("4:23", "set `rate_limited_status` in Envoy's rate limit filter")]);
    let text = with("on_refusal: { body: { type: application/json } }");
    check(&text, &[("4:21", "`text` is missing")]);
    check_body("type: json, text: '{}'", 7, "`json` is not a type of content");
    check_body("type: \"text/plain\\r\\nx: y\", text: a", 7, "is not a type of content");
    check_body("type: text/plain, text: 'wait {wait}'", 25, "`{wait}` is not known here");
    check_body("type: text/plain, text: 'wait {retry-after}'", 25, "did you mean `{retry_after}`?");
    check_body("type: text/plain, text: 'id {entry.}'", 25, "known here: {limit} {remaining}");
    let long = "x".repeat((16 << 10) + 1);
    check_body(&format!("type: text/plain, text: {long}"), 25, "more than 16384 bytes");
    let text = "domain: d
rules:
  - name: r
    limits: [{ requests: 1, per: s }]
    headers: { style: loud }
    metadata: maybe
    on_refusal: { headers: { x-why: '{reason}' } }
";
    check(
        text,
        &[
            ("5:23", "`loud` is no value of `style`"),
            ("6:15", "expected true or false"),
            ("7:37", "`{reason}` is not known here"),
        ],
    );
}

#[test]
fn braces_of_json_are_literal_and_broken_json_is_warned_of() {
    let body = |text: &str| {
        with(&format!("on_refusal: {{ body: {{ type: application/json, text: '{text}' }} }}"))
    };
    let good = [
        r#"{"error":{"code":-32002,"wait":{retry_after},"id":"req_{entry.request_id}"}}"#,
        r#"[{},{"plan":{plan}}]"#,
    ];
    for text in good {
        let loaded = load(&body(text));
        assert!(loaded.rules.is_ok(), "{text}: {:?}", loaded.rules.err());
        assert_eq!(loaded.warnings, "", "{text}");
    }
    let warned = load(&body(r#"{"error":}"#));
    assert!(warned.warnings.contains("this body is not JSON"), "{}", warned.warnings);
}
