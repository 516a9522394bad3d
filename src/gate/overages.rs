//! Hits beyond soft limits, summed by limit since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::limiter::Overage;

/// The numbers stand alone: no other memory is published through them.
const RELAXED: Ordering = Ordering::Relaxed;

/// By domain and label, both of which come from the rules: there are no more of them than limits
/// were ever loaded.
type Sums = BTreeMap<Box<str>, BTreeMap<Box<str>, Arc<AtomicU64>>>;

#[derive(Debug, Default)]
pub struct Overages(RwLock<Sums>);

impl Overages {
    pub fn add(&self, domain: &str, overage: Overage<'_>) {
        let known = {
            let sums = self.0.read().unwrap_or_else(PoisonError::into_inner);
            sums.get(domain).and_then(|limits| limits.get(overage.label)).cloned()
        };
        let sum = known.unwrap_or_else(|| {
            let mut sums = self.0.write().unwrap_or_else(PoisonError::into_inner);
            let limits = sums.entry(domain.into()).or_default();
            limits.entry(overage.label.into()).or_default().clone()
        });
        sum.fetch_add(overage.hits, RELAXED);
    }

    /// Domain, rule and limit name, and the sum, in order.
    pub fn all(&self) -> Vec<(String, String, u64)> {
        let sums = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows = Vec::new();
        for (domain, limits) in &*sums {
            for (label, sum) in limits {
                rows.push((domain.to_string(), label.to_string(), sum.load(RELAXED)));
            }
        }
        rows
    }
}
