//! `tollgate schema`: what an editor needs to know of the files.

use crate::config::{directory_schema, rules_schema};
use crate::settings::{Described, Schema};

/// The JSON Schema of one kind of file.
pub fn run(schema: &Schema) -> String {
    match schema.of {
        Described::Rules => rules_schema(),
        Described::Directory => directory_schema(),
    }
}
