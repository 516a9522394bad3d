//! Finds every known prefix of a value in one walk, however many prefixes there are.
//!
//! The prefixes are a tree whose branches are texts: what several begin with stands in it once.
//! A walk reads the value once, and of the tree a node for each place where prefixes part.

use std::collections::VecDeque;

use super::candidate::{Candidate, Hung};

/// Prefixes and what hangs on each.
#[derive(Debug, Default)]
pub struct PrefixIndex {
    /// The root first, and the children of one node side by side.
    nodes: Vec<Node>,
    /// The first byte of each node's text, at the same position: children are told apart by it.
    first_bytes: Vec<u8>,
    /// The texts of all nodes, one after another.
    texts: Vec<u8>,
    rules: Hung,
}

/// A text that follows upon that of the parent. Files are too short for more than 32 bits of it.
#[derive(Debug)]
struct Node {
    text_at: u32,
    text_bytes: u32,
    children_at: u32,
    /// One for each byte that may follow, at most.
    children: u16,
    /// What hangs on the prefix that ends here.
    list: u32,
}

/// Prefixes that begin alike, and how many of their bytes stand in nodes above.
type Branch<'p, 'r> = (&'p [(&'r [u8], Candidate)], usize);

impl PrefixIndex {
    pub fn new(pairs: Vec<(&str, Candidate)>) -> PrefixIndex {
        let pairs = pairs.into_iter().map(|(prefix, rule)| (prefix.as_bytes(), rule));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable();
        let mut index = PrefixIndex::default();
        let mut waiting: VecDeque<Branch<'_, '_>> = VecDeque::new();
        if !pairs.is_empty() {
            waiting.push_back((&pairs, 0));
        }
        // Breadth first, so that the children of a node come one after another.
        let mut taken = 0;
        while let Some((branch, above)) = waiting.pop_front() {
            taken += 1;
            let text_end = above + alike(branch, above);
            let here = branch.partition_point(|(prefix, _)| prefix.len() == text_end);
            let below = &branch[here..];
            let children_at = taken + waiting.len();
            waiting.extend(
                below.chunk_by(|a, b| a.0[text_end] == b.0[text_end]).map(|it| (it, text_end)),
            );
            index.push(
                &branch[0].0[above..text_end],
                &branch[..here],
                children_at,
                taken + waiting.len(),
            );
        }
        index
    }

    fn push(
        &mut self,
        text: &[u8],
        here: &[(&[u8], Candidate)],
        children_at: usize,
        children_end: usize,
    ) {
        self.nodes.push(Node {
            text_at: self.texts.len() as u32,
            text_bytes: text.len() as u32,
            children_at: children_at as u32,
            children: (children_end - children_at) as u16,
            list: self.rules.push(here.iter().map(|(_, rule)| *rule)),
        });
        self.first_bytes.push(text.first().copied().unwrap_or_default());
        self.texts.extend_from_slice(text);
    }

    /// Passes on the rules of every prefix that `value` begins with, the shortest prefix first.
    #[inline]
    pub fn find(&self, value: &str, mut found: impl FnMut(&[Candidate])) {
        let (mut rest, mut next) = (value.as_bytes(), self.nodes.first());
        while let Some(node) = next {
            let text = &self.texts[node.text_at as usize..][..node.text_bytes as usize];
            let Some(below) = rest.strip_prefix(text) else { return };
            found(self.rules.list(node.list));
            rest = below;
            next = rest.first().and_then(|byte| self.child(node, *byte));
        }
    }

    #[inline]
    fn child(&self, node: &Node, byte: u8) -> Option<&Node> {
        let start = node.children_at as usize;
        let bytes = &self.first_bytes[start..start + node.children as usize];
        let position = bytes.iter().position(|other| *other == byte)?;
        Some(&self.nodes[start + position])
    }
}

/// How many more bytes all of these share. They are sorted, so the first and the last differ first.
fn alike(branch: &[(&[u8], Candidate)], above: usize) -> usize {
    let (first, last) = (branch[0].0, branch[branch.len() - 1].0);
    let pairs = first[above..].iter().zip(&last[above..]);
    pairs.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(pairs: &[(&str, u32)]) -> PrefixIndex {
        let rule = |&(prefix, position)| (prefix, Candidate::new(position, true));
        PrefixIndex::new(pairs.iter().map(rule).collect())
    }

    fn find(index: &PrefixIndex, value: &str) -> Vec<usize> {
        let mut found = Vec::new();
        index.find(value, |rules| found.extend(rules.iter().map(|rule| rule.position())));
        found
    }

    #[test]
    fn all_prefixes_of_a_value_are_found() {
        let pairs = [("/v1/", 0), ("/v1/search", 1), ("", 2), ("/v1/export", 3), ("/v1/", 4)];
        let index = index(&pairs);
        assert_eq!(find(&index, "/v1/search/images"), [2, 0, 4, 1]);
        assert_eq!(find(&index, "/v1/"), [2, 0, 4]);
        assert_eq!(find(&index, "/v1"), [2]);
        assert_eq!(find(&index, "/v1/zebra"), [2, 0, 4]);
        assert_eq!(find(&index, ""), [2]);
    }

    #[test]
    fn no_prefixes_find_nothing() {
        assert!(find(&PrefixIndex::default(), "x").is_empty());
    }

    proptest! {
        #[test]
        fn a_walk_finds_what_a_look_at_all_of_them_does(
            prefixes in prop::collection::vec("[abé]{0,6}", 0..40),
            value in "[abé]{0,8}",
        ) {
            let pairs: Vec<_> = prefixes.iter().map(String::as_str).zip(0..).collect();
            let mut found = find(&index(&pairs), &value);
            found.sort_unstable();
            let all = pairs.iter().filter(|(prefix, _)| value.starts_with(prefix));
            let all: Vec<_> = all.map(|(_, position)| *position as usize).collect();
            prop_assert_eq!(found, all);
        }
    }
}
