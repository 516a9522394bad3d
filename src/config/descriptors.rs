//! Files of envoyproxy/ratelimit, whose rules stand under `descriptors:`, with the meaning that
//! they have there.
//!
//! What that server accepts is accepted, what it rejects is an error with a place, and where it is
//! silent though a file can hardly mean what it says there are warnings. Compiles to the rules of
//! a tree; knows nothing of the other dialect.

mod ambiguity;
mod grow;
mod keys;
mod limit;
mod metadata;
mod path;
mod read;
mod scalar;

pub use self::grow::Growing;
pub use self::limit::Months;
pub use self::read::{read, read_root};

use super::tree::{Node, Value};

/// The key that rules of this dialect stand under.
pub const DESCRIPTORS: &str = "descriptors";

/// Whether a file is one that envoyproxy/ratelimit might read: it has no key that only the other
/// dialect has. Such a file is read with the rigour that it is used to.
pub fn are_alone(root: &Node, of_others: impl Fn(&str) -> bool) -> bool {
    let Value::Map(pairs) = &root.value else { return false };
    let has = |key: &str| pairs.iter().any(|pair| pair.key.text == key);
    has(DESCRIPTORS) && !pairs.iter().any(|pair| of_others(&pair.key.text))
}
