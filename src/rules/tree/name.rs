//! The joined name of an entry.

use std::cell::RefCell;

use crate::query::Entry;

thread_local! {
    /// Where names are joined. It grows to the longest entry that a call may have, and no further.
    static JOINED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Uses `key_value`: what an entry is called in a `descriptors:` file. Entries of one name are one
/// to the tree and to its counters, wherever key and value part.
///
/// `use_it` must not ask for another name meanwhile.
pub fn with_name<R>(entry: Entry<'_>, use_it: impl FnOnce(&str) -> R) -> R {
    JOINED.with_borrow_mut(|name| {
        name.clear();
        name.push_str(entry.key);
        name.push('_');
        name.push_str(entry.value);
        use_it(name)
    })
}
