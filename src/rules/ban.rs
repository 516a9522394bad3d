//! A rule that keeps somebody out: for what, for how long, and whom.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::guard::Terms;
use crate::key::{Identity, Prefix};
use crate::query::Entries;

use super::Rule;

#[derive(Debug)]
pub struct Ban {
    pub terms: Terms,
    /// The start of the keys of this rule's bans.
    pub prefix: Prefix,
    /// The start of the hashes of values, where different ones are counted.
    pub values: Prefix,
    fallen: AtomicU64,
}

/// The number stands alone: no other memory is published through it.
const RELAXED: Ordering = Ordering::Relaxed;

impl Ban {
    pub fn new(terms: Terms, prefix: Prefix, values: Prefix) -> Ban {
        Ban { terms, prefix, values, fallen: AtomicU64::new(0) }
    }

    /// How many bans have fallen since these rules were loaded.
    pub fn fallen(&self) -> u64 {
        self.fallen.load(RELAXED)
    }

    pub fn falls(&self) {
        self.fallen.fetch_add(1, RELAXED);
    }

    /// Under which hash a value is counted as one of several.
    pub fn hash(&self, value: &str) -> u64 {
        let mut prefix = self.values.clone();
        prefix.push(value);
        // Fingerprints are uniform, and so is each half of one.
        prefix.identity().to_u128() as u64
    }
}

impl Rule {
    /// Whom a ban of this rule keeps out: whoever has these values of what it counts by, be the
    /// rule for the call or not. None where a value is absent, or the rule has no bans.
    pub fn banned_identity(&self, entries: &Entries<'_>) -> Option<Identity> {
        let mut prefix = self.ban.as_ref()?.prefix.clone();
        for counted in &self.count_by {
            prefix.push(&counted.entry);
            prefix.push(&counted.value(entries.get(&counted.entry)?));
        }
        Some(prefix.identity())
    }
}
