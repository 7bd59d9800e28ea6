use serde_json::Value;

use super::*;
use crate::telemetry::fixture;

fn value(json: &Json) -> Value {
    serde_json::from_str(&serde_json::to_string(json).unwrap()).unwrap()
}

fn vms() -> Vec<Value> {
    value(&frame(&fixture::frame()))["vms"].as_array().unwrap().clone()
}

fn near(value: &Value, expected: f64) {
    let got = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
}

/// Every null in `fields` has its reason under its own name, and every reason
/// names a null or a group.
fn every_null_has_its_reason(object: &Value, fields: &Value, prefix: &str) {
    for (name, field) in fields.as_object().unwrap() {
        let described = ["model", "mac", "source", "kind", "bus", "job"].contains(&name.as_str());
        let full = format!("{prefix}{name}");
        let reason = object["missing"].get(&full);
        if field.is_null() && !described {
            assert!(
                reason.is_some_and(|r| !r.as_str().unwrap().is_empty()),
                "{full} is null without a reason"
            );
        } else if !["health", "vcpus", "job"].contains(&full.as_str()) {
            assert_eq!(reason, None, "{full} is there and has a reason");
        }
        if ["totals", "features", "counters", "rates"].contains(&name.as_str()) {
            every_null_has_its_reason(object, field, &format!("{full}."));
        }
    }
}

#[test]
fn the_head_says_when_and_what_a_degree_is_worth() {
    let text = serde_json::to_string(&frame(&fixture::frame())).unwrap();
    let start = r#"{"count":5,"timestamp":"2023-11-13T09:40:00Z","angle_mode":"scaled","angle_references":{"cpu":1.0,"memory":1048576.0,"disk":10485760.0,"network":10485760.0},"interval_sec":1.0,"host":{"name":"hv-07""#;
    assert!(text.starts_with(start), "{text}");
    let mut raw = fixture::frame();
    raw.scale.mode = AngleMode::Raw;
    let raw = value(&frame(&raw));
    assert_eq!(raw["angle_mode"], "raw");
    assert_eq!(raw["angle_references"]["disk"], 1.0);
}

#[test]
fn a_live_vm_has_its_counters_rates_and_degrees() {
    let vm = &vms()[0];
    assert_eq!(vm["id"], 1);
    assert_eq!(vm["name"], "web-frontend-1");
    assert_eq!(vm["uuid"], "550e8400-e29b-41d4-a716-446655440001");
    assert_eq!(vm["state"], "running");
    assert_eq!(vm["cpu_count"], 2);
    assert_eq!(vm["cputime"], 6_000_000_000_u64);
    near(&vm["cpu_usage_percent"], 40.0);
    near(&vm["cpu_cores"], 1.0);
    near(&vm["steal_percent"], 0.3);
    near(&vm["cpu_rate"], 0.4_f64.atan().to_degrees());
    assert_eq!(vm["memory_max"], 2_097_152);
    assert_eq!(vm["memory_used"], 2_000_000 - 951_424 - 512);
    assert_eq!(vm["memory_source"], "guest");
    near(&vm["memory_kb_per_sec"], -512.0);
    near(&vm["memory_rate"], -(0.5_f64.atan().to_degrees()));
    near(&vm["features"]["memory_angle_deg"], (-512.0_f64 + 1e-12).atan().to_degrees());
    assert_eq!(vm["disk_read_bytes"], 2_530_920);
    near(&vm["disk_read_bytes_per_sec"], 1_530_920.0);
    near(&vm["disk_ms_per_read"], 0.5);
    near(&vm["disk_write_rate"], 0.0);
    near(&vm["network_rx_bytes_per_sec"], 1_048_576.0);
    near(&vm["network_tx_rate"], 45.0);
    assert_eq!(vm["vcpus"][1]["index"], 1);
    near(&vm["vcpus"][1]["usage_percent"], 40.0);
    every_null_has_its_reason(vm, vm, "");
}

/// The names of `vm_totals`, all of them, so that they can be held against
/// virsh.
#[test]
fn totals_hold_every_field_of_the_measurement() {
    let vm = &vms()[0];
    let totals = vm["totals"].as_object().unwrap();
    for (name, expected) in [
        ("net_rxbytes", 2_048_576),
        ("net_rxpackets", 1_001_000),
        ("net_rxerrors", 0),
        ("net_rxdrops", 0),
        ("net_txbytes", 11_485_760),
        ("net_txpackets", 1_008_000),
        ("net_txerrors", 0),
        ("net_txdrops", 1_000_001),
        ("disk_rd_req", 1_000_100),
        ("disk_rd_bytes", 2_530_920),
        ("disk_wr_reqs", 1_000_000),
        ("disk_wr_bytes", 1_000_000),
        ("memactual", 2_097_152),
        ("memrss", 1_900_000),
        ("memavailable", 2_000_000),
        ("memusable", 951_936),
        ("memswap_in", 0),
        ("memswap_out", 0),
        ("memmajor_fault", 12),
        ("memminor_fault", 345),
        ("memdisk_cache", 300_000),
        ("timeusr", 5_800_000_000_u64),
        ("timesys", 5_200_000_000),
        ("cputime", 6_000_000_000),
        ("cpus", 2),
        ("state", 1),
    ] {
        assert_eq!(totals[name], expected, "{name}");
    }
    assert_eq!(totals["disk_errors"], Value::Null);
    assert_eq!(vm["missing"]["totals.disk_errors"], "not offered by this hypervisor");
    assert_eq!(totals.len(), 27);
}

#[test]
fn a_device_without_counters_says_why() {
    let vm = &vms()[0];
    let devices = vm["devices"].as_array().unwrap();
    let named = |name: &str| devices.iter().find(|d| d["device"] == name).unwrap();
    assert_eq!(devices.len(), 4);
    assert_eq!(named("vnet0")["devtype"], "nic");
    assert_eq!(named("vnet0")["mac"], "52:54:00:ca:c9:7c");
    assert_eq!(named("vnet0")["counters"]["txdrops"], 1_000_001);
    near(&named("vnet0")["rates"]["tx_packets_per_sec"], 8000.0);
    assert_eq!(named("vda")["counters"]["rd_req"], 1_000_100);
    assert_eq!(named("hostdev0")["counters"]["rxbytes"], Value::Null);
    assert_eq!(named("hostdev0")["missing"]["counters.rxbytes"], "passed through: the host cannot count it");
    assert_eq!(named("sda")["missing"]["rates.read_bytes_per_sec"], "empty drive");
    for device in devices {
        every_null_has_its_reason(device, device, "");
    }
}

#[test]
fn a_paused_vm_has_zero_rates_and_the_mend_of_what_it_lacks() {
    let vm = &vms()[1];
    assert_eq!(vm["state"], "paused");
    near(&vm["cpu_usage_percent"], 0.0);
    near(&vm["disk_read_bytes_per_sec"], 0.0);
    assert_eq!(vm["memory_source"], "balloon");
    assert_eq!(vm["missing"]["totals.memusable"], "no statistics period");
    assert_eq!(vm["mend"]["totals.memusable"], "virsh dommemstat web-staging --period 2 --live");
    every_null_has_its_reason(vm, vm, "");
}

#[test]
fn a_hung_vm_keeps_what_needs_no_monitor_and_is_never_zero() {
    let vm = &vms()[2];
    let why = "monitor not answering since 09:39:18";
    assert_eq!(vm["health"], "impaired");
    assert_eq!(vm["missing"]["health"], why);
    near(&vm["cpu_usage_percent"], 40.0);
    near(&vm["network_tx_rate"], 45.0);
    for missing in ["disk_read_bytes", "disk_read_rate", "memory_used", "memory_usage_percent"] {
        assert_eq!(vm[missing], Value::Null, "{missing}");
        assert_eq!(vm["missing"][missing], why, "{missing}");
    }
    let disk = vm["devices"].as_array().unwrap().iter().find(|d| d["device"] == "vda").unwrap();
    assert_eq!(disk["missing"]["counters.rd_bytes"], why);
    let drive = vm["devices"].as_array().unwrap().iter().find(|d| d["device"] == "sda").unwrap();
    assert_eq!(drive["missing"]["counters.rd_bytes"], "empty drive");
    every_null_has_its_reason(vm, vm, "");
}

#[test]
fn a_disk_that_failed_this_time_leaves_no_total_that_is_too_small() {
    let mut with_failure = fixture::frame();
    let domain = std::sync::Arc::make_mut(&mut with_failure.domains[0]);
    if let Ok(disks) = &mut domain.reading.disks {
        disks[1].counters = Err(Missing::new(Why::CallFailed));
    }
    let vm = value(&vm(&with_failure.domains[0]));
    assert_eq!(vm["disk_read_bytes"], Value::Null);
    assert_eq!(vm["missing"]["totals.disk_rd_bytes"], "the call failed");
}

#[test]
fn an_inactive_vm_is_there_without_a_number() {
    let vm = &vms()[4];
    assert_eq!(vm["id"], Value::Null);
    assert_eq!(vm["state"], "shutoff");
    assert_eq!(vm["cpu_rate"], Value::Null);
    assert_eq!(vm["missing"]["cpu_rate"], "not running");
    every_null_has_its_reason(vm, vm, "");
}

/// Programs that read by eye or by diff see the same order every time.
#[test]
fn a_vm_has_its_keys_in_one_order_live_or_not() {
    let keys = |n: usize| match vm(&fixture::frame().domains[n]) {
        Json::Object(fields) => fields.into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
        other => panic!("{other:?} is no object"),
    };
    assert_eq!(keys(0)[..4], ["id", "name", "uuid", "state"]);
    for n in 1..5 {
        assert_eq!(keys(n), keys(0));
    }
}

#[test]
fn a_hostile_name_is_one_string_of_valid_json() {
    let vm = &vms()[3];
    assert_eq!(vm["name"], "a_b__[31m\"x\",{_虚拟机_");
    assert_eq!(vm["missing"]["cpu_rate"], "first reading");
    every_null_has_its_reason(vm, vm, "");
}

#[test]
fn what_is_not_a_number_is_null_with_a_reason() {
    let mut broken = fixture::frame();
    let domain = std::sync::Arc::make_mut(&mut broken.domains[0]);
    domain.rates.cpu_percent = Ok(f64::NAN);
    domain.rates.disk.read_bytes_per_s = Ok(f64::INFINITY);
    let text = serde_json::to_string(&vm(&broken.domains[0])).unwrap();
    let vm: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(vm["cpu_usage_percent"], Value::Null);
    assert_eq!(vm["missing"]["cpu_usage_percent"], "not a finite number");
    assert_eq!(vm["missing"]["disk_read_bytes_per_sec"], "not a finite number");
}

#[test]
fn what_happened_to_a_vm_stands_in_its_events() {
    use crate::model::{Happening, WallTime, timeline::Weight};
    let mut frame = fixture::frame();
    let domain = std::sync::Arc::make_mut(&mut frame.domains[0]);
    let happening = |seconds: i64, text: &str, weight| Happening {
        at: WallTime(seconds * 1_000_000_000),
        since: WallTime(seconds * 1_000_000_000),
        text: text.into(),
        weight,
    };
    domain.timeline =
        [happening(0, "started", Weight::Note), happening(61, "stopped: crashed", Weight::Trouble)].into();
    let vm = value(&vm(domain));
    let expected = serde_json::json!([
        {"at": "1970-01-01T00:00:00Z", "text": "started", "weight": "note"},
        {"at": "1970-01-01T00:01:01Z", "text": "stopped: crashed", "weight": "trouble"},
    ]);
    assert_eq!(vm["events"], expected);
    assert_eq!(vms()[0]["events"], serde_json::json!([]), "nothing happened");
}

#[test]
fn the_host_has_its_load_and_what_was_given_of_it() {
    let json = value(&frame(&fixture::frame()));
    let host = &json["host"];
    every_null_has_its_reason(host, host, "");
    near(&host["cpu_usage_percent"], 40.5);
    near(&host["cpu_iowait_percent"], 2.0);
    near(&host["memory_usage_percent"], 75.0);
    assert_eq!(host["memory_used"], 6 << 20);
    assert_eq!(host["pressure_io_percent"], Value::Null);
    assert_eq!(host["missing"]["pressure_io_percent"], "the host is another machine");
    // Four live VMs of two vCPUs and 2 GiB each, on 2 CPUs and 8 GiB.
    assert_eq!(host["vcpus_given"], 8);
    near(&host["vcpus_per_cpu"], 4.0);
    near(&host["memory_given_percent"], 100.0);
}

#[test]
fn what_was_not_due_is_null_and_only_its_time_is_told() {
    let mut held = fixture::frame();
    let before = held.domains[0].clone();
    let missing = Missing::since(Why::NotDue, before.reading.at);
    let mut domain = (*before).clone();
    domain.reading.at = WallTime(before.reading.at.0 + 2_000_000_000);
    domain.reading.memory = Err(missing);
    domain.reading.guest_memory = Err(missing);
    domain.reading.rss = Err(missing);
    domain.reading.disks = Err(missing);
    domain.rates.disk = crate::model::rates::DiskRates::missing(missing);
    domain.rates.memory_percent = Err(missing);
    domain.last = Some(before.clone());
    held.domains[0] = std::sync::Arc::new(domain);
    let vm = value(&frame(&held))["vms"][0].clone();
    for field in ["memory_used", "memory_max", "memory_usage_percent", "disk_read_bytes", "host_rss"] {
        assert_eq!(vm[field], Value::Null, "{field}");
        assert!(vm["missing"][field].as_str().unwrap().starts_with("not due since"), "{field}");
    }
    assert_eq!(vm["last_read_at"], value(&frame(&fixture::frame()))["vms"][0]["read_at"]);
    assert_ne!(vm["last_read_at"], vm["read_at"]);
    let fresh = vms();
    assert_eq!(fresh[0]["last_read_at"], fresh[0]["read_at"]);
}

#[test]
fn what_the_xml_said_of_a_device_is_not_recorded_and_says_so() {
    let mut domain = (*fixture::frame().domains[0]).clone();
    domain.devices = std::sync::Arc::default();
    let described = |domain: &DomainFrame| {
        let vm = value(&vm(domain));
        let of = |device: &Value| {
            let names = if device["devtype"] == "nic" {
                ["model", "mac", "source"]
            } else {
                ["kind", "bus", "source"]
            };
            names.map(|name| (device[name].clone(), device["missing"].get(name).cloned()))
        };
        let all: Vec<_> = vm["devices"].as_array().unwrap().iter().flat_map(of).collect();
        assert_eq!(all.len(), 12);
        all
    };
    // Live, the XML may not have been read yet: that is not for the record to explain.
    assert!(described(&domain).iter().all(|(value, why)| value.is_null() && why.is_none()));
    domain.reading.mono = crate::model::past::mono(domain.reading.at);
    for (value, why) in described(&domain) {
        assert_eq!((value, why), (Value::Null, Some("not recorded".into())));
    }
}
