//! Children of a node that are patterns, found by the text that they begin with.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::rules::pattern::Wildcard;

use super::NodeId;

/// Patterns in file order.
#[derive(Debug, Default)]
pub struct Patterns {
    list: Vec<(Wildcard, NodeId)>,
    /// Positions by what the patterns begin with, so that a name meets few that it cannot match.
    by_first: HashMap<Box<str>, Vec<u32>, RandomState>,
    /// How long these beginnings are: far fewer than there are patterns.
    lengths: Vec<usize>,
}

impl Patterns {
    pub fn push(&mut self, pattern: Wildcard, node: NodeId) {
        let first = pattern.prefix();
        if !self.lengths.contains(&first.len()) {
            self.lengths.push(first.len());
        }
        // Files are bounded far below what 32 bits count.
        let position = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.by_first.entry(first.into()).or_default().push(position);
        self.list.push((pattern, node));
    }

    /// The first pattern in file order that a name matches.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        let beginnings = self.lengths.iter().filter_map(|&length| name.get(..length));
        let lists = beginnings.filter_map(|first| self.by_first.get(first));
        let matches = |position: &u32| self.list[*position as usize].0.matches(name);
        let first = lists.filter_map(|list| list.iter().copied().find(matches)).min()?;
        Some(self.list[first as usize].1)
    }
}
