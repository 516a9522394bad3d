//! A row as JSON, in the shape that YAML files have: entries beside the words of the language.
//!
//! Read by hand, as YAML is: whatever name is no word is an entry.

use serde_json::{Map, Value};

use super::{Known, Reader, Row, Written, WrittenLimit, WrittenStage};

impl Row {
    /// The row as text, to be kept.
    pub fn to_text(&self) -> String {
        Written::from(self).to_text()
    }

    /// The row that a kept text means, whatever the rules know by now; none if it means none.
    pub fn from_text(text: &str) -> Option<Row> {
        let written = Written::from_json(&serde_json::from_str(text).ok()?).ok()?;
        let known = Known { partial: true, ..Known::default() };
        let mut reader = Reader::new("", &known);
        let row = reader.row(&written.draft());
        reader.faults.is_empty().then_some(row)
    }
}

impl Written {
    /// The row as text.
    pub fn to_text(&self) -> String {
        self.to_json().to_string()
    }

    pub fn to_json(&self) -> Value {
        let mut stages = self.stages.iter().map(stage_to_json);
        let mut row = stages.next().unwrap_or_default();
        let later: Vec<_> = stages.map(Value::Object).collect();
        if !later.is_empty() {
            row.insert("stages".into(), later.into());
        }
        row.into()
    }

    /// Reads a row; the error says what is wrong.
    pub fn from_json(value: &Value) -> Result<Written, String> {
        let Value::Object(row) = value else {
            return Err("a row is an object, such as {\"plan\": \"pro\"}".into());
        };
        let mut stages = vec![stage_from_json(row)?];
        match row.get("stages") {
            None => {}
            Some(Value::Array(later)) => {
                for stage in later {
                    let Value::Object(stage) = stage else {
                        return Err("a stage is an object".into());
                    };
                    if stage.contains_key("stages") {
                        return Err("a stage has no stages; list it beside the others".into());
                    }
                    stages.push(stage_from_json(stage)?);
                }
            }
            Some(_) => return Err("`stages` is a list of objects".into()),
        }
        Ok(Written { stages })
    }
}

fn stage_to_json(stage: &WrittenStage) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |name: &str, word: Option<Value>| {
        if let Some(word) = word {
            object.insert(name.into(), word);
        }
    };
    put("from", stage.from.clone().map(Value::String));
    put("until", stage.until.clone().map(Value::String));
    for (name, value) in &stage.entries {
        put(name, Some(value.as_str().into()));
    }
    let limits: Map<_, _> = stage.limits.iter().map(limit_to_json).collect();
    put("limits", (!limits.is_empty()).then(|| limits.into()));
    put("anchor_day", stage.anchor_day.as_deref().map(number_or_text));
    put("time_zone", stage.time_zone.clone().map(Value::String));
    put("alert_to", stage.alert_to.clone().map(Value::String));
    object
}

fn limit_to_json(it: &WrittenLimit) -> (String, Value) {
    let requests = it.requests.as_deref().map(number_or_text);
    let value = match (requests, it.burst.as_deref().map(number_or_text)) {
        (Some(requests), None) => requests,
        (requests, burst) => {
            let parts = [("requests", requests), ("burst", burst)];
            let parts = parts.into_iter().filter_map(|(name, part)| Some((name.into(), part?)));
            Value::Object(parts.collect())
        }
    };
    (it.limit.clone(), value)
}

fn number_or_text(word: &str) -> Value {
    word.parse::<u64>().map_or_else(|_| word.into(), Into::into)
}

fn stage_from_json(object: &Map<String, Value>) -> Result<WrittenStage, String> {
    let mut stage = WrittenStage::default();
    for (name, value) in object {
        match name.as_str() {
            "stages" => {}
            "limits" => stage.limits = limits_from_json(value)?,
            "from" => stage.from = Some(word(name, value)?),
            "until" => stage.until = Some(word(name, value)?),
            "anchor_day" => stage.anchor_day = Some(word(name, value)?),
            "time_zone" => stage.time_zone = Some(word(name, value)?),
            "alert_to" => stage.alert_to = Some(word(name, value)?),
            _ => match value {
                Value::String(value) => stage.entries.push((name.clone(), value.clone())),
                _ => return Err(format!("the value of entry `{name}` is no text")),
            },
        }
    }
    Ok(stage)
}

fn limits_from_json(value: &Value) -> Result<Vec<WrittenLimit>, String> {
    let Value::Object(limits) = value else {
        return Err("`limits` is an object, such as {\"per-key.month\": 5000}".into());
    };
    limits.iter().map(|(label, value)| limit_from_json(label, value)).collect()
}

fn limit_from_json(label: &str, value: &Value) -> Result<WrittenLimit, String> {
    let mut limit = WrittenLimit { limit: label.into(), ..WrittenLimit::default() };
    let Value::Object(parts) = value else {
        limit.requests = Some(word(label, value)?);
        return Ok(limit);
    };
    for (name, value) in parts {
        match name.as_str() {
            "requests" => limit.requests = Some(word(name, value)?),
            "burst" => limit.burst = Some(word(name, value)?),
            _ => return Err(format!("`{name}` of limit `{label}` is not known")),
        }
    }
    Ok(limit)
}

fn word(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("`{name}` is a word or a number")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Value {
        json!({
            "plan": "pro",
            "limits": { "r.month": 5000, "r.rate": { "requests": 9, "burst": 12 } },
            "anchor_day": 31,
            "time_zone": "Europe/Berlin",
            "alert_to": "ops",
            "stages": [{
                "from": "2026-04-01T00:00:00Z",
                "until": "2026-05-01T00:00:00Z",
                "limits": { "r.month": "unlimited", "r.rate": { "burst": 20 } },
            }],
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let text = row().to_string();
        let read = Row::from_text(&text).expect("a row");
        assert_eq!(read.to_text(), text);
        assert_eq!(Row::from_text("{}").expect("an empty row").to_text(), "{}");
    }

    #[test]
    fn what_is_no_row_is_refused_in_words() {
        let refused = |value: Value| Written::from_json(&value).expect_err("no row");
        assert!(refused(json!([])).contains("a row is an object"));
        assert!(refused(json!({ "plan": 5 })).contains("entry `plan` is no text"));
        assert!(refused(json!({ "stages": {} })).contains("`stages` is a list"));
        assert!(refused(json!({ "stages": [{ "stages": [] }] })).contains("has no stages"));
        assert!(refused(json!({ "limits": [] })).contains("`limits` is an object"));
        assert!(refused(json!({ "limits": { "a.b": { "rate": 1 } } })).contains("`rate`"));
        assert!(refused(json!({ "from": null })).contains("`from` is a word"));
        assert_eq!(Row::from_text("{\"from\":\"never\"}"), None);
    }
}
