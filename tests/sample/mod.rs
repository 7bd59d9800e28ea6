//! Frames made by hand for tests of what is written: one domain in full,
//! and the frame around any of them.
#![allow(dead_code, reason = "each test uses its part")]

use std::{sync::Arc, time::Duration};

use kvmscope::{
    influx::line::split,
    journal::{Account, Entry, Journal, Local},
    model::{
        AngleScale, DomainDevices, DomainFrame, DomainRates, DomainReading, DomainState, Frame, Identity,
        Kib, Missing, MonoTime, Nanos, WallTime, Why,
        frame::{Health, HostFacts},
        reading::{
            CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, MemorySize, NicCounters,
            NicReading,
        },
    },
};
use uuid::Uuid;

/// 2023-11-13T11:00:00Z, the instant of the specification's example.
pub const AT: WallTime = WallTime(1_699_868_400_000_000_000);

/// An identity; its name goes through the one rule, as every reader does it.
pub fn identity(id: Option<u32>, name: &str, uuid: &str) -> Arc<Identity> {
    Arc::new(Identity {
        uuid: Uuid::parse_str(uuid).unwrap(),
        id,
        name: kvmscope::model::name::storable(name).into(),
    })
}

/// A NIC whose eight counters count up from `first`.
pub fn nic(name: &str, first: u64) -> NicReading {
    NicReading {
        name: name.into(),
        counters: Ok(NicCounters {
            rx_bytes: Some(first),
            rx_packets: Some(first + 1),
            rx_errors: Some(first + 2),
            rx_drops: Some(first + 3),
            tx_bytes: Some(first + 4),
            tx_packets: Some(first + 5),
            tx_errors: Some(first + 6),
            tx_drops: Some(first + 7),
        }),
    }
}

/// A disk whose counters count up from `first`; errors as QEMU has them: not.
pub fn disk(name: &str, first: u64) -> DiskReading {
    DiskReading {
        name: name.into(),
        counters: Ok(DiskCounters {
            rd_reqs: Some(first),
            rd_bytes: Some(first + 1),
            rd_times: Some(Nanos(first + 2)),
            wr_reqs: Some(first + 3),
            wr_bytes: Some(first + 4),
            wr_times: Some(Nanos(first + 5)),
            fl_reqs: Some(first + 6),
            fl_times: Some(Nanos(first + 7)),
            errors: None,
        }),
        size: DiskSize::default(),
    }
}

/// The domain of the specification's example, answering in full: 2 GiB of
/// which the guest uses 1 GiB, two NICs, one disk.
pub fn reading(identity: Arc<Identity>) -> DomainReading {
    DomainReading {
        identity,
        state: DomainState::Running,
        state_reason: 1,
        at: AT,
        mono: MonoTime(1_000_000_000),
        cpu: Ok(CpuCounters {
            time: Nanos(5_000_000_000),
            user: Some(Nanos(3_000_000_000)),
            system: Some(Nanos(1_000_000_000)),
        }),
        vcpus: Err(Missing::new(Why::NotOffered)),
        vcpu_count: Ok(2),
        memory: Ok(MemorySize { current: Kib(2_000_000), maximum: Kib(2_097_152) }),
        rss: Ok(Kib(1_234_567)),
        guest_memory: Ok(GuestMemory {
            available: Some(Kib(2_000_000)),
            usable: Some(Kib(951_424)),
            unused: Some(Kib(900_000)),
            swap_in: Some(Kib(11)),
            swap_out: Some(Kib(12)),
            major_faults: Some(13),
            minor_faults: Some(14),
            disk_caches: Some(Kib(15)),
            last_update: Some(1_699_868_399),
        }),
        nics: Ok(vec![nic("vnet0", 1000), nic("vnet1", 2000)]),
        disks: Ok(vec![disk("vda", 300)]),
    }
}

/// A domain frame without rates: a first reading.
pub fn domain(reading: DomainReading) -> DomainFrame {
    DomainFrame {
        rates: DomainRates::missing(Missing::new(Why::FirstReading)),
        devices: Arc::new(DomainDevices::default()),
        health: Health::Answering,
        fresh: true,
        timeline: Arc::default(),
        job: None,
        last: None,
        reading,
    }
}

/// A cycle of these domains.
pub fn frame(domains: Vec<DomainFrame>) -> Frame {
    Frame {
        cycle: 1,
        at: AT,
        mono: MonoTime(1_000_000_000),
        took: Duration::from_millis(5),
        interval: Duration::from_secs(1),
        host: Arc::new(HostFacts::default()),
        load: kvmscope::model::HostLoad::default(),
        scale: AngleScale::default(),
        domains: domains.into_iter().map(Arc::new).collect(),
    }
}

/// Appends the lines of a cycle as the recorder does, in rows of at most `most`
/// lines, with version and bytes of its local part; returns how many rows.
pub fn append(
    journal: &mut Journal,
    at: WallTime,
    lines: &[u8],
    most: usize,
    local: Option<(u32, &[u8])>,
) -> usize {
    let pieces: Vec<_> = split(lines, most, 1 << 20).collect();
    let entries: Vec<Entry<'_>> = (0..)
        .zip(&pieces)
        .map(|(part, piece)| Entry {
            at,
            part,
            first: at,
            last: at,
            lines: piece.lines as u64,
            bytes: piece.bytes,
            local: local.filter(|_| part == 0).map(|(version, bytes)| Local { version, bytes }),
        })
        .collect();
    journal.append(&entries, &Account::default()).unwrap();
    entries.len()
}
