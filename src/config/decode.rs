//! From a tree to the mirror's types, by serde, without stopping at the first error.
//!
//! serde gives up at the first value it cannot read. So a value that fails is reported, left out,
//! and the whole is read again, until what remains reads well: files are small, errors are few,
//! and the types stay plain serde types.

mod decoder;
mod failure;
mod place;
mod words;

pub use self::place::{At, NotYet, Pairs};
pub use self::words::{nearest, parse_whole_number};

use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::tree::Node;

use self::decoder::{Decoder, Notes};

/// So many errors are reported for a file; whoever has more will want to mend these first.
const ERRORS_MAX: usize = 100;

/// Reads `node` as a `T`, with every problem met; nothing if not even the whole could be read.
pub fn decode<T: DeserializeOwned>(node: &Node) -> (Option<T>, Vec<Problem>) {
    let notes = Notes::default();
    while notes.problems.borrow().len() < ERRORS_MAX {
        match T::deserialize(Decoder { node, notes: &notes }) {
            Ok(value) => return (Some(value), notes.problems.into_inner()),
            Err(failure) => {
                let (at, problem) = failure.settle(node);
                notes.problems.borrow_mut().extend(problem);
                if !notes.left_out.borrow_mut().insert(at) || at == node.id {
                    break;
                }
            }
        }
    }
    (None, notes.problems.into_inner())
}
