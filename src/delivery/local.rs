//! A cycle's local part: what its lines cannot say, never sent. Compact JSON
//! with a version of its own, which the record keeps beside it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{DomainFrame, Frame, Missing, WallTime, missing::Why};

/// The version of the form below.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Cycle<'a> {
    #[serde(rename = "cycle")]
    number: u64,
    at: WallTime,
    took_ns: u64,
    interval_ns: u64,
    /// By uuid; a domain of which nothing is missing is not listed.
    domains: BTreeMap<String, Domain<'a>>,
}

#[derive(Serialize)]
struct Domain<'a> {
    name: &'a str,
    id: Option<u32>,
    /// Not read in this cycle at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    /// By group of fields, and `nic:` or `disk:` with the device's name.
    missing: BTreeMap<String, Reason>,
}

#[derive(Serialize)]
struct Reason {
    why: Why,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<WallTime>,
}

/// Writes the local part of `frame`.
#[must_use]
pub fn encode(frame: &Frame) -> Vec<u8> {
    let domains = frame.domains.iter().filter(|domain| domain.is_live()).filter_map(|domain| {
        let missing = reasons(domain);
        (!missing.is_empty() || !domain.fresh).then(|| {
            let identity = domain.identity();
            let entry = Domain { name: &identity.name, id: identity.id, stale: !domain.fresh, missing };
            (identity.uuid.to_string(), entry)
        })
    });
    let nanos = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let cycle = Cycle {
        number: frame.cycle,
        at: frame.at,
        took_ns: nanos(frame.took),
        interval_ns: nanos(frame.interval),
        domains: domains.collect(),
    };
    // Maps with text keys and plain values cannot fail to be written.
    serde_json::to_vec(&cycle).unwrap_or_default()
}

fn reasons(domain: &DomainFrame) -> BTreeMap<String, Reason> {
    let reading = &domain.reading;
    let groups: [(&str, Option<Missing>); 8] = [
        ("cpu", reading.cpu.err()),
        ("vcpus", reading.vcpus.as_ref().err().copied()),
        ("vcpu_count", reading.vcpu_count.err()),
        ("memory", reading.memory.err()),
        ("rss", reading.rss.err()),
        ("guest_memory", reading.guest_memory.err()),
        ("nics", reading.nics.as_ref().err().copied()),
        ("disks", reading.disks.as_ref().err().copied()),
    ];
    let nics = reading.nics.iter().flatten().map(|nic| ("nic:", &nic.name, nic.counters.err()));
    let disks = reading.disks.iter().flatten().map(|disk| ("disk:", &disk.name, disk.counters.err()));
    let devices = nics.chain(disks).map(|(kind, name, why)| (format!("{kind}{name}"), why));
    groups
        .into_iter()
        .map(|(name, why)| (name.to_owned(), why))
        .chain(devices)
        .filter_map(|(name, why)| why.map(|w| (name, Reason { why: w.why, since: w.since })))
        .collect()
}
