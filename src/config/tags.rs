//! `influx.tags`: which static tags may stand beside kvmscope's own.

use std::collections::BTreeMap;

use super::{
    error::{Fault, dotted},
    found::Found,
    url::is_secret_name,
};

/// The rule in words.
pub(super) const ALLOWED: &str = "up to 20 names with text values of 1 to 256 characters, none a tag, \
     field or measurement of kvmscope, none called time or beginning with _, no control character, \
     no \\ at an end";

/// Tags of section 1, the column every database adds, and the measurements.
const OWN: [&str; 10] = [
    "VMID",
    "name",
    "uuid",
    "devtype",
    "device",
    "time",
    "vm_metrics",
    "vm_features",
    "vm_devices",
    "vm_totals",
];

/// Every field of the four measurements.
const FIELDS: [&str; 46] = [
    "state",
    "cpu_count",
    "memory_max_kb",
    "memory_used_kb",
    "cputime_ns",
    "memory_rate_kb_per_sec",
    "memory_angle_deg",
    "rxbytes",
    "rxpackets",
    "rxerrors",
    "rxdrops",
    "txbytes",
    "txpackets",
    "txerrors",
    "txdrops",
    "rd_req",
    "rd_bytes",
    "wr_reqs",
    "wr_bytes",
    "errors",
    "net_rxbytes",
    "net_rxpackets",
    "net_rxerrors",
    "net_rxdrops",
    "net_txbytes",
    "net_txpackets",
    "net_txerrors",
    "net_txdrops",
    "disk_rd_req",
    "disk_rd_bytes",
    "disk_wr_reqs",
    "disk_wr_bytes",
    "disk_errors",
    "memactual",
    "memrss",
    "memavailable",
    "memusable",
    "memswap_in",
    "memswap_out",
    "memmajor_fault",
    "memminor_fault",
    "memdisk_cache",
    "timeusr",
    "timesys",
    "cputime",
    "cpus",
];

/// Whether kvmscope itself writes a tag, field or measurement of this name.
#[must_use]
pub fn is_own_name(name: &str) -> bool {
    OWN.iter().chain(&FIELDS).any(|own| own.eq_ignore_ascii_case(name))
}

/// The tags of a table, or each fault with its line.
pub(super) fn read(
    entries: &[(String, usize, Found)],
) -> Result<BTreeMap<String, String>, Vec<(usize, Fault)>> {
    let mut tags = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, line, value) in entries {
        let why = match value {
            Found::Text(text) => refusal(name, text),
            _ => Some("has a value that is not text"),
        };
        match (why, value) {
            (Some(why), _) => {
                faults.push((*line, Fault::Tag { tag: dotted(&[name]), why, allowed: ALLOWED }));
            }
            (None, Found::Text(text)) if tags.len() < 20 => {
                tags.insert(name.clone(), text.clone());
            }
            (None, _) => {
                let why = "is one tag too many";
                faults.push((*line, Fault::Tag { tag: dotted(&[name]), why, allowed: ALLOWED }));
            }
        }
    }
    if faults.is_empty() { Ok(tags) } else { Err(faults) }
}

/// Why this tag cannot be used; `None` if it can.
fn refusal(name: &str, value: &str) -> Option<&'static str> {
    let unfit = |text: &str| {
        text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) || text.ends_with('\\')
    };
    if name.is_empty() {
        Some("is an empty name")
    } else if name.chars().count() > 64 {
        Some("is a name of more than 64 characters")
    } else if unfit(name) {
        Some("is a name with a control character, or with \\ at its end")
    } else if name.starts_with('_') {
        Some("begins with _, which databases keep for themselves")
    } else if is_own_name(name) {
        Some("is a name that kvmscope itself writes")
    } else if is_secret_name(name) {
        Some("looks like a secret, which would be written into the database")
    } else if value.is_empty() {
        Some("has an empty value")
    } else if value.chars().count() > 256 {
        Some("has a value of more than 256 characters")
    } else if unfit(value) {
        Some("has a value with a control character, or with \\ at its end")
    } else {
        None
    }
}
