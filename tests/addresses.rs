//! Rules about where a call comes from: which addresses they hold, and which they count as one.

mod harness;

use harness::Server;
use harness::envoy::Edge;
use harness::http::Http;
use serde_json::json;
use tollgate::key::Identity;
use tollgate::query::Entries;
use tollgate::rules::RuleSet;

/// Whom the one rule of domain `d` counts when a call has this value of `from`.
fn counted(rules: &RuleSet, from: &str) -> Identity {
    let entries = Entries::from_iter([("from", from)]);
    rules.domain("d").expect("the domain").rules()[0].identity(&entries)
}

/// Whether a rule applies whose condition on `from` is this one.
fn applies(test: &str, from: Option<&str>) -> bool {
    let rules = harness::rules(&format!(
        "domain: d
lists:
  europe: [2.0.0.0/8, 2a00::/12]
  office: [192.0.2.7, ::1]
  blocked: [acme-1, 'a*b', '']
rules: [{{ name: r, match: {{ from: {test} }}, limits: [{{ requests: 1, per: minute }}] }}]
"
    ));
    let entries = Entries::from_iter(from.map(|from| ("from", from)));
    rules.domain("d").expect("the domain").matching(&entries).next().is_some()
}

/// Fails unless the condition takes the first values and not the second, and `not` of it the
/// other way round; an absent entry passes `not` alone.
fn check(test: &str, taken: &[&str], others: &[&str]) {
    let not = format!("{{ not: {test} }}");
    for value in taken {
        assert!(applies(test, Some(value)), "{test} should take {value}");
        assert!(!applies(&not, Some(value)), "{not} should not take {value}");
    }
    for value in others {
        assert!(!applies(test, Some(value)), "{test} should not take {value}");
        assert!(applies(&not, Some(value)), "{not} should take {value}");
    }
    assert!(!applies(test, None));
    assert!(applies(&not, None));
}

#[test]
fn a_cidr_takes_the_addresses_and_networks_in_it() {
    check(
        "{ cidr: 10.0.0.0/8 }",
        &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3", "[::ffff:a00:1]", "10.1.0.0/16"],
        &["11.0.0.0", "9.255.255.255", "::a00:1", "0.0.0.0/0", "10.0.0.1:80", "ten", ""],
    );
    check("{ cidr: ::1 }", &["::1", "[::1]", "0:0:0:0:0:0:0:1", "::1/128"], &["::2", "::/0"]);
    check(
        "{ cidr: europe }",
        &["2.1.2.3", "2a01::5", "2.0.0.0/8"],
        &["3.1.2.3", "2b00::1", "europe"],
    );
    check(
        "{ cidr: [europe, office, 127.0.0.0/16] }",
        &["2.1.2.3", "192.0.2.7", "127.0.0.0/16", "127.0.9.0/24"],
        &["192.0.2.8", "127.0.0.0/8", "127.1.0.1"],
    );
}

#[test]
fn a_regex_takes_whole_values() {
    check(
        "{ regex: '/v[0-9]+/(users|teams)' }",
        &["/v1/users", "/v23/teams"],
        &["/v1/users/7", "x/v1/users", "/v/users", ""],
    );
}

#[test]
fn a_list_takes_its_values_as_they_are_spelled() {
    check("{ list: blocked }", &["acme-1", "a*b", ""], &["acme-10", "axb", "blocked"]);
    check("{ list: office }", &["::1"], &["[::1]", "0:0:0:0:0:0:0:1"]);
}

#[test]
fn a_list_of_any_length_is_found() {
    // Up to some length the rule hangs on each value, beyond it on the entry.
    for length in [0, 1, 64, 65, 10_000] {
        let values: Vec<_> = (0..length).map(|number| format!("k{number}")).collect();
        let lists = format!("lists: {{ l: [{}] }}", values.join(", "));
        let rule = "{ name: r, match: { key: { list: l } }, limits: [{ requests: 1, per: s }] }";
        let rules = harness::rules(&format!("domain: d\n{lists}\nrules: [{rule}]\n"));
        let domain = rules.domain("d").expect("the domain");
        let applies =
            |key: &str| domain.matching(&Entries::from_iter([("key", key)])).next().is_some();
        assert!(values.iter().all(|value| applies(value)));
        assert!(!applies("other"));
    }
}

fn counting_by(count_by: &str) -> RuleSet {
    let limits = "limits: [{ requests: 1, per: minute }]";
    harness::rules(&format!("{{domain: d, rules: [{{name: r, count_by: {count_by}, {limits}}}]}}"))
}

#[test]
fn addresses_of_one_network_share_a_counter() {
    let rules = counting_by("[{ entry: from, v4: 24, v6: 64 }]");
    for (one, other) in [
        ("192.0.2.1", "192.0.2.254"),
        ("192.0.2.1", "::ffff:192.0.2.9"),
        ("192.0.2.1", "192.0.2.0/24"),
        ("2001:db8::1", "[2001:db8::ffff:0:0:1]"),
    ] {
        assert_eq!(counted(&rules, one), counted(&rules, other), "{one} and {other}");
    }
    for (one, other) in [
        ("192.0.2.1", "192.0.3.1"),
        ("192.0.2.1", "192.0.0.0/16"),
        ("2001:db8::1", "2001:db8:0:1::1"),
        ("not-an-address", "neither-is-this"),
    ] {
        assert_ne!(counted(&rules, one), counted(&rules, other), "{one} and {other}");
    }
}

#[test]
fn the_map_form_counts_two_spellings_as_one_and_the_plain_form_does_not() {
    let (one, other) = ("::1", "0:0:0:0:0:0:0:1");
    let spelled = counting_by("[from]");
    assert_ne!(counted(&spelled, one), counted(&spelled, other));
    let meant = counting_by("[{ entry: from }]");
    assert_eq!(counted(&meant, one), counted(&meant, other));
    assert_ne!(counted(&meant, "::1"), counted(&meant, "::2"), "all bits count if none are said");
}

#[test]
fn other_masks_are_other_counters() {
    let (narrow, wide) = ("[{ entry: from, v4: 24 }]", "[{ entry: from, v4: 16 }]");
    let (narrow, wide) = (counting_by(narrow), counting_by(wide));
    assert_ne!(counted(&narrow, "10.0.0.1"), counted(&wide, "10.0.0.1"));
    let names: Vec<_> = narrow.counters().into_iter().collect();
    assert_eq!(names.len(), 1);
    assert!(names[0].contains("by [from/24,128]"), "{names:?}");
}

#[tokio::test]
async fn people_see_and_erase_what_a_network_used_by_any_address_of_it() {
    let server = Server::start(
        "
domain: shop
rules:
  - name: from
    count_by: [{ entry: remote_address, v4: 24, v6: 64 }]
    limits: [{ name: hour, requests: 9, per: hour }]
  - name: by-key
    count_by: [key, { entry: remote_address }]
    limits: [{ name: hour, requests: 9, per: hour }]
",
    )
    .await;
    let http = Http::new(server.http);
    server.client().await.ask("shop", &["remote_address=192.0.2.1"]).await;

    let rules = http.get("/v1/rules").await.good();
    let rules = &rules["domains"][0]["rules"];
    assert_eq!(rules[0]["count_by"], json!(["remote_address/24,64"]));
    assert_eq!(rules[1]["count_by"], json!(["key", "remote_address/32,128"]));
    let usage = "/v1/usage?domain=shop&entries=remote_address=192.0.2.200";
    assert_eq!(http.get(usage).await.good()["limits"][0]["used"], 1);
    let neighbour =
        json!({ "domain": "shop", "entries": { "remote_address": "::ffff:192.0.2.9" } });
    let erased = http.post("/v1/erase", neighbour).await.good();
    assert_eq!(erased["erased"], json!([{ "limit": "from.hour", "before": 1, "after": 0 }]));
    assert_eq!(erased["unreachable"][0]["missing"], json!(["key"]));
    assert_eq!(http.get(usage).await.good()["limits"][0]["used"], 0);
    server.stop().await;
}

#[tokio::test]
async fn envoy_counts_the_clients_of_a_network_as_one_and_holds_each_part_of_the_world_apart() {
    let rules = "
domain: shop
lists:
  europe: [2.0.0.0/8, 2a00::/12]
  office: [192.0.2.0/28]
rules:
  - name: europe
    match: { remote_address: { cidr: europe } }
    count_by: [{ entry: remote_address, v4: 24, v6: 64 }]
    limits: [{ name: minute, requests: 2, per: minute }]
  - name: elsewhere
    match: { remote_address: { not: { cidr: [europe, office] } } }
    count_by: [{ entry: remote_address, v4: 24, v6: 64 }]
    limits: [{ name: minute, requests: 1, per: minute }]
";
    // Behind another proxy Envoy takes the client's address from the last hop that this one names.
    let rate_limits = "[{ actions: [{ remote_address: {} }] }]";
    let Some(edge) = Edge::start("envoy: networks", rules, rate_limits).await else { return };
    for (from, status, left) in [
        ("2.1.2.3", 200, Some("1")),
        ("2.1.2.99", 200, Some("0")),
        ("2.1.2.4", 429, Some("0")),
        ("2.1.3.4", 200, Some("1")),
        ("2a00:1:2:3::1", 200, Some("1")),
        ("2a00:1:2:3:ffff::1", 200, Some("0")),
        ("2a00:1:2:3::1", 429, Some("0")),
        ("2a00:1:2:4::1", 200, Some("1")),
        ("8.8.8.8", 200, Some("0")),
        ("8.8.8.9", 429, Some("0")),
        ("::ffff:8.8.8.10", 429, Some("0")),
        ("192.0.2.1", 200, None),
        ("192.0.2.1", 200, None),
        ("192.0.2.16", 200, Some("0")),
    ] {
        let answer = edge.get("/v1/items", &[&format!("x-forwarded-for: {from}")]).await;
        assert_eq!(answer.status, status, "{from}");
        assert_eq!(answer.header("x-ratelimit-remaining"), left, "{from}");
    }
}

#[tokio::test]
async fn a_network_that_envoy_masked_is_held_to_what_its_addresses_are() {
    let rules = "
domain: shop
lists: { partners: [203.0.113.0/24] }
rules:
  - name: partners
    match: { masked_remote_address: { cidr: partners }, remote_address: { cidr: partners } }
    count_by: [{ entry: masked_remote_address, v4: 24 }]
    limits: [{ name: minute, requests: 2, per: minute }]
";
    let rate_limits = "
- actions:
  - masked_remote_address: { v4_prefix_mask_len: 26 }
  - remote_address: {}
";
    let Some(edge) = Edge::start("envoy: masked", rules, rate_limits).await else { return };
    for (from, status, left) in [
        ("203.0.113.1", 200, Some("1")),
        ("203.0.113.200", 200, Some("0")),
        ("203.0.113.70", 429, Some("0")),
        ("203.0.112.1", 200, None),
    ] {
        let answer = edge.get("/v1/items", &[&format!("x-forwarded-for: {from}")]).await;
        assert_eq!(answer.status, status, "{from}");
        assert_eq!(answer.header("x-ratelimit-remaining"), left, "{from}");
    }
}
