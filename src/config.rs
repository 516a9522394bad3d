//! Rules files, from paths to a compiled set or to every error in them.
//!
//! A file has two forms: the mirror, which is shaped like the file (`document`), and the compiled
//! rules, which know nothing of it. One error anywhere yields no set at all.

mod compile;
mod decode;
mod document;
mod per;
mod problem;
mod source;
mod tree;

pub use self::source::Source;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::key::HashKey;
use crate::rules::{Domain, RuleSet};

use self::document::Document;
use self::problem::Problem;

/// What came of reading rules.
#[derive(Debug)]
pub struct Loaded {
    /// The compiled rules, if nothing stands against them.
    pub rules: Result<RuleSet, Rejected>,
    /// Warnings for people, rendered. Empty if there are none, or errors to mend first: what
    /// looks odd beside an error is often its consequence.
    pub warnings: String,
    pub files: usize,
}

/// Why rules were not loaded: every error of every file.
#[derive(Debug, thiserror::Error)]
#[error("{text}{count} in the rules", count = count(*errors))]
pub struct Rejected {
    text: String,
    pub errors: usize,
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 error".into() } else { format!("{errors} errors") }
}

/// Reads and compiles files and directories of `*.yaml`.
pub fn load(key: HashKey, paths: &[PathBuf]) -> Loaded {
    let (sources, unreadable) = source::read_all(paths);
    let mut loaded = compile_all(key, &sources);
    if !unreadable.is_empty() {
        let mut text: String =
            unreadable.iter().map(|error| format!("error: {error}\n\n")).collect();
        let mut errors = unreadable.len();
        if let Err(rejected) = loaded.rules {
            text += &rejected.text;
            errors += rejected.errors;
        }
        loaded.rules = Err(Rejected { text, errors });
    }
    loaded
}

/// Compiles files that are read already.
pub fn compile_all(key: HashKey, sources: &[Source]) -> Loaded {
    let mut domains = Vec::new();
    let mut owners: HashMap<Box<str>, &str> = HashMap::new();
    let (mut errors, mut error_text, mut warnings) = (0, String::new(), String::new());
    for source in sources {
        let (domain, mut problems) = compile_one(key, source);
        if let Some((domain, at)) = domain {
            if let Some(owner) = owners.insert(domain.name.clone(), &source.name) {
                let what = format!("domain `{}` is defined in {owner} already", domain.name);
                let remedy = "put all rules of a domain into one file";
                problems.push(Problem::error(at, what, remedy));
            }
            domains.push(domain);
        }
        problems.sort_by_key(|problem| problem.span.start);
        let (against, beside): (Vec<_>, Vec<_>) = problems.into_iter().partition(Problem::is_error);
        errors += against.len();
        error_text += &problem::render_all(source, &against);
        warnings += &problem::render_all(source, &beside);
    }
    let rules = match errors {
        0 => Ok(RuleSet::new(key, domains)),
        _ => {
            warnings.clear();
            Err(Rejected { text: error_text, errors })
        }
    };
    Loaded { rules, warnings, files: sources.len() }
}

/// One file's domain with the place of its name, and every finding about the file.
fn compile_one(key: HashKey, source: &Source) -> (Option<(Domain, problem::Span)>, Vec<Problem>) {
    let (root, mut problems) = tree::parse(&source.text);
    let Some(root) = root else {
        if problems.is_empty() {
            let remedy = "write at least `domain:` and `rules:`";
            problems.push(Problem::error(problem::Span::default(), "the file is empty", remedy));
        }
        return (None, problems);
    };
    let decoded = decode::decode::<Document>(&root);
    problems.extend(decoded.problems);
    let Some(document) = decoded.value else { return (None, problems) };
    let folder = Path::new(&source.name).parent().unwrap_or(Path::new(""));
    let (domain, mut found) = compile::compile(key, &document, &decoded.left_out, folder);
    // What is said of a whole may follow from a part that could not be read; the part is enough.
    found.retain(|finding| !problems.iter().any(|known| finding.span.contains(known.span)));
    problems.extend(found);
    (Some((domain, document.domain.span)), problems)
}
