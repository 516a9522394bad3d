//! From the mirror of a file to compiled rules, with every finding on the way.
//!
//! Finds what the words mean and whether they fit together. Never stops at an error: what cannot
//! be compiled is left out, and the caller uses the result only if nothing was found.

mod again;
mod alert;
mod answer;
mod ban;
mod condition;
mod counted;
mod counter;
mod descriptors;
mod directory;
mod exceed;
mod limit;
mod list;
mod rule;
mod template;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use jiff::tz::TimeZone;

use crate::key::HashKey;
use crate::rules::{Domain, Unmatched};

use super::decode::{At, Pairs, nearest};
use super::directory::Report;
use super::document::{Document, Plan};
use super::problem::{Problem, Span};
use super::words;

use self::alert::Alerts;
use self::counter::Measured;
pub use self::descriptors::manner;
pub use self::limit::PlanLimit;
use self::list::Lists;

/// Names go into metrics, headers and messages unescaped, so they are kept plain.
pub const NAME_CHARS_MAX: usize = 64;
pub const NAME_REMEDY: &str = "use letters, digits, `-` and `_`, at most 64 of them";

/// A word that a key has no meaning for.
fn unknown_word(span: Span, word: &str, key: &str, known: &[&str]) -> Problem {
    let remedy = match nearest(word, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("write one of: {}", known.join(", ")),
    };
    Problem::error(span, format!("`{word}` is no value of `{key}`"), remedy)
}

/// What all parts of one file are compiled with.
pub struct Compiler<'d> {
    key: HashKey,
    zone: TimeZone,
    pub domain: &'d str,
    document: &'d Document,
    plans: &'d [(At<String>, Plan)],
    lists: Lists<'d>,
    measured: Vec<Measured>,
    /// Keys whose values could not be read: what they would have defined is not to be missed.
    left_out: &'d HashSet<String>,
    /// Where the file lies: paths in it are relative to this.
    folder: &'d Path,
    alerts: Alerts,
    /// Where the longest of the waits stands that are longer than proxies wait by themselves.
    longest_wait: Option<(Span, u32)>,
    pub findings: Vec<Problem>,
}

/// Compiles one file, of which some keys may have been left out because they cannot be read.
pub fn compile(
    key: HashKey,
    document: &Document,
    left_out: &HashSet<String>,
    folder: &Path,
) -> (Domain, Vec<Problem>, Report) {
    let plans = document.plans.as_ref().map_or(&[][..], |Pairs(plans)| plans);
    let mut compiler = Compiler {
        key,
        zone: TimeZone::UTC,
        domain: &document.domain.value,
        document,
        plans,
        lists: Lists::new(document.lists.as_ref()),
        measured: Vec::new(),
        left_out,
        folder,
        alerts: Alerts::default(),
        longest_wait: None,
        findings: Vec::new(),
    };
    compiler.head(document);
    compiler.targets(document);
    compiler.plans();
    compiler.lists();
    let rules = compiler.rules(document);
    compiler.unused_lists();
    compiler.long_waits();
    compiler.unused_targets(document);
    let directory = document.directory.as_ref();
    let (directory, report) = directory.map(|it| compiler.directory(it, &rules)).unzip();
    let mut domain = Domain::new(&key, &document.domain.value, document.overrides, rules);
    let told = answer::Told {
        headers: document.headers.as_ref(),
        metadata: document.metadata,
        on_refusal: document.on_refusal.as_ref(),
    };
    domain = domain.with_answers(compiler.answers(told));
    compiler.findings.extend(descriptors::beside_directory(document));
    compiler.findings.extend(descriptors::without_descriptors(document));
    compiler.shown(document, &domain);
    domain.unmatched = compiler.unmatched(document.unmatched.as_ref());
    domain.my_usage = document.my_usage;
    domain = domain.with_secrets(key, secret_entries(document));
    domain.alerts = std::mem::take(&mut compiler.alerts.targets);
    domain.directory = directory;
    (domain, compiler.findings, report.unwrap_or_default())
}

impl<'d> Compiler<'d> {
    pub fn error(&mut self, span: Span, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Problem::error(span, what, remedy));
    }

    pub fn warning(&mut self, span: Span, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Problem::warning(span, what, remedy));
    }

    fn head(&mut self, document: &Document) {
        if document.domain.value.is_empty() {
            let remedy = "write the domain that the proxy's configuration names";
            self.error(document.domain.span, "the domain is empty", remedy);
        }
        let Some(zone) = &document.time_zone else { return };
        match TimeZone::get(&zone.value) {
            Ok(found) => self.zone = found,
            Err(_) => {
                let what = format!("`{}` is not a known time zone", zone.value);
                self.error(zone.span, what, "use an IANA name, such as UTC or Europe/Berlin");
            }
        }
    }

    fn unmatched(&mut self, word: Option<&At<String>>) -> Unmatched {
        let Some(At { span, value }) = word else { return Unmatched::Pass };
        match value.as_str() {
            "pass" => Unmatched::Pass,
            "deny" => Unmatched::Refuse,
            other => {
                self.unknown_word(*span, other, "unmatched", &words::UNMATCHED);
                Unmatched::Pass
            }
        }
    }

    /// Checks the plans by themselves; each rule compiles the limits for its own counters.
    fn plans(&mut self) {
        let mut known: HashMap<String, (PlanLimit, &str)> = HashMap::new();
        for (name, plan) in self.plans {
            if name.value.is_empty() || name.value == rule::REFUSE {
                let what = format!("a plan cannot be called `{}`", name.value);
                self.error(name.span, what, "choose another name");
            }
            for (limit, span) in self.plan_limits("", plan) {
                let Some((other, owner)) = known.get(&limit.name) else {
                    known.insert(limit.name.clone(), (limit, &name.value));
                    continue;
                };
                if other.measured != limit.measured {
                    let what = format!(
                        "limit `{}` measures otherwise than in plan `{owner}`, yet a key that \
                         changes plans keeps one counter",
                        limit.name
                    );
                    let remedy = "give both one window, algorithm and `archive`, or two names";
                    self.error(span, what, remedy);
                }
            }
        }
    }

    /// Whether there is such a plan, or may be one that could not be read.
    pub fn plan_named(&self, name: &str) -> bool {
        let unread = self.left_out.contains(name) || self.left_out.contains("plans");
        unread || self.plans.iter().any(|(plan, _)| plan.value == name)
    }

    /// Checks a name of a rule or a limit.
    fn name(&mut self, name: &At<String>) {
        let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
        let text = &name.value;
        if text.is_empty() || NAME_CHARS_MAX < text.len() || !text.chars().all(plain) {
            self.error(name.span, format!("`{text}` is not a name"), NAME_REMEDY);
        }
    }
}

fn secret_entries(document: &Document) -> Box<[Box<str>]> {
    let entries = document.secret_entries.iter().flatten();
    entries.map(|entry| entry.value.as_str().into()).collect()
}
