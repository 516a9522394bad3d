//! What the directory knows of those whom a call speaks of.

use smallvec::SmallVec;

use crate::directory::{Found, Row};
use crate::query::{Descriptor, Query};
use crate::rules::Domain;
use crate::time::Timestamp;

/// The row of each descriptor, in order; empty if nothing is known of any.
#[derive(Default)]
pub struct Directed<'r>(SmallVec<[Option<Found<'r>>; 2]>);

impl<'r> Directed<'r> {
    /// What the domain's directory knows. A descriptor whose budget the call brings along is left
    /// as it is: its counter is named by what the call itself says.
    pub fn of(domain: Option<&'r Domain>, query: &Query<'_>) -> Directed<'r> {
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

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The row of the descriptor at this position.
    pub fn row(&self, position: usize) -> Option<&Row> {
        self.0.get(position)?.as_deref()
    }

    /// Adds descriptors with the entries that rows add. They are written where they are to stay:
    /// they are large, and copying them about would cost more than finding the rows.
    pub fn widen<'c, 'q: 'c>(&'c self, query: &Query<'q>, widened: &mut Query<'c>, now: Timestamp) {
        for (asked, row) in query.descriptors.iter().zip(&self.0) {
            let added = row.iter().flat_map(|row| row.entries(now));
            let (hits, limit) = (asked.hits, asked.limit);
            let entries = asked.entries.with(added);
            widened.descriptors.push(Descriptor { entries, hits, limit });
        }
    }
}
