//! The rules of `descriptors:`: a tree that the entries of a call are walked down, in order.
//!
//! A node is found by the joined name of an entry, `key_value`: first the child of exactly that
//! name, then the first pattern in file order that it matches, then the child named by the key
//! alone. No step is ever taken back. Knows neither the file format nor what a rule decides.

mod leaf;
mod name;
mod patterns;

pub use self::leaf::{Bound, Leaf, Metadata};
pub use self::name::with_name;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::limit::Charge;
use crate::query::Entries;

use super::pattern::Wildcard;

use self::patterns::Patterns;

/// What a name may hold to stand for more than itself.
pub const STAR: char = '*';

#[derive(Debug)]
pub struct Tree {
    /// The root is the first.
    nodes: Vec<Node>,
    pub manner: Manner,
}

/// How the calls of a domain with a tree are decided, beside what each rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Whether calls are charged whatever the verdict, as the format has it.
    pub charge: Charge,
    /// Whether every limit is as if it were marked as a quota.
    pub quota: bool,
    /// Whether no call is refused: what would be shows in the statuses alone.
    pub shadow: bool,
}

/// A node by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u32);

#[derive(Debug, Default)]
struct Node {
    /// All children, patterns under their own text.
    children: HashMap<Box<str>, NodeId, RandomState>,
    /// Those among the children that are patterns.
    patterns: Patterns,
    /// The rule of a descriptor whose last entry leads here, by its position in the domain.
    rule: Option<u32>,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { charge: Charge::Always, quota: false, shadow: false }
    }
}

impl Manner {
    /// Whether calls are decided as the format has it.
    pub fn is_usual(self) -> bool {
        self == Manner::default()
    }
}

impl Tree {
    pub const ROOT: NodeId = NodeId(0);

    pub fn new(manner: Manner) -> Tree {
        Tree { nodes: vec![Node::default()], manner }
    }

    /// A further child of a node; none if it has one of this name.
    pub fn branch(&mut self, parent: NodeId, name: &str) -> Option<NodeId> {
        // Files are bounded far below what 32 bits count.
        let child = NodeId(u32::try_from(self.nodes.len()).ok()?);
        let node = &mut self.nodes[parent.0 as usize];
        if node.children.contains_key(name) {
            return None;
        }
        node.children.insert(name.into(), child);
        if let Some(pattern) = Wildcard::unescaped(name) {
            node.patterns.push(pattern, child);
        }
        self.nodes.push(Node::default());
        Some(child)
    }

    /// Descriptors that end at a node are for the rule at this position.
    pub fn bear(&mut self, node: NodeId, rule: u32) {
        self.nodes[node.0 as usize].rule = Some(rule);
    }

    /// Counts rules from `first` on.
    pub(super) fn count_from(&mut self, first: u32) {
        for node in &mut self.nodes {
            node.rule = node.rule.map(|rule| first + rule);
        }
    }

    /// The rule that the entries lead to, by its position.
    pub fn find(&self, entries: &Entries<'_>) -> Option<u32> {
        let mut node = &self.nodes[0];
        for entry in entries.iter() {
            let child = with_name(entry, |name| node.child(name, entry.key))?;
            node = &self.nodes[child.0 as usize];
        }
        node.rule
    }
}

impl Node {
    fn child(&self, name: &str, key: &str) -> Option<NodeId> {
        let exact = || self.children.get(name).copied();
        let of_key = || self.children.get(key).copied();
        exact().or_else(|| self.patterns.find(name)).or_else(of_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of one level, whose children bear rules in order.
    fn level(names: &[&str]) -> Tree {
        let mut tree = Tree::new(Manner::default());
        for (rule, name) in (0u32..).zip(names) {
            let node = tree.branch(Tree::ROOT, name).expect("names differ");
            tree.bear(node, rule);
        }
        tree
    }

    fn find(tree: &Tree, entries: &[(&str, &str)]) -> Option<u32> {
        tree.find(&entries.iter().copied().collect())
    }

    #[test]
    fn exact_names_outrank_patterns_and_these_the_key_alone() {
        let tree = level(&["path", "path_/v1/*", "path_/v1/users", "path_/*"]);
        assert_eq!(find(&tree, &[("path", "/v1/users")]), Some(2));
        assert_eq!(find(&tree, &[("path", "/v1/orders")]), Some(1));
        assert_eq!(find(&tree, &[("path", "/v2")]), Some(3));
        assert_eq!(find(&tree, &[("path", "v2")]), Some(0));
        assert_eq!(find(&tree, &[("method", "GET")]), None);
        assert_eq!(find(&tree, &[]), None);
    }

    #[test]
    fn the_first_pattern_in_file_order_is_taken_however_long_another_is() {
        let tree = level(&["a_*", "a_b*", "a_*c"]);
        assert_eq!(find(&tree, &[("a", "bc")]), Some(0));
        let tree = level(&["a_*c", "a_b*", "a_*"]);
        assert_eq!(find(&tree, &[("a", "bc")]), Some(0));
        assert_eq!(find(&tree, &[("a", "bd")]), Some(1));
    }

    #[test]
    fn no_step_is_taken_back() {
        let mut tree = Tree::new(Manner::default());
        let exact = tree.branch(Tree::ROOT, "a_1").expect("new");
        let any = tree.branch(Tree::ROOT, "a").expect("new");
        let below = tree.branch(any, "b").expect("new");
        tree.bear(exact, 0);
        tree.bear(below, 1);
        assert_eq!(find(&tree, &[("a", "2"), ("b", "x")]), Some(1));
        assert_eq!(find(&tree, &[("a", "1"), ("b", "x")]), None);
        assert_eq!(find(&tree, &[("a", "2")]), None);
    }

    #[test]
    fn names_are_what_is_compared() {
        let tree = level(&["a_b_c", "key_1", "foo_b*"]);
        assert_eq!(find(&tree, &[("a_b", "c")]), find(&tree, &[("a", "b_c")]));
        assert_eq!(find(&tree, &[("key", "1")]), Some(1));
        assert_eq!(find(&tree, &[("foo_bar", "x")]), Some(2));
    }
}
