//! Makes the values of a local part from a frame, as fine as they are kept.

use std::{sync::Arc, time::Duration};

use super::{
    form::{Cycle, Disk, Domain, Given, Groups, Job, Name, Nic, Seen, Vcpu, WHOLE_NIC},
    scale::{hundredths, latency, per_second, size},
};
use crate::model::{
    DomainFrame, Frame, HostLoad, Measured, Missing, Why,
    host::{HostCpu, Pressure},
    rates::{DiskRates, NetRates, VcpuRates},
    reading::{DiskReading, DiskSize, NicReading},
};

impl Cycle {
    /// What the local part of `frame` says; `whole`: with what changes seldom.
    #[must_use]
    pub fn of(frame: &Frame, whole: bool) -> Self {
        Self::told(frame, whole, |_| whole)
    }

    /// As [`Cycle::of`], with the sizes of those disks that were read whose
    /// domain, by its id, is `sized`: that is asked once of each.
    pub(super) fn told(frame: &Frame, whole: bool, mut sized: impl FnMut(u32) -> bool) -> Self {
        let live = frame.domains.iter().filter_map(|domain| {
            let id = domain.identity().id?;
            let read = domain.fresh && domain.reading.disks.is_ok();
            Some(Domain::of(id, domain, read && sized(id)))
        });
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
