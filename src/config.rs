//! Rules files, from paths to a compiled set or to every error in them.
//!
//! A file has two forms: the mirror, which is shaped like the file (`document`), and the compiled
//! rules, which know nothing of it. One error anywhere yields no set at all.

mod compile;
mod decode;
mod directory;
mod document;
mod hints;
mod per;
mod problem;
mod schema;
mod source;
mod tree;
mod words;

pub use self::schema::{directory_schema, rules_schema};
pub use self::source::Source;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::key::HashKey;
use crate::rules::{Domain, RuleSet};

use self::directory::Report;
use self::document::Document;
use self::problem::Problem;
use self::tree::Node;

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
    let parsed: Vec<_> = sources.iter().map(|source| tree::parse(&source.text)).collect();
    let directories = directory_files(sources, &parsed);
    let is_rules = |source: &Source| !directories.contains(Path::new(&source.name));
    let files = sources.iter().filter(|source| is_rules(source)).count();
    for (source, parsed) in sources.iter().zip(parsed).filter(|(source, _)| is_rules(source)) {
        let (domain, mut problems, report) = compile_one(key, source, parsed);
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
        errors += report.errors;
        error_text += &report.error_text;
    }
    let rules = match errors {
        0 => Ok(RuleSet::new(key, domains)),
        _ => {
            warnings.clear();
            Err(Rejected { text: error_text, errors })
        }
    };
    Loaded { rules, warnings, files }
}

/// What came of reading a file as a tree.
type Parsed = (Option<Node>, Vec<Problem>);

/// Files that others name as their directories. They hold rows and no rules, though they may lie
/// in a folder of rules.
fn directory_files(sources: &[Source], parsed: &[Parsed]) -> HashSet<PathBuf> {
    let from = |root: &Node| root.get("directory")?.get("from")?.text().map(str::to_owned);
    let file = |(source, (root, _)): (&Source, &Parsed)| {
        root.as_ref().and_then(from).map(|from| folder(source).join(from))
    };
    sources.iter().zip(parsed).filter_map(file).collect()
}

/// Where a file lies: paths in it are relative to this.
fn folder(source: &Source) -> &Path {
    Path::new(&source.name).parent().unwrap_or(Path::new(""))
}

/// One file's domain with the place of its name, every finding about the file, and what is wrong
/// with its directory.
fn compile_one(
    key: HashKey,
    source: &Source,
    (root, mut problems): Parsed,
) -> (Option<(Domain, problem::Span)>, Vec<Problem>, Report) {
    let Some(root) = root else {
        if problems.is_empty() {
            let remedy = "write at least `domain:` and `rules:`";
            problems.push(Problem::error(problem::Span::default(), "the file is empty", remedy));
        }
        return (None, problems, Report::default());
    };
    let decoded = decode::decode::<Document>(&root);
    problems.extend(decoded.problems);
    let Some(document) = decoded.value else { return (None, problems, Report::default()) };
    let left_out = &decoded.left_out;
    let (domain, mut found, report) = compile::compile(key, &document, left_out, folder(source));
    // What is said of a whole may follow from a part that could not be read; the part is enough.
    found.retain(|finding| !problems.iter().any(|known| finding.span.contains(known.span)));
    problems.extend(found);
    (Some((domain, document.domain.span)), problems, report)
}
