//! Metadata on the wire: a struct that Envoy keeps beside the request, for its access log.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::answer::{BROUGHT_ALONG, Metadata};
use crate::limit::{Budget, OnExceed};
use crate::limiter::Reading;
use crate::time::SECOND_US;

/// `limits`, each with its numbers, `refused_by` if a limit refused, `banned_by` if a ban did.
pub fn to_struct(metadata: &Metadata<'_>) -> Struct {
    let limits = metadata.limits().map(|reading| of_struct(limit(reading)));
    let limits = Kind::ListValue(ListValue { values: limits.collect() });
    let mut fields = vec![("limits", of(limits))];
    if let Some(refused_by) = metadata.refused_by {
        fields.push(("refused_by", text(label(refused_by))));
    }
    fields.extend(metadata.banned_by.map(|rule| ("banned_by", text(rule))));
    with_fields(fields)
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
