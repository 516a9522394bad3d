//! Ids by which callers name what they charge, and what is kept of it.
//!
//! An id belongs to whoever is charged, so that two customers may use the same one: it is kept
//! under the value of the entry that the domain's directory goes by, else of an entry called
//! `key`, else under all entries.

use crate::key::Identity;
use crate::rules::{Domain, RuleSet};
use crate::store::NoteKey;
use crate::store::ledger::Kind;

use super::{Refusal, Subject};

/// An id of more bytes than this is none: the longest in use are two UUIDs and some words.
const BYTES_MAX: usize = 256;

/// The entry that names a customer where no directory says which.
pub const KEY: &str = "key";

/// The entry that names whom a domain's calls are charged to.
pub fn owner_entry(domain: &Domain) -> &str {
    domain.directory.as_ref().map_or(KEY, |directory| &directory.by)
}

/// What an id names.
pub fn identity(
    rules: &RuleSet,
    domain: &Domain,
    subject: &Subject<'_>,
    id: &str,
) -> Result<Identity, Refusal> {
    if id.is_empty() || BYTES_MAX < id.len() {
        return Err(Refusal::Invalid(format!("an id has 1 to {BYTES_MAX} bytes")));
    }
    let entry = owner_entry(domain);
    if let Some(owner) = subject.entries.get(entry) {
        return Ok(rules.identity(&["id", &domain.name, entry, owner, id]));
    }
    let entries = sorted(subject);
    let mut parts = vec!["id of entries", &*domain.name];
    parts.extend(entries.iter().flat_map(|&(key, value)| [key, value]));
    parts.push(id);
    Ok(rules.identity(&parts))
}

/// A fingerprint of what is asked under an id, whatever the order of its entries.
pub fn arguments(rules: &RuleSet, subject: &Subject<'_>, asked: [&str; 3]) -> u64 {
    let entries = sorted(subject);
    let mut parts = vec!["arguments", subject.domain];
    parts.extend(asked);
    parts.extend(entries.iter().flat_map(|&(key, value)| [key, value]));
    rules.identity(&parts).to_u128() as u64
}

/// The note about what was done under an id.
pub fn receipt(identity: Identity) -> NoteKey {
    NoteKey::of_identity(Kind::Receipt, identity)
}

fn sorted<'a>(subject: &Subject<'a>) -> Vec<(&'a str, &'a str)> {
    let mut entries: Vec<_> =
        subject.entries.distinct().map(|entry| (entry.key, entry.value)).collect();
    entries.sort_unstable();
    entries
}
