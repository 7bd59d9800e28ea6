//! The way without bulk data: one domain and one device at a time.
//!
//! For drivers whose bulk call gives only the state (the test hypervisor,
//! Xen, older libvirt), and for what can be had of any domain without its
//! monitor. What a driver has once refused is not asked again on the same
//! connection; what it cannot tell of one device or at one time is.

use virt::{domain::Domain, error::ErrorNumber, sys};

use super::{
    Groups,
    error::is_not_offered,
    ffi::vcpus,
    question::{Member, RawDisk, RawDomain},
};
use crate::model::{
    Kib, Nanos,
    reading::{CpuCounters, DiskCounters, DiskSize, GuestMemory, MemorySize, NicCounters, VcpuCounters},
};

/// A per-domain call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Info,
    Vcpus,
    CpuStats,
    MemoryStats,
    InterfaceStats,
    BlockStats,
}

impl Call {
    /// Whether `error` says that the driver has no such call at all. About a
    /// device it may say that it cannot count this one; the next one it can.
    fn is_refused_by(self, error: &virt::error::Error) -> bool {
        match self {
            Self::InterfaceStats | Self::BlockStats => error.code().is(ErrorNumber::NoSupport),
            Self::Info | Self::Vcpus | Self::CpuStats | Self::MemoryStats => is_not_offered(error),
        }
    }
}

/// What this connection's driver has refused for good.
#[derive(Debug, Default)]
pub(super) struct Refused(Vec<Call>);

impl Refused {
    /// What is known of a driver before it is asked. The test hypervisor gives
    /// its vCPUs a time that counts microseconds by tens: as nanoseconds it
    /// would show every busy vCPU as idle.
    pub(super) fn by_driver(kind: &str) -> Self {
        if kind.eq_ignore_ascii_case("test") { Self(vec![Call::Vcpus]) } else { Self::default() }
    }

    fn has(&self, call: Call) -> bool {
        self.0.contains(&call)
    }

    /// Makes a call unless it was refused before, and takes note of a
    /// refusal; other failures are of this time alone.
    fn unless<T>(&mut self, call: Call, made: impl FnOnce() -> Result<T, virt::error::Error>) -> Option<T> {
        if self.has(call) {
            return None;
        }
        let result = made();
        if result.as_ref().is_err_and(|error| call.is_refused_by(error)) {
            self.0.push(call);
        }
        result.ok()
    }
}

/// Which call tells a driver's total CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CpuClock {
    /// The summary of `getCPUStats`, from the same source as QEMU's bulk data.
    Summary,
    /// `info`, which every driver has; the summary splits it where it can.
    Info,
}

/// What needs no monitor, from calls that never wait for one: CPU, vCPU count
/// and the balloon's size.
pub(super) fn fill_monitor_free(
    domain: &Domain,
    groups: Groups,
    clock: CpuClock,
    refused: &mut Refused,
    raw: &mut RawDomain,
) {
    if groups.and(Groups::CPU | Groups::VCPUS | Groups::MEMORY).is_empty() {
        return;
    }
    let info = refused.unless(Call::Info, || domain.info());
    if let Some(info) = &info {
        if groups.has(Groups::VCPUS) {
            raw.vcpu_count = Some(info.nr_virt_cpu);
        }
        if groups.has(Groups::MEMORY) {
            raw.memory = Some(MemorySize { current: Kib(info.memory), maximum: Kib(info.max_mem) });
        }
    }
    if groups.has(Groups::CPU) {
        raw.cpu = cpu(domain, info.map(|info| info.cpu_time), clock, refused);
    }
}

/// CPU times of the process. The two calls may count from different sources
/// (cgroup, process), and a counter must not change its source between two
/// readings, so each driver has one of them for good.
fn cpu(
    domain: &Domain,
    info_time: Option<u64>,
    clock: CpuClock,
    refused: &mut Refused,
) -> Option<CpuCounters> {
    let mut counters = CpuCounters { time: Nanos(info_time.unwrap_or(0)), user: None, system: None };
    let mut known = info_time.is_some();
    if !refused.has(Call::CpuStats) {
        match domain.cpu_stats(-1, 1, 0) {
            Ok(stats) => {
                let total = stats.into_iter().next().unwrap_or_default();
                counters.user = total.user_time.map(Nanos);
                counters.system = total.system_time.map(Nanos);
                if clock == CpuClock::Summary || !known {
                    counters.time = Nanos(total.cpu_time?);
                    known = true;
                }
            }
            Err(error) if is_not_offered(&error) => refused.0.push(Call::CpuStats),
            // QEMU's words for "no cgroup to count in"; bulk then counts as
            // `info` does.
            Err(error) if error.code().is(ErrorNumber::OperationInvalid) => (),
            Err(_) if clock == CpuClock::Summary => return None,
            Err(_) => (),
        }
    }
    known.then_some(counters)
}

/// Fills every wanted group that is still absent, call by call. These calls
/// wait for the domain: not for drivers that have bulk data.
pub(super) fn fill(
    domain: &Domain,
    member: &Member,
    wanted: Groups,
    monitor_free: bool,
    refused: &mut Refused,
    raw: &mut RawDomain,
) {
    let cheap = absent(raw, wanted).and(Groups::CPU | Groups::VCPUS | Groups::MEMORY);
    fill_monitor_free(domain, cheap, CpuClock::Info, refused, raw);
    if cheap.has(Groups::VCPUS) && !monitor_free {
        raw.vcpus = raw.vcpu_count.and_then(|count| vcpu_times(domain, count, refused));
    }
    if cheap.has(Groups::MEMORY) && !monitor_free {
        let stats = refused.unless(Call::MemoryStats, || domain.memory_stats(0));
        memory(&stats.unwrap_or_default(), raw);
    }
    let absent = absent(raw, wanted);
    if let Some(devices) = &member.devices {
        if absent.has(Groups::NICS) {
            let counted = devices.nics.iter().filter(|nic| nic.uncounted.is_none());
            let nics = counted
                .filter_map(|nic| Some((nic.name.to_string(), interface(domain, &nic.name, refused)?)));
            let nics: Vec<_> = nics.collect();
            raw.nics = (!refused.has(Call::InterfaceStats)).then_some(nics);
        }
        if absent.has(Groups::DISKS) && !monitor_free {
            let disks = devices.disks.iter().map(|disk| RawDisk {
                name: disk.name.to_string(),
                counters: disk.source.as_ref().and_then(|_| block(domain, &disk.name, refused)),
                size: DiskSize::default(),
            });
            let disks: Vec<_> = disks.collect();
            raw.disks = (!refused.has(Call::BlockStats)).then_some(disks);
        }
    }
    raw.refused = refusals(raw, wanted, refused);
}

/// Times of all vCPUs, or none: the sum over some would read as an idle guest.
fn vcpu_times(domain: &Domain, count: u32, refused: &mut Refused) -> Option<Vec<VcpuCounters>> {
    let times = refused.unless(Call::Vcpus, || vcpus::times(domain, count))?;
    let counters = times.into_iter().map(|(index, time)| VcpuCounters {
        index,
        time: Some(Nanos(time)),
        wait: None,
        delay: None,
        halted: None,
    });
    let counters: Vec<_> = counters.collect();
    (!counters.is_empty() && u32::try_from(counters.len()) == Ok(count)).then_some(counters)
}

/// The wanted groups of which `raw` has nothing yet.
fn absent(raw: &RawDomain, wanted: Groups) -> Groups {
    let there = [
        (Groups::CPU, raw.cpu.is_some()),
        (Groups::VCPUS, raw.vcpu_count.is_some()),
        (Groups::MEMORY, raw.memory.is_some()),
        (Groups::NICS, raw.nics.is_some()),
        (Groups::DISKS, raw.disks.is_some()),
    ];
    there.into_iter().filter(|(_, there)| *there).fold(wanted, |absent, (group, _)| absent.without(group))
}

/// The wanted groups that this driver gives by neither way.
fn refusals(raw: &RawDomain, wanted: Groups, refused: &Refused) -> Groups {
    let never = [
        (Groups::CPU, raw.cpu.is_none() && refused.has(Call::CpuStats) && refused.has(Call::Info)),
        (Groups::VCPUS, raw.vcpus.is_none() && refused.has(Call::Vcpus)),
        (Groups::MEMORY, raw.memory.is_none() && refused.has(Call::Info)),
        (Groups::NICS, raw.nics.is_none() && refused.has(Call::InterfaceStats)),
        (Groups::DISKS, raw.disks.is_none() && refused.has(Call::BlockStats)),
    ];
    never
        .into_iter()
        .filter(|(group, never)| *never && wanted.has(*group))
        .fold(Groups::NONE, |all, (group, _)| all | group)
}

fn memory(stats: &[virt::domain::MemoryStat], raw: &mut RawDomain) {
    let mut guest = GuestMemory::default();
    for stat in stats {
        let kib = Some(Kib(stat.val));
        match stat.tag {
            sys::VIR_DOMAIN_MEMORY_STAT_RSS => raw.rss = kib,
            sys::VIR_DOMAIN_MEMORY_STAT_AVAILABLE => guest.available = kib,
            sys::VIR_DOMAIN_MEMORY_STAT_USABLE => guest.usable = kib,
            sys::VIR_DOMAIN_MEMORY_STAT_UNUSED => guest.unused = kib,
            sys::VIR_DOMAIN_MEMORY_STAT_SWAP_IN => guest.swap_in = kib,
            sys::VIR_DOMAIN_MEMORY_STAT_SWAP_OUT => guest.swap_out = kib,
            sys::VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT => guest.major_faults = Some(stat.val),
            sys::VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT => guest.minor_faults = Some(stat.val),
            sys::VIR_DOMAIN_MEMORY_STAT_DISK_CACHES => guest.disk_caches = kib,
            sys::VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE => guest.last_update = Some(stat.val),
            _ => (),
        }
    }
    raw.guest = (guest != GuestMemory::default()).then_some(guest);
}

fn interface(domain: &Domain, name: &str, refused: &mut Refused) -> Option<NicCounters> {
    let stats = refused.unless(Call::InterfaceStats, || domain.interface_stats(name))?;
    let counters = NicCounters {
        rx_bytes: count(stats.rx_bytes),
        rx_packets: count(stats.rx_packets),
        rx_errors: count(stats.rx_errs),
        rx_drops: count(stats.rx_drop),
        tx_bytes: count(stats.tx_bytes),
        tx_packets: count(stats.tx_packets),
        tx_errors: count(stats.tx_errs),
        tx_drops: count(stats.tx_drop),
    };
    (counters != NicCounters::default()).then_some(counters)
}

fn block(domain: &Domain, name: &str, refused: &mut Refused) -> Option<DiskCounters> {
    let stats = refused.unless(Call::BlockStats, || domain.block_stats(name))?;
    let counters = DiskCounters {
        rd_reqs: count(stats.rd_req),
        rd_bytes: count(stats.rd_bytes),
        wr_reqs: count(stats.wr_req),
        wr_bytes: count(stats.wr_bytes),
        errors: count(stats.errs),
        ..DiskCounters::default()
    };
    (counters != DiskCounters::default()).then_some(counters)
}

/// libvirt's −1 is "unknown".
fn count(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}

#[cfg(test)]
mod tests;
