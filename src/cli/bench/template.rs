//! The request of a run: written once, with places where each call's keys go.
//!
//! A key is as long as any other, padded with zeros, so that a call's message is the template's
//! bytes with digits written over them.

use bytes::Bytes;

use super::keys::Keys;

/// Bytes ahead of a gRPC message: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// Numbers of the fields of Envoy's `RateLimitRequest` and what it consists of.
mod field {
    pub const DOMAIN: u8 = 1;
    pub const DESCRIPTORS: u8 = 2;
    pub const HITS: u8 = 3;
    pub const ENTRIES: u8 = 1;
    pub const KEY: u8 = 1;
    pub const VALUE: u8 = 2;
}

/// Why a descriptor cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("`{0}` is no entry; write entries as key=value, with commas between them")]
    NoEntry(String),
    #[error("`{{{0}}}` is no placeholder; there are {{key}} and {{each}}, and \\{{ is a brace")]
    NoPlaceholder(String),
}

/// A request that lacks only its keys.
#[derive(Debug)]
pub struct Template {
    /// As gRPC sends it, with its head.
    bytes: Vec<u8>,
    places: Vec<Place>,
    digits: usize,
}

/// Where a key goes.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    /// Whether it has a key of its own, and not the call's.
    own: bool,
}

impl Template {
    /// The request for a domain, with one descriptor for each text and keys below `keys`.
    pub fn new(
        domain: &str,
        descriptors: &[String],
        hits: u32,
        keys: u64,
    ) -> Result<Template, Unfit> {
        let digits = keys.saturating_sub(1).max(1).ilog10() as usize + 1;
        let mut request = Message::default();
        request.text(field::DOMAIN, domain);
        for text in descriptors {
            request.message(field::DESCRIPTORS, descriptor(text, digits)?);
        }
        // Absent means one.
        if hits != 1 {
            request.number(field::HITS, hits.into());
        }
        let mut bytes = vec![0];
        bytes.extend((request.bytes.len() as u32).to_be_bytes());
        bytes.extend(request.bytes);
        let moved = |place: Place| Place { at: place.at + HEAD_BYTES, ..place };
        Ok(Template { bytes, places: request.places.into_iter().map(moved).collect(), digits })
    }

    /// One call's message.
    pub fn fill(&self, keys: &mut Keys) -> Bytes {
        let mut bytes = self.bytes.clone();
        let mut call = None;
        for place in &self.places {
            let key =
                if place.own { keys.draw() } else { *call.get_or_insert_with(|| keys.draw()) };
            write_digits(&mut bytes[place.at..place.at + self.digits], key);
        }
        bytes.into()
    }
}

fn write_digits(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A message being written, and the places in it.
#[derive(Debug, Default)]
struct Message {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Message {
    fn number(&mut self, field: u8, number: u64) {
        self.bytes.push(field << 3);
        self.varint(number);
    }

    fn text(&mut self, field: u8, text: &str) {
        self.message(field, Message { bytes: text.into(), places: Vec::new() });
    }

    fn message(&mut self, field: u8, inner: Message) {
        const LENGTH_DELIMITED: u8 = 2;
        self.bytes.push(field << 3 | LENGTH_DELIMITED);
        self.varint(inner.bytes.len() as u64);
        let start = self.bytes.len();
        self.places
            .extend(inner.places.iter().map(|place| Place { at: start + place.at, ..*place }));
        self.bytes.extend(inner.bytes);
    }

    fn varint(&mut self, mut number: u64) {
        while 0x7f < number {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

/// Reads `key={key},plan=free` as a descriptor.
fn descriptor(text: &str, digits: usize) -> Result<Message, Unfit> {
    let mut descriptor = Message::default();
    for written in split(text) {
        let (key, value) = written.split_once('=').ok_or(Unfit::NoEntry(written.clone()))?;
        let mut entry = Message::default();
        entry.text(field::KEY, key);
        entry.message(field::VALUE, value_of(value, digits)?);
        descriptor.message(field::ENTRIES, entry);
    }
    Ok(descriptor)
}

/// The entries of a descriptor, their backslashes kept but for those before commas.
fn split(text: &str) -> Vec<String> {
    let (mut entries, mut chars) = (vec![String::new()], text.chars().peekable());
    while let Some(char) = chars.next() {
        let entry = entries.last_mut().expect("there is one from the start");
        match char {
            '\\' if chars.next_if_eq(&',').is_some() => entry.push(','),
            '\\' => entry.extend([Some('\\'), chars.next()].into_iter().flatten()),
            ',' => entries.push(String::new()),
            _ => entry.push(char),
        }
    }
    entries
}

/// A value, with zeros where keys go.
fn value_of(text: &str, digits: usize) -> Result<Message, Unfit> {
    let (mut value, mut chars) = (Message::default(), text.chars());
    while let Some(char) = chars.next() {
        let char = match char {
            '\\' => chars.next().unwrap_or('\\'),
            '{' => {
                let name: String = chars.by_ref().take_while(|&char| char != '}').collect();
                let own = match name.as_str() {
                    "key" => false,
                    "each" => true,
                    _ => return Err(Unfit::NoPlaceholder(name)),
                };
                value.places.push(Place { at: value.bytes.len(), own });
                value.bytes.extend(std::iter::repeat_n(b'0', digits));
                continue;
            }
            char => char,
        };
        value.bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::grpc::proto::envoy::service::ratelimit::v3::RateLimitRequest;
    use crate::settings::Choice;

    /// What a server reads of a template's first call, with 1,000 keys taken in turn.
    fn read(descriptors: &[&str], hits: u32) -> RateLimitRequest {
        let descriptors: Vec<_> = descriptors.iter().map(|text| (*text).to_owned()).collect();
        let template = Template::new("shop", &descriptors, hits, 1000).expect("a template");
        let mut keys = Keys::new(1000, Choice::InTurn, 7, 1);
        let bytes = template.fill(&mut keys);
        let (head, message) = bytes.split_at(HEAD_BYTES);
        assert_eq!(head, [&[0][..], &(message.len() as u32).to_be_bytes()].concat());
        RateLimitRequest::decode(message).expect("a message")
    }

    fn entries(request: &RateLimitRequest) -> Vec<Vec<(&str, &str)>> {
        let entries = request.descriptors.iter().map(|descriptor| &descriptor.entries);
        let pairs = entries.map(|entries| {
            entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect()
        });
        pairs.collect()
    }

    #[test]
    fn one_key_goes_to_all_its_places_and_other_keys_to_theirs() {
        let request = read(&["key=k-{key},plan=free", "a={each}{each}", "key={key}"], 1);
        assert_eq!((request.domain.as_str(), request.hits_addend), ("shop", 0));
        let expected =
            [vec![("key", "k-007"), ("plan", "free")], vec![("a", "008009")], vec![("key", "007")]];
        assert_eq!(entries(&request), expected);
    }

    #[test]
    fn backslashes_take_commas_braces_and_themselves_as_they_are() {
        let request = read(&[r"a=x\,y,b=\{key},c=\\{key},d=p=q"], 1);
        let expected = [vec![("a", "x,y"), ("b", "{key}"), ("c", r"\007"), ("d", "p=q")]];
        assert_eq!(entries(&request), expected);
    }

    #[test]
    fn hits_and_long_values_are_read_as_written() {
        let long = format!("key={}", "v".repeat(300));
        let request = read(&[&long], 300);
        assert_eq!(request.hits_addend, 300);
        assert_eq!(entries(&request)[0][0].1.len(), 300);
    }
}
