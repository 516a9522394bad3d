//! Directory files: rows of keys beside the rules, as CSV or as YAML.
//!
//! A CSV file has a header. One column is called `key`, or as the entry that the directory goes
//! by; `from`, `until`, `anchor_day`, `time_zone` and `alert_to` are what they are called;
//! `limit:per-key.month` is a budget and `burst:per-key.rate` a burst; any other column is an entry
//! of its name. An empty cell says nothing. A key may stand on several lines if all but the first
//! have a `from` or `until`: they are its scheduled changes.
//!
//! A YAML file holds the same under `keys:`, with entries beside the other words:
//!
//! ```yaml
//! keys:
//!   sk_live_4f9a: { plan: pro, team: blue, limits: { per-key.month: 25_000_000 } }
//!   sk_live_77b0:
//!     plan: free
//!     anchor_day: 31
//!     limits: { per-key.rate: { requests: 100, burst: 200 } }
//!     stages:
//!       - { from: 2026-04-01, plan: pro }
//! ```
//!
//! Rows are read by hand and not by serde: names of entries stand beside words of the language,
//! and one bad row among a hundred thousand must not have the others read again. Keys are secrets
//! of customers, so no message shows one, and lines are shown with theirs blotted out.

mod csv;
mod mask;
mod schema;
mod yaml;

pub use self::schema::schema;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::directory::{Draft, DraftStage, Fault, Known, Reader, Row, Rows, Said, Stage};

use super::problem::{Problem, Span};
use super::source::Source;

use self::mask::Masked;

/// So many problems of a file are reported; whoever has more will want to mend these first.
const PROBLEMS_MAX: usize = 100;

/// A key longer than this is no key of anybody: a call's entry has room for no more.
const KEY_BYTES_MAX: usize = 64 << 10;

/// What is wrong with one file, rendered: its keys are known only here.
#[derive(Debug, Default)]
pub struct Report {
    pub errors: usize,
    pub error_text: String,
}

/// Reads a file of rows, in the form that its name tells. The error says what is wrong with the
/// name.
pub fn read(source: &Source, by: &str, known: &Known) -> Result<(Rows, Report), &'static str> {
    let mut sheet = Sheet::new(&source.text, by, known);
    match source.name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => csv::read(by, &mut sheet),
        Some("yaml") => yaml::read(&mut sheet),
        _ => return Err("a directory is a *.csv or a *.yaml file"),
    }
    Ok(sheet.finish(source))
}

/// Where a word of a draft stands: each form has a sense of its own for it.
type Place = (usize, usize);

/// A file's rows and problems as they are gathered.
struct Sheet<'t> {
    text: &'t str,
    reader: Reader<'t>,
    rows: HashMap<Box<str>, Found, RandomState>,
    problems: Vec<Problem>,
    masked: Masked,
}

/// A key's stages so far, and where it stood first.
struct Found {
    place: Place,
    stages: Vec<Stage>,
}

impl<'t> Sheet<'t> {
    fn new(text: &'t str, by: &'t str, known: &'t Known) -> Sheet<'t> {
        let (rows, problems, masked) = Default::default();
        Sheet { text, reader: Reader::new(by, known), rows, problems, masked }
    }

    /// Whether there is room for more problems.
    fn goes_on(&self) -> bool {
        self.problems.len() < PROBLEMS_MAX
    }

    fn error(&mut self, span: Span, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::error(span, what, remedy));
    }

    /// Adds what is said of a key. `span_of` tells where words stand; it is asked only for those
    /// that something is wrong with.
    fn add(&mut self, key: Said<'_>, draft: &Draft<'_>, span_of: impl Fn(Place) -> Span) {
        let before = self.problems.len();
        if key.text.is_empty() || KEY_BYTES_MAX < key.text.len() {
            let what = format!("a key has 1 to {KEY_BYTES_MAX} bytes");
            self.error(span_of(key.place), what, "write the key here, or take the row out");
        }
        let row = self.reader.row(draft);
        for Fault { place, what, remedy } in self.reader.faults.drain(..) {
            self.problems.push(Problem::error(span_of(place), what, remedy));
        }
        let scheduled = draft.stages.iter().all(DraftStage::is_scheduled);
        match self.rows.get_mut(key.text) {
            Some(found) if scheduled => found.stages.extend(row.into_stages()),
            Some(found) => {
                let line = mask::line_number(self.text, span_of(found.place).start);
                let what = format!("this key stands on line {line} already");
                let remedy = "keep one; a scheduled change of it needs a `from` or an `until`";
                self.error(span_of(key.place), what, remedy);
            }
            None => {
                let found = Found { place: key.place, stages: row.into_stages() };
                self.rows.insert(key.text.into(), found);
            }
        }
        if before < self.problems.len() {
            self.masked.keys.push(span_of(key.place));
        }
    }

    fn finish(mut self, source: &Source) -> (Rows, Report) {
        if !self.goes_on() {
            let what = format!("only the first {PROBLEMS_MAX} problems of this file are shown");
            self.problems.truncate(PROBLEMS_MAX);
            let last = self.problems.last().map(|last| last.span).unwrap_or_default();
            self.error(last, what, "mend these first");
        }
        self.problems.sort_by_key(|problem| problem.span.start);
        let rendered = |problem| self.masked.render(problem, source) + "\n\n";
        let error_text = self.problems.iter().map(rendered).collect();
        let report = Report { errors: self.problems.len(), error_text };
        let row = |(key, found): (Box<str>, Found)| (key, Row::new(found.stages));
        (self.rows.into_iter().map(row).collect(), report)
    }
}
