//! The directory: from the value of one entry to what is known of whoever bears it.
//!
//! A row adds entries (a plan, a team, a region), budgets in place of a plan's, and dates for
//! both. Files give rows that stay as long as the rules they came with; people put others over
//! them while the server runs. Knows neither where rows are read from nor what rules make of them.

mod draft;
mod json;
mod known;
mod live;
mod row;
mod written;

pub use self::draft::{
    Draft, DraftLimit, DraftStage, Fault, Reader, SHOWN_CHARS, Said, looks_secret,
};
pub use self::known::{Kind, Known};
pub use self::live::{Live, Lives};
pub use self::row::{Allowance, Row, Stage};
pub use self::written::{Written, WrittenLimit, WrittenStage};

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Rows as files give them.
pub type Rows = HashMap<Box<str>, Row, RandomState>;

/// A row that was found. One of a file lives as long as the rules; one that people set is shared
/// with whoever still works with it when it is replaced.
#[derive(Clone, Debug)]
pub enum Found<'d> {
    Filed(&'d Row),
    Live(Arc<Row>),
}

impl Deref for Found<'_> {
    type Target = Row;

    fn deref(&self) -> &Row {
        match self {
            Found::Filed(row) => row,
            Found::Live(row) => row,
        }
    }
}

/// The directory of one domain.
#[derive(Debug)]
pub struct Directory {
    /// The entry whose value leads to a row.
    pub by: Box<str>,
    /// What rows may speak of.
    pub known: Known,
    filed: Rows,
    live: Arc<Live>,
}

impl Directory {
    pub fn new(by: &str, known: Known, filed: Rows) -> Directory {
        Directory { by: by.into(), known, filed, live: Arc::default() }
    }

    /// From now on the rows that people set are those of `live`.
    pub fn attach(&mut self, live: Arc<Live>) {
        self.live = live;
    }

    /// The row of a key. One that people set outranks the file's.
    pub fn row(&self, key: &str) -> Option<Found<'_>> {
        if let Some(row) = self.live.get(key) {
            return Some(Found::Live(row));
        }
        self.filed.get(key).map(Found::Filed)
    }

    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    pub fn filed(&self) -> &Rows {
        &self.filed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(plan: &str) -> Row {
        let entries = [("plan".into(), plan.into())].into();
        Row::new(vec![Stage { entries, ..Stage::default() }])
    }

    #[test]
    fn what_people_set_outranks_the_file_until_it_is_removed() {
        let filed = [("a".into(), row("free"))].into_iter().collect();
        let directory = Directory::new("key", Known::default(), filed);
        let found = |key| directory.row(key).map(|found| Row::clone(&found));
        assert_eq!(found("a"), Some(row("free")));
        assert_eq!(found("b"), None);
        directory.live().set("a", Arc::new(row("pro")));
        assert_eq!(found("a"), Some(row("pro")));
        assert!(directory.live().remove("a"));
        assert_eq!(found("a"), Some(row("free")));
        assert!(!directory.live().remove("a"));
    }
}
