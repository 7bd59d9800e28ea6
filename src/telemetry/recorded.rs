//! Cycles of the past as text, a VM of a cycle at a time: a line of JSON, or a
//! row of a table.
//!
//! The shape is that of [`super::json`]: a missing value is null or an empty
//! cell, and its reason stands beside it.

use csv::Writer;

use super::{
    Json,
    export::{cell, is_plain, reasons},
    json::{self, moment, time},
};
use crate::model::{DomainFrame, Frame};

/// Appends a line of JSON: the VM's object as in `vm-telemetry`, with its
/// devices and vCPUs, and when the cycle closed.
pub fn line(frame: &Frame, domain: &DomainFrame, out: &mut Vec<u8>) {
    let [at, mode, references, ..] = moment(frame, Some(frame.at));
    let mut fields = vec![at, mode, references];
    if let Json::Object(vm) = json::recorded(domain) {
        fields.extend(vm);
    }
    // Plain values into memory: it cannot fail.
    let _ = serde_json::to_writer(&mut *out, &Json::Object(fields));
    out.push(b'\n');
}

/// A table in the making: a row per VM and cycle, a column per figure, the last
/// one why cells are empty.
#[derive(Debug, Default)]
pub struct Rows {
    /// Whether the names of the columns are written.
    headed: bool,
}

impl Rows {
    /// Appends a row; before the first one the names of the columns.
    pub fn row(&mut self, frame: &Frame, domain: &DomainFrame, out: &mut Vec<u8>) {
        let Json::Object(vm) = json::figures(domain) else { return };
        let [_, (_, mode), (_, references), ..] = moment(frame, None);
        let references = match &references {
            Json::Object(references) => references.as_slice(),
            _ => &[],
        };
        // A job is an object; no job is null, and nothing that lacks.
        let columns = || vm.iter().filter(|(name, value)| is_plain(value) && *name != "job");
        let mut row = Writer::from_writer(out);
        if !std::mem::replace(&mut self.headed, true) {
            let of = references.iter().map(|(name, _)| format!("angle_reference_{name}"));
            let names = columns().map(|(name, _)| (*name).to_owned());
            let head = ["timestamp".to_owned(), "angle_mode".to_owned()].into_iter().chain(of);
            // Into memory as well.
            let _ = row.write_record(head.chain(names).chain(["missing".to_owned()]));
        }
        let missing = vm.iter().find(|(name, _)| *name == "missing").map(|(_, missing)| reasons(missing));
        let head = [cell(&time(frame.at)), cell(&mode)].into_iter();
        let of = references.iter().map(|(_, reference)| cell(reference));
        let values = columns().map(|(_, value)| cell(value));
        let _ = row.write_record(head.chain(of).chain(values).chain([missing.unwrap_or_default()]));
        let _ = row.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::fixture;

    #[test]
    fn each_vm_is_a_line_or_a_row_and_says_why_a_value_lacks() {
        let frame = fixture::frame();
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        let mut table = Rows::default();
        for domain in &frame.domains {
            line(&frame, domain, &mut lines);
            table.row(&frame, domain, &mut rows);
        }
        let lines = String::from_utf8(lines).unwrap();
        let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(first["timestamp"], "2023-11-13T09:40:00Z");
        assert_eq!(first["angle_references"]["disk"], 10_485_760.0);
        assert_eq!(
            (first["totals"]["cpus"].as_u64(), first["cputime"].as_u64()),
            (Some(2), Some(6_000_000_000))
        );
        assert!(first["devices"].is_array() && first["vcpus"].is_array() && first.get("events").is_none());
        assert!(first["totals"]["disk_errors"].is_null());
        assert_eq!(first["missing"]["totals.disk_errors"], "not offered by this hypervisor");
        assert_eq!(lines.lines().count(), frame.domains.len());

        let mut read = csv::Reader::from_reader(&*rows);
        let head = read.headers().unwrap().clone();
        let column = |name: &str| head.iter().position(|column| column == name).unwrap();
        let rows: Vec<_> = read.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), frame.domains.len());
        assert_eq!((&rows[0][column("cputime")], &rows[0][column("angle_mode")]), ("6000000000", "scaled"));
        let off = rows.last().unwrap();
        assert_eq!(&off[column("id")], "");
        assert!(off[column("missing")].contains("id: not running"), "{off:?}");
    }
}
