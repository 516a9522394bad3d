//! What came of the runs, for programs. Keys are only ever added.

use serde_json::{Map, Value, json};

use super::report::{Measured, QUANTILES, Ratio, ratios};
use super::tally::Tally;
use crate::settings::Bench;

/// The whole report: how was loaded, what each target did, and how two compare.
pub fn show(bench: &Bench, measured: &[Measured]) -> String {
    let targets: Vec<_> = measured.iter().map(target).collect();
    let mut report = json!({
        "loop": if bench.rate.is_some() { "open" } else { "closed" },
        "rate": bench.rate,
        "connections": bench.connections,
        "in_flight": if bench.rate.is_some() { None } else { Some(bench.in_flight) },
        "threads": bench.threads,
        "targets": targets,
    });
    if bench.compare.is_some() {
        let ratios =
            ratios(measured).into_iter().map(|(name, ratio)| (name.into(), show_ratio(ratio)));
        report["ratios"] = Value::Object(ratios.collect());
    }
    format!("{report:#}")
}

fn target(measured: &Measured) -> Value {
    let whole = measured.whole();
    let errors = whole.errors.iter();
    let errors: Map<_, _> = errors
        .map(|(kind, errors)| {
            (kind.clone(), json!({ "count": errors.count, "first": errors.first }))
        })
        .collect();
    json!({
        "target": measured.target.to_string(),
        "rounds": measured.rounds.len(),
        "seconds": whole.took.as_secs_f64(),
        "answered": whole.answered(),
        "per_second": whole.per_second(),
        "codes": { "OK": whole.ok, "OVER_LIMIT": whole.over_limit, "UNKNOWN": whole.unknown },
        "errors": errors,
        "unsent": whole.unsent,
        "unanswered": whole.unanswered,
        "named_a_limit": whole.limited,
        "latency_us": latency(&whole),
    })
}

/// Null where nothing was answered.
fn latency(tally: &Tally) -> Value {
    if tally.answered() == 0 {
        return Value::Null;
    }
    let mut latency = json!({ "mean": tally.mean_us() });
    for (name, share) in QUANTILES {
        latency[name] = tally.quantile_us(share).into();
    }
    latency["max"] = tally.max_us().into();
    latency
}

fn show_ratio(Ratio { median, least, most }: Ratio) -> Value {
    json!({ "median": median, "least": least, "most": most })
}
