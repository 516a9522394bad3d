//! What a rule of a tree has beyond what other rules have.

use std::collections::BTreeMap;

use crate::key::Prefix;
use crate::query::{Entries, Entry};

use super::with_name;

/// A rule that stands in a tree.
#[derive(Debug)]
pub struct Leaf {
    /// What its limit is called in statuses, and by those who replace it; may be empty.
    pub name: Box<str>,
    /// For each entry, the pattern whose name is counted in place of the entry's own.
    pub shared: Box<[Option<Box<str>>]>,
    /// Names of limits that do not apply to a call that this rule applies to.
    pub replaces: Box<[Box<str>]>,
    /// Whether it is limited at all, though there may be no budget.
    pub bound: Bound,
    /// Alone it refuses a call only together with all other quotas of the call.
    pub quota: bool,
    pub metadata: Option<Box<Metadata>>,
}

/// What a leaf holds its calls to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A limit.
    Limited,
    /// No limit, and calls are told so.
    Unlimited,
    /// Nothing: it is there so that no other rule is found.
    Free,
}

/// Values of a rule's own that go into the dynamic metadata of calls that it lets pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Metadata {
    Null,
    Flag(bool),
    Number(f64),
    Text(Box<str>),
    List(Vec<Metadata>),
    Map(BTreeMap<Box<str>, Metadata>),
}

impl Leaf {
    /// Adds what is counted of these entries to a counter's name.
    pub fn count(&self, entries: &Entries<'_>, prefix: &mut Prefix) {
        for (entry, shared) in entries.iter().zip(&self.shared) {
            match shared {
                Some(pattern) => prefix.push(pattern),
                None => with_name(entry, |name| prefix.push(name)),
            }
        }
    }

    /// The values that are counted by, a pattern in the place of those that share a counter.
    pub fn counted(&self, entries: &Entries<'_>) -> Vec<(String, String)> {
        let value = |(entry, shared): (Entry<'_>, &Option<Box<str>>)| {
            let pattern = shared.as_deref().map(|name| {
                let key = format!("{}_", entry.key);
                name.strip_prefix(&key).unwrap_or(name)
            });
            (entry.key.to_owned(), pattern.unwrap_or(entry.value).to_owned())
        };
        entries.iter().zip(&self.shared).map(value).collect()
    }

    /// Whether somebody else's hits are counted together with those of these entries.
    pub fn is_shared(&self) -> bool {
        self.shared.iter().any(Option::is_some)
    }
}
