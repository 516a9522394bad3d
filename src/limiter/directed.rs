//! What the directory knows of those whom a call speaks of.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::directory::Row;
use crate::query::{Descriptor, Query};
use crate::rules::Domain;
use crate::time::Timestamp;

/// The row of each descriptor, in order; empty if nothing is known of any.
#[derive(Default)]
pub struct Directed(SmallVec<[Option<Arc<Row>>; 2]>);

impl Directed {
    /// What the domain's directory knows. A descriptor whose budget the call brings along is left
    /// as it is: its counter is named by what the call itself says.
    pub fn of(domain: Option<&Domain>, query: &Query<'_>) -> Directed {
        let Some(domain) = domain.filter(|domain| domain.directory.is_some()) else {
            return Directed::default();
        };
        let row = |asked: &Descriptor<'_>| match asked.limit {
            Some(_) if domain.overrides => None,
            _ => domain.row(&asked.entries),
        };
        let rows: SmallVec<[_; 2]> = query.descriptors.iter().map(row).collect();
        if rows.iter().all(Option::is_none) { Directed::default() } else { Directed(rows) }
    }

    /// The row of the descriptor at this position.
    pub fn row(&self, position: usize) -> Option<&Row> {
        self.0.get(position)?.as_deref()
    }

    /// The query with the entries that rows add; none if they add nothing.
    pub fn query<'c, 'q: 'c>(&'c self, query: &Query<'q>, now: Timestamp) -> Option<Query<'c>> {
        if self.0.is_empty() {
            return None;
        }
        let directed = |(asked, row): (&Descriptor<'q>, &'c Option<Arc<Row>>)| {
            let added = row.iter().flat_map(|row| row.entries(now));
            Descriptor { entries: asked.entries.with(added), hits: asked.hits, limit: asked.limit }
        };
        let descriptors = query.descriptors.iter().zip(&self.0).map(directed).collect();
        Some(Query { domain: query.domain, descriptors, receipt: query.receipt })
    }
}
