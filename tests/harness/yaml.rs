//! YAML as the data that an editor sees: scalars without quotes are numbers and booleans where
//! YAML's core schema says so. Merge keys are not known here.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Reads one document.
pub fn read(text: &str) -> Value {
    let options = granit_parser::options! { emit_comments: false };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let events = std::iter::from_fn(|| parser.next_event());
    let events = events.map(|event| event.unwrap_or_else(|why| panic!("{why} in\n{text}")).0);
    let mut reader = Reader { events, anchors: HashMap::new() };
    loop {
        match reader.next() {
            Event::StreamStart | Event::DocumentStart(..) => {}
            event => return reader.value(event),
        }
    }
}

struct Reader<I> {
    events: I,
    anchors: HashMap<usize, Value>,
}

impl<'t, I: Iterator<Item = Event<'t>>> Reader<I> {
    fn next(&mut self) -> Event<'t> {
        self.events.next().expect("what was opened is closed")
    }

    fn value(&mut self, event: Event<'t>) -> Value {
        let (value, anchor) = match event {
            Event::Scalar(text, ScalarStyle::Plain, anchor, _) => (plain(&text), anchor),
            Event::Scalar(text, _, anchor, _) => (text.into(), anchor),
            Event::SequenceStart(_, anchor, _) => (self.list(), anchor),
            Event::MappingStart(_, anchor, _) => (self.map(), anchor),
            Event::Alias(anchor) => return self.anchors[&anchor].clone(),
            other => panic!("{other:?} is no value"),
        };
        self.anchors.insert(anchor, value.clone());
        value
    }

    fn list(&mut self) -> Value {
        let mut items = Vec::new();
        loop {
            match self.next() {
                Event::SequenceEnd => return items.into(),
                event => items.push(self.value(event)),
            }
        }
    }

    fn map(&mut self) -> Value {
        let mut pairs = Map::new();
        loop {
            match self.next() {
                Event::MappingEnd => return pairs.into(),
                Event::Scalar(key, ..) => {
                    let event = self.next();
                    pairs.insert(key.into_owned(), self.value(event));
                }
                other => panic!("{other:?} is no key"),
            }
        }
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        text => number(text).unwrap_or_else(|| text.into()),
    }
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    let fraction = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse::<f64>().ok().filter(|_| fraction).map(Value::from)
}
