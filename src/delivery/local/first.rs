//! Form 1: JSON with cycle times and reasons, as the first versions wrote it.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    column::Damaged,
    form::{Cycle, Disk, Domain, Given, Groups, Name, Nic},
};
use crate::model::{Missing, WallTime, Why, name::storable};

#[derive(Deserialize)]
struct Written {
    cycle: u64,
    at: WallTime,
    took_ns: u64,
    interval_ns: u64,
    domains: BTreeMap<Uuid, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    id: u32,
    missing: BTreeMap<String, Reason>,
}

#[derive(Deserialize)]
struct Reason {
    why: Why,
    since: Option<WallTime>,
}

/// What `bytes` say.
pub(super) fn decode(bytes: &[u8]) -> Result<Cycle, Damaged> {
    let written: Written = serde_json::from_slice(bytes).map_err(|_| Damaged)?;
    Ok(Cycle {
        number: written.cycle,
        at: written.at,
        took: Duration::from_nanos(written.took_ns),
        interval: Duration::from_nanos(written.interval_ns),
        host: None,
        load: None,
        domains: written.domains.into_iter().map(|(uuid, entry)| domain(uuid, entry)).collect(),
    })
}

fn domain(uuid: Uuid, entry: Entry) -> Domain {
    let name = Name { uuid, name: storable(&entry.name).into() };
    let mut domain = Domain {
        id: entry.id,
        name: Some(name),
        missing: Groups::default(),
        disks: Vec::new(),
        nics: Vec::new(),
        seen: None,
    };
    for (what, Reason { why, since }) in entry.missing {
        let reason = Missing { why, since };
        let groups = &mut domain.missing;
        let group = match &*what {
            "cpu" => &mut groups.cpu,
            "vcpus" => &mut groups.vcpus,
            "vcpu_count" => &mut groups.vcpu_count,
            "memory" => &mut groups.memory,
            "rss" => &mut groups.rss,
            "guest_memory" => &mut groups.guest_memory,
            "nics" => &mut groups.nics,
            "disks" => &mut groups.disks,
            device => {
                if let Some(name) = device.strip_prefix("nic:") {
                    let (missing, rates) = (Some(reason), [Some(reason); 6]);
                    domain.nics.push(Nic { name: name.into(), missing, given: Given(0), rates });
                } else if let Some(name) = device.strip_prefix("disk:") {
                    domain.disks.push(Disk::missing(name, reason));
                }
                continue;
            }
        };
        *group = Some(reason);
    }
    domain
}
