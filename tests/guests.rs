//! `kvmscope once --json` against virsh, on real guests under load.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use lab::{
    fields::{Series, Stats, between, expected},
    guests::{BACKUP, BATCH, DB, GATEWAY, HOSTILE, LOADED, Lab, STAGING, WEB},
};
use serde_json::Value;

/// Long enough that a load's rounds average out.
const INTERVAL: f64 = 3.0;

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
    vm[field].as_f64().unwrap_or_else(|| panic!("{field} of {} is {}", vm["name"], vm[field]))
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
                assert!(value.is_number(), "{name} is {value}");
                continue;
            }
            match between(before, &after, &series) {
                Some(range) => {
                    let value = value.as_f64().unwrap_or_else(|| panic!("{name} is {value}"));
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
    let over = AtomicBool::new(false);
    let (vms, samples) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut samples: BTreeMap<&str, Vec<(f64, Stats)>> = BTreeMap::new();
            while !over.load(Ordering::Relaxed) {
                for guest in LOADED {
                    let begun = seconds();
                    let stats = lab.domstats(guest);
                    samples.entry(guest).or_default().push((f64::midpoint(begun, seconds()), stats));
                }
            }
            samples
        });
        let vms = once(&lab.uri());
        over.store(true, Ordering::Relaxed);
        (vms, sampler.join().unwrap())
    });
    for (guest, field, counter, unit, step) in rates {
        let series: Vec<(f64, f64)> =
            samples[guest].iter().map(|(at, stats)| (*at, counter(stats))).collect();
        let (low, high) = rates_over(&series, INTERVAL);
        let slack = step / INTERVAL;
        let (low, high) = ((low * 0.9 - slack) * unit, (high * 1.1 + slack) * unit);
        let value = number(&vms[guest], field);
        assert!(low > 0.0, "{guest} is too idle to judge {field}: {series:?}");
        assert!((low..=high).contains(&value), "{field} of {guest}: {value} not in {low}..={high}");
    }
}

/// The least and the most that a counter grew per second over any `span` within
/// its series, between its samples in a straight line.
fn rates_over(series: &[(f64, f64)], span: f64) -> (f64, f64) {
    let at = |time: f64| {
        let after = series.partition_point(|(t, _)| *t < time).clamp(1, series.len() - 1);
        let ((t0, v0), (t1, v1)) = (series[after - 1], series[after]);
        v0 + (v1 - v0) * (time - t0) / (t1 - t0)
    };
    let (first, last) = (series[0].0, series[series.len() - 1].0);
    assert!(last - first >= span, "virsh was watched for {} s only", last - first);
    let starts = series.iter().map(|(t, _)| *t).filter(|t| t + span <= last);
    let rates: Vec<f64> = starts.map(|start| (at(start + span) - at(start)) / span).collect();
    (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(f64::MIN, f64::max))
}

#[test]
fn the_rate_over_a_series_is_its_slope() {
    let steady: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i) * 0.1, f64::from(i) * 7.0)).collect();
    let (low, high) = rates_over(&steady, 3.0);
    assert!((low - 70.0).abs() < 1e-6 && (high - 70.0).abs() < 1e-6, "{low} {high}");
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn what_cannot_be_read_is_null_with_its_reason() {
    let Some(lab) = Lab::shared("what_cannot_be_read_is_null_with_its_reason") else { return };
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
