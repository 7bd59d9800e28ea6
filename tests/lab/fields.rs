//! Which series the guests under load have, and what virsh has for each.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::guests::{DB, GATEWAY, WEB};

/// `virsh domstats` of one guest.
pub type Stats = BTreeMap<String, String>;
/// The same of each guest under load.
pub type AllStats = BTreeMap<&'static str, Stats>;

/// A series' name: measurement, device (empty where there is none), field.
pub type Series = (String, String, String);

/// Fields of a NIC in `vm_devices`.
pub const NIC: [&str; 8] =
    ["rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops"];
/// Fields of a disk in `vm_devices`.
pub const DISK: [&str; 5] = ["rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors"];

/// The devices of a guest of the lab: name and whether it is a NIC.
pub fn devices(guest: &str) -> &'static [(&'static str, bool)] {
    match guest {
        WEB => &[("web0", true), ("vda", false)],
        DB => &[("db0", true), ("vda", false), ("vdb", false)],
        GATEWAY => &[("gw0", true), ("gw1", true), ("vda", false)],
        _ => unreachable!("{guest} is not under load"),
    }
}

/// Every series of numbers that a guest must have, and no other may be there.
pub fn expected(guest: &str) -> Vec<Series> {
    let mut names = Vec::new();
    let mut add = |measurement: &str, device: &str, fields: &[&str]| {
        names.extend(fields.iter().map(|f| (measurement.to_owned(), device.to_owned(), (*f).to_owned())));
    };
    add("vm_metrics", "", &["cpu_count", "memory_max_kb", "memory_used_kb", "cputime_ns"]);
    add("vm_features", "", &["memory_rate_kb_per_sec", "memory_angle_deg"]);
    for (device, is_nic) in devices(guest) {
        add("vm_devices", device, if *is_nic { &NIC } else { &DISK });
    }
    add("vm_totals", "", &NIC.map(|field| format!("net_{field}")).each_ref().map(String::as_str));
    add("vm_totals", "", &["disk_rd_req", "disk_rd_bytes", "disk_wr_reqs", "disk_wr_bytes", "disk_errors"]);
    add("vm_totals", "", &["memactual", "memrss", "memavailable", "memusable", "memswap_in", "memswap_out"]);
    add("vm_totals", "", &["memmajor_fault", "memminor_fault", "memdisk_cache"]);
    add("vm_totals", "", &["timeusr", "timesys", "cputime", "cpus", "state"]);
    names.sort();
    names
}

/// What virsh has for a series, from one `domstats`; `None` for a series that
/// libvirt has no parameter for.
pub fn virsh(stats: &Stats, (measurement, device, field): &Series) -> Option<f64> {
    let parameter = |name: &str| stats.get(name)?.parse::<f64>().ok();
    let count =
        |kind: &str| stats.get(&format!("{kind}.count")).map_or(0, |text| text.parse::<u32>().unwrap());
    let of_devices = |kind: &str, wanted: &str, suffix: &str| {
        let mut sum = 0.0;
        for index in 0..count(kind) {
            if wanted.is_empty() || stats[&format!("{kind}.{index}.name")] == wanted {
                sum += parameter(&format!("{kind}.{index}.{suffix}"))?;
            }
        }
        Some(sum)
    };
    let bare = field.strip_prefix("net_").or_else(|| field.strip_prefix("disk_")).unwrap_or(field);
    let (kind, suffix) = match (measurement.as_str(), bare) {
        (_, "rxbytes") => ("net", "rx.bytes"),
        (_, "rxpackets") => ("net", "rx.pkts"),
        (_, "rxerrors") => ("net", "rx.errs"),
        (_, "rxdrops") => ("net", "rx.drop"),
        (_, "txbytes") => ("net", "tx.bytes"),
        (_, "txpackets") => ("net", "tx.pkts"),
        (_, "txerrors") => ("net", "tx.errs"),
        (_, "txdrops") => ("net", "tx.drop"),
        (_, "rd_req") => ("block", "rd.reqs"),
        (_, "rd_bytes") => ("block", "rd.bytes"),
        (_, "wr_reqs") => ("block", "wr.reqs"),
        (_, "wr_bytes") => ("block", "wr.bytes"),
        (_, "cpu_count" | "cpus") => return parameter("vcpu.current"),
        (_, "cputime_ns" | "cputime") => return parameter("cpu.time"),
        (_, "timeusr") => return parameter("cpu.user"),
        (_, "timesys") => return parameter("cpu.system"),
        (_, "memory_max_kb") => return parameter("balloon.maximum"),
        (_, "memory_used_kb") => {
            return Some(parameter("balloon.available")? - parameter("balloon.usable")?);
        }
        (_, "memactual") => return parameter("balloon.current"),
        (_, "memrss") => return parameter("balloon.rss"),
        (_, "memavailable") => return parameter("balloon.available"),
        (_, "memusable") => return parameter("balloon.usable"),
        (_, "memswap_in") => return parameter("balloon.swap_in"),
        (_, "memswap_out") => return parameter("balloon.swap_out"),
        (_, "memmajor_fault") => return parameter("balloon.major_fault"),
        (_, "memminor_fault") => return parameter("balloon.minor_fault"),
        (_, "memdisk_cache") => return parameter("balloon.disk_caches"),
        (_, "state") => return parameter("state.state"),
        _ => return None,
    };
    of_devices(kind, device, suffix)
}

/// Whether a field goes up and down. The others are counters and settings:
/// they never fall.
pub fn is_gauge(field: &str) -> bool {
    ["memory_used_kb", "memrss", "memavailable", "memusable", "memdisk_cache"].contains(&field)
}

/// What a value may be that was read between two `domstats`: for a counter
/// anything between theirs, for a gauge about theirs. `None` where libvirt has
/// no such statistic.
pub fn between(before: &Stats, after: &Stats, series: &Series) -> Option<RangeInclusive<f64>> {
    let (first, last) = (virsh(before, series)?, virsh(after, series)?);
    if is_gauge(&series.2) {
        // A quiet guest's memory moves by a few per cent; a MiB for small ones.
        return Some(first.min(last) * 0.9 - 1024.0..=first.max(last) * 1.1 + 1024.0);
    }
    Some(first..=last)
}
