//! What a cycle's local part says, as values: made from a frame, or read back.
//!
//! Numbers are as fine as the screen shows them (`scale`): percentages, cores
//! and pressure in hundredths; latencies in microseconds and flushes in tenths
//! per second, three digits of either; sizes of disks to a hundred-thousandth
//! part; durations in microseconds. A value that is missing has its reason,
//! never a number.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::scale::{hundredths, latency, per_second, size};
use crate::model::{
    DomainFrame, DomainState, Frame, HostLoad, Measured, Missing, WallTime, Why,
    frame::{Health, HostFacts},
    host::{HostCpu, Pressure},
    rates::{DiskRates, NetRates, VcpuRates},
    reading::{DiskReading, DiskSize, NicReading},
};

/// One cycle beside its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Cycle {
    /// Number of the cycle since that process started.
    pub number: u64,
    /// When it closed.
    pub at: WallTime,
    /// How long it took.
    pub took: Duration,
    /// The interval it was meant to keep.
    pub interval: Duration,
    /// The host, in cycles that have it; see [`super::Encoder`].
    pub host: Option<HostFacts>,
    /// What the host was busy with; `None`: that version did not keep it.
    pub load: Option<HostLoad>,
    /// Live domains, in the order of their lines.
    pub domains: Vec<Domain>,
}

/// One live domain of a cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// libvirt's id.
    pub id: u32,
    /// Who it is. `None`: the cycle's lines say so; see [`Cycle::name_by`].
    pub name: Option<Name>,
    /// Why groups of its reading are missing.
    pub missing: Groups,
    /// Its disks, in the order of the reading. Of a cycle that another version
    /// wrote, those of which something is missing.
    pub disks: Vec<Disk>,
    /// NICs of which something is missing. Of any other the lines say all.
    pub nics: Vec<Nic>,
    /// What was seen of it. `None`: nothing of it was read in this cycle, so
    /// it has no line either; or that version kept reasons alone.
    pub seen: Option<Seen>,
}

/// Who a domain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// libvirt's uuid.
    pub uuid: Uuid,
    /// Its name.
    pub name: Arc<str>,
}

/// Why groups of a reading are missing; `None`: they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the group of that name of a reading")]
pub struct Groups {
    pub cpu: Option<Missing>,
    pub vcpus: Option<Missing>,
    pub vcpu_count: Option<Missing>,
    pub memory: Option<Missing>,
    pub rss: Option<Missing>,
    pub guest_memory: Option<Missing>,
    pub nics: Option<Missing>,
    pub disks: Option<Missing>,
}

/// What the screen shows of a domain that its lines cannot say.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// State; the lines say it, too.
    pub state: DomainState,
    /// libvirt's code of why it is in that state.
    pub state_reason: i64,
    /// How it behaved.
    pub health: Health,
    /// The guest's own CPU use, percent of all vCPUs.
    pub cpu_percent: Measured<f64>,
    /// Why the process's CPU use is missing; the lines have the counter.
    pub cpu_cores: Option<Missing>,
    /// QEMU's own cost, in cores.
    pub overhead_cores: Measured<f64>,
    /// Steal, mean over the vCPUs.
    pub steal_percent: Measured<f64>,
    /// Why the percentage of memory is missing.
    pub memory_percent: Option<Missing>,
    /// Why memory's rate is missing.
    pub memory_rate: Option<Missing>,
    /// Whether that rate is an earlier cycle's.
    pub memory_held: bool,
    /// Which CPU counters there are: user, system. The zero that a line may
    /// have in the place of the others is no number.
    pub cpu_given: Given,
    /// The same of the guest's report: available, usable, unused, swap in and
    /// out, major and minor faults, disk caches.
    pub guest_given: Given,
    /// vCPUs, in the order of the reading.
    pub vcpus: Vec<Vcpu>,
    /// The job that ran on it.
    pub job: Option<Job>,
}

/// Which of a group's counters the hypervisor gave: bit n for the n-th.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given(pub u16);

/// One vCPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vcpu {
    /// N of `vcpu.N`.
    pub index: u32,
    /// Busy, percent of wall time.
    pub percent: Measured<f64>,
    /// Kept waiting by the host, percent of wall time.
    pub steal_percent: Measured<f64>,
    /// Whether it was halted; `None`: not offered.
    pub halted: Option<bool>,
}

/// One disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// Target name.
    pub name: Arc<str>,
    /// Why its counters are missing.
    pub missing: Option<Missing>,
    /// Which counters there are, in the order of
    /// [`crate::model::reading::DiskCounters`].
    pub given: Given,
    /// Sizes, in cycles that have them; see [`super::Encoder`].
    pub size: Option<DiskSize>,
    /// Why the rates of bytes read and written and of reads and writes are
    /// missing, in this order.
    pub rates: [Option<Missing>; 4],
    /// Milliseconds per read.
    pub ms_per_read: Measured<f64>,
    /// Milliseconds per write.
    pub ms_per_write: Measured<f64>,
    /// Milliseconds per flush.
    pub ms_per_flush: Measured<f64>,
    /// Flushes per second.
    pub flushes_per_s: Measured<f64>,
}

/// A NIC of which something is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Nic {
    /// Target name or alias.
    pub name: Arc<str>,
    /// Why its counters are missing.
    pub missing: Option<Missing>,
    /// Which counters there are, in the order of
    /// [`crate::model::reading::NicCounters`].
    pub given: Given,
    /// Why its rates are missing, in the order of [`NetRates`].
    pub rates: [Option<Missing>; 6],
}

/// A job; as [`crate::model::DomainJob`], in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is that of the model's job")]
pub struct Job {
    pub operation: Arc<str>,
    pub elapsed: Option<Duration>,
    pub remaining: Option<Duration>,
    pub total: Option<u64>,
    pub done: Option<u64>,
    pub left: Option<u64>,
}

impl Given {
    /// The first `count` counters.
    const fn first(count: u32) -> Self {
        Self((1 << count) - 1)
    }

    fn of<const N: usize>(there: [bool; N]) -> Self {
        Self(there.iter().rev().fold(0, |bits, there| bits << 1 | u16::from(*there)))
    }
}

/// All eight counters of a NIC.
pub(super) const WHOLE_NIC: Given = Given::first(8);

impl Cycle {
    /// What the local part of `frame` says; `whole`: with what changes seldom.
    #[must_use]
    pub fn of(frame: &Frame, whole: bool) -> Self {
        let live =
            frame.domains.iter().filter_map(|domain| Some(Domain::of(domain.identity().id?, domain, whole)));
        Self {
            number: frame.cycle,
            at: frame.at,
            took: micros(frame.took),
            interval: micros(frame.interval),
            host: whole.then(|| (*frame.host).clone()),
            load: Some(load(&frame.load)),
            domains: live.collect(),
        }
    }

    /// Gives every domain its name from the lines of the same cycle, which
    /// name the domains in the same order.
    pub fn name_by(&mut self, lines: &[u8]) {
        let mut named = lines.split(|byte| *byte == b'\n').filter_map(tags_of);
        for domain in self.domains.iter_mut().filter(|domain| domain.name.is_none()) {
            domain.name = named.by_ref().find(|(id, _)| *id == domain.id).map(|(_, name)| name);
        }
    }
}

/// Id and name in a line of `vm_metrics`, of which each domain has one.
fn tags_of(line: &[u8]) -> Option<(u32, Name)> {
    let tags = std::str::from_utf8(line).ok()?.strip_prefix("vm_metrics,VMID=")?;
    let (id, rest) = tags.split_once(",name=")?;
    // A comma within the name is escaped, so only the tag's own stands bare.
    let (name, rest) = rest.split_once(",uuid=")?;
    let uuid = rest.get(..36)?;
    let mut plain = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let escapes = c == '\\' && rest.peek().is_some_and(|next| matches!(next, ',' | '=' | ' '));
        plain.push(if escapes { rest.next()? } else { c });
    }
    Some((id.parse().ok()?, Name { uuid: Uuid::try_parse(uuid).ok()?, name: plain.into() }))
}

impl Domain {
    fn of(id: u32, domain: &DomainFrame, whole: bool) -> Self {
        let reading = &domain.reading;
        let identity = domain.identity();
        let mut made = Self {
            id,
            name: (!domain.fresh).then(|| Name { uuid: identity.uuid, name: Arc::clone(&identity.name) }),
            missing: Groups {
                cpu: reading.cpu.err(),
                vcpus: reading.vcpus.as_ref().err().copied(),
                vcpu_count: reading.vcpu_count.err(),
                memory: reading.memory.err(),
                rss: reading.rss.err(),
                guest_memory: reading.guest_memory.err(),
                nics: reading.nics.as_ref().err().copied(),
                disks: reading.disks.as_ref().err().copied(),
            },
            disks: Vec::new(),
            nics: Vec::new(),
            seen: None,
        };
        if domain.fresh {
            let rates = &domain.rates;
            let disks = reading.disks.iter().flatten().enumerate();
            made.disks = disks
                .map(|(place, disk)| Disk::of(disk, of_device(&rates.disks, place, &disk.name), whole))
                .collect();
            let nics = reading.nics.iter().flatten().enumerate();
            made.nics = nics
                .filter_map(|(place, nic)| Nic::of(nic, of_device(&rates.nics, place, &nic.name)))
                .collect();
            made.seen = Some(Seen::of(domain));
        }
        made
    }
}

impl Seen {
    fn of(domain: &DomainFrame) -> Self {
        let (reading, rates) = (&domain.reading, &domain.rates);
        let halted = |index| reading.vcpus.iter().flatten().find(|v| v.index == index)?.halted;
        let vcpu = |rates: &VcpuRates| Vcpu {
            index: rates.index,
            percent: percent(rates.percent),
            steal_percent: percent(rates.steal_percent),
            halted: halted(rates.index),
        };
        Self {
            state: reading.state,
            state_reason: reading.state_reason,
            health: domain.health,
            cpu_percent: percent(rates.cpu_percent),
            cpu_cores: rates.cpu_cores.err(),
            overhead_cores: percent(rates.overhead_cores),
            steal_percent: percent(rates.steal_percent),
            memory_percent: rates.memory_percent.err(),
            memory_rate: rates.memory_kib_per_s.err(),
            memory_held: rates.memory_held,
            cpu_given: reading
                .cpu
                .map_or(Given(0), |cpu| Given::of([cpu.user.is_some(), cpu.system.is_some()])),
            guest_given: reading.guest_memory.map_or(Given(0), |guest| {
                Given::of([
                    guest.available.is_some(),
                    guest.usable.is_some(),
                    guest.unused.is_some(),
                    guest.swap_in.is_some(),
                    guest.swap_out.is_some(),
                    guest.major_faults.is_some(),
                    guest.minor_faults.is_some(),
                    guest.disk_caches.is_some(),
                ])
            }),
            vcpus: rates.vcpus.iter().map(vcpu).collect(),
            job: domain.job.as_ref().map(|job| Job {
                operation: job.operation.into(),
                elapsed: job.elapsed.map(millis),
                remaining: job.remaining.map(millis),
                total: job.total,
                done: job.done,
                left: job.left,
            }),
        }
    }
}

/// The rates of the device at `place`, or wherever it stands among them.
fn of_device<'a, T>(rates: &'a [(Arc<str>, T)], place: usize, name: &str) -> Option<&'a T> {
    let is = |(known, _): &&(Arc<str>, T)| **known == *name;
    rates.get(place).filter(is).or_else(|| rates.iter().find(is)).map(|(_, rates)| rates)
}

impl Disk {
    /// A disk of which nothing is there, for one reason.
    pub(super) fn missing(name: &str, reason: Missing) -> Self {
        Self {
            name: name.into(),
            missing: Some(reason),
            given: Given(0),
            size: None,
            rates: [Some(reason); 4],
            ms_per_read: Err(reason),
            ms_per_write: Err(reason),
            ms_per_flush: Err(reason),
            flushes_per_s: Err(reason),
        }
    }

    fn of(disk: &DiskReading, rates: Option<&DiskRates>, whole: bool) -> Self {
        let none = DiskRates::missing(Missing::new(Why::NotOffered));
        let rates = rates.unwrap_or(&none);
        Self {
            name: Arc::clone(&disk.name),
            missing: disk.counters.err(),
            given: disk.counters.map_or(Given(0), |of| {
                Given::of([
                    of.rd_reqs.is_some(),
                    of.rd_bytes.is_some(),
                    of.rd_times.is_some(),
                    of.wr_reqs.is_some(),
                    of.wr_bytes.is_some(),
                    of.wr_times.is_some(),
                    of.fl_reqs.is_some(),
                    of.fl_times.is_some(),
                    of.errors.is_some(),
                ])
            }),
            size: whole.then(|| DiskSize {
                capacity: disk.size.capacity.map(rounded),
                allocation: disk.size.allocation.map(rounded),
                physical: disk.size.physical.map(rounded),
            }),
            rates: [
                rates.read_bytes_per_s.err(),
                rates.write_bytes_per_s.err(),
                rates.reads_per_s.err(),
                rates.writes_per_s.err(),
            ],
            ms_per_read: fine(rates.ms_per_read, latency::code, latency::value),
            ms_per_write: fine(rates.ms_per_write, latency::code, latency::value),
            ms_per_flush: fine(rates.ms_per_flush, latency::code, latency::value),
            flushes_per_s: fine(rates.flushes_per_s, per_second::code, per_second::value),
        }
    }
}

impl Nic {
    /// `None` where the lines say all of it.
    fn of(nic: &NicReading, rates: Option<&NetRates>) -> Option<Self> {
        let none = NetRates::missing(Missing::new(Why::NotOffered));
        let rates = rates.unwrap_or(&none);
        let made = Self {
            name: Arc::clone(&nic.name),
            missing: nic.counters.err(),
            given: nic.counters.map_or(Given(0), |of| {
                Given::of([
                    of.rx_bytes.is_some(),
                    of.rx_packets.is_some(),
                    of.rx_errors.is_some(),
                    of.rx_drops.is_some(),
                    of.tx_bytes.is_some(),
                    of.tx_packets.is_some(),
                    of.tx_errors.is_some(),
                    of.tx_drops.is_some(),
                ])
            }),
            rates: [
                rates.rx_bytes_per_s.err(),
                rates.tx_bytes_per_s.err(),
                rates.rx_packets_per_s.err(),
                rates.tx_packets_per_s.err(),
                rates.errors_per_s.err(),
                rates.drops_per_s.err(),
            ],
        };
        let complete =
            made.missing.is_none() && made.given == WHOLE_NIC && made.rates.iter().all(Option::is_none);
        (!complete).then_some(made)
    }
}

fn load(load: &HostLoad) -> HostLoad {
    // What one of the three cannot be told of makes none of them a number.
    let three = |a: f64, b: f64, c: f64| -> Measured<[f64; 3]> {
        Ok([percent(Ok(a))?, percent(Ok(b))?, percent(Ok(c))?])
    };
    HostLoad {
        cpu: load.cpu.and_then(|cpu| {
            Ok(HostCpu {
                user: percent(Ok(cpu.user))?,
                system: percent(Ok(cpu.system))?,
                iowait: percent(cpu.iowait),
            })
        }),
        memory: load.memory,
        pressure: load.pressure.and_then(|of| {
            let [cpu, memory, io] = three(of.cpu, of.memory, of.io)?;
            Ok(Pressure { cpu, memory, io })
        }),
    }
}

fn percent(value: Measured<f64>) -> Measured<f64> {
    fine(value, hundredths::code, hundredths::value)
}

/// A number as fine as it is kept. What is no number that could have been
/// measured counts as not offered.
fn fine(value: Measured<f64>, code: fn(f64) -> Option<u64>, back: fn(u64) -> f64) -> Measured<f64> {
    value.and_then(|value| code(value).map(back).ok_or(Missing::new(Why::NotOffered)))
}

fn rounded(bytes: u64) -> u64 {
    size::value(size::code(bytes))
}

fn micros(span: Duration) -> Duration {
    Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

fn millis(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
