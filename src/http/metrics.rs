//! `/metrics`: numbers about this server, in the text form that Prometheus reads.
//!
//! Written by hand: a handful of numbers needs no registry. No label comes from a request.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::gate::Phase;
use crate::quota::BanCount;
use crate::store::Space;
use crate::store::journal::Condition;

use super::People;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub async fn metrics(people: State<People>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text(&people))
}

fn text(people: &People) -> String {
    let gate = people.quota.gate();
    let decisions = gate.decisions();
    let mut text = Text::default();
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    text.family("tollgate_build_info", "gauge", "Always 1; says which release runs.");
    text.sample("tollgate_build_info", &version, 1);
    text.family(
        "tollgate_serving",
        "gauge",
        "1 while calls are wanted: not starting, not draining.",
    );
    text.sample("tollgate_serving", "", (gate.phase() == Phase::Serving).into());
    text.family("tollgate_decisions_total", "counter", "Decisions made, by outcome.");
    text.sample("tollgate_decisions_total", "{outcome=\"admitted\"}", decisions.admitted);
    text.sample("tollgate_decisions_total", "{outcome=\"refused\"}", decisions.refused);
    let what = "Hits that soft limits let pass beyond their budgets, by limit.";
    text.family("tollgate_overage_hits_total", "counter", what);
    for (domain, limit, hits) in gate.overages() {
        let labels = format!("{{domain={},limit={}}}", quoted(&domain), quoted(&limit));
        text.sample("tollgate_overage_hits_total", &labels, hits);
    }
    let bans = people.quota.ban_counts();
    let labels =
        |it: &BanCount| format!("{{domain={},rule={}}}", quoted(&it.domain), quoted(&it.rule));
    text.family("tollgate_bans", "gauge", "Bans in force by rule, those only shown included.");
    bans.iter().for_each(|it| text.sample("tollgate_bans", &labels(it), it.in_force));
    text.family("tollgate_bans_total", "counter", "Bans that fell since the rules were loaded.");
    bans.iter().for_each(|it| text.sample("tollgate_bans_total", &labels(it), it.fallen));
    let alerts = gate.alerts();
    text.family("tollgate_alerts_total", "counter", "Alerts, by what became of them.");
    text.sample("tollgate_alerts_total", "{outcome=\"delivered\"}", alerts.delivered);
    text.sample("tollgate_alerts_total", "{outcome=\"failed\"}", alerts.failed);
    text.sample("tollgate_alerts_total", "{outcome=\"dropped\"}", alerts.dropped);
    let (waiting, waited) = (gate.lines().waiting(), gate.lines().counts());
    text.family("tollgate_queue_waiting", "gauge", "Calls that wait for room now.");
    text.sample("tollgate_queue_waiting", "", waiting as u64);
    text.family("tollgate_queue_total", "counter", "Calls that waited for room, by how it ended.");
    text.sample("tollgate_queue_total", "{outcome=\"admitted\"}", waited.admitted);
    text.sample("tollgate_queue_total", "{outcome=\"refused\"}", waited.refused);
    text.sample("tollgate_queue_total", "{outcome=\"cancelled\"}", waited.cancelled);
    text.family("tollgate_counters", "gauge", "Counters in memory, unswept ones included.");
    text.sample("tollgate_counters", "", gate.counters() as u64);
    memory(&mut text, gate.memory().space());
    if let Some(journal) = gate.journal() {
        let failing = journal.status.get() == Condition::Failing;
        text.family("tollgate_journal_failing", "gauge", "1 while the disk cannot be written.");
        text.sample("tollgate_journal_failing", "", failing.into());
    }
    let what = "Requests without the right token.";
    text.family("tollgate_auth_failures_total", "counter", what);
    text.sample("tollgate_auth_failures_total", "", people.access.failures());
    text.0
}

/// What counters and notes take, and what found no room.
fn memory(text: &mut Text, space: &Space) {
    let what = "What counters and notes take of memory.";
    text.family("tollgate_memory_bytes", "gauge", what);
    text.sample("tollgate_memory_bytes", "", space.used() as u64);
    if space.ceiling() < usize::MAX {
        text.family("tollgate_memory_ceiling_bytes", "gauge", "The most that they may take.");
        text.sample("tollgate_memory_ceiling_bytes", "", space.ceiling() as u64);
    }
    let what = "Decisions counted in a crowd, for want of memory for a counter.";
    text.family("tollgate_crowded_decisions_total", "counter", what);
    text.sample("tollgate_crowded_decisions_total", "", space.crowded());
    let what = "Holds, ids and tallies that were not noted for want of memory.";
    text.family("tollgate_notes_left_out_total", "counter", what);
    text.sample("tollgate_notes_left_out_total", "", space.notes_left_out());
}

/// A label's value as the format asks for it. Domains may be named in any way.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, what: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {what}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}
