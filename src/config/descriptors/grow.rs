//! From the mirror of `descriptors:` to a tree and its rules.
//!
//! A domain's tree may grow from several files. Never stops at an error: what cannot be compiled is
//! left out, and the caller uses the result only if nothing was found.

use std::collections::HashSet;

use crate::config::decode::At;
use crate::config::document::Descriptor;
use crate::config::problem::Problem;
use crate::key::{HashKey, Prefix};
use crate::rules::{
    Bound, Force, Leaf, Limits, Manner, Rule, SHARE_WHOLE, STAR, Tree, override_prefix,
};

use super::ambiguity::{self, Sibling};
use super::limit::{self, Common, Months};
use super::path::Path;

/// The tree of one domain.
#[derive(Debug)]
pub struct Growing {
    key: HashKey,
    prefix: Prefix,
    domain: String,
    months: Months,
    tree: Tree,
    leaves: Vec<Rule>,
    /// What the rules are called, so that no two share a name.
    names: HashSet<Box<str>>,
    /// What limits are called.
    limits: HashSet<String>,
    /// What limits replace, each with the file that it stands in.
    replaced: Vec<(usize, At<String>)>,
    /// The children of the root, from all files.
    top: Vec<Sibling>,
    problems: Vec<Problem>,
    file: usize,
}

impl Growing {
    /// A tree without rules. `names` are those of the domain's other rules.
    pub fn new(
        key: HashKey,
        domain: &str,
        (manner, months): (Manner, Months),
        names: HashSet<Box<str>>,
    ) -> Growing {
        Growing {
            key,
            prefix: override_prefix(&key, domain),
            domain: domain.to_owned(),
            months,
            tree: Tree::new(manner),
            leaves: Vec::new(),
            names,
            limits: HashSet::new(),
            replaced: Vec::new(),
            top: Vec::new(),
            problems: Vec::new(),
            file: 0,
        }
    }

    /// Adds the rules of a file, which bears this number, and returns what is wrong with them.
    pub fn add(&mut self, file: usize, descriptors: &[Descriptor]) -> Vec<Problem> {
        self.file = file;
        let mut top = std::mem::take(&mut self.top);
        let known = top.len();
        self.level(&Path::root(), descriptors, &mut top);
        self.problems.extend(ambiguity::warnings(&top, known));
        self.top = top;
        std::mem::take(&mut self.problems)
    }

    /// The whole tree, its rules, and what only the whole shows, with the number of its file.
    pub fn finish(self) -> (Tree, Vec<Rule>, Vec<(usize, Problem)>) {
        let nothing = |(_, name): &(usize, At<String>)| !self.limits.contains(&name.value);
        let warning = |(file, name): (usize, At<String>)| {
            let what = format!("no limit is called `{}`, so nothing is replaced", name.value);
            (file, Problem::warning(name.span, what, "give the limit that is meant this `name`"))
        };
        let warnings = self.replaced.into_iter().filter(nothing).map(warning);
        (self.tree, self.leaves, warnings.collect())
    }

    /// Adds the children of a node. Those that stand there already are `siblings`.
    fn level(&mut self, parent: &Path, descriptors: &[Descriptor], siblings: &mut Vec<Sibling>) {
        for descriptor in descriptors {
            if descriptor.key.value.is_empty() {
                let remedy = "write `key: …` with the key of an entry";
                let what = "the descriptor has no `key`";
                self.problems.push(Problem::error(descriptor.key.span, what, remedy));
                continue;
            }
            let name = descriptor.to_string();
            let Some(node) = self.tree.branch(parent.node, &name) else {
                let path = parent.to(parent.node, descriptor).dotted();
                let what = format!("`{}.{path}` stands here twice", self.domain);
                let remedy = "put what belongs to it into one; `key` and `value` are compared \
                              joined by `_`";
                self.problems.push(Problem::error(descriptor.span, what, remedy));
                continue;
            };
            siblings.push(Sibling::of(descriptor));
            self.node(&parent.to(node, descriptor), descriptor);
        }
    }

    fn node(&mut self, path: &Path, descriptor: &Descriptor) {
        self.shares(descriptor);
        let name = self.unique(path.plain());
        let common = Common {
            key: &self.key,
            domain: &self.domain,
            charge: self.tree.manner.charge,
            months: self.months,
        };
        let limit = common.limit(descriptor, &name, &mut self.problems);
        self.note_names(descriptor);
        self.modes(descriptor);
        self.statistics(descriptor);
        if let Some(bound) = limit::bound(descriptor) {
            let rule = self.rule(name, path, descriptor, (bound, limit));
            // Files are bounded far below what 32 bits count.
            self.tree.bear(path.node, u32::try_from(self.leaves.len()).unwrap_or(u32::MAX));
            self.leaves.push(rule);
        }
        let mut siblings = Vec::new();
        self.level(path, &descriptor.descriptors, &mut siblings);
        self.problems.extend(ambiguity::warnings(&siblings, 0));
    }

    fn rule(
        &self,
        name: Box<str>,
        path: &Path,
        descriptor: &Descriptor,
        (bound, limit): (Bound, Option<crate::limit::Limit>),
    ) -> Rule {
        let said = descriptor.rate_limit.as_ref().map(|limit| &limit.value);
        let of_limit = said.and_then(|said| said.name.as_ref());
        let replaced = said.into_iter().flat_map(|said| &said.replaces);
        let leaf = Leaf {
            name: of_limit.map(|name| name.value.as_str().into()).unwrap_or_default(),
            shared: path.shared(),
            replaces: replaced.map(|it| it.name.value.as_str().into()).collect(),
            bound,
            quota: descriptor.quota_mode.as_ref().is_some_and(|it| it.value),
            metadata: descriptor.metadata.as_ref().map(|it| Box::new(it.value.clone())),
        };
        Rule {
            counter: name.clone(),
            name,
            conditions: Box::default(),
            count_by: Box::default(),
            costs: Box::default(),
            limits: Limits::Own(limit.into_iter().collect()),
            prefix: self.prefix.clone(),
            answers: None,
            // Any call may give back, as in the format's own server.
            refundable: true,
            replaces: Box::default(),
            force: Force::of(SHARE_WHOLE),
            hold: None,
            dedupe: None,
            ban: None,
            leaf: Some(Box::new(leaf)),
            plain: false,
        }
    }

    /// A name that no other rule of the domain has.
    fn unique(&mut self, wanted: String) -> Box<str> {
        let mut name: Box<str> = wanted.as_str().into();
        let mut times = 1;
        while !self.names.insert(name.clone()) {
            times += 1;
            name = format!("{wanted}~{times}").into();
        }
        name
    }

    fn shares(&mut self, descriptor: &Descriptor) {
        if let Some(At { span, value: true }) = descriptor.share_threshold
            && !descriptor.to_string().contains(STAR)
        {
            let what = format!("`{descriptor}` is no pattern whose values could share a counter");
            let remedy = "write a `*` into the value, or take `share_threshold` out";
            self.problems.push(Problem::error(span, what, remedy));
        }
    }

    fn note_names(&mut self, descriptor: &Descriptor) {
        let Some(limit) = descriptor.rate_limit.as_ref().map(|limit| &limit.value) else { return };
        // What is unlimited cannot be replaced.
        if limit.unlimited.as_ref().is_none_or(|it| !it.value) {
            self.limits.extend(limit.name.as_ref().map(|name| name.value.clone()));
        }
        let named = limit.replaces.iter().filter(|it| !it.name.value.is_empty());
        self.replaced.extend(named.map(|it| (self.file, it.name.clone())));
    }

    /// Names of statistics, which are none yet.
    fn statistics(&mut self, descriptor: &Descriptor) {
        let keys = [
            ("detailed_metric", &descriptor.detailed_metric),
            ("value_to_metric", &descriptor.value_to_metric),
        ];
        for (key, said) in keys {
            if let Some(At { span, value: true }) = said {
                let what =
                    format!("`{key}` has no effect yet: metrics do not tell descriptors apart");
                let remedy = "leave it for the release that does; decisions are the same";
                self.problems.push(Problem::warning(*span, what, remedy));
            }
        }
    }

    /// Modes of a limit that is not there.
    fn modes(&mut self, descriptor: &Descriptor) {
        if limit::bound(descriptor) == Some(Bound::Limited) {
            return;
        }
        let modes =
            [("shadow_mode", &descriptor.shadow_mode), ("quota_mode", &descriptor.quota_mode)];
        for (key, mode) in modes {
            if let Some(At { span, value: true }) = mode {
                let what = format!("`{key}` has no effect: `{descriptor}` has no limit here");
                let remedy = "write it beside the `rate_limit` that it is for; it is not inherited";
                self.problems.push(Problem::warning(*span, what, remedy));
            }
        }
    }
}
