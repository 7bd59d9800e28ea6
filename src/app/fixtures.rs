//! A small host for tests: real readings through the real rate arithmetic,
//! the same at every run.

use std::{collections::HashMap, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{App, Message, Settings};
use crate::{
    config,
    model::{
        AngleScale, DomainDevices, DomainFrame, DomainJob, DomainReading, DomainState, Frame, HostLoad,
        Identity, Kib, Missing, MonoTime, Nanos, WallTime, Why,
        domain::{Balloon, DiskDevice, NicDevice},
        frame::{Health, HostFacts},
        host::{HostCpu, HostMemory, Pressure},
        name::storable,
        rates::{Baseline, Periods},
        reading::{
            CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, MemorySize, NicCounters,
            NicReading, VcpuCounters,
        },
        status::{
            CollectionState, CollectorStatus, ConfigEntry, DeliveryState, DeliveryStatus, EventFigures,
            LastAnswer, SilentDomain, StoreState, StoreStatus, StuckCall, WatchState,
        },
    },
};

/// 2026-01-05 14:00:00 UTC.
pub(crate) const START: WallTime = WallTime(1_767_621_600_000_000_000);
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn at(seconds: u64) -> WallTime {
    WallTime(START.0 + i64::try_from(seconds).unwrap() * 1_000_000_000)
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Trait {
    Plain,
    Hung,
    Paused,
    NoBalloon,
    NoPeriod,
    Passthrough,
    Newborn,
    Off,
    Crashed,
}

#[derive(Clone)]
struct Guest {
    identity: Arc<Identity>,
    kind: Trait,
    vcpus: u32,
    memory_mib: u64,
    /// CPU share, memory share, disk read, disk write, rx, tx in MiB/s.
    load: [f64; 6],
    phase: f64,
    cpu: Vec<f64>,
    delay: Vec<f64>,
    process: f64,
    moved: [f64; 4],
    devices: Arc<DomainDevices>,
    baseline: Baseline,
}

pub(crate) struct Host {
    guests: Vec<Guest>,
    cycle: u64,
    pub demo: bool,
}

const GUESTS: [(&str, Trait, u32, u64, [f64; 6]); 16] = [
    ("web-frontend-1", Trait::Plain, 4, 8192, [0.76, 0.63, 0.0, 12.4, 3.1, 18.0]),
    ("web-frontend-2", Trait::Plain, 4, 8192, [0.24, 0.45, 0.0, 0.2, 0.9, 4.2]),
    ("web-batch", Trait::Hung, 8, 16384, [0.02, 0.40, 0.0, 0.1, 0.0, 0.0]),
    ("web-staging", Trait::Paused, 2, 4096, [0.0, 0.21, 0.0, 0.0, 0.0, 0.0]),
    ("db-primary", Trait::Plain, 16, 65536, [0.94, 0.88, 41.0, 63.0, 5.2, 9.7]),
    ("db-replica", Trait::Plain, 8, 65536, [0.12, 0.92, 2.1, 30.0, 6.0, 0.3]),
    ("windows-dc", Trait::NoBalloon, 2, 8192, [0.05, 1.0, 0.01, 0.03, 0.02, 0.01]),
    ("builder", Trait::NoPeriod, 8, 16384, [0.55, 1.0, 0.4, 22.0, 11.0, 0.6]),
    ("router-sriov", Trait::Passthrough, 2, 2048, [0.31, 0.18, 0.0, 0.0, 0.4, 0.4]),
    (
        "customer-0417-production-postgresql-replica-eu-central-1b-03",
        Trait::Plain,
        4,
        8192,
        [0.08, 0.35, 0.1, 0.4, 0.2, 0.1],
    ),
    ("evil\u{1b}[31m\n\u{202e}txt.exe", Trait::Plain, 1, 512, [0.01, 0.5, 0.0, 0.0, 0.0, 0.0]),
    ("虚拟机-测试", Trait::Plain, 2, 2048, [0.03, 0.52, 0.0, 0.004, 0.001, 0.002]),
    ("fresh-boot", Trait::Newborn, 2, 2048, [0.5, 0.3, 1.0, 1.0, 1.0, 1.0]),
    ("old-mail", Trait::Off, 2, 2048, [0.0; 6]),
    ("template-debian-12", Trait::Off, 1, 1024, [0.0; 6]),
    ("test-kernel", Trait::Crashed, 1, 1024, [0.0; 6]),
];

impl Host {
    pub(crate) fn new() -> Self {
        let guests = (0u32..).zip(GUESTS).map(|(n, row)| guest(n, row)).collect();
        Self { guests, cycle: 0, demo: false }
    }

    /// A host with `count` plain guests.
    pub(crate) fn with(count: u32) -> Self {
        let guests = (0..count)
            .map(|n| {
                let load = [f64::from(n % 97) / 97.0, 0.5, 0.1, 0.2, 0.3, f64::from(n % 13)];
                let mut guest = guest(n, ("", Trait::Plain, 2, 2048, load));
                let identity = Identity { name: format!("vm-{n:05}").into(), ..(*guest.identity).clone() };
                guest.identity = Arc::new(identity);
                guest
            })
            .collect();
        Self { guests, cycle: 0, demo: false }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.guests.retain(|g| &*g.identity.name != name);
    }

    pub(crate) fn set_load(&mut self, name: &str, load: f64) {
        for guest in self.guests.iter_mut().filter(|g| &*g.identity.name == name) {
            guest.load[0] = load;
        }
    }

    pub(crate) fn uuid(&self, name: &str) -> Uuid {
        self.guests.iter().find(|g| &*g.identity.name == name).unwrap().identity.uuid
    }

    pub(crate) fn cycle(&mut self) -> Arc<Frame> {
        self.cycle += 1;
        let cycle = self.cycle;
        let scale = AngleScale::default();
        let mut domains: Vec<_> =
            self.guests.iter_mut().map(|guest| Arc::new(guest.frame(cycle, &scale))).collect();
        domains.sort_by_key(|d| (!d.is_live(), Arc::clone(&d.identity().name)));
        Arc::new(Frame {
            cycle,
            at: at(cycle),
            mono: MonoTime(cycle * 1_000_000_000),
            took: Duration::from_millis(118),
            interval: Duration::from_secs(1),
            host: Arc::new(HostFacts {
                name: Some("hv-07".into()),
                hypervisor: Some("QEMU 8.2.2".into()),
                libvirt: Some("10.0.0".into()),
                cpus: Some(64),
                memory_kib: Some(256 << 20),
                demo: self.demo,
            }),
            load: load(cycle, self.demo),
            scale,
            domains,
        })
    }
}

/// The host itself: half busy, two thirds full, waiting for its disks now and
/// then. In its first cycle it has no rate yet; a demo tells nothing.
fn load(cycle: u64, demo: bool) -> HostLoad {
    if demo {
        return HostLoad::missing(Missing::new(Why::NotOffered));
    }
    let cpu = HostCpu { user: 39.4, system: 8.2, iowait: Ok(1.6) };
    HostLoad {
        cpu: if cycle > 1 { Ok(cpu) } else { Err(Missing::new(Why::FirstReading)) },
        memory: Ok(HostMemory { total: Kib(256 << 20), available: Kib(92 << 20) }),
        pressure: Ok(Pressure { cpu: 8.09, memory: 0.0, io: 0.42 }),
    }
}

/// A backup four tenths done.
fn backup() -> DomainJob {
    DomainJob {
        operation: "backup",
        elapsed: Some(Duration::from_secs(12)),
        remaining: None,
        total: Some(3 << 30),
        done: Some((3 << 30) / 10 * 4),
        left: Some((3 << 30) / 10 * 6),
    }
}

fn guest(n: u32, (name, kind, vcpus, memory_mib, load): (&str, Trait, u32, u64, [f64; 6])) -> Guest {
    let id = (!matches!(kind, Trait::Off | Trait::Crashed)).then_some(n + 1);
    let nic = |name: &str, model: &str, uncounted| NicDevice {
        name: name.into(),
        alias: None,
        uncounted,
        model: Some(model.into()),
        mac: Some(format!("52:54:00:ca:c9:{n:02x}").into()),
        source: Some("br0".into()),
    };
    let mut nics = vec![nic(&format!("vnet{n}"), "virtio", None)];
    if kind == Trait::Passthrough {
        nics.push(nic("hostdev0", "hostdev", Some(Why::HostdevNic)));
    }
    let disk = |name: &str, kind: &str, bus: &str, source: Option<&str>| DiskDevice {
        name: name.into(),
        alias: None,
        kind: kind.into(),
        bus: Some(bus.into()),
        source: source.map(Into::into),
    };
    let disks = vec![
        disk("vda", "disk", "virtio", Some("/var/lib/libvirt/images/root.qcow2")),
        disk("vdb", "disk", "virtio", Some("/dev/vg0/data")),
        disk("sda", "cdrom", "sata", None),
    ];
    let balloon = match kind {
        Trait::NoBalloon => Balloon::Absent,
        Trait::NoPeriod => Balloon::NoPeriod,
        _ => Balloon::Period(2),
    };
    let phase = f64::from(n) * 0.7;
    Guest {
        identity: Arc::new(Identity {
            uuid: Uuid::from_u128(0x550e_8400_e29b_41d4_a716_0000_0000_0000 + u128::from(n)),
            id,
            name: storable(name).into(),
        }),
        kind,
        vcpus,
        memory_mib,
        load,
        phase,
        cpu: vec![1000.0; vcpus as usize],
        delay: vec![10.0; vcpus as usize],
        process: 4000.0,
        moved: [1e9, 2e9, 3e9, 4e9],
        devices: Arc::new(DomainDevices {
            nics,
            disks,
            balloon,
            machine: Some("pc-q35-7.2".into()),
            os: Some("debian12".into()),
        }),
        baseline: Baseline::default(),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small positive test numbers"
)]
impl Guest {
    fn frame(&mut self, cycle: u64, scale: &AngleScale) -> DomainFrame {
        if self.kind == Trait::Newborn {
            self.baseline = Baseline::default();
        }
        let reading = self.reading(cycle);
        let rates = self.baseline.advance(&reading, &Periods::every(Duration::from_secs(1)), scale);
        let health = match (self.kind, reading.identity.id) {
            (_, None) => Health::Inactive,
            (Trait::Hung, _) if cycle > HANGS_AT => Health::Impaired(hung()),
            _ => Health::Answering,
        };
        DomainFrame {
            reading,
            rates,
            devices: Arc::clone(&self.devices),
            health,
            fresh: true,
            timeline: Arc::default(),
            job: (self.load[2] > 40.0).then(backup),
            last: None,
        }
    }

    fn wave(&self, cycle: u64, what: f64) -> f64 {
        let t = cycle as f64;
        let slow = (t / (17.0 + what) + self.phase + what).sin();
        let fast = (t / 2.3 + self.phase * 3.0 + what).sin();
        (1.0 + 0.35 * slow + 0.25 * fast * slow.abs()).max(0.05)
    }

    fn reading(&mut self, cycle: u64) -> DomainReading {
        let state = match self.kind {
            Trait::Paused => DomainState::Paused,
            Trait::Off => DomainState::Shutoff,
            Trait::Crashed => DomainState::Crashed,
            _ => DomainState::Running,
        };
        let mono = MonoTime(cycle * 1_000_000_000);
        let identity = Arc::clone(&self.identity);
        if identity.id.is_none() {
            let missing = Missing::new(Why::Inactive);
            let unanswered = DomainReading::unanswered(identity, state, at(cycle), mono, missing);
            return DomainReading { state_reason: 1, ..unanswered };
        }
        let hangs = self.kind == Trait::Hung && cycle > HANGS_AT;
        let share = (self.load[0] * self.wave(cycle, 1.0)).min(1.0);
        for (n, (time, delay)) in self.cpu.iter_mut().zip(&mut self.delay).enumerate() {
            let own = (share * (1.0 + 0.1 * (n as f64).sin())).min(1.0);
            *time += own;
            *delay += own * 0.004;
        }
        self.process += share * f64::from(self.vcpus) * 1.05;
        for n in 0..4 {
            self.moved[n] += self.load[n + 2] * MIB * self.wave(cycle, n as f64 * 2.0);
        }
        let maximum = self.memory_mib * 1024;
        let used =
            (maximum as f64 * self.load[1] * (1.0 + 0.002 * (cycle as f64 / 9.0 + self.phase).sin())) as u64;
        let [read, written, rx, tx] = self.moved.map(|m| m as u64);
        let nics = self.devices.nics.iter().map(|nic| NicReading {
            name: Arc::clone(&nic.name),
            counters: match nic.uncounted {
                Some(why) => Err(Missing::new(why)),
                None => Ok(NicCounters {
                    rx_bytes: Some(rx),
                    rx_packets: Some(rx / 900),
                    rx_errors: Some(0),
                    rx_drops: Some(cycle / 40),
                    tx_bytes: Some(tx),
                    tx_packets: Some(tx / 1100),
                    tx_errors: Some(0),
                    tx_drops: Some(0),
                }),
            },
        });
        DomainReading {
            identity,
            state,
            state_reason: 1,
            at: at(cycle),
            mono,
            cpu: Ok(CpuCounters { time: seconds(self.process), user: None, system: None }),
            vcpus: Ok((0u32..)
                .zip(self.cpu.iter().zip(&self.delay))
                .map(|(index, (time, delay))| VcpuCounters {
                    index,
                    time: Some(seconds(*time)),
                    wait: None,
                    delay: Some(seconds(*delay)),
                    halted: Some(index == 1),
                })
                .collect()),
            vcpu_count: Ok(self.vcpus),
            memory: Ok(MemorySize { current: Kib(maximum), maximum: Kib(maximum) }),
            rss: Ok(Kib(maximum / 10 * 9)),
            guest_memory: match self.kind {
                _ if hangs => Err(hung()),
                Trait::NoBalloon => Err(Missing::new(Why::NoBalloonDriver)),
                Trait::NoPeriod => Err(Missing::new(Why::NoStatsPeriod)),
                _ => Ok(GuestMemory {
                    available: Some(Kib(maximum)),
                    usable: Some(Kib(maximum - used)),
                    unused: Some(Kib((maximum - used) / 2)),
                    swap_in: Some(Kib(0)),
                    swap_out: Some(Kib(0)),
                    major_faults: Some(12),
                    minor_faults: Some(9000),
                    disk_caches: Some(Kib((maximum - used) / 2)),
                    last_update: Some(cycle + 1),
                }),
            },
            nics: Ok(nics.collect()),
            disks: if hangs { Err(hung()) } else { Ok(disks(read, written)) },
        }
    }
}

fn disks(read: u64, written: u64) -> Vec<DiskReading> {
    let one = |name: &str, share: u64| DiskReading {
        name: name.into(),
        counters: Ok(DiskCounters {
            rd_reqs: Some(read / 16384 / share),
            rd_bytes: Some(read / share),
            rd_times: Some(Nanos(read / 16384 / share * 400_000)),
            wr_reqs: Some(written / 32768 / share),
            wr_bytes: Some(written / share),
            wr_times: Some(Nanos(written / 32768 / share * 2_100_000)),
            fl_reqs: Some(written / 1_000_000),
            fl_times: Some(Nanos(written / 1_000_000 * 5_200_000)),
            errors: None,
        }),
        size: DiskSize { capacity: Some(40 << 30), allocation: Some(14 << 30), physical: Some(14 << 30) },
    };
    vec![
        one("vda", 3),
        one("vdb", 2),
        DiskReading {
            name: "sda".into(),
            counters: Err(Missing::new(Why::EmptyDrive)),
            size: DiskSize::default(),
        },
    ]
}

/// The cycle after which `web-batch` hangs.
pub(crate) const HANGS_AT: u64 = 60;

fn hung() -> Missing {
    Missing::since(Why::MonitorNotAnswering, at(HANGS_AT + 1))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive test numbers")]
fn seconds(s: f64) -> Nanos {
    Nanos((s * 1e9) as u64)
}

pub(crate) fn settings() -> Settings {
    let entry = |key: &str, value: &str, origin: &str| ConfigEntry {
        key: key.into(),
        value: value.into(),
        origin: origin.into(),
    };
    Settings {
        screen: config::Screen::default(),
        config: vec![
            entry("libvirt.uri", "qemu:///system", "default"),
            entry("libvirt.timeout", "30 s", "default"),
            entry("collector.poll_interval", "1 s", "environment POLL_INTERVAL"),
            entry("influx.url", "https://influx.example:8086", "file /etc/kvmscope/config.toml:4"),
            entry("influx.db", "vmstats", "default"),
            entry("influx.token", "***", "environment INFLUX_TOKEN"),
            entry("store.path", "/var/lib/kvmscope", "default"),
            entry("store.max_bytes", "1 GB", "default"),
            entry("screen.theme", "dark", "command line --theme"),
        ],
        interval: Duration::from_secs(1),
        now: START,
    }
}

/// A running app with `cycles` cycles of the fixture host behind it.
pub(crate) fn running(cycles: u64) -> (App, Host) {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    for _ in 0..cycles {
        app.update(Message::Frame(host.cycle()));
    }
    app.update(Message::Tick(at(cycles)));
    app.update(Message::Collector(collector(CollectionState::Running { since: at(0) })));
    app.update(Message::Delivery(delivering(), store(StoreState::Writable)));
    (app, host)
}

pub(crate) fn collector(state: CollectionState) -> CollectorStatus {
    CollectorStatus {
        events: EventFigures {
            seen: 1204,
            last_at: Some(at(119)),
            watch: WatchState::Connected { since: at(0) },
        },
        state,
        initialized: true,
        started_at: Some(START),
        total_collections: 120,
        total_errors: 3,
        last_collection_at: Some(at(120)),
        last_error: Some((
            at(61),
            "list 2: no answer within 0.5 s; set aside, a fresh reader took over".into(),
        )),
        vms_monitored: 13,
        interval: Duration::from_secs(1),
        last_cycle_took: Some(Duration::from_millis(118)),
        lists: 3,
        round: 1,
        skipped_ticks: 1,
        stuck_calls: vec![StuckCall {
            domain: Some("web-batch".into()),
            among: 1,
            since: Some(at(61)),
            earlier: false,
        }],
        max_stuck_calls: 8,
        silent: vec![SilentDomain { name: "web-batch".into(), why: hung().to_string() }],
        reconnects: 0,
    }
}

pub(crate) fn delivering() -> DeliveryStatus {
    DeliveryStatus {
        state: DeliveryState::Delivering,
        target: Some("influx.example:8086/api/v3/write_lp".into()),
        database: "vmstats".into(),
        api: Some("v3"),
        emitted: 182_400,
        delivered: 182_310,
        waiting_on_disk: 88,
        waiting_in_memory: 0,
        quarantined: 2,
        batches: 121,
        retries: 1,
        oldest_waiting: Some(at(119)),
        last_answer: Some(LastAnswer {
            at: at(119),
            status: Some(204),
            took: Duration::from_millis(12),
            text: "No Content".into(),
        }),
        lines_per_second: 88.0,
        ..DeliveryStatus::default()
    }
}

pub(crate) fn dead_server() -> DeliveryStatus {
    DeliveryStatus {
        state: DeliveryState::Retrying {
            why: "influx.example:8086: connection refused; is the server running?".into(),
            next_at: at(128),
        },
        delivered: 160_000,
        waiting_on_disk: 22_198,
        waiting_in_memory: 150,
        quarantined: 2,
        dropped: [("memory queue full".to_owned(), 50)].into(),
        retries: 14,
        oldest_waiting: Some(at(30)),
        last_answer: Some(LastAnswer {
            at: at(112),
            status: None,
            took: Duration::from_millis(1),
            text: "connection refused".into(),
        }),
        backoff: Some(Duration::from_secs(16)),
        lines_per_second: 0.0,
        ..delivering()
    }
}

pub(crate) fn store(state: StoreState) -> StoreStatus {
    StoreStatus {
        state,
        path: Some("/var/lib/kvmscope".into()),
        bytes: 214_748_364,
        max_bytes: 1 << 30,
        covers_since: Some(WallTime(START.0 - 3 * 86_400_000_000_000)),
        cycles: 190_000,
        lines: 18_000_000,
    }
}

/// Names by uuid, for messages of failed assertions.
pub(crate) fn names(app: &App) -> HashMap<Uuid, String> {
    let frame = app.frame().unwrap();
    frame.domains.iter().map(|d| (d.identity().uuid, d.identity().name.to_string())).collect()
}
