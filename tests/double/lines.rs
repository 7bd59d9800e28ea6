//! Lines into tables: parsing, column types, and the words of each refusal.

use std::collections::{BTreeMap, BTreeSet};

use influxdb_line_protocol::{Error, FieldValue, ParsedLine, parse_lines, split_lines};
use serde::Serialize;

/// Everything written to one database.
#[derive(Clone, Debug, Default)]
pub struct Database {
    pub tables: BTreeMap<String, Table>,
    /// Accepted lines as they were sent.
    pub accepted: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: BTreeMap<String, Type>,
    /// By time and tags: the same point written again replaces its fields.
    pub rows: BTreeMap<(i64, BTreeMap<String, String>), BTreeMap<String, Value>>,
    /// A duplicate tag was accepted: every query of the table fails.
    pub broken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Tag,
    Integer,
    Unsigned,
    Float,
    Text,
    Boolean,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    Boolean(bool),
}

/// One refused line, in the order of fields the server writes.
#[derive(Clone, Debug, Serialize)]
pub struct LineError {
    pub error_message: String,
    pub line_number: usize,
    pub original_line: String,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Tag => "iox::column_type::tag",
            Self::Integer => "iox::column_type::field::integer",
            Self::Unsigned => "iox::column_type::field::uinteger",
            Self::Float => "iox::column_type::field::float",
            Self::Text => "iox::column_type::field::string",
            Self::Boolean => "iox::column_type::field::boolean",
        }
    }
}

impl Database {
    /// Writes every line that can be; the others are told. With `whole` the
    /// first that cannot ends it (the caller then throws this copy away).
    pub fn write(&mut self, body: &str, whole: bool, time: &dyn Fn(Option<i64>) -> i64) -> Vec<LineError> {
        let mut refused = Vec::new();
        let lines = split_lines(body).filter(|line| {
            let line = line.trim_start_matches([' ', '\t', '\n']);
            !line.is_empty() && !line.starts_with('#')
        });
        for (index, line) in lines.enumerate() {
            let error = |error_message, original: &str| LineError {
                error_message,
                line_number: index + 1,
                original_line: original.chars().take(20).collect(),
            };
            // The server looks the line up among all lines, blank ones and
            // comments too, and cuts what it finds.
            let original = body.lines().nth(index).unwrap_or_default();
            let result = match parse_lines(line).next() {
                Some(Ok(parsed)) => self.put(&parsed, time).map_err(|m| error(m, &parsed.to_string())),
                Some(Err(parse)) => Err(error(words(&parse, line), original)),
                None => continue,
            };
            match result {
                Ok(()) => self.accepted.push(line.to_owned()),
                Err(line_error) => {
                    refused.push(line_error);
                    if whole {
                        break;
                    }
                }
            }
        }
        refused
    }

    fn put(&mut self, line: &ParsedLine<'_>, time: &dyn Fn(Option<i64>) -> i64) -> Result<(), String> {
        let known = self.tables.get(line.series.measurement.as_str());
        let tags: Vec<_> = line.series.tag_set.iter().flatten().collect();
        let mut columns = known.map(|table| table.columns.clone()).unwrap_or_default();
        let mut column = |name: &str, given: Type| match columns.insert(name.to_owned(), given) {
            Some(expected) if expected != given => Err(format!(
                "invalid column type for column '{name}', expected {}, got {}",
                expected.name(),
                given.name()
            )),
            _ => Ok(()),
        };
        for (name, _) in &tags {
            column(name, Type::Tag)?;
        }
        let mut fields = BTreeMap::new();
        for (name, value) in &line.field_set {
            let (given, value) = match value {
                FieldValue::I64(value) => (Type::Integer, Value::Integer(*value)),
                FieldValue::U64(value) => (Type::Unsigned, Value::Unsigned(*value)),
                FieldValue::F64(value) => (Type::Float, Value::Float(*value)),
                FieldValue::String(value) => (Type::Text, Value::Text(value.to_string())),
                FieldValue::Boolean(value) => (Type::Boolean, Value::Boolean(*value)),
            };
            column(name, given)?;
            if fields.insert(name.to_string(), value).is_some() {
                return Err(format!("invalid line protocol - multiple instances of '{name}' field found"));
            }
        }
        let unique: BTreeSet<&str> = tags.iter().map(|(name, _)| name.as_str()).collect();
        let table = self.tables.entry(line.series.measurement.to_string()).or_default();
        table.broken |= unique.len() < tags.len();
        table.columns = columns;
        let tags = tags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        table.rows.entry((time(line.timestamp), tags)).or_default().extend(fields);
        Ok(())
    }
}

/// The server's words for what its parser's published version says in others.
fn words(error: &Error, line: &str) -> String {
    match error {
        Error::TagSetMalformed => {
            let rest = line.split_once('=').map_or("", |(_, rest)| rest);
            format!("Expected tag value, got `{rest}`")
        }
        Error::GenericParsingError { .. } => {
            let mut escaped = false;
            let end = line.find(|c| {
                let ends = !escaped && matches!(c, ' ' | '\t' | '\n');
                escaped = !escaped && c == '\\';
                ends
            });
            match end {
                Some(end) => format!("Expected at least one space character, got `{}`", &line[end..]),
                None => "Expected at least one space character, got end of input".to_owned(),
            }
        }
        other => other.to_string().replace('\'', "`"),
    }
}
