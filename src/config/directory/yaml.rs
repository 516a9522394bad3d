//! Rows from YAML: a map of keys, each of a map.

use crate::config::problem::{Problem, Span};
use crate::config::tree::{self, Node, Pair, Value};
use crate::directory::{Draft, DraftLimit, DraftStage, Said};

use super::Sheet;

const KEYS_REMEDY: &str = "write `keys:`, and below it a line such as `KEY: { plan: free }`";
const ROW_REMEDY: &str = "write `{ plan: free }`, or `{}` for a key that nothing is known of";

/// Reads the whole file. A word's place is its span.
pub fn read(sheet: &mut Sheet<'_>) {
    let (root, problems) = tree::parse(sheet.text);
    syntax(root.is_none(), problems, sheet);
    let Some(root) = root else {
        if sheet.problems.is_empty() {
            sheet.error(Span::default(), "the directory is empty", KEYS_REMEDY);
        }
        return;
    };
    let Value::Map(pairs) = &root.value else {
        sheet.masked.hidden.push(root.span.start);
        sheet.error(root.span, "expected a map with `keys`", KEYS_REMEDY);
        return;
    };
    if pairs.is_empty() {
        sheet.error(root.span, "expected a map with `keys`", KEYS_REMEDY);
    }
    for Pair { key, value } in pairs {
        match &value.value {
            Value::Map(rows) if key.text == "keys" => keys(rows, sheet),
            _ => {
                // A key may stand where `keys` was forgotten.
                sheet.masked.hidden.push(key.span.start);
                sheet.error(key.span, "expected `keys` with a map of them", KEYS_REMEDY);
            }
        }
    }
}

/// Problems of the syntax. What they quote may be a key, so they are told in other words.
fn syntax(fatal: bool, problems: Vec<Problem>, sheet: &mut Sheet<'_>) {
    for problem in problems {
        sheet.masked.hidden.push(problem.span.start);
        let what = if problem.what.ends_with("stands here twice") {
            "what stands here stands here twice"
        } else if fatal {
            "this is not YAML"
        } else {
            "this has no meaning here"
        };
        sheet.error(problem.span, what, problem.remedy);
    }
}

fn keys(rows: &[Pair], sheet: &mut Sheet<'_>) {
    // Several rows may share a line.
    sheet.masked.keys.extend(rows.iter().map(|Pair { key, .. }| key.span));
    for Pair { key, value } in rows {
        if !sheet.goes_on() {
            return;
        }
        let draft = row(value, sheet);
        let key = Said { text: &key.text, place: (key.span.start, key.span.end) };
        sheet.add(key, &draft, |(start, end)| Span { start, end });
    }
}

/// A row: what it says itself, and then its stages.
fn row<'n>(node: &'n Node, sheet: &mut Sheet<'_>) -> Draft<'n> {
    let mut draft = Draft { place: (node.span.start, node.span.end), stages: Vec::new() };
    let mut later = None;
    draft.stages.extend(stage(node, sheet, |pair| later = Some(&pair.value)));
    let Some(later) = later else { return draft };
    let Value::List(nodes) = &later.value else {
        let remedy = "write `stages: [{ from: 2026-04-01, plan: pro }]`";
        sheet.error(later.span, "expected a list of stages", remedy);
        return draft;
    };
    for node in nodes {
        let mut nested = None;
        draft.stages.extend(stage(node, sheet, |pair| nested = Some(pair.key.span)));
        if let Some(span) = nested {
            sheet.error(span, "a stage has no stages", "list it beside the others");
        }
    }
    draft
}

fn stage<'n>(
    node: &'n Node,
    sheet: &mut Sheet<'_>,
    mut stages: impl FnMut(&'n Pair),
) -> Option<DraftStage<'n>> {
    let Value::Map(pairs) = &node.value else {
        sheet.error(node.span, "expected a map", ROW_REMEDY);
        return None;
    };
    let mut stage = DraftStage::default();
    for pair in pairs {
        match pair.key.text.as_str() {
            "stages" => stages(pair),
            "limits" => stage.limits = limits(&pair.value, sheet),
            name => {
                let Some(said) = word(&pair.value, sheet) else { continue };
                match name {
                    "from" => stage.from = Some(said),
                    "until" => stage.until = Some(said),
                    "anchor_day" => stage.anchor_day = Some(said),
                    "time_zone" => stage.time_zone = Some(said),
                    "alert_to" => stage.alert_to = Some(said),
                    _ => stage.entries.push((name_of(pair), said)),
                }
            }
        }
    }
    Some(stage)
}

fn limits<'n>(node: &'n Node, sheet: &mut Sheet<'_>) -> Vec<DraftLimit<'n>> {
    let Value::Map(pairs) = &node.value else {
        let remedy = "write `limits: { per-key.month: 25_000_000 }`";
        sheet.error(node.span, "expected a map of limits", remedy);
        return Vec::new();
    };
    pairs.iter().map(|pair| limit(pair, sheet)).collect()
}

fn limit<'n>(pair: &'n Pair, sheet: &mut Sheet<'_>) -> DraftLimit<'n> {
    let mut limit = DraftLimit { limit: name_of(pair), requests: None, burst: None };
    let Value::Map(parts) = &pair.value.value else {
        limit.requests = word(&pair.value, sheet);
        return limit;
    };
    for part in parts {
        match part.key.text.as_str() {
            "requests" => limit.requests = word(&part.value, sheet),
            "burst" => limit.burst = word(&part.value, sheet),
            _ => {
                let remedy = "known here: requests, burst";
                sheet.error(part.key.span, "this is not known here", remedy);
            }
        }
    }
    limit
}

fn name_of(pair: &Pair) -> Said<'_> {
    Said { text: &pair.key.text, place: (pair.key.span.start, pair.key.span.end) }
}

fn word<'n>(node: &'n Node, sheet: &mut Sheet<'_>) -> Option<Said<'n>> {
    match &node.value {
        Value::Scalar(scalar) if !scalar.is_null() => {
            Some(Said { text: &scalar.text, place: (node.span.start, node.span.end) })
        }
        _ => {
            let remedy = "write a value here, or take the name out";
            sheet.error(node.span, "expected a value", remedy);
            None
        }
    }
}
