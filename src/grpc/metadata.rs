//! Metadata on the wire: a struct that Envoy keeps beside the request, for its access log.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::answer::{Asked, BROUGHT_ALONG, Metadata, OfTree, OwnMetadata};
use crate::limit::{Budget, OnExceed};
use crate::limiter::Reading;
use crate::time::SECOND_US;

/// `limits`, each with its numbers, `refused_by` if a limit refused, `banned_by` if a ban did; and
/// in a domain with `descriptors` its name, what was asked, and the rules' own `metadata`.
pub fn to_struct(metadata: &Metadata<'_>) -> Struct {
    let limits = metadata.limits().map(|reading| of_struct(limit(reading)));
    let limits = Kind::ListValue(ListValue { values: limits.collect() });
    let mut fields = vec![("limits", of(limits))];
    if let Some(refused_by) = metadata.refused_by {
        fields.push(("refused_by", text(label(refused_by))));
    }
    fields.extend(metadata.banned_by.map(|rule| ("banned_by", text(rule))));
    if let Some(of_tree) = &metadata.of_tree {
        fields.extend(told_of_tree(of_tree));
    }
    with_fields(fields)
}

fn told_of_tree(of_tree: &OfTree<'_>) -> Vec<(&'static str, Value)> {
    let descriptors = of_tree.descriptors.iter().map(|asked| of_struct(descriptor(asked)));
    let descriptors = ListValue { values: descriptors.collect() };
    let mut fields =
        vec![("domain", text(of_tree.domain)), ("descriptors", of(Kind::ListValue(descriptors)))];
    if !of_tree.own.is_empty() {
        fields.push(("metadata", own_map(&of_tree.own)));
    }
    fields
}

fn descriptor(asked: &Asked) -> Struct {
    let entries = asked.entries.iter().map(|entry| text(entry));
    let entries = ListValue { values: entries.collect() };
    let mut fields = vec![("entries", of(Kind::ListValue(entries)))];
    fields.extend(asked.limit.as_ref().map(|limit| ("limit", text(limit))));
    fields.extend(asked.hits.map(|hits| ("hitsAddend", number(float(hits)))));
    with_fields(fields)
}

fn own_map(map: &BTreeMap<Box<str>, OwnMetadata>) -> Value {
    let fields = map.iter().map(|(key, value)| (key.to_string(), own(value)));
    of_struct(Struct { fields: fields.collect() })
}

fn own(value: &OwnMetadata) -> Value {
    match value {
        // The wire has a number for nothing.
        OwnMetadata::Null => of(Kind::NullValue(0)),
        OwnMetadata::Flag(value) => flag(*value),
        OwnMetadata::Number(value) => number(*value),
        OwnMetadata::Text(value) => text(value),
        OwnMetadata::List(values) => {
            of(Kind::ListValue(ListValue { values: values.iter().map(own).collect() }))
        }
        OwnMetadata::Map(map) => own_map(map),
    }
}

fn limit(reading: &Reading<'_>) -> Struct {
    let (rule, name) = label(reading).split_once('.').unwrap_or(("", label(reading)));
    let (requests, remaining) = match reading.budget {
        Budget::Requests(requests) => (float(requests), float(reading.remaining)),
        Budget::Unlimited => (-1.0, -1.0),
    };
    let mut fields = vec![
        ("rule", text(rule)),
        ("limit", text(name)),
        ("requests", number(requests)),
        ("remaining", number(remaining)),
        ("reset_seconds", number(float(reading.wait_us().div_ceil(SECOND_US)))),
        ("refused", flag(reading.refuses())),
        ("exceeded", flag(reading.exceeded())),
        ("shadow", flag(reading.on_exceed == OnExceed::Shadow)),
        ("overage", number(float(reading.overage))),
    ];
    fields.extend(reading.plan.map(|plan| ("plan", text(plan))));
    with_fields(fields)
}

fn label<'v>(reading: &Reading<'v>) -> &'v str {
    if reading.label.is_empty() { BROUGHT_ALONG } else { reading.label }
}

/// A struct has no other numbers. Beyond 2^53 they are a little off, which no log minds.
fn float(number: u64) -> f64 {
    number as f64
}

fn with_fields(fields: Vec<(&str, Value)>) -> Struct {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    Struct { fields: fields.collect::<BTreeMap<_, _>>() }
}

fn of(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn of_struct(fields: Struct) -> Value {
    of(Kind::StructValue(fields))
}

fn text(text: &str) -> Value {
    of(Kind::StringValue(text.to_owned()))
}

fn number(number: f64) -> Value {
    of(Kind::NumberValue(number))
}

fn flag(flag: bool) -> Value {
    of(Kind::BoolValue(flag))
}
