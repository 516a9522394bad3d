//! The JSON Schema of the files, for editors: made from the mirror, so that it cannot know other
//! keys than the reader does.
//!
//! What a schema refuses, `check` refuses as well; `check` refuses more, since a schema cannot
//! say that a plan must exist.

use schemars::Schema;
use schemars::consts::meta_schemas::DRAFT2020_12 as DIALECT;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};

use super::directory;
use super::document::{Document, whole_number};

/// The schema of a rules file, as indented JSON.
pub fn rules_schema() -> String {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(plain));
    let mut schema = settings.into_generator().into_root_schema_for::<Document>();
    headed("urn:tollgate:schema:rules", "tollgate: rules", schema.ensure_object())
}

/// The schema of a directory file in YAML, as indented JSON.
pub fn directory_schema() -> String {
    let mut schema = directory::schema();
    RecursiveTransform(plain).transform(&mut schema);
    headed("urn:tollgate:schema:directory", "tollgate: a directory", schema.ensure_object())
}

fn headed(id: &str, title: &str, schema: &Map<String, Value>) -> String {
    let mut whole = Map::new();
    whole.insert("$schema".into(), DIALECT.into());
    whole.insert("$id".into(), id.into());
    whole.insert("title".into(), title.into());
    whole.extend(schema.clone().into_iter().filter(|(key, _)| key != "title" && key != "$schema"));
    format!("{:#}", Value::Object(whole))
}

/// One part of a schema, in the terms of the reader: a key that is there has a value, scalars are
/// text whatever they look like, and no key is unknown.
fn plain(schema: &mut Schema) {
    let Some(parts) = schema.as_object_mut() else { return };
    without_null(parts);
    if let Some(Value::String(description)) = parts.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if parts.get("format") == Some(&json!("uint64")) {
        parts.remove("format");
        for key in ["type", "pattern"] {
            parts.insert(key.into(), whole_number()[key].clone());
        }
    }
    let any_text = ["enum", "const", "pattern"].iter().all(|key| !parts.contains_key(*key));
    if any_text && parts.get("type") == Some(&json!("string")) {
        parts.insert("type".into(), json!(["string", "number", "boolean"]));
    }
    if let Some(Value::Object(properties)) = parts.get_mut("properties") {
        // What is not built yet can have no value.
        properties.retain(|_, property| property["type"] != "null");
        parts.entry("additionalProperties").or_insert(Value::Bool(false));
    }
}

/// Optional keys are left out, never empty.
fn without_null(parts: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = parts.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            parts.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(words)) = parts.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if parts.get("default").is_some_and(Value::is_null) {
        parts.remove("default");
    }
    let Some(Value::Array(choices)) = parts.get_mut("anyOf") else { return };
    choices.retain(|choice| *choice != json!({ "type": "null" }));
    if let [Value::Object(only)] = &choices[..] {
        let only = only.clone();
        parts.remove("anyOf");
        parts.extend(only);
    }
}
