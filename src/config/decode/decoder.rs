//! The tree as serde sees it.

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use crate::config::hints;
use crate::config::problem::{Problem, Span};
use crate::config::tree::{Key, Node, NodeId, Pair, Scalar, Value};

use super::failure::Failure;
use super::place::{AT, NOT_YET};
use super::words::{nearest, parse_whole_number};

/// What has been found so far, shared by all parts of one reading.
#[derive(Default)]
pub struct Notes {
    pub problems: RefCell<Vec<Problem>>,
    /// Values that failed, and keys that are unknown.
    pub left_out: RefCell<HashSet<NodeId>>,
    known_bad_keys: RefCell<HashSet<usize>>,
    pub left_out_keys: RefCell<HashSet<String>>,
}

impl Notes {
    fn is_left_out(&self, node: &Node) -> bool {
        self.left_out.borrow().contains(&node.id)
    }
}

/// A scalar as messages name it.
fn found(scalar: &Scalar) -> String {
    if scalar.is_null() { "nothing".into() } else { format!("`{}`", scalar.text) }
}

#[derive(Clone, Copy)]
pub struct Decoder<'de> {
    pub node: &'de Node,
    pub notes: &'de Notes,
}

impl<'de> Decoder<'de> {
    fn text(self, expected: &str) -> Result<&'de str, Failure> {
        match &self.node.value {
            Value::Scalar(scalar) if !scalar.is_null() => Ok(&scalar.text),
            Value::Scalar(_) => Err(self.unexpected(expected, "nothing")),
            Value::List(_) => Err(self.unexpected(expected, "a list")),
            Value::Map(_) => Err(self.unexpected(expected, "a map")),
        }
    }

    fn unexpected(self, expected: &str, found: &str) -> Failure {
        Failure::unexpected(expected, found).at(self.node)
    }

    fn whole_number(self) -> Result<u64, Failure> {
        let text = self.text("a whole number")?;
        parse_whole_number(text).ok_or_else(|| {
            let remedy = "write digits only, such as 5000 or 25_000_000";
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let what = match digits {
                true => format!("{text} is more than the largest number, {}", u64::MAX),
                false => format!("`{text}` is not a whole number"),
            };
            Failure::new(what, remedy).at(self.node)
        })
    }

    fn pairs(self, expected: &str) -> Result<&'de [Pair], Failure> {
        match &self.node.value {
            Value::Map(pairs) => Ok(pairs),
            Value::List(_) => Err(self.unexpected(expected, "a list")),
            Value::Scalar(scalar) => Err(self.unexpected(expected, &found(scalar))),
        }
    }

    /// Reports the keys that a struct does not have, each once however often it is read.
    fn report_unknown(self, pairs: &[Pair], fields: &[&str]) {
        for Pair { key, .. } in pairs {
            let known = fields.contains(&key.text.as_str());
            if known || !self.notes.known_bad_keys.borrow_mut().insert(key.span.start) {
                continue;
            }
            let remedy = match (hints::home(&key.text), nearest(&key.text, fields)) {
                (Some(home), _) => home.into(),
                (None, Some(field)) => format!("did you mean `{field}`?"),
                (None, None) => format!("known here: {}", fields.join(", ")),
            };
            let what = format!("`{}` is not known here", key.text);
            self.notes.problems.borrow_mut().push(Problem::error(key.span, what, remedy));
        }
    }

    fn walk_map<V: Visitor<'de>>(
        self,
        pairs: &'de [Pair],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let walk = MapWalk { pairs: pairs.iter(), value: None, notes: self.notes };
        visitor.visit_map(walk).map_err(|failure| {
            // A whole that cannot be read for want of a part that failed is reported already.
            let follows = match failure.missing() {
                Some(field) => pairs.iter().any(|pair| pair.key.text == field),
                None => pairs.iter().any(|pair| self.notes.is_left_out(&pair.value)),
            };
            failure.of_whole(self.node, follows)
        })
    }
}

impl<'de> de::Deserializer<'de> for Decoder<'de> {
    type Error = Failure;

    /// Scalars are always text here: whoever wants a number asks for one.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let read = match &self.node.value {
            Value::Scalar(scalar) if scalar.is_null() => visitor.visit_unit(),
            Value::Scalar(scalar) => visitor.visit_borrowed_str(&scalar.text),
            Value::List(_) => return self.deserialize_seq(visitor),
            Value::Map(pairs) => return self.walk_map(pairs, visitor),
        };
        read.map_err(|failure: Failure| failure.at(self.node))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.text("true or false")? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(self.unexpected("true or false", &format!("`{other}`"))),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_u64(self.whole_number()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.text("text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    /// A key that is there has a value: an empty one is an error of the type that is wanted, for
    /// it may be a slip that would widen a rule.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::List(items) => {
                let walk = ListWalk { items: items.iter(), notes: self.notes };
                visitor.visit_seq(walk).map_err(|failure| failure.at(self.node))
            }
            Value::Map(_) => Err(self.unexpected("a list", "a map")),
            Value::Scalar(scalar) => Err(self.unexpected("a list", &found(scalar))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.walk_map(self.pairs("a map")?, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let pairs = self.pairs("a map")?;
        self.report_unknown(pairs, fields);
        self.walk_map(pairs, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match name {
            AT => visitor.visit_seq(AtWalk::new(self.node.span, self)),
            NOT_YET => Err(Failure::not_yet().at(self.node)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 u32 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier ignored_any
    }
}

struct ListWalk<'de> {
    items: std::slice::Iter<'de, Node>,
    notes: &'de Notes,
}

impl<'de> de::SeqAccess<'de> for ListWalk<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let notes = self.notes;
        let Some(node) = self.items.find(|node| !notes.is_left_out(node)) else { return Ok(None) };
        let read = seed.deserialize(Decoder { node, notes }).map(Some);
        read.map_err(|failure| failure.at(node))
    }
}

struct MapWalk<'de> {
    pairs: std::slice::Iter<'de, Pair>,
    value: Option<&'de Pair>,
    notes: &'de Notes,
}

impl<'de> de::MapAccess<'de> for MapWalk<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let notes = self.notes;
        let is_good = |pair: &&Pair| {
            let left_out = notes.is_left_out(&pair.value);
            if left_out {
                notes.left_out_keys.borrow_mut().insert(pair.key.text.clone());
            }
            !left_out && !notes.known_bad_keys.borrow().contains(&pair.key.span.start)
        };
        self.value = self.pairs.find(is_good);
        match self.value {
            Some(pair) => seed.deserialize(KeyDecoder(&pair.key)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let Some(Pair { key, value: node }) = self.value.take() else {
            return Err(Failure::new("a value was asked for before its key", ""));
        };
        let read = seed.deserialize(Decoder { node, notes: self.notes });
        read.map_err(|failure| failure.at(node).under(key))
    }
}

/// A key: text, with its place for those who ask.
#[derive(Clone, Copy)]
struct KeyDecoder<'de>(&'de Key);

impl<'de> de::Deserializer<'de> for KeyDecoder<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(&self.0.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match name {
            AT => visitor.visit_seq(AtWalk::new(self.0.span, self)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Hands over a value with its place: start, end, value.
struct AtWalk<D> {
    places: std::array::IntoIter<usize, 2>,
    value: Option<D>,
}

impl<D> AtWalk<D> {
    fn new(span: Span, value: D) -> AtWalk<D> {
        AtWalk { places: [span.start, span.end].into_iter(), value: Some(value) }
    }
}

impl<'de, D: de::Deserializer<'de, Error = Failure>> de::SeqAccess<'de> for AtWalk<D> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        match (self.places.next(), self.value.take()) {
            (Some(place), value) => {
                self.value = value;
                seed.deserialize(place.into_deserializer()).map(Some)
            }
            (None, Some(value)) => seed.deserialize(value).map(Some),
            (None, None) => Ok(None),
        }
    }
}
