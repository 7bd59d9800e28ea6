//! What `e` writes, as text: CSV for a table program, JSON for any other.
//!
//! Both come from the one shape of [`super::json`]. A missing value is an
//! empty cell or null, never a number, and its reason stands beside it.

use csv::Writer;

use super::{Json, json};
use crate::model::{DomainFrame, Frame};

/// The document as JSON, indented, ended by a newline.
#[must_use]
pub fn json_text(document: &Json) -> String {
    // Serializing plain values into memory cannot fail.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// The chosen domains of a frame, in the order of `rows`.
#[must_use]
pub fn fleet(frame: &Frame, rows: &[usize]) -> Json {
    json::chosen(frame, rows.iter().filter_map(|&row| frame.domains.get(row)))
}

/// One domain, with the moment and the references of its degrees.
#[must_use]
pub fn vm(frame: &Frame, domain: &DomainFrame) -> Json {
    let mut fields = Vec::from(json::moment(frame, Some(frame.at)));
    fields.push(("vm", json::vm(domain)));
    Json::Object(fields)
}

/// A document of [`fleet`] as a table: a row per VM, a column per figure of
/// its own, the last one why cells are empty. Devices, vCPUs and events have
/// no row here.
#[must_use]
pub fn table(document: &Json) -> String {
    let vms = match field(document, "vms") {
        Some(Json::List(vms)) => vms.as_slice(),
        _ => &[],
    };
    let at = field(document, "timestamp").map(cell).unwrap_or_default();
    let mut columns: Vec<&'static str> = Vec::new();
    for vm in vms {
        for (name, value) in object(vm) {
            // A job is an object; no job is null, and nothing that lacks.
            if is_plain(value) && *name != "job" && !columns.contains(name) {
                columns.push(name);
            }
        }
    }
    let mut out = Writer::from_writer(Vec::new());
    let head = ["timestamp"].into_iter().chain(columns.iter().copied()).chain(["missing"]);
    write(&mut out, head.map(str::to_owned));
    for vm in vms {
        let values = columns.iter().map(|name| field(vm, name).map(cell).unwrap_or_default());
        let missing = field(vm, "missing").map(reasons).unwrap_or_default();
        write(&mut out, [at.clone()].into_iter().chain(values).chain([missing]));
    }
    text(out)
}

/// Any document as a list: a row per value, with its path and, where there is
/// none, why.
#[must_use]
pub fn list(document: &Json) -> String {
    let mut out = Writer::from_writer(Vec::new());
    write(&mut out, ["field", "value", "missing"].map(str::to_owned));
    rows(document, "", &[], &mut out);
    text(out)
}

/// The rows of `value`. `handed` are reasons that an object above has for what
/// lies in this one, by their names within it.
fn rows(value: &Json, path: &str, handed: &[(String, Json)], out: &mut Writer<Vec<u8>>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Json::Object(fields) => {
            let mut reasons = handed.to_vec();
            if let Some(Json::Map(own)) = field(value, "missing") {
                reasons.extend_from_slice(own);
            }
            for (name, value) in fields.iter().filter(|(name, _)| *name != "missing") {
                let why = reasons.iter().find(|(field, _)| field == name).map(|(_, why)| why);
                match (value, why) {
                    (Json::Null, Some(why)) => write(out, [below(name), String::new(), cell(why)]),
                    _ => rows(value, &below(name), &within(&reasons, name), out),
                }
            }
        }
        Json::Map(fields) => {
            for (name, value) in fields {
                rows(value, &below(name), &[], out);
            }
        }
        Json::List(items) => {
            for (n, item) in items.iter().enumerate() {
                // A device is known by its name, not by its place.
                let name = ["device", "index"].iter().find_map(|key| field(item, key)).map(cell);
                rows(item, &below(&name.unwrap_or_else(|| n.to_string())), &[], out);
            }
        }
        plain => write(out, [path.to_owned(), cell(plain), String::new()]),
    }
}

/// Those of `reasons` that are about what lies in the field `name`
/// (`totals.memusable`), by their names within it.
fn within(reasons: &[(String, Json)], name: &str) -> Vec<(String, Json)> {
    let inner = |field: &str| Some(field.strip_prefix(name)?.strip_prefix('.')?.to_owned());
    reasons.iter().filter_map(|(field, why)| Some((inner(field)?, why.clone()))).collect()
}

fn object(value: &Json) -> &[(&'static str, Json)] {
    match value {
        Json::Object(fields) => fields,
        _ => &[],
    }
}

fn field<'a>(value: &'a Json, name: &str) -> Option<&'a Json> {
    object(value).iter().find(|(field, _)| *field == name).map(|(_, value)| value)
}

pub(super) fn is_plain(value: &Json) -> bool {
    !matches!(value, Json::List(_) | Json::Object(_) | Json::Map(_))
}

/// A value in a cell. A text that a table program would take for a formula
/// gets an apostrophe in front: a VM's name is nobody's formula.
pub(super) fn cell(value: &Json) -> String {
    match value {
        Json::Null | Json::List(_) | Json::Object(_) | Json::Map(_) => String::new(),
        Json::Flag(flag) => flag.to_string(),
        Json::Whole(number) => number.to_string(),
        Json::Real(number) => {
            if number.is_finite() {
                number.to_string()
            } else {
                String::new()
            }
        }
        Json::Text(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
        Json::Text(text) => text.clone(),
    }
}

/// `disk_read_rate: first reading; …`
pub(super) fn reasons(missing: &Json) -> String {
    let Json::Map(reasons) = missing else { return String::new() };
    let words: Vec<String> = reasons.iter().map(|(field, why)| format!("{field}: {}", cell(why))).collect();
    words.join("; ")
}

fn write(out: &mut Writer<Vec<u8>>, cells: impl IntoIterator<Item = String>) {
    // Into memory, and every row of a table has its columns: nothing to fail.
    let _ = out.write_record(cells);
}

fn text(out: Writer<Vec<u8>>) -> String {
    out.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
