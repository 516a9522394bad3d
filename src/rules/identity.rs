//! What the identities of counters begin with, and what sets a limit's counters apart. Journals and
//! fleets keep them: another beginning would lose what was counted.

use crate::key::{HashKey, Identity, LimitTag, Prefix};
use crate::limit::Algorithm;

use super::Counted;

/// A limit's counters are set apart by its name and by how it measures, so that a limit whose
/// window changes starts anew and a state never meets a limit of another kind.
pub fn limit_tag(key: &HashKey, name: &str, algorithm: &Algorithm) -> LimitTag {
    key.tag(&[name, &algorithm.to_string()])
}

/// The start of the identities of a domain's counters that are not a rule's own: those of budgets
/// that calls bring along, and of the rules of a tree.
pub fn override_prefix(key: &HashKey, domain: &str) -> Prefix {
    key.prefix(&["override", domain])
}

/// The start of the identities of one rule's counters, up to the first value that it counts by: the
/// name of that one's entry is the same for all calls.
pub fn rule_prefix(key: &HashKey, domain: &str, counter: &str, count_by: &[Counted]) -> Prefix {
    let first = count_by.first().map(|counted| &*counted.entry);
    key.prefix(&["rule", domain, counter].into_iter().chain(first).collect::<Vec<_>>())
}

/// Whom the counters of this name belong to for which there is no room.
pub fn crowd(key: &HashKey, domain: &str, counter: &str) -> Identity {
    key.prefix(&["crowd", domain, counter]).identity()
}
