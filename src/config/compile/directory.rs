//! The directory of a domain: its entry, its file, and what its rows may speak of.

use crate::config::directory::{self, Report};
use crate::config::{document, source};
use crate::directory::{Directory, Kind, Known, Rows};
use crate::rules::{Limits, Rule};

use super::Compiler;

impl Compiler<'_> {
    /// The directory with the rows of its file, if it has one, and what is wrong with those.
    pub fn directory(
        &mut self,
        directory: &document::Directory,
        rules: &[Rule],
    ) -> (Directory, Report) {
        let by = &directory.by;
        if by.value.is_empty() {
            self.error(by.span, "an entry without a name", "write `by: key`");
        }
        let known = self.known(rules);
        let (rows, report) = self.rows(directory, &known);
        (Directory::new(&by.value, known, rows), report)
    }

    fn rows(&mut self, directory: &document::Directory, known: &Known) -> (Rows, Report) {
        let nothing = || (Rows::default(), Report::default());
        let Some(from) = &directory.from else { return nothing() };
        let file = match source::read(&self.folder.join(&from.value)) {
            Ok(file) => file,
            Err(unreadable) => {
                let remedy = "name a *.csv or *.yaml file, relative to this one";
                self.error(from.span, unreadable.what(), remedy);
                return nothing();
            }
        };
        match directory::read(&file, &directory.by.value, known) {
            Ok(read) => read,
            Err(what) => {
                let remedy = "give the file the ending of its form; docs/directory.md has both";
                self.error(from.span, what, remedy);
                nothing()
            }
        }
    }

    fn known(&self, rules: &[Rule]) -> Known {
        let mut known = Known { zone: self.zone.clone(), ..Known::default() };
        known.targets = self.alerts.targets.keys().cloned().collect();
        // What an unread part would have defined is not to be missed.
        known.partial = !self.left_out.is_empty() || self.findings.iter().any(|it| it.is_error());
        for rule in rules {
            let limits = rule.all_limits().map(|limit| (limit.label.clone(), Kind::from(limit)));
            known.limits.extend(limits);
            if let Limits::Plans { from, plans, .. } = &rule.limits {
                let names = known.plans.entry(from.clone()).or_default();
                names.extend(plans.keys().cloned());
            }
        }
        known
    }
}
