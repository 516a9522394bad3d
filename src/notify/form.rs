//! An alert as the body of a request.

use serde_json::{Map, Value, json};

use crate::alert::{Alert, Form};
use crate::calendar::rfc3339;

/// So much of a value is shown: enough to know a key by, and clients may choose values.
const VALUE_CHARS_MAX: usize = 200;

pub fn body(alert: &Alert, id: &str) -> String {
    let body = match alert.to.form() {
        Form::Plain => plain(alert, id),
        Form::Slack => json!({ "text": escaped(&sentence(alert)) }),
    };
    body.to_string()
}

fn plain(alert: &Alert, id: &str) -> Value {
    let values = alert.values.iter();
    let counted_by: Map<String, Value> =
        values.map(|(entry, value)| (entry.to_string(), shown(value).into())).collect();
    json!({
        "type": "tollgate.limit_alert",
        "id": id,
        "at": rfc3339(alert.at),
        "domain": alert.domain,
        "rule": alert.rule,
        "limit": alert.limit,
        "counted_by": counted_by,
        "threshold_percent": alert.percent,
        "used": alert.used,
        "budget": alert.budget,
        "window_start": alert.window_start.map(rfc3339),
        "window_end": alert.window_end.map(rfc3339),
    })
}

fn sentence(alert: &Alert) -> String {
    let Alert { domain, limit, percent, used, budget, .. } = alert;
    let values = alert.values.iter();
    let whose: Vec<_> = values.map(|(entry, value)| format!("{entry}={}", shown(value))).collect();
    let whose = if whose.is_empty() { String::new() } else { format!(" by {}", whose.join(", ")) };
    let end = alert.window_end.map(|end| format!(" The window ends at {}.", rfc3339(end)));
    let end = end.unwrap_or_default();
    format!("{domain}: {limit} is at {percent} % or more: {used} of {budget} used{whose}.{end}")
}

/// Slack takes `<…>` for links and for calling people by name.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn shown(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}
