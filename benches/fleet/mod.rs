//! A busy fleet, made from a seed: readings with counters that grow by random
//! steps, and the real rate arithmetic over them. The same at every run.

#![allow(dead_code, reason = "each bench uses its part")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "positive numbers far below 2^53"
)]

use std::{sync::Arc, time::Duration};

use kvmscope::model::{
    AngleScale, DomainDevices, DomainFrame, DomainReading, DomainState, Frame, HostLoad, Identity, Kib,
    MonoTime, Nanos, WallTime,
    domain::{Balloon, DiskDevice, NicDevice},
    frame::{Health, HostFacts},
    host::{HostCpu, HostMemory, Pressure},
    rates::{Baseline, Periods},
    reading::{
        CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, MemorySize, NicCounters, NicReading,
        VcpuCounters,
    },
};
use uuid::Uuid;

/// 2026-01-05 14:00:00 UTC.
pub const START: WallTime = WallTime(1_767_621_600_000_000_000);
/// Lines that each VM of the fleet has in each cycle but the first.
pub const LINES: usize = 8;

const SECOND: u64 = 1_000_000_000;
const INTERVAL: Duration = Duration::from_secs(1);

/// Random numbers from a seed (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From 0 to 1, without 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.share() * end as f64) as u64
    }
}

/// So many busy VMs with 2 vCPUs, 3 disks and 2 NICs each.
pub struct Fleet {
    guests: Vec<Guest>,
    random: Random,
    host: Arc<HostFacts>,
    cycle: u64,
}

struct Guest {
    reading: DomainReading,
    devices: Arc<DomainDevices>,
    baseline: Baseline,
    /// How busy it is, from 0 to 1; wanders.
    load: f64,
}

impl Fleet {
    pub fn new(count: u32) -> Self {
        let mut random = Random::new(0x6b76_6d73);
        let guests = (0..count).map(|number| Guest::new(number, &mut random)).collect();
        let host = HostFacts {
            name: Some("hv-07".into()),
            hypervisor: Some("QEMU 8.2.2".into()),
            libvirt: Some("10.0.0".into()),
            cpus: Some(64),
            memory_kib: Some(256 << 20),
            demo: false,
        };
        Self { guests, random, host: Arc::new(host), cycle: 0 }
    }

    /// The readings of the next second, without rates.
    pub fn read(&mut self) -> Vec<DomainReading> {
        self.step();
        self.guests.iter().map(|guest| guest.reading.clone()).collect()
    }

    /// The next second's frame.
    pub fn cycle(&mut self) -> Arc<Frame> {
        self.step();
        let (now, load) = (self.now(), self.load());
        let scale = AngleScale::default();
        let periods = Periods::every(INTERVAL);
        let domains = self.guests.iter_mut().map(|guest| {
            let reading = guest.reading.clone();
            let rates = guest.baseline.advance(&reading, &periods, &scale);
            let devices = Arc::clone(&guest.devices);
            Arc::new(DomainFrame {
                reading,
                rates,
                devices,
                health: Health::Answering,
                fresh: true,
                timeline: Arc::default(),
                job: None,
                last: None,
            })
        });
        Arc::new(Frame {
            cycle: self.cycle,
            at: now,
            mono: MonoTime(self.cycle * SECOND),
            took: Duration::from_millis(118),
            interval: INTERVAL,
            host: Arc::clone(&self.host),
            load,
            scale,
            domains: domains.collect(),
        })
    }

    /// Every VM's devices, in the order of its readings.
    pub fn devices(&self) -> Vec<Arc<DomainDevices>> {
        self.guests.iter().map(|guest| Arc::clone(&guest.devices)).collect()
    }

    fn load(&mut self) -> HostLoad {
        let mut percent = |most: f64| self.random.share() * most;
        let cpu = HostCpu { user: percent(60.0), system: percent(20.0), iowait: Ok(percent(5.0)) };
        let pressure = Pressure { cpu: percent(10.0), memory: percent(1.0), io: percent(10.0) };
        let available = Kib((64 << 20) + self.random.below(1 << 20));
        let memory = HostMemory { total: Kib(256 << 20), available };
        HostLoad { cpu: Ok(cpu), memory: Ok(memory), pressure: Ok(pressure) }
    }

    fn now(&self) -> WallTime {
        WallTime(START.0 + (self.cycle * SECOND).cast_signed())
    }

    fn step(&mut self) {
        self.cycle += 1;
        let (cycle, now) = (self.cycle, self.now());
        for (place, guest) in (0_u64..).zip(&mut self.guests) {
            guest.step(&mut self.random, cycle);
            // As a list call gives it: each VM a little after the one before.
            let offset = place * 3_000_000 % SECOND + self.random.below(400_000);
            guest.reading.at = WallTime(now.0 + offset.cast_signed());
            guest.reading.mono = MonoTime(cycle * SECOND + offset);
        }
    }
}

const VCPUS: u32 = 2;
const MEMORY: u64 = 4 << 20;

impl Guest {
    fn new(number: u32, random: &mut Random) -> Self {
        let big = |random: &mut Random, bits: u32| random.next() >> (64 - bits);
        let nic = |name: String, random: &mut Random| NicReading {
            name: name.into(),
            counters: Ok(NicCounters {
                rx_bytes: Some(big(random, 40)),
                rx_packets: Some(big(random, 30)),
                rx_errors: Some(0),
                rx_drops: Some(big(random, 8)),
                tx_bytes: Some(big(random, 40)),
                tx_packets: Some(big(random, 30)),
                tx_errors: Some(0),
                tx_drops: Some(0),
            }),
        };
        let disk = |name: &str, random: &mut Random| DiskReading {
            name: name.into(),
            counters: Ok(DiskCounters {
                rd_reqs: Some(big(random, 28)),
                rd_bytes: Some(big(random, 42)),
                rd_times: Some(Nanos(big(random, 44))),
                wr_reqs: Some(big(random, 28)),
                wr_bytes: Some(big(random, 42)),
                wr_times: Some(Nanos(big(random, 44))),
                fl_reqs: Some(big(random, 20)),
                fl_times: Some(Nanos(big(random, 40))),
                errors: None,
            }),
            size: DiskSize { capacity: Some(40 << 30), allocation: Some(14 << 30), physical: Some(14 << 30) },
        };
        let nics =
            vec![nic(format!("vnet{}", number * 2), random), nic(format!("vnet{}", number * 2 + 1), random)];
        let disks: Vec<_> = ["vda", "vdb", "vdc"].map(|name| disk(name, random)).into();
        let devices = DomainDevices {
            nics: nics.iter().map(|nic| nic_device(&nic.name)).collect(),
            disks: disks.iter().map(|disk| disk_device(&disk.name)).collect(),
            balloon: Balloon::Period(2),
            machine: Some("pc-q35-7.2".into()),
            os: None,
            autostart: None,
        };
        let high = u128::from(random.next()) << 64;
        let identity = Identity {
            uuid: Uuid::from_u128(high | u128::from(random.next())),
            id: Some(number + 1),
            name: format!("customer-{number:05}-web").into(),
        };
        let time = big(random, 48);
        let reading = DomainReading {
            identity: Arc::new(identity),
            state: DomainState::Running,
            state_reason: 1,
            at: START,
            mono: MonoTime(0),
            cpu: Ok(CpuCounters {
                time: Nanos(time),
                user: Some(Nanos(time / 3 * 2)),
                system: Some(Nanos(time / 3)),
            }),
            vcpus: Ok((0..VCPUS)
                .map(|index| VcpuCounters {
                    index,
                    time: Some(Nanos(big(random, 46))),
                    wait: Some(Nanos(0)),
                    delay: Some(Nanos(big(random, 36))),
                    halted: Some(false),
                })
                .collect()),
            vcpu_count: Ok(VCPUS),
            memory: Ok(MemorySize { current: Kib(MEMORY), maximum: Kib(MEMORY) }),
            rss: Ok(Kib(MEMORY / 10 * 9)),
            guest_memory: Ok(GuestMemory {
                available: Some(Kib(MEMORY)),
                usable: Some(Kib(MEMORY / 2)),
                unused: Some(Kib(MEMORY / 3)),
                swap_in: Some(Kib(0)),
                swap_out: Some(Kib(0)),
                major_faults: Some(big(random, 14)),
                minor_faults: Some(big(random, 30)),
                disk_caches: Some(Kib(MEMORY / 4)),
                last_update: Some(START.0.cast_unsigned() / SECOND),
            }),
            nics: Ok(nics),
            disks: Ok(disks),
        };
        Self { reading, devices: Arc::new(devices), baseline: Baseline::default(), load: random.share() }
    }

    /// A second of work: CPU, memory, disks and NICs by the load, each with
    /// randomness of its own.
    fn step(&mut self, random: &mut Random, cycle: u64) {
        self.load = (self.load + (random.share() - 0.5) * 0.2).clamp(0.0, 1.0);
        let load = self.load;
        let work = |random: &mut Random, most: f64| (load * random.share() * most) as u64;
        let busy = work(random, 2e9);
        if let Ok(cpu) = &mut self.reading.cpu {
            cpu.time.0 += busy;
            add(&mut cpu.user, busy / 3 * 2);
            add(&mut cpu.system, busy / 3);
        }
        for vcpu in self.reading.vcpus.iter_mut().flatten() {
            add(&mut vcpu.time, work(random, 1e9));
            add(&mut vcpu.delay, work(random, 5e6));
            vcpu.halted = Some(random.share() > load);
        }
        if let Ok(guest) = &mut self.reading.guest_memory {
            guest.usable = Some(Kib(MEMORY / 2 + work(random, 1e5)));
            guest.unused = Some(Kib(MEMORY / 3 + work(random, 1e5)));
            guest.disk_caches = Some(Kib(MEMORY / 4 + work(random, 1e4)));
            guest.minor_faults = guest.minor_faults.map(|n| n + work(random, 1e4));
            guest.last_update = Some(START.0.cast_unsigned() / SECOND + cycle);
        }
        for nic in self.reading.nics.iter_mut().flatten() {
            if let Ok(nic) = &mut nic.counters {
                let (rx, tx) = (work(random, 4e7), work(random, 4e7));
                nic.rx_bytes = nic.rx_bytes.map(|n| n + rx);
                nic.rx_packets = nic.rx_packets.map(|n| n + rx / 900);
                nic.tx_bytes = nic.tx_bytes.map(|n| n + tx);
                nic.tx_packets = nic.tx_packets.map(|n| n + tx / 1100);
            }
        }
        for disk in self.reading.disks.iter_mut().flatten() {
            if let Ok(disk) = &mut disk.counters {
                let (read, written) = (work(random, 4e7) / 512 * 512, work(random, 8e7) / 512 * 512);
                disk.rd_bytes = disk.rd_bytes.map(|n| n + read);
                disk.rd_reqs = disk.rd_reqs.map(|n| n + read / 16_384);
                // From 15 to 45 ns a byte: latencies with as many digits as real ones have.
                add(&mut disk.rd_times, read * 15 + work_time(random, read));
                disk.wr_bytes = disk.wr_bytes.map(|n| n + written);
                disk.wr_reqs = disk.wr_reqs.map(|n| n + written / 32_768);
                add(&mut disk.wr_times, written * 15 + work_time(random, written));
                disk.fl_reqs = disk.fl_reqs.map(|n| n + written / 1_000_000);
                add(&mut disk.fl_times, work_time(random, written) / 100);
            }
        }
    }
}

/// Up to 30 ns for each of so many bytes.
fn work_time(random: &mut Random, bytes: u64) -> u64 {
    (random.share() * 30.0 * bytes as f64) as u64
}

fn add(counter: &mut Option<Nanos>, more: u64) {
    if let Some(counter) = counter {
        counter.0 += more;
    }
}

fn nic_device(name: &Arc<str>) -> NicDevice {
    NicDevice {
        name: Arc::clone(name),
        alias: None,
        uncounted: None,
        model: Some("virtio".into()),
        mac: Some("52:54:00:ca:c9:01".into()),
        source: Some("br0".into()),
    }
}

fn disk_device(name: &Arc<str>) -> DiskDevice {
    DiskDevice {
        name: Arc::clone(name),
        alias: None,
        kind: "disk".into(),
        bus: Some("virtio".into()),
        source: Some("/var/lib/libvirt/images/root.qcow2".into()),
    }
}
