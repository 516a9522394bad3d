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

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::tree::Node;

use self::decoder::{Decoder, Notes};

/// So many errors are reported for a file; whoever has more will want to mend these first.
const ERRORS_MAX: usize = 100;

/// What could be read of a tree.
#[derive(Debug)]
pub struct Decoded<T> {
    /// Nothing if not even the whole could be read.
    pub value: Option<T>,
    pub problems: Vec<Problem>,
    /// Keys whose values could not be read and were left out.
    pub left_out: HashSet<String>,
}

/// Reads `node` as a `T`, with every problem met.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Decoded<T> {
    let notes = Notes::default();
    let value = read(node, &notes);
    let mut problems = notes.problems.into_inner();
    if ERRORS_MAX <= problems.len() {
        let what = format!("only the first {ERRORS_MAX} errors of this file are shown");
        problems.push(Problem::error(node.span, what, "mend these first"));
    }
    Decoded { value, problems, left_out: notes.left_out_keys.into_inner() }
}

fn read<T: DeserializeOwned>(node: &Node, notes: &Notes) -> Option<T> {
    while notes.problems.borrow().len() < ERRORS_MAX {
        match T::deserialize(Decoder { node, notes }) {
            Ok(value) => return Some(value),
            Err(failure) => {
                let (at, problem) = failure.settle(node);
                notes.problems.borrow_mut().extend(problem);
                if !notes.left_out.borrow_mut().insert(at) || at == node.id {
                    break;
                }
            }
        }
    }
    None
}
