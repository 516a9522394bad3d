//! Finds every known prefix of a value in one search, however many prefixes there are.

/// Prefixes and what hangs on each.
#[derive(Debug, Default)]
pub struct PrefixIndex {
    /// In byte order.
    nodes: Box<[Node]>,
}

#[derive(Debug)]
struct Node {
    prefix: Box<str>,
    /// The longest other prefix that this one begins with.
    parent: Option<usize>,
    rules: Vec<u32>,
}

impl PrefixIndex {
    pub fn new(mut pairs: Vec<(&str, u32)>) -> PrefixIndex {
        pairs.sort_unstable();
        let mut nodes: Vec<Node> = Vec::new();
        for (prefix, rule) in pairs {
            match nodes.last_mut() {
                Some(node) if *node.prefix == *prefix => node.rules.push(rule),
                _ => {
                    let parent = ancestor(&nodes, nodes.len().checked_sub(1), prefix);
                    nodes.push(Node { prefix: prefix.into(), parent, rules: vec![rule] });
                }
            }
        }
        PrefixIndex { nodes: nodes.into() }
    }

    /// The rules of every prefix that `value` begins with, the longest prefix first.
    ///
    /// Of the prefixes that sort up to `value` the last one either is a prefix of it or shares
    /// all of the value's prefixes as ancestors: anything sorted between a prefix of the value
    /// and the value itself begins with that prefix.
    pub fn find(&self, value: &str) -> impl Iterator<Item = u32> + '_ {
        let up_to = self.nodes.partition_point(|node| *node.prefix <= *value);
        let longest = ancestor(&self.nodes, up_to.checked_sub(1), value);
        let chain = std::iter::successors(longest, |&node| self.nodes[node].parent);
        chain.flat_map(|node| self.nodes[node].rules.iter().copied())
    }
}

/// The first node from `start` upwards that `value` begins with.
fn ancestor(nodes: &[Node], start: Option<usize>, value: &str) -> Option<usize> {
    std::iter::successors(start, |&node| nodes[node].parent)
        .find(|&node| value.starts_with(&*nodes[node].prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_prefixes_of_a_value_are_found() {
        let pairs = [("/v1/", 0), ("/v1/search", 1), ("", 2), ("/v1/export", 3), ("/v1/", 4)];
        let index = PrefixIndex::new(pairs.to_vec());
        let find = |value| index.find(value).collect::<Vec<_>>();
        assert_eq!(find("/v1/search/images"), [1, 0, 4, 2]);
        assert_eq!(find("/v1/"), [0, 4, 2]);
        assert_eq!(find("/v1"), [2]);
        assert_eq!(find("/v1/zebra"), [0, 4, 2]);
        assert_eq!(find(""), [2]);
    }

    #[test]
    fn no_prefixes_find_nothing() {
        assert_eq!(PrefixIndex::default().find("x").count(), 0);
    }
}
