//! What the metadata of a domain with `descriptors` says besides: what was asked, and what the
//! rules themselves have to say.

use std::collections::BTreeMap;

use crate::limit::Unit;
use crate::limiter::Reading;
use crate::query::{Descriptor, Hits, Override, Query};
use crate::rules::{Domain, Metadata};

#[derive(Clone, Debug)]
pub struct OfTree<'v> {
    pub domain: &'v str,
    pub descriptors: Vec<Asked>,
    /// The metadata of all rules that let the call pass.
    pub own: BTreeMap<Box<str>, Metadata>,
}

/// A descriptor as it was asked about.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Each entry as `key=value`; secret values as people may see them.
    pub entries: Vec<String>,
    /// The budget that it brought along.
    pub limit: Option<String>,
    /// How many hits it counts as, if that is not one.
    pub hits: Option<u64>,
}

impl<'v> OfTree<'v> {
    pub fn of(domain: &'v Domain, query: &Query<'_>, readings: &[Reading<'_>]) -> OfTree<'v> {
        let asked = |asked: &Descriptor<'_>| Asked {
            entries: asked
                .entries
                .iter()
                .map(|entry| {
                    format!("{}={}", entry.key, domain.shown().named(entry.key, entry.value))
                })
                .collect(),
            limit: asked.limit.map(brought),
            hits: hits(asked.hits),
        };
        let mut own = BTreeMap::new();
        for reading in readings.iter().filter(|reading| !reading.refuses()) {
            let leaf = reading.rule.and_then(|rule| rule.leaf.as_deref());
            if let Some(Metadata::Map(map)) = leaf.and_then(|leaf| leaf.metadata.as_deref()) {
                merge(&mut own, map);
            }
        }
        OfTree {
            domain: &domain.name,
            descriptors: query.descriptors.iter().map(asked).collect(),
            own,
        }
    }
}

fn hits(hits: Hits) -> Option<u64> {
    match hits {
        Hits::Take(1) => None,
        Hits::Take(hits) | Hits::GiveBack(hits) => Some(hits),
        Hits::Peek => Some(0),
    }
}

fn brought(limit: Override) -> String {
    let unit = match limit.per.unit {
        Unit::Second => "SECOND",
        Unit::Minute => "MINUTE",
        Unit::Hour => "HOUR",
        Unit::Day => "DAY",
        Unit::Week => "WEEK",
        Unit::Month => "MONTH",
        Unit::Year => "YEAR",
    };
    format!("requests_per_unit:{} unit:{unit}", limit.requests)
}

/// Adds what is not there yet; maps are added to maps.
fn merge(into: &mut BTreeMap<Box<str>, Metadata>, from: &BTreeMap<Box<str>, Metadata>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (None, value) => {
                into.insert(key.clone(), value.clone());
            }
            (Some(Metadata::Map(into)), Metadata::Map(from)) => merge(into, from),
            (Some(_), _) => {}
        }
    }
}
