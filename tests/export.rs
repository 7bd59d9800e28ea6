//! `kvmscope export` of a record at rest: what comes out is what went in, byte
//! for byte or with the reasons; its bounds are exact; what cannot be is said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod exporting;
mod lab;
mod sample;
mod scenes;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::{MetadataExt as _, symlink},
    process::Stdio,
};

use exporting::{CYCLES, Left, at, refused, stamp, whole};
use influxdb_line_protocol::{FieldValue, parse_lines};
use kvmscope::{
    clock::Clock,
    model::{Nanos, WallTime},
    telemetry::json,
};
use lab::servers::Server;
use scenes::{HANGS, POOR};
use serde_json::Value;

/// Before everything.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

#[test]
fn lines_are_those_that_were_sent_byte_for_byte() {
    for most in [2000, 3] {
        let left = Left::scenes(most);
        let files = || std::fs::read_dir(left.file().parent().unwrap()).unwrap().count();
        let before = (std::fs::read(left.file()).unwrap(), files());
        assert_eq!(left.exported(&["--since", LONG_AGO]), left.sent, "rows of {most}");
        let after = (std::fs::read(left.file()).unwrap(), files());
        assert!(after == before, "the record is left as it was, and nothing beside it");
    }
}

#[test]
fn a_stretch_begins_with_its_first_instant_and_ends_before_its_last() {
    let left = Left::scenes(5);
    let mut instants: Vec<i64> = left.sent.lines().map(stamp).collect();
    instants.sort_unstable();
    instants.dedup();
    let (first, middle, last) = (instants[40], instants[100], instants[instants.len() - 30]);
    let expected = |from: i64, until: i64| -> String {
        left.sent
            .split_inclusive('\n')
            .filter(|line| (from..until).contains(&stamp(line.trim_end())))
            .collect()
    };
    for (from, until) in [(first, middle), (middle, last), (first, first + 1), (first + 1, middle + 1)] {
        let exported = left.exported(&["--since", &at(from), "--until", &at(until)]);
        assert_eq!(exported, expected(from, until), "{from} {until}");
    }
    // Stretches can be joined.
    let joined: String = [(instants[0], middle), (middle, last), (last, instants[instants.len() - 1] + 1)]
        .map(|(from, until)| left.exported(&["--since", &at(from), "--until", &at(until)]))
        .concat();
    let mut joined: Vec<_> = joined.lines().collect();
    let mut all: Vec<_> = left.sent.lines().collect();
    joined.sort_unstable();
    all.sort_unstable();
    assert_eq!(joined, all);
    // Of cycles it is when they closed.
    let closed = left.frames[20].at.0;
    let exported = left.exported(&["--since", &at(closed), "--until", &at(closed + 1), "--format", "jsonl"]);
    assert_eq!(exported.lines().count(), left.frames[20].domains.len());
}

#[test]
fn a_clock_that_was_set_back_or_forward_hides_no_line() {
    const HOUR: i64 = 3_600_000_000_000;
    let begins = Clock::system().now().0.0 - 30 * HOUR;
    let mut frame = sample::frame(Vec::new());
    // Set back by two hours, forward by a day, and back to where it was.
    let mut cycles = Vec::new();
    for shift in [0, -2 * HOUR, 22 * HOUR, 60_000_000_000] {
        for second in 0..40 {
            frame.cycle += 1;
            frame.at = WallTime(begins + shift + second * 1_000_000_000);
            let mut reading = sample::reading(sample::identity(Some(1), "web", &scenes::uuid(1)));
            reading.at = frame.at;
            frame.domains = vec![std::sync::Arc::new(sample::domain(reading))].into();
            cycles.push(frame.clone());
        }
    }
    let left = Left::of(cycles, 2000);
    assert_eq!(left.exported(&["--since", LONG_AGO]), left.sent);
    let second = 1_000_000_000;
    for (from, until) in [
        (-2 * HOUR, -2 * HOUR + 20 * second),
        (-2 * HOUR + 10 * second, 5 * second),
        (0, 90 * second),
        (30 * second, 70 * second),
        (-3 * HOUR, HOUR),
        (22 * HOUR + 20 * second, 23 * HOUR),
        (70 * second, 23 * HOUR),
    ] {
        let (from, until) = (begins + from, begins + until);
        let span = ["--since", &at(from), "--until", &at(until)];
        let is_in = |at: i64| (from..until).contains(&at);
        let lines: String =
            left.sent.split_inclusive('\n').filter(|line| is_in(stamp(line.trim_end()))).collect();
        assert!(!lines.is_empty());
        assert_eq!(left.exported(&span), lines, "{span:?}");
        let closed = left.frames.iter().filter(|frame| is_in(frame.at.0)).count();
        let objects = left.exported(&[&span[..], &["--format", "jsonl"]].concat());
        assert_eq!(objects.lines().count(), closed, "{span:?}");
    }
}

#[test]
fn one_vm_is_found_by_its_name_whatever_is_in_it_and_by_its_uuid() {
    let left = Left::scenes(4);
    for vm in [HANGS, POOR, 1] {
        let uuid = scenes::uuid(vm);
        let expected: String =
            left.sent.split_inclusive('\n').filter(|line| line.contains(&format!(",uuid={uuid}"))).collect();
        let raw = match vm {
            HANGS => format!("a b,c=d\\e \u{202e}\u{1b}[31m\n,uuid=x vm_metrics,VMID=9 {HANGS}"),
            POOR => format!("虚拟机 \"quoted\" {POOR}"),
            _ => "web 1".to_owned(),
        };
        let stored = left.frames[0].find(&uuid).unwrap().identity().name.to_string();
        for asked in [&*uuid, &uuid.to_uppercase(), &raw, &stored] {
            assert_eq!(left.exported(&["--since", LONG_AGO, "--vm", asked]), expected, "{asked:?}");
        }
        let lines = left.exported(&["--since", LONG_AGO, "--vm", &stored, "--format", "jsonl"]);
        assert_eq!(lines.lines().count(), usize::try_from(CYCLES).unwrap(), "{stored:?}");
        assert!(lines.lines().all(|line| line.contains(&uuid)));
    }
}

/// Whether a value is the one that was shown. Counters are, to the last digit;
/// what the record keeps beside its lines is as exact as the screen shows it.
fn is_as_shown(name: &str, value: &Value, shown: &Value) -> bool {
    let (Some(found), Some(number)) = (value.as_f64(), shown.as_f64()) else { return value == shown };
    if shown.is_u64() {
        return value == shown;
    }
    let coarse = ["cpu_", "overhead_", "steal_"].iter().any(|beginning| name.starts_with(beginning));
    let third = name.contains("_ms_per_") || name.contains("flushes");
    let by = match (coarse, third) {
        (true, _) => 0.0101,
        (_, true) => (number / 190.0).max(0.051),
        _ => number.abs() * 1e-6,
    };
    (found - number).abs() <= by
}

#[test]
fn as_json_every_value_is_as_it_was_shown_or_null_with_its_reason() {
    let left = Left::scenes(7);
    let exported = left.exported(&["--since", LONG_AGO, "--format", "jsonl"]);
    let mut lines = exported.lines();
    let (mut nulls, mut values) = (0, 0);
    for frame in &left.frames {
        for domain in &frame.domains {
            let line: Value = serde_json::from_str(lines.next().expect("a line for each VM")).unwrap();
            assert_eq!(line["timestamp"].as_str(), Some(&*at(frame.at.0)));
            assert_eq!(line["angle_mode"], "scaled");
            let shown: Value =
                serde_json::from_str(&serde_json::to_string(&json::vm(domain)).unwrap()).unwrap();
            for (name, value) in shown.as_object().unwrap() {
                // What the record does not keep has words of its own; of a VM
                // that was not read it has the state as it was last.
                let kept = !["devices", "vcpus", "events", "missing", "mend"].contains(&name.as_str())
                    && (domain.fresh || !["read_at", "state_reason"].contains(&name.as_str()));
                if kept && !value.is_object() {
                    let is = is_as_shown(name, &line[name], value);
                    assert!(
                        is,
                        "{name} in {}: {} for {value}
{line}",
                        frame.cycle, line[name]
                    );
                    values += 1;
                }
                if kept && value.is_null() && name != "job" {
                    assert_eq!(line["missing"][name], shown["missing"][name], "{name} in {}", frame.cycle);
                    nulls += 1;
                }
            }
        }
    }
    assert_eq!(lines.next(), None);
    assert!(nulls > 100 && values > 10_000, "{nulls} {values}");
    let hung = exported.lines().filter(|line| line.contains("monitor not answering since")).count();
    assert_eq!(hung, 6, "the cycles in which it hung");
}

#[test]
fn as_a_table_a_missing_value_is_an_empty_cell_with_its_reason_beside_it() {
    let left = Left::scenes(2000);
    let exported = left.exported(&["--since", LONG_AGO, "--format", "csv", "--vm", &scenes::uuid(HANGS)]);
    let mut table = csv::Reader::from_reader(exported.as_bytes());
    let head = table.headers().unwrap().clone();
    let column =
        |name: &str| head.iter().position(|column| column == name).unwrap_or_else(|| panic!("{name}"));
    let rows: Vec<_> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), usize::try_from(CYCLES).unwrap());
    for (row, frame) in rows.iter().zip(&left.frames) {
        assert_eq!(row[column("timestamp")], at(frame.at.0));
        assert_eq!(&row[column("angle_reference_disk")], "10485760");
        let domain = frame.find(&scenes::uuid(HANGS)).unwrap();
        let written = domain.reading.disks.as_ref().ok().map(|disks| {
            disks.iter().map(|disk| disk.counters.unwrap().wr_bytes.unwrap()).sum::<u64>().to_string()
        });
        assert_eq!(row[column("disk_write_bytes")], written.unwrap_or_default(), "{}", frame.cycle);
        let why = row[column("missing")].contains("disk_write_bytes: monitor not answering since");
        assert_eq!(why, domain.reading.disks.is_err(), "{}", frame.cycle);
    }
}

#[test]
fn what_cannot_be_is_said_with_a_code_of_its_own() {
    let left = Left::scenes(2000);
    for (arguments, code, words) in [
        (&["--since", "yesterday"][..], 2, &["--since \"yesterday\" is no time", "RFC 3339", "today"][..]),
        (&["--since", LONG_AGO, "--until", "soon"], 2, &["--until \"soon\""]),
        (&["--since", "2h", "--until", "3h"], 2, &["is not before"]),
        (
            &["--since", LONG_AGO, "--until", "2020-01-02T00:00:00Z"],
            4,
            &["nothing is recorded", "holds 2023-11-"],
        ),
        (&["--since", "1h"], 4, &["nothing is recorded", "holds 2023-11-"]),
        (&["--since", LONG_AGO, "--vm", "no\u{1b}such"], 5, &["no VM", "\"no\\u{1b}such\"", "kvmscope once"]),
        (&["--since", LONG_AGO, "--format", "xml"], 2, &["lp, csv, jsonl"]),
        (&[], 2, &["--since"]),
    ] {
        let (found, told) = refused(&left.run(arguments));
        assert_eq!(found, code, "{arguments:?}: {told}");
        for word in words {
            assert!(told.contains(word), "{arguments:?}: {told}");
        }
    }
    let (code, told) = refused(&Left::empty().run(&["--since", "1h"]));
    assert!(code == 1 && told.contains("there is no record in"), "{told}");
    let mut off = left.command(&["--since", "1h"]);
    let config = left.home.path().join("off.toml");
    std::fs::write(&config, "[store]\npath = \"none\"\n").unwrap();
    let (code, told) = refused(&off.arg("--config").arg(&config).output().unwrap());
    assert!(code == 1 && told.contains("store.path is none"), "{told}");
}

#[test]
fn a_file_is_new_and_its_owners_alone_and_whole_or_not_there() {
    let left = Left::scenes(2000);
    let place = left.home.path().join("export.lp");
    let path = place.to_str().unwrap();
    assert_eq!(left.exported(&["--since", LONG_AGO, "--output", path]), "");
    assert_eq!(std::fs::read_to_string(&place).unwrap(), left.sent);
    assert_eq!(std::fs::metadata(&place).unwrap().mode() & 0o777, 0o600);
    // Neither one that is there is written over, nor what a link leads to.
    let (code, told) = refused(&left.run(&["--since", LONG_AGO, "--output", path]));
    assert!(code == 1 && told.contains("name another file"), "{told}");
    let (linked, target) = (left.home.path().join("link"), left.home.path().join("target"));
    symlink(&target, &linked).unwrap();
    let (code, _) = refused(&left.run(&["--since", LONG_AGO, "--output", linked.to_str().unwrap()]));
    assert!(code == 1 && !target.exists());
    // Nothing there, no file.
    let none = left.home.path().join("none.lp");
    assert_eq!(refused(&left.run(&["--since", "1h", "--output", none.to_str().unwrap()])).0, 4);
    assert!(!none.exists());
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let frames = |base: i64| -> Vec<_> {
        let mut frame = sample::frame(Vec::new());
        (0..200)
            .map(|number| {
                frame.at = WallTime(base + number * 1_000_000_000);
                let many = (0..60_u32).map(|vm| {
                    let name = format!("vm-{vm}");
                    let mut reading =
                        sample::reading(sample::identity(Some(vm + 1), &name, &scenes::uuid(vm)));
                    reading.at = frame.at;
                    std::sync::Arc::new(sample::domain(reading))
                });
                frame.domains = many.collect();
                frame.clone()
            })
            .collect()
    };
    let left = Left::of(frames(1_700_000_000_000_000_000), 2000);
    assert!(left.sent.len() > 4 << 20, "more than any pipe holds");
    for format in ["lp", "csv", "jsonl"] {
        let mut process = left
            .command(&["--since", LONG_AGO, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let output = process.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{format}");
    }
}

type Points = BTreeMap<(String, i64, String, String), String>;

/// What a database should hold: by measurement, time, tags and field.
fn points(text: &str) -> Points {
    let mut all = Points::new();
    for line in parse_lines(text) {
        let line = line.unwrap();
        let tags = line.series.tag_set.iter().flatten().map(|(key, value)| format!("{key}={value}"));
        let mut tags: Vec<_> = tags.collect();
        tags.sort();
        for (field, value) in &line.field_set {
            let value = match value {
                FieldValue::I64(value) => value.to_string(),
                FieldValue::F64(value) => value.to_string(),
                FieldValue::String(value) => value.to_string(),
                other => panic!("{other:?}"),
            };
            let key = (
                line.series.measurement.to_string(),
                line.timestamp.unwrap(),
                tags.join(";"),
                field.to_string(),
            );
            assert_eq!(all.insert(key, value), None);
        }
    }
    all
}

#[test]
fn the_database_takes_an_export_as_it_is_and_holds_what_was_recorded() {
    let Some(server) = Server::influxd("an export into InfluxDB") else { return };
    let left = Left::scenes(2000);
    let file = left.home.path().join("all.lp");
    left.exported(&["--since", LONG_AGO, "--output", file.to_str().unwrap()]);
    server.influxql("copy", "CREATE DATABASE copy");
    let written = std::fs::read(&file).unwrap();
    let (status, body) =
        lab::http::request(server.address(), "POST", "/write?db=copy&precision=ns", &written).unwrap();
    assert_eq!((status, &*body), (204, ""));
    let mut held = Points::new();
    for measurement in ["vm_metrics", "vm_features", "vm_devices", "vm_totals"] {
        let answer = server.influxql("copy", &format!("SELECT * FROM {measurement} GROUP BY *"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        for series in answer["results"][0]["series"].as_array().expect("series") {
            let tags = series["tags"].as_object().unwrap().iter();
            // Every series has every tag key there, empty where it has none.
            let tags = tags.filter(|(_, value)| *value != "");
            let mut tags: Vec<_> =
                tags.map(|(key, value)| format!("{key}={}", value.as_str().unwrap())).collect();
            tags.sort();
            let columns = series["columns"].as_array().unwrap();
            for row in series["values"].as_array().unwrap() {
                for (column, value) in columns.iter().zip(row.as_array().unwrap()).skip(1) {
                    let value = match value {
                        Value::Null => continue,
                        Value::String(text) => text.clone(),
                        Value::Number(number) => number.to_string(),
                        other => panic!("{other}"),
                    };
                    let name = column.as_str().unwrap().to_owned();
                    held.insert((measurement.into(), row[0].as_i64().unwrap(), tags.join(";"), name), value);
                }
            }
        }
    }
    let sent = points(&left.sent);
    assert!(sent.len() > 5000, "{}", sent.len());
    assert_eq!(held.len(), sent.len());
    for (key, value) in &sent {
        let found = held.get(key).unwrap_or_else(|| panic!("{key:?} is not there"));
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        // How a server spells the last digit of a floating number is its own affair.
        let same = found == value
            || (value.contains('.') && (number(found) - number(value)).abs() <= number(value).abs() * 1e-15);
        assert!(same, "{key:?}: {found} is not {value}");
    }
}

/// Peak of resident memory in bytes.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[test]
fn a_large_record_takes_no_more_memory_than_a_small_one() {
    // In the long form half a GiB of record, some thirty times that of lines.
    let enough = if lab::torture() { 512 << 20 } else { 2 << 20 };
    let left = Left::empty();
    let mut length = 0;
    left.record(|record| {
        let mut frame = sample::frame(Vec::new());
        let mut state = 1_u64;
        let mut number = 0;
        while record.journal.bytes() < enough {
            number += 1;
            frame.cycle = number;
            frame.at = WallTime(1_700_000_000_000_000_000 + i64::try_from(number).unwrap() * 1_000_000_000);
            let many = (0..400_u32).map(|vm| {
                // Counters that compress badly.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let name = format!("vm-{vm}");
                let mut reading = sample::reading(sample::identity(Some(vm + 1), &name, &scenes::uuid(vm)));
                reading.at = frame.at;
                reading.cpu.as_mut().unwrap().time = Nanos(state >> 12);
                reading.nics = Ok(vec![sample::nic("vnet0", state >> 20)]);
                reading.disks = Ok(vec![sample::disk("vda", state >> 16)]);
                std::sync::Arc::new(sample::domain(reading))
            });
            frame.domains = many.collect();
            record.append(&frame, 2000);
        }
        length = number;
    });
    let mut peaks = Vec::new();
    for (format, until) in [("lp", Some(5)), ("lp", None), ("jsonl", Some(5)), ("jsonl", None)] {
        let until = until.map_or(length + 1, |few| few.min(length));
        let until = at(1_700_000_000_000_000_000 + i64::try_from(until).unwrap() * 1_000_000_000 + 1);
        let mut process = left
            .command(&["--since", LONG_AGO, "--until", &until, "--format", format])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = process.stdout.take().unwrap();
        let (mut buffer, mut read, mut most) = (vec![0; 1 << 20], 0_u64, 0);
        loop {
            let count = out.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            read += count as u64;
            most = most.max(peak(process.id()).unwrap_or(0));
        }
        assert!(process.wait().unwrap().success());
        peaks.push((format, read, most));
    }
    for pair in peaks.chunks(2) {
        let [(format, few, small), (_, many, large)] = pair else { unreachable!() };
        assert!(*many > few * 2, "{format}: {few} {many}");
        assert!(*large < small + (32 << 20) && *large < 128 << 20, "{format}: {peaks:?}");
    }
    eprintln_peaks(&peaks);
}

#[allow(clippy::print_stderr, reason = "figures for whoever reads the long form")]
fn eprintln_peaks(peaks: &[(&str, u64, u64)]) {
    for (format, read, most) in peaks {
        eprintln!("{format}: {} MB exported, {} MB resident at most", read / 1_000_000, most / 1_000_000);
    }
}

#[test]
fn damage_is_told_and_the_rest_is_exported() {
    let left = Left::scenes(2000);
    let lines = left.damage();
    let output = left.run(&["--since", LONG_AGO]);
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains(&format!("lacks {lines} lines")), "{told}");
    let mut healed = output;
    (healed.status, healed.stderr) = (std::process::ExitStatus::default(), Vec::new());
    let exported = whole(&healed);
    assert_eq!(exported.lines().count() + lines, left.sent.lines().count());
}
