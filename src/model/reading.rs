//! One reading of one domain: raw counters as libvirt gave them, the instant
//! they are from, and for every group that did not answer, why.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DomainState, Identity, Kib, Measured, MonoTime, Nanos, WallTime};

/// Everything one cycle learned about one domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DomainReading {
    /// Who was read.
    pub identity: Arc<Identity>,
    /// Its state (`state.state`).
    pub state: DomainState,
    /// libvirt's reason code within the state (`state.reason`).
    pub state_reason: i64,
    /// Wall-clock instant of the reading, estimated from the domain's place
    /// in its list between the call's start and return.
    pub at: WallTime,
    /// The same instant on the monotonic clock.
    pub mono: MonoTime,
    /// CPU times of the whole QEMU process.
    pub cpu: Measured<CpuCounters>,
    /// vCPU count and times.
    pub vcpus: Measured<Vec<VcpuCounters>>,
    /// vCPUs the domain has now (`vcpu.current`), known even where times are not.
    pub vcpu_count: Measured<u32>,
    /// Balloon size and limits; needs no monitor.
    pub memory: Measured<MemorySize>,
    /// Host-side memory of the QEMU process (`balloon.rss`).
    pub rss: Measured<Kib>,
    /// The guest's own report through the balloon driver.
    pub guest_memory: Measured<GuestMemory>,
    /// NICs in the order of the XML; the group fails as a whole or per NIC.
    pub nics: Measured<Vec<NicReading>>,
    /// Disks in the order of the XML; the group fails as a whole or per disk.
    pub disks: Measured<Vec<DiskReading>>,
}

/// `cpu.time`, `cpu.user`, `cpu.system`: cumulative, of the QEMU process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuCounters {
    /// Total CPU time.
    pub time: Nanos,
    /// User part, where the driver splits it.
    pub user: Option<Nanos>,
    /// System part, where the driver splits it.
    pub system: Option<Nanos>,
}

/// One vCPU (`vcpu.N.*`); cumulative times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VcpuCounters {
    /// N.
    pub index: u32,
    /// Guest CPU time (`vcpu.N.time`).
    pub time: Option<Nanos>,
    /// Time waiting for I/O (`vcpu.N.wait`).
    pub wait: Option<Nanos>,
    /// Time waiting in the host's run queue (`vcpu.N.delay`, libvirt ≥ 7.2).
    pub delay: Option<Nanos>,
    /// Whether the vCPU is halted (`vcpu.N.halted`; needs the monitor).
    pub halted: Option<bool>,
}

/// `balloon.current` and `balloon.maximum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySize {
    /// Memory the balloon leaves to the guest now.
    pub current: Kib,
    /// Most memory the guest may have.
    pub maximum: Kib,
}

/// The guest's memory report (`balloon.*` behind the balloon driver).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestMemory {
    /// Memory the guest's kernel sees.
    pub available: Option<Kib>,
    /// Memory that new programs could have without swapping.
    pub usable: Option<Kib>,
    /// Memory left wholly unused.
    pub unused: Option<Kib>,
    /// Swapped in, cumulative, in KiB.
    pub swap_in: Option<Kib>,
    /// Swapped out, cumulative, in KiB.
    pub swap_out: Option<Kib>,
    /// Page faults that needed a disk, cumulative count.
    pub major_faults: Option<u64>,
    /// Page faults that did not, cumulative count.
    pub minor_faults: Option<u64>,
    /// Page cache.
    pub disk_caches: Option<Kib>,
    /// When the guest reported last, seconds since the epoch (`last-update`).
    pub last_update: Option<u64>,
}

/// One NIC's counters, from the guest's view (`net.N.*`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NicReading {
    /// The name of [`super::domain::NicDevice::name`].
    #[serde(deserialize_with = "crate::model::name::read_fit")]
    pub name: Arc<str>,
    /// Cumulative counters, or why there are none.
    pub counters: Measured<NicCounters>,
}

/// `net.N.rx.*` and `tx.*`; `None` where the driver has no such counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicCounters {
    /// Bytes received.
    pub rx_bytes: Option<u64>,
    /// Packets received.
    pub rx_packets: Option<u64>,
    /// Receive errors.
    pub rx_errors: Option<u64>,
    /// Packets dropped on receive.
    pub rx_drops: Option<u64>,
    /// Bytes sent.
    pub tx_bytes: Option<u64>,
    /// Packets sent.
    pub tx_packets: Option<u64>,
    /// Send errors.
    pub tx_errors: Option<u64>,
    /// Packets dropped on send.
    pub tx_drops: Option<u64>,
}

/// One disk's counters and sizes (`block.N.*`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiskReading {
    /// The target name.
    #[serde(deserialize_with = "crate::model::name::read_fit")]
    pub name: Arc<str>,
    /// Cumulative counters, or why there are none.
    pub counters: Measured<DiskCounters>,
    /// Sizes in bytes; each `None` where unknown.
    pub size: DiskSize,
}

/// `block.N.rd.*`, `wr.*`, `fl.*`; `None` where the driver has no such counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskCounters {
    /// Read requests.
    pub rd_reqs: Option<u64>,
    /// Bytes read.
    pub rd_bytes: Option<u64>,
    /// Total time of reads.
    pub rd_times: Option<Nanos>,
    /// Write requests.
    pub wr_reqs: Option<u64>,
    /// Bytes written.
    pub wr_bytes: Option<u64>,
    /// Total time of writes.
    pub wr_times: Option<Nanos>,
    /// Flush requests.
    pub fl_reqs: Option<u64>,
    /// Total time of flushes.
    pub fl_times: Option<Nanos>,
    /// I/O errors; QEMU does not say (−1), other drivers may.
    pub errors: Option<u64>,
}

/// `block.N.capacity`, `allocation`, `physical`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSize {
    /// Size the guest sees.
    pub capacity: Option<u64>,
    /// Highest byte written.
    pub allocation: Option<u64>,
    /// Size on the host.
    pub physical: Option<u64>,
}

impl DomainReading {
    /// A reading in which nothing answered, for the reason `missing`.
    #[must_use]
    pub fn unanswered(
        identity: Arc<Identity>,
        state: DomainState,
        at: WallTime,
        mono: MonoTime,
        missing: super::Missing,
    ) -> Self {
        Self {
            identity,
            state,
            state_reason: 0,
            at,
            mono,
            cpu: Err(missing),
            vcpus: Err(missing),
            vcpu_count: Err(missing),
            memory: Err(missing),
            rss: Err(missing),
            guest_memory: Err(missing),
            nics: Err(missing),
            disks: Err(missing),
        }
    }

    /// Memory in use and where the number comes from: the guest's report
    /// (`available − usable`, else `available − unused`), or the balloon's
    /// size where this VM can give no report. A report that merely did not
    /// come this time is a missing value, never a silent change of source.
    ///
    /// # Errors
    /// Why the value is missing in this reading.
    pub fn memory_used(&self) -> Measured<(Kib, MemorySource)> {
        use super::missing::Kind;
        match &self.guest_memory {
            Ok(guest) => {
                let free = guest.usable.or(guest.unused);
                match (guest.available, free) {
                    (Some(available), Some(free)) => {
                        Ok((Kib(available.0.saturating_sub(free.0)), MemorySource::Guest))
                    }
                    _ => self.memory.map(|m| (m.current, MemorySource::Balloon)),
                }
            }
            Err(missing) if missing.kind() == Kind::NeverThere => {
                self.memory.map(|m| (m.current, MemorySource::Balloon))
            }
            Err(missing) => Err(*missing),
        }
    }
}

/// Where [`DomainReading::memory_used`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemorySource {
    /// The guest's own report.
    Guest,
    /// The balloon's current size.
    Balloon,
}
