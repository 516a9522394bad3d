//! Types of the mirror that serde alone has no words for: places, pairs in order, keys to come.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Visitor};

use crate::config::problem::Span;

/// A value that remembers where it stood.
#[derive(Clone, Debug)]
pub struct At<T> {
    pub span: Span,
    pub value: T,
}

/// A key whose meaning is fixed but not built yet: any value of it is an error that says so.
#[derive(Debug)]
pub enum NotYet {}

/// The pairs of a map, in file order.
#[derive(Debug)]
pub struct Pairs<T>(pub Vec<(At<String>, T)>);

/// By these names the decoder knows the types below.
pub const AT: &str = "tollgate::At";
pub const NOT_YET: &str = "tollgate::NotYet";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<At<T>, D::Error> {
        deserializer.deserialize_newtype_struct(AT, AtVisitor(PhantomData))
    }
}

struct AtVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<At<T>, A::Error> {
        let (start, end) = (seq.next_element()?, seq.next_element()?);
        match (start, end, seq.next_element()?) {
            (Some(start), Some(end), Some(value)) => Ok(At { span: Span { start, end }, value }),
            _ => Err(de::Error::custom("only this module's decoder knows places")),
        }
    }
}

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<NotYet, D::Error> {
        deserializer.deserialize_newtype_struct(NOT_YET, NotYetVisitor)
    }
}

struct NotYetVisitor;

impl Visitor<'_> for NotYetVisitor {
    type Value = NotYet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing yet")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Pairs<T>, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PairsVisitor<T> {
    type Value = Pairs<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// Places are not written down.
impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// No value is one: `schema` takes such keys out.
impl JsonSchema for NotYet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NotYet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "null" })
    }
}

impl<T: JsonSchema> JsonSchema for Pairs<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Pairs_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}
