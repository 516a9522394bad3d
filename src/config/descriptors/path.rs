//! The way from the root to a node: what it is called, and how it counts.

use crate::config::document::Descriptor;
use crate::rules::{NodeId, Tree};

/// Names go into metrics and headers: what would break those is written as this.
const PLAIN: char = '_';

/// A node's place in the tree.
#[derive(Clone, Debug)]
pub struct Path {
    pub node: NodeId,
    /// Joined names from the root on.
    names: Vec<String>,
    /// For each of them, whether it is counted by that name in place of a call's own.
    shared: Vec<bool>,
}

impl Path {
    pub fn root() -> Path {
        Path { node: Tree::ROOT, names: Vec::new(), shared: Vec::new() }
    }

    /// The way to a child.
    pub fn to(&self, node: NodeId, descriptor: &Descriptor) -> Path {
        let (mut names, mut shared) = (self.names.clone(), self.shared.clone());
        names.push(descriptor.to_string());
        shared.push(descriptor.share_threshold.as_ref().is_some_and(|it| it.value));
        Path { node, names, shared }
    }

    /// The path as people read it, with dots between its names.
    pub fn dotted(&self) -> String {
        self.names.join(".")
    }

    /// The same, without what a header or a label cannot hold.
    pub fn plain(&self) -> String {
        let fits = |char: char| char.is_ascii_graphic() && !matches!(char, '"' | '\\' | ',' | ';');
        self.dotted().chars().map(|char| if fits(char) { char } else { PLAIN }).collect()
    }

    /// The names that are counted in place of a call's own.
    pub fn shared(&self) -> Box<[Option<Box<str>>]> {
        let shared = |(name, &shared): (&String, &bool)| shared.then(|| name.as_str().into());
        self.names.iter().zip(&self.shared).map(shared).collect()
    }
}
