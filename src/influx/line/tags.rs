//! Static tags (`influx.tags`): checked once, escaped once.

use std::collections::BTreeMap;

use super::escape;
use crate::model::name::storable;

/// Every tag and field name of the four measurements: no static tag may use
/// one, or two columns of a table would bear one name.
pub const RESERVED: &[&str] = &[
    "VMID",
    "name",
    "uuid",
    "devtype",
    "device",
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
    // Names the servers keep for themselves.
    "time",
    "_field",
    "_measurement",
];

/// A static tag that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The key is a column of a measurement.
    #[error("influx.tags: `{0}` is a name that kvmscope or the database uses itself; choose another key")]
    Reserved(String),
    /// The key cannot be spelled in line protocol.
    #[error(
        "influx.tags: the key {0:?} is empty, holds a control character or ends with a backslash; choose another key"
    )]
    Unfit(String),
}

/// Spells `,key=value` for each tag, in key order. Values are made storable.
pub(super) fn spell(tags: &BTreeMap<String, String>) -> Result<Vec<u8>, TagError> {
    let mut out = Vec::new();
    for (key, value) in tags {
        if RESERVED.contains(&key.as_str()) {
            return Err(TagError::Reserved(key.clone()));
        }
        if storable(key) != key.as_str() {
            return Err(TagError::Unfit(key.clone()));
        }
        out.push(b',');
        escape::tag_text(&mut out, key);
        out.push(b'=');
        escape::tag_value(&mut out, value);
    }
    Ok(out)
}
