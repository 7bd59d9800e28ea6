//! The documented shapes: a JSON Schema for each path, in `tests/schemas`. A
//! field that appears or vanishes is no longer of the shape.

#![allow(dead_code, reason = "each test file uses what it needs")]

use jsonschema::Validator;
use serde_json::Value;

/// A shape.
pub struct Shape {
    name: String,
    validator: Validator,
}

/// The shape that is called `name`.
pub fn shape(name: &str) -> Shape {
    let path = format!("{}/tests/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let schema: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{path}: {error}"));
    let validator = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{path}: {error}"));
    Shape { name: name.to_owned(), validator }
}

impl Shape {
    /// `value` has it.
    #[track_caller]
    pub fn holds(&self, value: &Value) {
        let faults: Vec<String> = self
            .validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{} has another shape:\n{}\n{value}", self.name, faults.join("\n"));
    }

    /// Whether `value` has it.
    pub fn is_of(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
}
