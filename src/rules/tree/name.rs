//! The joined name of an entry.

use std::ops::Deref;
use std::str;

use smallvec::SmallVec;

use crate::query::Entry;

/// Names up to this long need no allocation; paths and tokens seldom are longer.
const NAME_BYTES_INLINE: usize = 192;

/// `key_value`: what an entry is called in a `descriptors:` file. Entries of one name are one to
/// the tree and to its counters, wherever key and value part.
#[derive(Debug)]
pub struct Name(SmallVec<[u8; NAME_BYTES_INLINE]>);

impl Name {
    pub fn of(entry: Entry<'_>) -> Name {
        let mut name = SmallVec::new();
        name.extend_from_slice(entry.key.as_bytes());
        name.push(b'_');
        name.extend_from_slice(entry.value.as_bytes());
        Name(name)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.0).expect("two texts and an underscore are text")
    }
}
