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

use lab::guests::{BACKUP, BATCH, DB, GATEWAY, HOSTILE, LOADED, Lab, STAGING, WEB};
use serde_json::Value;

/// `virsh domstats` of one guest.
type Stats = BTreeMap<String, String>;

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

/// The sum of the domstats parameters `PREFIX.<n>.SUFFIX`.
fn sum(stats: &Stats, prefix: &str, suffix: &str) -> f64 {
    let numbered = |key: &str| {
        let rest = key.strip_prefix(prefix)?.strip_prefix('.')?;
        let (index, rest) = rest.split_once('.')?;
        (index.parse::<u32>().is_ok() && rest == suffix).then_some(())
    };
    stats.iter().filter(|(key, _)| numbered(key).is_some()).map(|(_, v)| v.parse::<f64>().unwrap()).sum()
}

/// The totals of `once` and where virsh has them.
const COUNTERS: [(&str, &str, &str); 4] = [
    ("disk_read_bytes", "block", "rd.bytes"),
    ("disk_write_bytes", "block", "wr.bytes"),
    ("network_rx_bytes", "net", "rx.bytes"),
    ("network_tx_bytes", "net", "tx.bytes"),
];

#[test]
fn counters_lie_between_those_of_virsh_before_and_after() {
    let Some(lab) = Lab::shared("counters_lie_between_those_of_virsh_before_and_after") else { return };
    let before: BTreeMap<_, _> = LOADED.iter().map(|guest| (*guest, lab.domstats(guest))).collect();
    let vms = once(&lab.uri());
    for guest in LOADED {
        let (before, vm, after) = (&before[guest], &vms[guest], lab.domstats(guest));
        assert_eq!(vm["uuid"].as_str(), Some(lab.uuid(guest).as_str()));
        assert_eq!(vm["id"].to_string(), lab.virsh(&["domid", guest]).trim());
        for (field, prefix, suffix) in COUNTERS {
            let (low, high) = (sum(before, prefix, suffix), sum(&after, prefix, suffix));
            let value = number(vm, field);
            assert!((low..=high).contains(&value), "{field} of {guest}: {value} not in {low}..={high}");
        }
    }
    // The loads really moved the counters that they are there to move.
    let moved = |guest: &str, prefix: &str, suffix: &str| {
        sum(&lab.domstats(guest), prefix, suffix) > sum(&before[guest], prefix, suffix)
    };
    assert!(moved(DB, "block", "wr.bytes") && moved(GATEWAY, "net", "rx.bytes"));
}

#[test]
fn rates_agree_with_virsh() {
    let Some(lab) = Lab::shared("rates_agree_with_virsh") else { return };
    // A rate, where virsh has its counter, what one unit of the counter is in
    // the rate's unit, and the step in which the load moves the counter.
    let mebibyte = 1_048_576.0;
    let rates = [
        (DB, "disk_write_per_sec", "block", "wr.bytes", 1.0, mebibyte),
        (DB, "disk_read_per_sec", "block", "rd.bytes", 1.0, mebibyte / 4.0),
        (GATEWAY, "network_rx_per_sec", "net", "rx.bytes", 1.0, 2.0 * 1042.0),
        (GATEWAY, "network_tx_per_sec", "net", "tx.bytes", 1.0, 2.0 * 1042.0),
        // Percent of two vCPUs; the load comes in slices of 200 ms.
        (WEB, "cpu_usage_percent", "vcpu", "time", 100.0 / 2.0 / 1e9, 0.2e9),
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
    for (guest, field, prefix, suffix, unit, step) in rates {
        let series: Vec<(f64, f64)> =
            samples[guest].iter().map(|(at, stats)| (*at, sum(stats, prefix, suffix))).collect();
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
