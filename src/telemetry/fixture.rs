//! A frame for tests: a live VM with load, a paused one, a hung one, one that
//! is off, and one with a hostile name. Rates come from the real
//! [`Baseline`], fed with two readings a second apart.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::model::{
    AngleScale, DomainDevices, DomainFrame, DomainRates, DomainReading, DomainState, Frame, HostLoad,
    Identity, Kib, Missing, MonoTime, Nanos, WallTime, Why,
    domain::{Balloon, DiskDevice, NicDevice},
    frame::{Health, HostFacts},
    host::{HostCpu, HostMemory},
    name::storable,
    rates::{Baseline, Periods},
    reading::{
        CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, MemorySize, NicCounters, NicReading,
        VcpuCounters,
    },
};

/// 2023-11-13T09:40:00Z
pub(super) const AT: WallTime = WallTime(1_699_868_400_000_000_000);
const SECOND: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

/// Name that tries everything a name may try.
pub(super) const HOSTILE: &str = "a\nb\t\u{1b}[31m\"x\",{\u{202e}虚拟机\\";

pub(super) fn frame() -> Frame {
    let since = WallTime(AT.0 - 42_000_000_000);
    let hung = Missing::since(Why::MonitorNotAnswering, since);
    Frame {
        cycle: 2,
        at: AT,
        mono: MonoTime(2 * SECOND),
        took: Duration::from_millis(20),
        interval: Duration::from_secs(1),
        host: Arc::new(HostFacts {
            name: Some("hv-07".into()),
            hypervisor: Some("QEMU 7.2.0".into()),
            libvirt: Some("9.0.0".into()),
            cpus: Some(2),
            memory_kib: Some(8 << 20),
            demo: false,
        }),
        load: HostLoad {
            cpu: Ok(HostCpu { user: 30.0, system: 10.5, iowait: Ok(2.0) }),
            memory: Ok(HostMemory { total: Kib(8 << 20), available: Kib(2 << 20) }),
            pressure: Err(Missing::new(Why::RemoteHost)),
        },
        scale: AngleScale::default(),
        domains: vec![
            Arc::new(live()),
            Arc::new(paused()),
            Arc::new(impaired(hung)),
            Arc::new(hostile()),
            Arc::new(inactive()),
        ]
        .into(),
    }
}

fn identity(n: u32, name: &str, live: bool) -> Arc<Identity> {
    Arc::new(Identity {
        uuid: Uuid::from_u128(0x550e_8400_e29b_41d4_a716_4466_5544_0000 + u128::from(n)),
        id: live.then_some(n),
        name: Arc::from(&*storable(name)),
    })
}

/// A reading `step` seconds after the first, all counters grown by the same
/// amount in each second.
fn reading(identity: Arc<Identity>, step: u64) -> DomainReading {
    let count = |per_second: u64| 1_000_000 + per_second * step;
    let time = |per_second: u64| Nanos(5 * SECOND + per_second * step);
    let nic = NicCounters {
        rx_bytes: Some(count(MIB)),
        rx_packets: Some(count(1000)),
        rx_errors: Some(0),
        rx_drops: Some(0),
        tx_bytes: Some(count(10 * MIB)),
        tx_packets: Some(count(8000)),
        tx_errors: Some(0),
        tx_drops: Some(count(1)),
    };
    let disk = DiskCounters {
        rd_reqs: Some(count(100)),
        rd_bytes: Some(count(1_530_920)),
        rd_times: Some(time(50_000_000)),
        wr_reqs: Some(count(0)),
        wr_bytes: Some(count(0)),
        wr_times: Some(time(0)),
        fl_reqs: Some(count(2)),
        fl_times: Some(time(1_000_000)),
        errors: None,
    };
    DomainReading {
        identity,
        state: DomainState::Running,
        state_reason: 1,
        at: AT,
        mono: MonoTime((1 + step) * SECOND),
        cpu: Ok(CpuCounters {
            time: time(SECOND),
            user: Some(time(800_000_000)),
            system: Some(time(200_000_000)),
        }),
        vcpus: Ok((0..2)
            .map(|index| VcpuCounters {
                index,
                time: Some(time(400_000_000)),
                wait: Some(Nanos(0)),
                delay: Some(time(3_000_000)),
                halted: Some(false),
            })
            .collect()),
        vcpu_count: Ok(2),
        memory: Ok(MemorySize { current: Kib(2_097_152), maximum: Kib(2_097_152) }),
        rss: Ok(Kib(1_900_000)),
        guest_memory: Ok(GuestMemory {
            available: Some(Kib(2_000_000)),
            usable: Some(Kib(951_424 + 512 * step)),
            unused: Some(Kib(500_000)),
            swap_in: Some(Kib(0)),
            swap_out: Some(Kib(0)),
            major_faults: Some(12),
            minor_faults: Some(345),
            disk_caches: Some(Kib(300_000)),
            last_update: Some(1_699_868_399 + step),
        }),
        nics: Ok(vec![
            NicReading { name: "vnet0".into(), counters: Ok(nic) },
            NicReading { name: "hostdev0".into(), counters: Err(Missing::new(Why::HostdevNic)) },
        ]),
        disks: Ok(vec![
            DiskReading {
                name: "vda".into(),
                counters: Ok(disk),
                size: DiskSize { capacity: Some(64 * MIB), allocation: Some(MIB), physical: Some(MIB) },
            },
            DiskReading {
                name: "sda".into(),
                counters: Err(Missing::new(Why::EmptyDrive)),
                size: DiskSize::default(),
            },
        ]),
    }
}

fn devices() -> Arc<DomainDevices> {
    let nic = |name: &str, uncounted, mac: &str| NicDevice {
        name: name.into(),
        alias: None,
        uncounted,
        model: Some("virtio".into()),
        mac: Some(mac.into()),
        source: Some("br0".into()),
    };
    let disk = |name: &str, kind: &str, source: Option<&str>| DiskDevice {
        name: name.into(),
        alias: None,
        kind: kind.into(),
        bus: Some("virtio".into()),
        source: source.map(Into::into),
    };
    Arc::new(DomainDevices {
        nics: vec![
            nic("vnet0", None, "52:54:00:ca:c9:7c"),
            nic("hostdev0", Some(Why::HostdevNic), "52:54:00:ca:c9:7d"),
        ],
        disks: vec![disk("vda", "disk", Some("/srv/vda.img")), disk("sda", "cdrom", None)],
        balloon: Balloon::Period(2),
        machine: None,
        os: None,
        autostart: None,
    })
}

/// The frame that real rates over these two readings make.
fn domain(before: &DomainReading, now: DomainReading, health: Health) -> DomainFrame {
    let (mut baseline, scale) = (Baseline::default(), AngleScale::default());
    let periods = Periods::every(Duration::from_secs(1));
    let _ = baseline.advance(before, &periods, &scale);
    let rates = baseline.advance(&now, &periods, &scale);
    DomainFrame {
        reading: now,
        rates,
        devices: devices(),
        health,
        fresh: true,
        timeline: Arc::default(),
        job: None,
        last: None,
    }
}

/// Two vCPUs 40 % busy, memory shrinking by 512 KiB/s, disk and network loaded.
fn live() -> DomainFrame {
    let who = identity(1, "web-frontend-1", true);
    domain(&reading(Arc::clone(&who), 0), reading(who, 1), Health::Answering)
}

/// Nothing grows, and the guest has no statistics period.
fn paused() -> DomainFrame {
    let who = identity(2, "web-staging", true);
    let of = |mono| {
        let mut reading = reading(Arc::clone(&who), 0);
        reading.state = DomainState::Paused;
        reading.mono = MonoTime(mono);
        reading.guest_memory = Err(Missing::new(Why::NoStatsPeriod));
        reading
    };
    domain(&of(SECOND), of(2 * SECOND), Health::Answering)
}

/// Everything that needs the monitor is missing since 42 s.
fn impaired(hung: Missing) -> DomainFrame {
    let who = identity(3, "web-batch", true);
    let of = |step| {
        let mut reading = reading(Arc::clone(&who), step);
        reading.guest_memory = Err(hung);
        reading.disks = Err(hung);
        reading
    };
    domain(&of(0), of(1), Health::Impaired(hung))
}

/// First reading of a VM whose name is an attack.
fn hostile() -> DomainFrame {
    let now = reading(identity(4, HOSTILE, true), 0);
    let rates =
        Baseline::default().advance(&now, &Periods::every(Duration::from_secs(1)), &AngleScale::default());
    DomainFrame {
        reading: now,
        rates,
        devices: devices(),
        health: Health::Answering,
        fresh: true,
        timeline: Arc::default(),
        job: None,
        last: None,
    }
}

fn inactive() -> DomainFrame {
    let off = Missing::new(Why::Inactive);
    DomainFrame {
        reading: DomainReading::unanswered(
            identity(5, "old-db", false),
            DomainState::Shutoff,
            AT,
            MonoTime(2 * SECOND),
            off,
        ),
        rates: DomainRates::missing(off),
        devices: devices(),
        health: Health::Inactive,
        fresh: true,
        timeline: Arc::default(),
        job: None,
        last: None,
    }
}
