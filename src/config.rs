//! Rules files, from paths to a compiled set or to every error in them.
//!
//! A file has two forms: the mirror, which is shaped like the file (`document`), and the compiled
//! rules, which know nothing of it. One error anywhere yields no set at all.

mod compile;
mod decode;
mod descriptors;
mod directory;
mod document;
mod gather;
mod hints;
mod per;
mod problem;
mod schema;
mod source;
mod tree;
mod words;

pub use self::descriptors::Months;
pub use self::schema::{directory_schema, rules_schema};
pub use self::source::Source;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::key::HashKey;
use crate::rules::{Manner, RuleSet};

use self::gather::Gathered;
use self::problem::Problem;
use self::tree::{Node, Rigour};

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

/// How files with `descriptors:` are taken, where they do not say so themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether a domain may stand in several files, each with a part of its descriptors.
    pub merge_domains: bool,
    /// How long months are.
    pub months: Months,
    /// How calls are decided.
    pub manner: Manner,
    /// Whether calls are answered with dynamic metadata.
    pub metadata: bool,
}

/// Reads and compiles files and directories of `*.yaml`.
pub fn load(key: HashKey, paths: &[PathBuf]) -> Loaded {
    load_with(key, paths, Options::default())
}

/// The same, in a manner of its own.
pub fn load_with(key: HashKey, paths: &[PathBuf], options: Options) -> Loaded {
    let (sources, unreadable) = source::read_all(paths);
    let mut loaded = compile_with(key, &sources, options);
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
    compile_with(key, sources, Options::default())
}

/// The same, in a manner of its own.
pub fn compile_with(key: HashKey, sources: &[Source], options: Options) -> Loaded {
    let parsed: Vec<_> = sources.iter().map(|source| parse(&source.text)).collect();
    let directories = directory_files(sources, &parsed);
    let is_rules = |source: &Source| !directories.contains(Path::new(&source.name));
    let mut gathered = Gathered::new(key, options, sources);
    for (number, parsed) in parsed.into_iter().enumerate() {
        if is_rules(&sources[number]) {
            gathered.add(number, parsed);
        }
    }
    gathered.finish()
}

/// What came of reading a file as a tree.
type Parsed = (Option<Node>, Vec<Problem>);

/// A file that envoyproxy/ratelimit might read is read with the rigour that it is used to.
fn parse(text: &str) -> Parsed {
    let (root, problems) = tree::parse(text);
    match &root {
        Some(root) if descriptors::are_alone(root, hints::of_rules) => {
            tree::parse_with(text, Rigour::Lenient)
        }
        _ => (root, problems),
    }
}

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
