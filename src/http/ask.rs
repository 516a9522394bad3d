//! From JSON and query strings to subjects and amounts.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::quota::{Amount, Subject};

use super::answer::{Kind, Problem};

/// `GET /v1/usage`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    pub domain: String,
    /// As in `key=a,plan=free`. A comma in a value is written `\,`, a backslash `\\`.
    pub entries: String,
}

/// The body of `POST /v1/reset`, `/v1/adjust` and `/v1/erase`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub domain: String,
    pub entries: Pairs,
    pub limit: Option<String>,
    pub set: Option<Whole>,
    pub add: Option<Whole>,
}

/// Entries as an object, or as a list of pairs where one key comes several times.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "entries are {\"key\": \"a\"} or [[\"key\", \"a\"]]")]
pub enum Pairs {
    Object(serde_json::Map<String, serde_json::Value>),
    List(Vec<(String, String)>),
}

/// A whole number of any size, to be refused in words where it is out of range.
#[derive(Clone, Copy, Debug)]
pub struct Whole(i128);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Whole, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        let whole = number.to_string().parse().map(Whole);
        whole.map_err(|_| {
            serde::de::Error::custom(format!("{number} is not a whole number of hits"))
        })
    }
}

impl Whole {
    /// The number as a count of something.
    pub fn count(self, name: &str) -> Result<u64, Problem> {
        let beyond = || Problem::invalid(format!("{name} is {}, which is out of range", self.0));
        self.0.try_into().map_err(|_| beyond())
    }
}

/// Reads a body as JSON.
pub fn body<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is longer than {} bytes", super::BODY_BYTES_MAX);
            Problem::new(Kind::TooLarge, message)
        }
        _ => Problem::invalid("the body could not be read"),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::invalid(format!("the body: {error}")))
}

/// Reads `key=a,plan=free`.
pub fn entries(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs = Vec::new();
    for part in split(text) {
        let Some((key, value)) = part.split_once('=') else {
            let message = format!("`{part}` in entries has no `=`; write key=a,plan=free");
            return Err(Problem::invalid(message));
        };
        pairs.push((key.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

/// The parts between commas, save those that a backslash stands ahead of.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let last = parts.len() - 1;
        match char {
            ',' => parts.push(String::new()),
            '\\' => parts[last].extend(chars.next()),
            char => parts[last].push(char),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

impl Pairs {
    pub fn read(self) -> Result<Vec<(String, String)>, Problem> {
        let text = |(key, value)| match value {
            serde_json::Value::String(value) => Ok((key, value)),
            other => {
                Err(Problem::invalid(format!("the value of entry `{key}` is {other}, no text")))
            }
        };
        match self {
            Pairs::Object(object) => object.into_iter().map(text).collect(),
            Pairs::List(pairs) => Ok(pairs),
        }
    }
}

pub fn subject<'a>(domain: &'a str, pairs: &'a [(String, String)]) -> Subject<'a> {
    let entries = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    Subject { domain, entries }
}

/// One of `set` and `add`.
pub fn amount(set: Option<Whole>, add: Option<Whole>) -> Result<Amount, Problem> {
    let beyond = |number: i128| Problem::invalid(format!("{number} is out of range"));
    match (set, add) {
        (Some(Whole(number)), None) if number < 0 => {
            Err(Problem::invalid(format!("set is {number}; what is used cannot be negative")))
        }
        (Some(Whole(number)), None) => {
            number.try_into().map(Amount::Set).map_err(|_| beyond(number))
        }
        (None, Some(Whole(number))) => {
            number.try_into().map(Amount::Add).map_err(|_| beyond(number))
        }
        _ => Err(Problem::invalid("say either `set` or `add`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_backslashes_can_be_written() {
        let read = entries(r"key=a\,b,path=c\\d=e,").expect("sound entries");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(read, [pair("key", "a,b"), pair("path", r"c\d=e")]);
        assert!(entries("key").is_err());
    }
}
