//! A question to the limiter, as a value: what a call says, with nothing of how it was sent.

use smallvec::SmallVec;

use crate::key::Identity;
use crate::limit::Per;

/// Most descriptors have a key, a plan and an endpoint, and seldom more than these.
pub const ENTRIES_INLINE: usize = 4;

/// One call: a domain and what it is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    pub domain: &'a str,
    pub descriptors: SmallVec<[Descriptor<'a>; 2]>,
    /// An id under which the call is to be known again, and what it took.
    pub receipt: Option<Wanted>,
}

/// A receipt that a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The identity of the id and of whoever it belongs to.
    pub id: Identity,
    /// A fingerprint of what is asked: the same id with another one is a slip of its owner's.
    pub arguments: u64,
    /// Microseconds for which it is kept.
    pub for_us: u64,
    /// Whether the call's true cost is still to be told.
    pub open: bool,
}

/// One subject of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor<'a> {
    pub entries: Entries<'a>,
    pub hits: Hits,
    /// A budget that the call brings along, in place of the rules' own.
    pub limit: Option<Override>,
}

/// How many hits a descriptor counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hits {
    /// Answered as one hit would be, but nothing is charged and nothing comes to be.
    Peek,
    Take(u64),
    /// So many hits are returned.
    GiveBack(u64),
}

impl Hits {
    /// How many are asked for and charged if there is room.
    pub fn taken(self) -> u64 {
        match self {
            Hits::Take(hits) => hits,
            Hits::Peek | Hits::GiveBack(_) => 0,
        }
    }
}

/// A budget over a fixed window, brought along by a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    pub requests: u64,
    pub per: Per,
    pub window_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: &'a str,
    pub value: &'a str,
}

/// The entries of a descriptor, in the order they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries<'a>(SmallVec<[Entry<'a>; ENTRIES_INLINE]>);

impl<'a> Entries<'a> {
    #[inline]
    pub fn push(&mut self, key: &'a str, value: &'a str) {
        self.0.push(Entry { key, value });
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'a>> + '_ {
        self.0.iter().copied()
    }

    /// The value of an entry; of a repeated one, the last.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|entry| entry.key == key).map(|entry| entry.value)
    }

    /// These entries and more, which count where both have one of the same key.
    pub fn with<'b>(&self, more: impl Iterator<Item = (&'b str, &'b str)>) -> Entries<'b>
    where
        'a: 'b,
    {
        let own = self.iter().map(|entry| (entry.key, entry.value));
        own.chain(more).collect()
    }

    /// Each key once, with the value that counts for it.
    pub fn distinct(&self) -> impl Iterator<Item = Entry<'a>> + '_ {
        let is_last = |(position, entry): &(usize, &Entry<'a>)| {
            self.0[position + 1..].iter().all(|later| later.key != entry.key)
        };
        self.0.iter().enumerate().filter(is_last).map(|(_, entry)| *entry)
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Entries<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Entries<'a> {
        Entries(pairs.into_iter().map(|(key, value)| Entry { key, value }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_repeated_entry_the_last_counts() {
        let entries: Entries = [("key", "a"), ("plan", "free"), ("key", "b")].into_iter().collect();
        assert_eq!(entries.get("key"), Some("b"));
        let distinct: Vec<_> = entries.distinct().map(|entry| (entry.key, entry.value)).collect();
        assert_eq!(distinct, [("plan", "free"), ("key", "b")]);
    }
}
