//! Rows that people set while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::Row;

/// The number stands alone: whoever sees a row sees it through the map.
const RELAXED: Ordering = Ordering::Relaxed;

/// The rows of one domain that people set. They outlive the rules, which a reload replaces.
#[derive(Debug, Default)]
pub struct Live {
    rows: DashMap<Box<str>, Arc<Row>, RandomState>,
    /// How many there are: most servers have none, and their calls need not look.
    count: AtomicUsize,
}

/// The rows of every domain that people set.
#[derive(Debug, Default)]
pub struct Lives {
    domains: DashMap<Box<str>, Arc<Live>, RandomState>,
}

impl Live {
    pub fn get(&self, key: &str) -> Option<Arc<Row>> {
        if self.count.load(RELAXED) == 0 {
            return None;
        }
        self.rows.get(key).map(|row| row.clone())
    }

    pub fn set(&self, key: &str, row: Arc<Row>) {
        // Counted ahead of the row, so that no call finds nothing where a row is.
        self.count.fetch_add(1, RELAXED);
        if self.rows.insert(key.into(), row).is_some() {
            self.count.fetch_sub(1, RELAXED);
        }
    }

    /// Removes a row; false if there was none.
    pub fn remove(&self, key: &str) -> bool {
        let was = self.rows.remove(key).is_some();
        if was {
            self.count.fetch_sub(1, RELAXED);
        }
        was
    }

    pub fn len(&self) -> usize {
        self.count.load(RELAXED)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `visit` with every key, in no order.
    pub fn each_key(&self, mut visit: impl FnMut(&str)) {
        self.rows.iter().for_each(|row| visit(row.key()));
    }
}

impl Lives {
    /// The rows of one domain.
    pub fn of(&self, domain: &str) -> Arc<Live> {
        if let Some(live) = self.domains.get(domain) {
            return live.clone();
        }
        self.domains.entry(domain.into()).or_default().clone()
    }
}
