//! Files put together: a domain from each, or one from several where that is allowed.

use std::collections::{HashMap, HashSet};

use crate::key::HashKey;
use crate::rules::{Answers, Domain, RuleSet};

use super::compile::{self, manner};
use super::decode::{self, At};
use super::descriptors::{self, Growing};
use super::directory::Report;
use super::document::{Descriptor, Document};
use super::problem::{self, Problem, Span};
use super::source::Source;
use super::tree::Node;
use super::{Loaded, Options, Parsed, Rejected, folder, hints};

/// What has been read so far.
pub struct Gathered<'s> {
    key: HashKey,
    options: Options,
    sources: &'s [Source],
    domains: Vec<Gathering>,
    by_name: HashMap<Box<str>, usize>,
    /// What is said of each file, by its number.
    said: HashMap<usize, Said>,
}

/// One domain and the files that it is read from.
struct Gathering {
    domain: Domain,
    /// Its tree, if it has `descriptors`.
    tree: Option<Growing>,
    /// Whether it has nothing but that.
    alone: bool,
    /// The file that it was first met in.
    file: usize,
}

#[derive(Default)]
struct Said {
    problems: Vec<Problem>,
    /// What is wrong with the file's directory.
    report: Report,
}

/// What one file has to say of a domain.
struct Part {
    /// Its name, where it stood.
    name: At<String>,
    /// The domain, without what stands under `descriptors`.
    domain: Domain,
    descriptors: Option<Vec<Descriptor>>,
    tree: Option<Growing>,
}

impl<'s> Gathered<'s> {
    pub fn new(key: HashKey, options: Options, sources: &'s [Source]) -> Gathered<'s> {
        let (domains, by_name, said) = (Vec::new(), HashMap::new(), HashMap::new());
        Gathered { key, options, sources, domains, by_name, said }
    }

    /// Adds the file of this number.
    pub fn add(&mut self, file: usize, (root, problems): Parsed) {
        let mut said = Said { problems, report: Report::default() };
        let Some(root) = root else {
            if said.problems.is_empty() {
                let remedy = "write at least `domain:` and `rules:`";
                said.problems.push(Problem::error(Span::default(), "the file is empty", remedy));
            }
            self.said.insert(file, said);
            return;
        };
        let alone = descriptors::are_alone(&root, hints::of_rules);
        let part = match alone {
            true => self.of_descriptors(&root, &mut said),
            false => self.of_document(file, &root, &mut said),
        };
        if let Some(part) = part {
            said.problems.extend(self.join(file, part, alone));
        }
        self.said.insert(file, said);
    }

    /// Reads a file with nothing but `descriptors`.
    fn of_descriptors(&self, root: &Node, said: &mut Said) -> Option<Part> {
        let read = descriptors::read_root(root);
        said.problems.extend(read.problems);
        let name = read.domain?;
        let answers =
            Answers { metadata: self.options.metadata.then_some(true), ..Answers::default() };
        let domain = Domain::new(&self.key, &name.value, true, Vec::new()).with_answers(answers);
        let manner = (self.options.manner, self.options.months);
        let tree = Growing::new(self.key, &name.value, manner, HashSet::new());
        Some(Part { name, domain, descriptors: Some(read.descriptors), tree: Some(tree) })
    }

    /// Reads a file with `rules` or with what goes with them.
    fn of_document(&self, file: usize, root: &Node, said: &mut Said) -> Option<Part> {
        let decoded = decode::decode::<Document>(root);
        said.problems.extend(decoded.problems);
        let document = decoded.value?;
        let (left_out, folder) = (&decoded.left_out, folder(&self.sources[file]));
        let (domain, mut found, report) = compile::compile(self.key, &document, left_out, folder);
        // What is said of a whole may follow from a part that could not be read; the part is
        // enough.
        let problems = &said.problems;
        found.retain(|finding| !problems.iter().any(|known| finding.span.contains(known.span)));
        said.problems.extend(found);
        said.report = report;
        let name = document.domain.clone();
        let manner = manner(document.descriptors_as.as_ref(), self.options, &mut said.problems);
        let (descriptors, tree) = match document.descriptors {
            Some(_) => {
                let (read, problems) = descriptors::read(root);
                said.problems.extend(problems);
                let names = domain.rules().iter().map(|rule| rule.name.clone()).collect();
                (Some(read), Some(Growing::new(self.key, &name.value, manner, names)))
            }
            None => (None, None),
        };
        Some(Part { name, domain, descriptors, tree })
    }

    /// Joins a file's part to those of other files.
    fn join(&mut self, file: usize, part: Part, alone: bool) -> Vec<Problem> {
        let Part { name, domain, descriptors, mut tree } = part;
        let descriptors = descriptors.unwrap_or_default();
        let Some(&known) = self.by_name.get(&*name.value) else {
            let problems = tree.as_mut().map(|tree| tree.add(file, &descriptors));
            self.by_name.insert(domain.name.clone(), self.domains.len());
            self.domains.push(Gathering { domain, tree, alone, file });
            return problems.unwrap_or_default();
        };
        let known = &mut self.domains[known];
        if self.options.merge_domains
            && known.alone
            && alone
            && let Some(tree) = &mut known.tree
        {
            return tree.add(file, &descriptors);
        }
        let owner = &self.sources[known.file].name;
        let what = format!("domain `{}` is defined in {owner} already", name.value);
        let mut problems =
            vec![Problem::error(name.span, what, "put all rules of a domain into one file")];
        problems
            .extend(tree.as_mut().map(|tree| tree.add(file, &descriptors)).into_iter().flatten());
        problems
    }

    /// All domains, or everything that is wrong with them.
    pub fn finish(mut self) -> Loaded {
        let mut domains = Vec::new();
        for Gathering { domain, tree, .. } in std::mem::take(&mut self.domains) {
            let Some(tree) = tree else {
                domains.push(domain);
                continue;
            };
            let (tree, leaves, warnings) = tree.finish();
            for (file, warning) in warnings {
                self.said.entry(file).or_default().problems.push(warning);
            }
            domains.push(domain.with_tree(tree, leaves));
        }
        let files = self.said.len();
        let (mut errors, mut error_text, mut warnings) = (0, String::new(), String::new());
        for (number, source) in self.sources.iter().enumerate() {
            let Some(Said { mut problems, report }) = self.said.remove(&number) else { continue };
            problems.sort_by_key(|problem| problem.span.start);
            let (against, beside): (Vec<_>, Vec<_>) =
                problems.into_iter().partition(Problem::is_error);
            errors += against.len() + report.errors;
            error_text += &problem::render_all(source, &against);
            error_text += &report.error_text;
            warnings += &problem::render_all(source, &beside);
        }
        if errors > 0 {
            warnings.clear();
        }
        let rules = match errors {
            0 => Ok(RuleSet::new(self.key, domains)),
            _ => Err(Rejected { text: error_text, errors }),
        };
        Loaded { rules, warnings, files }
    }
}
