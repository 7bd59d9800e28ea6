//! A small fleet on which much goes wrong, cycle by cycle, as the collector
//! would show it; and its recording as delivery does it.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kvmscope::{
    config::{MissingPolicy, Store},
    delivery::local,
    influx::line::Encoder,
    journal::{Account, Journal, Limits, file_name},
    model::{
        AngleScale, DomainFrame, DomainJob, DomainReading, DomainState, Frame, HostLoad, Kib, Missing,
        MonoTime, Nanos, WallTime, Why,
        frame::{Health, HostFacts},
        host::{HostCpu, HostMemory, Pressure},
        rates::{Baseline, Periods},
        reading::{CpuCounters, DiskSize, GuestMemory, MemorySize, VcpuCounters},
    },
};

use crate::sample::{self, AT, disk, identity, nic};

pub const URI: &str = "test:///default";
pub const SECOND: u64 = 1_000_000_000;

/// Cycles before and after collection was stopped for [`STOPPED`] seconds.
pub const BEFORE_STOP: u64 = 35;
pub const STOPPED: u64 = 300;

/// The VMs, by their part.
pub const PLAIN: u32 = 1;
pub const HANGS: u32 = 2;
pub const TAKES_TURNS: u32 = 3;
pub const RESTARTS: u32 = 4;
pub const POOR: u32 = 5;
pub const GOES: u32 = 6;
pub const UNREAD: u32 = 7;

/// The fleet between two cycles.
#[derive(Default)]
pub struct Scene {
    baselines: HashMap<u32, Baseline>,
    wholes: HashMap<u32, Arc<DomainFrame>>,
}

pub fn uuid(vm: u32) -> String {
    format!("550e8400-e29b-41d4-a716-{vm:012}")
}

/// When cycle `number` was, since the beginning.
pub fn elapsed(number: u64) -> u64 {
    number * SECOND + if number >= BEFORE_STOP { STOPPED * SECOND } else { 0 }
}

impl Scene {
    /// Cycle `number`, from 1.
    pub fn cycle(&mut self, number: u64) -> Frame {
        let domains = (1..=7)
            .filter(|vm| *vm != GOES || number < 30)
            .map(|vm| self.domain(vm, number))
            .collect::<Vec<_>>();
        let mut frame = sample::frame(domains);
        frame.domains.sort_by_key(|domain| (Arc::clone(&domain.identity().name), domain.identity().uuid));
        frame.cycle = number;
        frame.at = WallTime(AT.0 + i64::try_from(elapsed(number)).unwrap() + 7_000_001);
        frame.mono = MonoTime(elapsed(number) + 7_000_001);
        frame.took = Duration::from_micros(40_123);
        frame.host = Arc::new(HostFacts {
            name: Some("hv-07".into()),
            hypervisor: Some("QEMU 7.2.0".into()),
            cpus: Some(64),
            ..HostFacts::default()
        });
        frame.load = HostLoad {
            cpu: Ok(HostCpu { user: 12.34, system: 3.1, iowait: Err(Missing::new(Why::CounterRestarted)) }),
            memory: Ok(HostMemory { total: Kib(1 << 28), available: Kib(1 << 27) }),
            pressure: Ok(Pressure { cpu: 0.12, memory: 0.0, io: 99.99 }),
        };
        frame
    }

    fn domain(&mut self, vm: u32, number: u64) -> DomainFrame {
        let name = match vm {
            HANGS => "a b,c=d\\e \u{202e}\u{1b}[31m\n,uuid=x vm_metrics,VMID=9",
            POOR => "虚拟机 \"quoted\"",
            _ => "web",
        };
        let restarted = vm == RESTARTS && number >= 15;
        let id = if restarted { 104 } else { vm };
        // Places in a list differ a little from cycle to cycle.
        let now = elapsed(number) + u64::from(vm) * 1_000_000 + number * 7919 % 1_000_000;
        let at = WallTime(AT.0 + i64::try_from(now).unwrap());
        let ran = if restarted { now - elapsed(14) } else { now + 77 * SECOND };
        let identity = identity(Some(id), &format!("{name} {vm}"), &uuid(vm));
        if vm == UNREAD && (12..14).contains(&number) {
            let missing = Missing::since(Why::NoAnswerYet, AT);
            let reading =
                DomainReading::unanswered(identity, DomainState::Running, at, MonoTime(now), missing);
            let mut domain = sample::domain(reading);
            domain.rates = kvmscope::model::DomainRates::missing(missing);
            domain.health = Health::Impaired(missing);
            domain.fresh = false;
            domain.last = self.wholes.get(&vm).cloned();
            return domain;
        }
        let mut reading = sample::reading(identity);
        (reading.at, reading.mono) = (at, MonoTime(now));
        // Thousandths of a second it has run, in steps: the guest is not even.
        let grown = ran / 1_000_000 * u64::from(vm) + number * number % 97;
        reading.cpu = Ok(CpuCounters {
            time: Nanos(grown * 600_000),
            user: Some(Nanos(grown * 400_000)),
            system: (vm != POOR).then_some(Nanos(grown * 100_000)),
        });
        let vcpu = |index| VcpuCounters {
            index,
            time: Some(Nanos(grown * 123_000)),
            wait: None,
            delay: Some(Nanos(grown * 1234)),
            halted: (index == 0).then_some(number.is_multiple_of(2)),
        };
        reading.vcpus = Ok(vec![vcpu(0), vcpu(2)]);
        reading.memory = Ok(MemorySize { current: Kib(2_000_000), maximum: Kib(2_097_152) });
        // The guest reports in every other second.
        let reported = elapsed(number) / SECOND / 2 * 2;
        reading.guest_memory = Ok(GuestMemory {
            available: Some(Kib(2_000_000)),
            usable: (vm != TAKES_TURNS).then_some(Kib(1_500_000 - reported * 999)),
            unused: Some(Kib(1_400_000 - reported * 999)),
            swap_in: Some(Kib(0)),
            swap_out: None,
            major_faults: Some(grown / 1000),
            minor_faults: None,
            disk_caches: Some(Kib(77)),
            last_update: Some(AT.seconds().unsigned_abs() + reported),
        });
        reading.nics = Ok(vec![nic("vnet0", grown * 100), nic("vnet1", 0), nic("vnet 2,x", grown)]);
        let mut disks = vec![disk("vda", grown * 500), disk("vdb", 0)];
        disks[0].size =
            DiskSize { capacity: Some(40 << 30), allocation: Some(14_159_265_358), physical: None };
        let counters = disks[0].counters.as_mut().unwrap();
        (counters.rd_times, counters.rd_reqs) = (Some(Nanos(grown * 328_000)), Some(grown / 10));
        reading.disks = Ok(disks);
        let (health, whole) = self.trouble(vm, number, &mut reading);
        let interval = Duration::from_secs(1);
        let rest = if vm == TAKES_TURNS { interval * 3 } else { interval };
        let periods = Periods { memory: rest.max(interval * 2), disk: rest, ..Periods::every(interval) };
        let baseline = self.baselines.entry(vm).or_default();
        let rates = baseline.advance(&reading, &periods, &AngleScale::default());
        let mut domain = sample::domain(reading);
        domain.rates = rates;
        domain.health = health;
        domain.job = (vm == PLAIN && number > 5).then_some(DomainJob {
            operation: "backup",
            elapsed: Some(Duration::from_secs(number)),
            remaining: None,
            total: Some(1 << 33),
            done: Some(number << 20),
            left: None,
        });
        if whole {
            self.wholes.insert(vm, Arc::new(domain.clone()));
        } else {
            domain.last = self.wholes.get(&vm).cloned();
        }
        domain
    }

    /// What goes wrong for a VM in a cycle, and whether memory and disks were
    /// read all the same.
    fn trouble(&self, vm: u32, number: u64, reading: &mut DomainReading) -> (Health, bool) {
        let mut health = Health::Answering;
        let mut whole = true;
        match vm {
            HANGS if (20..26).contains(&number) => {
                let hung = Missing::since(Why::MonitorNotAnswering, WallTime(AT.0 + 123));
                (reading.rss, reading.guest_memory, reading.disks) = (Err(hung), Err(hung), Err(hung));
                (health, whole) = (Health::Impaired(hung), false);
            }
            TAKES_TURNS if !number.is_multiple_of(3) => {
                let since = self.wholes.get(&vm).map(|whole| whole.reading.at);
                let not_due = Missing { why: Why::NotDue, since };
                (reading.rss, reading.memory) = (Err(not_due), Err(not_due));
                (reading.guest_memory, reading.disks) = (Err(not_due), Err(not_due));
                whole = false;
            }
            RESTARTS if (8..10).contains(&number) => {
                reading.nics.as_mut().unwrap()[0].counters = Err(Missing::new(Why::CallFailed));
            }
            POOR => {
                reading.guest_memory = Err(Missing::new(Why::NoBalloonDriver));
                reading.vcpus = Err(Missing::new(Why::NotOffered));
                let nics = reading.nics.as_mut().unwrap();
                nics.insert(1, nic("hostdev0", 1));
                nics[1].counters = Err(Missing::new(Why::HostdevNic));
                nics[0].counters.as_mut().unwrap().rx_errors = None;
                nics[0].counters.as_mut().unwrap().tx_errors = None;
                reading.disks.as_mut().unwrap()[1].counters = Err(Missing::new(Why::EmptyDrive));
            }
            GOES => reading.nics = Err(Missing::new(Why::NoNics)),
            _ => {}
        }
        (health, whole)
    }
}

/// A record, and what writes into it.
pub struct Record {
    pub journal: Journal,
    lines: Encoder,
    locals: local::Encoder,
}

pub fn path(directory: &Path) -> PathBuf {
    directory.join(file_name(URI))
}

impl Record {
    pub fn open(directory: &Path, missing: MissingPolicy) -> Self {
        let limits = Limits { min_free: 0, ..Limits::from(&Store::default()) };
        Self::with(directory, missing, limits)
    }

    pub fn with(directory: &Path, missing: MissingPolicy, limits: Limits) -> Self {
        let opened = Journal::open(directory, &file_name(URI), limits, &mut Account::default(), AT).unwrap();
        let tags = BTreeMap::from([("host".to_owned(), "hv 7,x".to_owned())]);
        let lines = Encoder::new(missing, &tags).unwrap();
        Self { journal: opened.journal, lines, locals: local::Encoder::default() }
    }

    /// Appends a cycle as the recorder does, in rows of at most `most` lines.
    pub fn append(&mut self, frame: &Frame, most: usize) {
        let local = self.locals.encode(frame);
        self.append_with(frame, most, Some((local::VERSION, &local)));
    }

    /// As [`Record::append`], with another local part.
    pub fn append_with(&mut self, frame: &Frame, most: usize, local: Option<(u32, &[u8])>) {
        let mut text = Vec::new();
        self.lines.encode(frame, &mut text);
        sample::append(&mut self.journal, frame.at, &text, most, local);
    }
}
