//! From a crossing that a decision found to the alert that goes out.

use std::sync::Arc;

use crate::alert::{Alert, Recipient, To};
use crate::limiter::Crossing;
use crate::query::Query;
use crate::rules::Domain;
use crate::time::Timestamp;

/// The alert of a crossing; none if nobody is to be told. Whom the directory names for the key is
/// told in place of whom the limit names.
pub fn alert(
    domain: &Domain,
    query: &Query<'_>,
    crossing: &Crossing<'_>,
    at: Timestamp,
) -> Option<Alert> {
    let entries = &query.descriptors[crossing.descriptor].entries;
    let row = domain.row(entries);
    let own = row.as_ref().and_then(|row| domain.alerts.get(row.alert_to(at)?));
    let to = match (own, &crossing.limit.alert.as_ref()?.to) {
        (Some(target), _) | (None, Recipient::Target(target)) => Arc::clone(target),
        (None, Recipient::KeysOwn) => return None,
    };
    let added = row.iter().flat_map(|row| row.entries(at));
    let values = domain.shown().values(&crossing.rule.counted(&entries.with(added)));
    let boxed = |(entry, value): (String, String)| (entry.into(), value.into());
    Some(Alert {
        domain: domain.name.clone(),
        rule: crossing.rule.name.clone(),
        limit: crossing.limit.label.clone(),
        percent: crossing.percent,
        used: crossing.used,
        budget: crossing.budget,
        window_start: crossing.window.map(|window| window.start),
        window_end: crossing.window.map(|window| window.end),
        at,
        values: values.into_iter().map(boxed).collect(),
        to: To::Target(to),
    })
}
