//! A small `select` over what was stored: enough to read back what a test
//! wrote, and to answer the recorded questions as they were answered.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{
    http::{Request, Response},
    lines::{Database, Table, Value},
};

/// A question from either form of request.
#[derive(Deserialize)]
struct Question {
    db: String,
    q: String,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
}

/// `select COLUMNS from TABLE [where COLUMN = VALUE] [order by time]`.
struct Select {
    columns: Vec<String>,
    table: String,
    equal: Option<(String, String)>,
}

pub fn sql(databases: &BTreeMap<String, Database>, request: &Request) -> Result<Response, Response> {
    let question = question(request)?;
    let database = database(databases, &question)?;
    let words = tokens(&question.q);
    if !words.first().is_some_and(|word| word.eq_ignore_ascii_case("select")) {
        let found = words.first().map_or("EOF", String::as_str);
        return Err(Response::new(
            400,
            format!(
                "SQL error: ParserError(\"Expected: an SQL statement, found: {found} at Line: 1, Column: 1\")"
            ),
        ));
    }
    if words.len() == 2 && words[1] == "1" {
        return Ok(answer(&question, &["Int64(1)".to_owned()], &[vec![json!(1)]]));
    }
    let select = select(&words, &question.params)?;
    let missing = || {
        Response::new(400, format!("Error during planning: table 'public.iox.{}' not found", select.table))
    };
    let table = database.tables.get(&select.table).ok_or_else(missing)?;
    let columns = if select.columns == ["*"] {
        table
            .columns
            .keys()
            .cloned()
            .chain(["time".to_owned()])
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    } else {
        select.columns.clone()
    };
    let rows = rows(table, &columns, select.equal.as_ref())?;
    Ok(answer(&question, &columns, &rows))
}

pub fn influxql(databases: &BTreeMap<String, Database>, request: &Request) -> Result<Response, Response> {
    let question = question(request)?;
    let database = database(databases, &question)?;
    let select = select(&tokens(&question.q), &question.params)?;
    let empty = Table::default();
    let table = database.tables.get(&select.table).unwrap_or(&empty);
    let columns: Vec<_> = ["time".to_owned()].into_iter().chain(select.columns).collect();
    let mut rows = rows(table, &columns, select.equal.as_ref())?;
    for row in &mut rows {
        row.insert(0, json!(select.table));
    }
    let columns: Vec<_> = ["iox::measurement".to_owned()].into_iter().chain(columns).collect();
    Ok(answer(&question, &columns, &rows))
}

fn question(request: &Request) -> Result<Question, Response> {
    let bad = |what: &dyn std::fmt::Display| Response::new(400, format!("serde error: {what}"));
    if request.method == "POST" {
        return serde_json::from_slice(&request.body).map_err(|error| bad(&error));
    }
    let get = |name: &str| request.query.get(name).cloned();
    Ok(Question {
        db: get("db").ok_or_else(|| bad(&"missing field `db`"))?,
        q: get("q").ok_or_else(|| bad(&"missing field `q`"))?,
        format: get("format"),
        params: BTreeMap::new(),
    })
}

fn database<'a>(
    databases: &'a BTreeMap<String, Database>,
    question: &Question,
) -> Result<&'a Database, Response> {
    let error = || {
        let error = format!("query error: database not found: {}", question.db);
        Response::new(404, json!({ "error": error }).to_string())
    };
    databases.get(&question.db).ok_or_else(error)
}

/// Words, symbols, and quoted text; single-quoted text keeps its first quote
/// to tell it from a name.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' | '"' => {
                let end = rest[1..].find(first).map_or(rest.len(), |offset| offset + 1);
                tokens.push(rest[usize::from(first == '"')..end].to_owned());
                (end + 1).min(rest.len())
            }
            ',' | '=' | '*' => {
                tokens.push(first.to_string());
                1
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '=' | '\'' | '"');
                let end = rest.find(ends).unwrap_or(rest.len());
                tokens.push(rest[..end].to_owned());
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    tokens
}

fn select(words: &[String], params: &BTreeMap<String, String>) -> Result<Select, Response> {
    let unknown =
        || Response::new(400, "the double knows only select … from … [where a = 'b'] [order by time]");
    let is = |word: &String, keyword: &str| word.eq_ignore_ascii_case(keyword);
    let from = words.iter().position(|word| is(word, "from")).ok_or_else(unknown)?;
    let table = words.get(from + 1).ok_or_else(unknown)?.clone();
    let columns = words[1..from].iter().filter(|word| *word != ",").cloned().collect();
    let mut rest = &words[from + 2..];
    let mut equal = None;
    if rest.len() >= 4 && is(&rest[0], "where") && rest[2] == "=" {
        let value = match (rest[3].strip_prefix('\''), rest[3].strip_prefix('$')) {
            (Some(text), _) => text.to_owned(),
            (_, Some(name)) => params.get(name).ok_or_else(unknown)?.clone(),
            _ => return Err(unknown()),
        };
        equal = Some((rest[1].clone(), value));
        rest = &rest[4..];
    }
    let ordered = rest.len() == 3 && is(&rest[0], "order") && is(&rest[1], "by") && rest[2] == "time";
    if rest.is_empty() || ordered { Ok(Select { columns, table, equal }) } else { Err(unknown()) }
}

/// Rows by time, then tags; a column a row has no value for is null.
fn rows(
    table: &Table,
    columns: &[String],
    equal: Option<&(String, String)>,
) -> Result<Vec<Vec<Json>>, Response> {
    if table.broken {
        return Err(Response::new(500, "internal error: a duplicate tag was written to this table"));
    }
    let matches = |tags: &BTreeMap<String, String>| {
        equal.is_none_or(|(name, value)| tags.get(name).is_some_and(|tag| tag == value))
    };
    Ok(table
        .rows
        .iter()
        .filter(|((_, tags), _)| matches(tags))
        .map(|((time, tags), fields)| {
            let value = |name: &String| match (name.as_str(), tags.get(name), fields.get(name)) {
                ("time", ..) => json!(clock(*time)),
                (_, Some(tag), _) => json!(tag),
                (_, _, Some(field)) => field_json(field),
                _ => Json::Null,
            };
            columns.iter().map(value).collect()
        })
        .collect())
}

fn field_json(field: &Value) -> Json {
    match field {
        Value::Integer(value) => json!(value),
        Value::Unsigned(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::Boolean(value) => json!(value),
    }
}

fn clock(nanoseconds: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(nanoseconds.into()).unwrap();
    time.strftime("%Y-%m-%dT%H:%M:%S.%9f").to_string()
}

fn answer(question: &Question, columns: &[String], rows: &[Vec<Json>]) -> Response {
    // Objects in the order of the columns, nulls left out, as the server does.
    let object = |row: &Vec<Json>| {
        let members: Vec<_> = columns
            .iter()
            .zip(row)
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let plain = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    };
    match question.format.as_deref() {
        Some("jsonl") => {
            let lines: String = rows.iter().map(|row| object(row) + "\n").collect();
            Response::new(200, lines).with("content-type", "application/jsonl")
        }
        Some("csv") => {
            let line = |cells: Vec<String>| cells.join(",") + "\n";
            let mut text = line(columns.to_vec());
            text.extend(rows.iter().map(|row| line(row.iter().map(plain).collect())));
            Response::new(200, text).with("content-type", "text/csv")
        }
        _ => {
            let objects: Vec<_> = rows.iter().map(object).collect();
            Response::new(200, format!("[{}]", objects.join(","))).with("content-type", "application/json")
        }
    }
}
