//! Rules about where a call comes from: which addresses they hold, and which they count as one.

mod harness;

use tollgate::key::Identity;
use tollgate::query::Entries;
use tollgate::rules::RuleSet;

/// Whom the one rule of domain `d` counts when a call has this value of `from`.
fn counted(rules: &RuleSet, from: &str) -> Identity {
    let entries = Entries::from_iter([("from", from)]);
    rules.domain("d").expect("the domain").rules()[0].identity(&entries)
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
