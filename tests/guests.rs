//! `kvmscope once --json` against virsh, on real guests under load.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{collections::BTreeMap, time::Instant};

use lab::{
    fields::{Series, Stats, between, expected},
    guests::{BACKUP, BATCH, DB, GATEWAY, HOSTILE, LOADED, Lab, STAGING, WEB},
};
use serde_json::Value;

/// Long enough that a load's rounds average out.
const INTERVAL: f64 = 4.0;

/// What `once --json` prints for `uri`, by guest.
fn once(uri: &str) -> BTreeMap<String, Value> {
    let home = tempfile::tempdir().unwrap();
    let interval = INTERVAL.to_string();
    let output = lab::program::kvmscope(home.path())
        .args(["once", "--json", "--uri", uri, "--poll-interval", &interval])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let vms = answer["vms"].as_array().unwrap();
    assert_eq!(answer["count"].as_u64(), Some(vms.len() as u64));
    vms.iter().map(|vm| (vm["name"].as_str().unwrap().to_owned(), vm.clone())).collect()
}

fn number(vm: &Value, field: &str) -> f64 {
    vm[field].as_f64().unwrap_or_else(|| panic!("{field} of {}: {}", vm["name"], vm["missing"]))
}

/// Where `once --json` has a series of the measurements.
fn value<'a>(vm: &'a Value, (measurement, device, field): &Series) -> &'a Value {
    match (measurement.as_str(), field.as_str()) {
        ("vm_metrics", "memory_max_kb") => &vm["memory_max"],
        ("vm_metrics", "memory_used_kb") => &vm["memory_used"],
        ("vm_metrics", "cputime_ns") => &vm["cputime"],
        ("vm_metrics", _) => &vm[field],
        ("vm_features", _) => &vm["features"][field],
        ("vm_totals", _) => &vm["totals"][field],
        _ => {
            let devices = vm["devices"].as_array().unwrap();
            let device = devices.iter().find(|found| found["device"] == device.as_str());
            &device.unwrap_or_else(|| panic!("{measurement} {field}: no device in {vm}"))["counters"][field]
        }
    }
}

fn series(measurement: &str, device: &str, field: &str) -> Series {
    (measurement.to_owned(), device.to_owned(), field.to_owned())
}

#[test]
fn every_field_lies_between_those_of_virsh_before_and_after() {
    let Some(lab) = Lab::shared("every_field_lies_between_those_of_virsh_before_and_after") else { return };
    let _undisturbed = Lab::undisturbed();
    let before: BTreeMap<_, _> = LOADED.iter().map(|guest| (*guest, lab.domstats(guest))).collect();
    let vms = once(&lab.uri());
    for guest in LOADED {
        let (before, vm, after) = (&before[guest], &vms[guest], lab.domstats(guest));
        assert_eq!(vm["uuid"].as_str(), Some(lab.uuid(guest).as_str()));
        assert_eq!(vm["id"].to_string(), lab.virsh(&["domid", guest]).trim());
        assert_eq!(vm["state"].as_str(), Some("running"));
        for series in expected(guest) {
            let value = value(vm, &series);
            let name = format!("{series:?} of {guest}");
            if series.0 == "vm_features" {
                assert!(value.is_number(), "{name} is {value}: {}", vm["missing"]);
                continue;
            }
            match between(before, &after, &series) {
                Some(range) => {
                    let value = value.as_f64().unwrap_or_else(|| panic!("{name}: {}", vm["missing"]));
                    assert!(range.contains(&value), "{name}: {value} not in {range:?}");
                }
                // No number where libvirt has none.
                None => assert!(value.is_null(), "{name} is {value}"),
            }
        }
        for (total, series) in [
            ("disk_read_bytes", series("vm_totals", "", "disk_rd_bytes")),
            ("disk_write_bytes", series("vm_totals", "", "disk_wr_bytes")),
            ("network_rx_bytes", series("vm_totals", "", "net_rxbytes")),
            ("network_tx_bytes", series("vm_totals", "", "net_txbytes")),
        ] {
            assert_eq!(&vm[total], value(vm, &series), "{total} of {guest}");
        }
    }
    // The loads really moved the counters that they are there to move.
    for (guest, series) in
        [(DB, series("vm_devices", "vda", "wr_bytes")), (GATEWAY, series("vm_devices", "gw0", "rxbytes"))]
    {
        let range = between(&before[guest], &lab.domstats(guest), &series).unwrap();
        assert!(range.start() < range.end(), "{series:?} of {guest} stands still: {range:?}");
    }
}

/// A counter in virsh's figures.
type Counter = fn(&Stats) -> f64;

/// The time that all vCPUs have run, in ns.
fn vcpu_time(stats: &Stats) -> f64 {
    let of = |index: u32| stats.get(&format!("vcpu.{index}.time"))?.parse::<f64>().ok();
    (0..).map_while(of).sum()
}

#[test]
fn rates_agree_with_virsh() {
    let Some(lab) = Lab::shared("rates_agree_with_virsh") else { return };
    // A rate, the counter it comes from, what one of the counter is in the
    // rate's unit, and the step in which the load moves the counter.
    let mebibyte = 1_048_576.0;
    let rates: [(&str, &str, Counter, f64, f64); 5] = [
        (DB, "disk_write_bytes_per_sec", |s| s["block.0.wr.bytes"].parse().unwrap(), 1.0, mebibyte),
        (DB, "disk_read_bytes_per_sec", |s| s["block.0.rd.bytes"].parse().unwrap(), 1.0, mebibyte / 4.0),
        (GATEWAY, "network_rx_bytes_per_sec", |s| s["net.0.rx.bytes"].parse().unwrap(), 1.0, 2084.0),
        (GATEWAY, "network_tx_bytes_per_sec", |s| s["net.0.tx.bytes"].parse().unwrap(), 1.0, 2084.0),
        // Percent of two vCPUs; the load comes in slices of 200 ms.
        (WEB, "cpu_usage_percent", vcpu_time, 100.0 / 2.0 / 1e9, 0.2e9),
    ];
    let _undisturbed = Lab::undisturbed();
    let ask = |guest| (Instant::now(), lab.domstats(guest));
    let before: BTreeMap<_, _> = LOADED.iter().map(|guest| (*guest, ask(guest))).collect();
    let vms = once(&lab.uri());
    for (guest, field, counter, unit, step) in rates {
        let ((begun, first), (ended, last)) = (&before[guest], ask(guest));
        let growth = counter(&last) - counter(first);
        // kvmscope's interval lies within virsh's, so it saw no more growth;
        // the loads are steady, so it saw most of a fair share of it.
        let high = (growth + step) / INTERVAL * 1.05;
        let low = growth / ended.duration_since(*begun).as_secs_f64() * 0.6 - step / INTERVAL;
        assert!(low > 0.0, "{guest} is too idle to judge {field}: {growth}");
        let value = number(&vms[guest], field);
        let range = low * unit..=high * unit;
        assert!(range.contains(&value), "{field} of {guest}: {value} not in {range:?}");
    }
}

#[test]
fn what_cannot_be_read_is_null_with_its_reason() {
    let Some(lab) = Lab::shared("what_cannot_be_read_is_null_with_its_reason") else { return };
    let _undisturbed = Lab::undisturbed();
    let vms = once(&lab.uri());
    // A user-mode network card has no counter on the host.
    assert!(vms[BATCH]["network_rx_bytes"].is_null(), "{}", vms[BATCH]);
    assert!(vms[BATCH]["missing"]["network_rx_bytes"].is_string(), "{}", vms[BATCH]);
    // A paused guest is read; it does nothing.
    assert_eq!(vms[STAGING]["state"].as_str(), Some("paused"));
    assert!(number(&vms[STAGING], "cpu_usage_percent") < 1.0, "{}", vms[STAGING]);
    // The mark that turns text around is rewritten, the rest of a name is kept.
    assert!(vms.contains_key(&HOSTILE.replace('\u{202e}', "_")), "{:?}", vms.keys());
    assert!(!vms.get(BACKUP).is_some_and(|vm| vm["cpu_usage_percent"].is_number()));
}
