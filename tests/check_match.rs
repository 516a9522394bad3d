//! What `check` says of bad conditions, of lists that they name, and of what cannot be counted by.

mod harness;

use harness::check::{check, load};

#[test]
fn conditions_that_cannot_be_read() {
    let text = |test: &str| {
        format!(
            "domain: d
rules:
  - name: r
    match: {{ e: {test} }}
    limits: [{{ requests: 1, per: s }}]
"
        )
    };
    check(&text("{ nott: a }"), &[("4:17", "did you mean `not`?")]);
    check(&text("[]"), &[("4:17", "an empty list matches nothing")]);
    check(&text("{}"), &[("4:17", "found an empty map")]);
    check(&text("{ present: maybe }"), &[("4:28", "expected true or false")]);
    check(&text("{ not: a, present: true }"), &[("4:17", "one test to an entry")]);
    check(&text("{ not: [] }"), &[("4:17", "an empty list matches nothing")]);
    check(&text("{ not: { present: true } }"), &[("4:17", "a map with: cidr, regex, list")]);
    check(&text("{ not: { cird: a } }"), &[("4:17", "did you mean `cidr`?")]);
    check(&text("{ not: {} }"), &[("4:24", "found an empty map")]);
    check(&text("{ not: { list: [] } }"), &[("4:32", "expected text, found a list")]);
    check(&text("{ not: { regex: a, list: b } }"), &[("4:24", "`list` follows `regex`")]);
    check(&text("{ regex: 'a)(b' }"), &[("4:26", "unopened group, at its character 2")]);
    check(&text("{ regex: '(?=a)' }"), &[("4:26", "look-around")]);
    check(&text("{ regex: '.{10000}' }"), &[("4:26", "it is too large")]);
    check(&text("{ regex: [a, b] }"), &[("4:26", "expected text, found a list")]);
}

#[test]
fn networks_and_lists_that_cannot_be_read() {
    let text = |lists: &str, test: &str| {
        format!(
            "domain: d
lists: {lists}
rules: [{{ name: r, match: {{ e: {test} }}, limits: [{{ requests: 1, per: s }}] }}]
"
        )
    };
    let lists = "{ europe: [2.0.0.0/8, '2a00::/12'], words: [a, 10.0.0.1/8, b] }";
    let check = |test: &str, expected: &[(&str, &str)]| check(&text(lists, test), expected);
    check("{ cidr: 10.0.0.0/33 }", &[("3:40", "`10.0.0.0/33` is neither an address nor")]);
    check("{ cidr: 10.1.0.0/8 }", &[("3:40", "write `10.0.0.0/8`, or `10.1.0.0` for the one")]);
    check("{ cidr: [europe, 300.1.1.1] }", &[("3:49", "neither an address nor a network")]);
    check("{ cidr: [] }", &[("3:40", "an empty list matches nothing")]);
    check("{ cidr: { not: europe } }", &[("3:40", "expected a network, the name of a list")]);
    check("{ cidr: euorpe }", &[("3:40", "did you mean `europe`?")]);
    check("{ not: { cidr: [europe, asia] } }", &[("3:56", "define it under `lists:`")]);
    check("{ list: wrods }", &[("3:40", "did you mean `words`?")]);
    check("{ not: { list: 10.0.0.0/8 } }", &[("3:47", "there is no list `10.0.0.0/8`")]);
    // Once for each member, however often the list is used.
    let twice = "{ cidr: words }, f: { not: { cidr: [europe, words] } }";
    let members = [
        ("2:52", "`a` is neither an address nor a network"),
        ("2:55", "has bits set beyond its mask"),
        ("2:67", "`b` is neither"),
    ];
    check(twice, &members);
}

#[test]
fn lists_that_cannot_be() {
    let rule = "rules: [{ name: r, match: { e: { list: l } }, limits: [{ requests: 1, per: s }] }]";
    let check = |lists: &str, expected: &[(&str, &str)]| {
        check(&format!("domain: d\nlists: {lists}\n{rule}\n"), expected);
    };
    check("{ l: [a], a.b: [c] }", &[("2:18", "`a.b` is not a name")]);
    // What cannot be read is not missed where it is named.
    check("{ l: a }", &[("2:13", "expected a list, found `a`")]);
    check("{ l: [a, [b]] }", &[("2:17", "expected text, found a list")]);
    check("[a]", &[("2:8", "expected a map, found a list")]);
    check("{ l: [a], l: [b] }", &[("2:18", "`l` stands here twice")]);
}

#[test]
fn a_long_list_of_other_things_is_not_reported_member_by_member() {
    let members = vec!["word"; 10_000].join(", ");
    let rule = "{ name: r, match: { e: { cidr: l } }, limits: [{ requests: 1, per: s }] }";
    let rejected = load(&format!("domain: d\nlists: {{ l: [{members}] }}\nrules: [{rule}]\n"));
    assert_eq!(rejected.rules.expect_err("words are no networks").errors, 10);
}

#[test]
fn lists_that_hardly_mean_what_was_meant_are_warned_of() {
    let warned = |test: &str| {
        let rule = "name: r, limits: [{ requests: 1, per: s }]";
        let lists = "lists: { used: [2.0.0.0/8], idle: [x] }";
        let loaded = load(&format!("domain: d\n{lists}\nrules: [{{ {rule}, match: {test} }}]\n"));
        assert!(loaded.rules.is_ok());
        loaded.warnings
    };
    let fine = warned("{ a: { cidr: used }, b: { not: { list: idle } } }");
    assert_eq!(fine, "");
    let unused = warned("{ a: { cidr: used } }");
    assert!(unused.contains("no rule uses list `idle`"), "{unused}");
    assert!(unused.contains("f.yaml:2:29"), "{unused}");
    let texts = warned("{ a: { list: used }, b: { list: idle } }");
    assert!(texts.contains("`list` compares texts, but `2.0.0.0/8` is a network"), "{texts}");
    let empty = load("domain: d\nlists: { l: [] }\n").warnings;
    assert!(empty.contains("list `l` is empty"), "{empty}");
}

#[test]
fn parts_of_addresses_that_cannot_be_counted_by() {
    let check = |count_by: &str, place: &str, said: &str| {
        let limits = "limits: [{ requests: 1, per: s }]";
        let text =
            format!("domain: d\nrules:\n  - name: r\n    count_by: {count_by}\n    {limits}\n");
        check(&text, &[(place, said)]);
    };
    check("[{ entry: a, v6: 129 }]", "4:32", "from 0 to 128");
    check("[{ entry: a, v4: -1 }]", "4:32", "`-1` is not a whole number");
    check("[{ v4: 24 }]", "4:16", "`entry` is missing");
    check("[{ entry: a, v5: 1 }]", "4:28", "known here: entry, v4, v6");
    check("[a, { entry: a, v4: 8 }]", "4:19", "`a` is counted by already");
    check("[[a]]", "4:16", "expected an entry or `{ entry: …, v4: …, v6: … }`, found a list");
}
