//! From real guests into real databases: all four measurements are read back
//! field by field and compared with virsh.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{collections::BTreeMap, time::Duration};

use lab::{
    fields::{AllStats, Series, Stats, between, expected, is_gauge},
    guests::{LOADED, Lab},
    servers::Server,
    terminal::Terminal,
};
use serde_json::Value;

/// The points of one guest as a database has them: time in ns and value. A
/// text value is kept beside the numbers, as its own map.
#[derive(Debug, Default)]
struct Points {
    numbers: BTreeMap<Series, Vec<(i64, f64)>>,
    texts: BTreeMap<Series, Vec<String>>,
}

fn check(guest: &str, points: &Points, before: &Stats, after: &Stats) {
    let found: Vec<_> = points.numbers.keys().cloned().collect();
    assert_eq!(found, expected(guest), "the series of {guest}");
    for (series, values) in &points.numbers {
        let name = format!("{} {} {} of {guest}", series.0, series.1, series.2);
        assert!(values.len() >= 3, "{name}: {values:?}");
        assert!(values.is_sorted_by(|a, b| a.0 < b.0), "{name}: times {values:?}");
        if series.0 == "vm_features" {
            continue;
        }
        let Some(range) = between(before, after, series) else {
            // QEMU counts no disk errors: never there, so 0.
            assert!(series.2.ends_with("errors"), "{name}: virsh has none");
            assert!(values.iter().all(|(_, value)| *value == 0.0), "{name}: {values:?}");
            continue;
        };
        assert!(values.iter().all(|(_, v)| range.contains(v)), "{name}: not all in {range:?}: {values:?}");
        assert!(is_gauge(&series.2) || values.is_sorted_by(|a, b| a.1 <= b.1), "{name} falls: {values:?}");
    }
    let series = |field: &str| &points.numbers[&("vm_features".into(), String::new(), field.into())];
    for ((time, rate), (_, angle)) in series("memory_rate_kb_per_sec").iter().zip(series("memory_angle_deg"))
    {
        let expected = (rate + 1e-12).atan().to_degrees();
        assert!((angle - expected).abs() < 1e-9, "{guest} at {time}: rate {rate} angle {angle}");
    }
}

/// Collects from the lab into `server` until `enough` says so, then quits.
fn collect_into(
    lab: &Lab,
    server: &Server,
    read_back: impl Fn(&Server, &str) -> Points,
) -> (AllStats, AllStats) {
    let ask_virsh = || LOADED.iter().map(|guest| (*guest, lab.domstats(guest))).collect();
    let home = tempfile::tempdir().unwrap();
    let _undisturbed = Lab::undisturbed();
    let before = ask_virsh();
    let url = server.url();
    let variables = [("INFLUX_URL", url.as_str()), ("INFLUX_TOKEN", "unused"), ("INFLUX_DB", "vmstats")];
    let mut terminal = Terminal::start(home.path(), (40, 140), &["--uri", &lab.uri()], &variables);
    lab::within(Duration::from_mins(1), "each measurement of each guest has come five times", || {
        let all = LOADED.iter().all(|guest| {
            let points = read_back(server, &lab.uuid(guest));
            let wanted = expected(guest);
            wanted.iter().all(|series| points.numbers.get(series).is_some_and(|values| values.len() >= 5))
        });
        all.then_some(())
    });
    terminal.press("q");
    let status = terminal.wait_for_end();
    assert!(status.success(), "{status:?}");
    (before, ask_virsh())
}

fn from_influxdb(server: &Server, uuid: &str) -> Points {
    let mut points = Points::default();
    for measurement in ["vm_metrics", "vm_features", "vm_devices", "vm_totals"] {
        let statement = format!("SELECT * FROM {measurement} WHERE \"uuid\" = '{uuid}'");
        let answer: Value = serde_json::from_str(&server.influxql("vmstats", &statement)).unwrap();
        let Some(series) = answer["results"][0]["series"][0].as_object() else { continue };
        let columns: Vec<&str> =
            series["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        for row in series["values"].as_array().unwrap() {
            let cells: BTreeMap<&str, &Value> =
                columns.iter().copied().zip(row.as_array().unwrap()).collect();
            let time = cells["time"].as_i64().unwrap();
            let device = cells.get("device").and_then(|d| d.as_str()).unwrap_or_default();
            for (column, value) in cells {
                if ["time", "VMID", "name", "uuid", "devtype", "device"].contains(&column) {
                    continue;
                }
                let name = (measurement.to_owned(), device.to_owned(), column.to_owned());
                match value {
                    Value::Number(number) => {
                        points.numbers.entry(name).or_default().push((time, number.as_f64().unwrap()));
                    }
                    Value::String(text) => points.texts.entry(name).or_default().push(text.clone()),
                    _ => {}
                }
            }
        }
    }
    points
}

fn from_victoria_metrics(server: &Server, uuid: &str) -> Points {
    let selector = lab::http::encode(&format!("{{uuid=\"{uuid}\"}}"));
    // What came last is visible after a flush.
    server.ask("GET", "/internal/force_flush");
    let text = server.ask("GET", &format!("/api/v1/export?match[]={selector}&start=0"));
    let mut points = Points::default();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let metric = &line["metric"];
        let full = metric["__name__"].as_str().unwrap();
        let measurement = ["vm_metrics", "vm_features", "vm_devices", "vm_totals"]
            .into_iter()
            .find(|name| full.starts_with(&format!("{name}_")))
            .unwrap_or_else(|| panic!("{full}"));
        let field = &full[measurement.len() + 1..];
        let device = metric["device"].as_str().unwrap_or_default();
        let times = line["timestamps"].as_array().unwrap().iter().map(|t| t.as_i64().unwrap() * 1_000_000);
        let values = line["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
        if (measurement, field) == ("vm_metrics", "state") {
            // It has no texts and keeps a 0 in their place.
            continue;
        }
        let name = (measurement.to_owned(), device.to_owned(), field.to_owned());
        points.numbers.insert(name, times.zip(values).collect());
    }
    points
}

#[test]
fn everything_arrives_in_influxdb() {
    let name = "everything_arrives_in_influxdb";
    let Some(lab) = Lab::shared(name) else { return };
    let Some(server) = Server::influxd(name) else { return };
    server.influxql("", "CREATE DATABASE vmstats");
    let (before, after) = collect_into(lab, &server, from_influxdb);
    for guest in LOADED {
        let points = from_influxdb(&server, &lab.uuid(guest));
        check(guest, &points, &before[guest], &after[guest]);
        let state = &points.texts[&("vm_metrics".into(), String::new(), "state".into())];
        assert!(state.iter().all(|state| state == "running"), "{state:?}");
        let tags = format!("SHOW SERIES FROM vm_metrics WHERE \"uuid\" = '{}'", lab.uuid(guest));
        let id = lab.virsh(&["domid", guest]);
        let series = server.influxql("vmstats", &tags);
        assert!(series.contains(&format!("vm_metrics,VMID={},name={guest},uuid=", id.trim())), "{series}");
    }
}

#[test]
fn everything_arrives_in_victoria_metrics() {
    let name = "everything_arrives_in_victoria_metrics";
    let Some(lab) = Lab::shared(name) else { return };
    let Some(server) = Server::victoria_metrics(name) else { return };
    let (before, after) = collect_into(lab, &server, from_victoria_metrics);
    for guest in LOADED {
        check(guest, &from_victoria_metrics(&server, &lab.uuid(guest)), &before[guest], &after[guest]);
    }
}
