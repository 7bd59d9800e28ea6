//! What the host itself is busy with, beside its domains.

use serde::{Deserialize, Serialize};

use super::{Frame, Kib, Measured, Missing, Why, frame::HostFacts};

/// The host in one cycle. Comes from libvirt; pressure alone is read from the
/// kernel, and only where the host is this machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostLoad {
    /// CPU use between this cycle's reading and the one before.
    pub cpu: Measured<HostCpu>,
    /// Memory now.
    pub memory: Measured<HostMemory>,
    /// Pressure stall information.
    pub pressure: Measured<Pressure>,
}

/// Host CPU use in percent of all CPUs together (`virNodeGetCPUStats`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostCpu {
    /// Programs, guests among them.
    pub user: f64,
    /// The kernel.
    pub system: f64,
    /// Idle with a disk request out. Missing for itself: the kernel's counter
    /// of it may fall while the others are sound.
    pub iowait: Measured<f64>,
}

/// Host memory (`virNodeGetMemoryStats`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMemory {
    /// All of it.
    pub total: Kib,
    /// Free, and what the kernel would give back: buffers and cache.
    pub available: Kib,
}

impl HostMemory {
    /// In use: what is neither free nor would be given back.
    #[must_use]
    pub fn used(&self) -> Kib {
        Kib(self.total.0.saturating_sub(self.available.0))
    }

    /// In use, in percent of all of it.
    ///
    /// # Errors
    /// The host tells no size of its memory.
    #[allow(clippy::cast_precision_loss, reason = "memory in KiB stays far below 2^53")]
    pub fn used_percent(&self) -> Measured<f64> {
        if self.total.0 == 0 {
            return Err(Missing::new(Why::NotOffered));
        }
        Ok(self.used().0 as f64 / self.total.0 as f64 * 100.0)
    }
}

/// Share of the last ten seconds in which something waited, in percent
/// (`some avg10` of `/proc/pressure/*`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// Waited for a CPU.
    pub cpu: f64,
    /// Waited for memory.
    pub memory: f64,
    /// Waited for a disk.
    pub io: f64,
}

impl HostCpu {
    /// Busy in percent: user and system.
    #[must_use]
    pub fn busy(&self) -> f64 {
        self.user + self.system
    }
}

impl HostLoad {
    /// Nothing known, for one reason.
    #[must_use]
    pub fn missing(why: Missing) -> Self {
        Self { cpu: Err(why), memory: Err(why), pressure: Err(why) }
    }
}

impl Default for HostLoad {
    fn default() -> Self {
        Self::missing(Missing::new(Why::NoAnswerYet))
    }
}

/// What the live domains of a host were given, beside what it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Commitment {
    /// vCPUs of all live domains, paused ones too: they may go on any time.
    pub vcpus: Measured<u64>,
    /// vCPUs per logical CPU of the host.
    pub vcpus_per_cpu: Measured<f64>,
    /// Maximum memory of all live domains.
    pub memory: Measured<Kib>,
    /// The same in percent of the host's memory.
    pub memory_percent: Measured<f64>,
}

impl Commitment {
    /// Of one frame. A domain whose share is not known makes the sum too
    /// small to be told: then its reason stands in the sum's place.
    #[must_use]
    pub fn of(frame: &Frame) -> Self {
        let mut memory = Ok(Kib(0));
        for domain in frame.domains.iter().filter(|domain| domain.is_live()) {
            let size = domain.reading.memory;
            memory = memory.and_then(|sum: Kib| Ok(Kib(sum.0.saturating_add(size?.maximum.0))));
        }
        Self::against(&frame.host, frame.domains.given().vcpus, memory)
    }

    /// As [`Commitment::of`], with the last known size of domains whose memory
    /// merely was not read in this frame; and whether there is one. For the
    /// screen, which marks such a sum.
    #[must_use]
    pub fn shown(frame: &Frame) -> (Self, bool) {
        let given = frame.domains.given();
        (Self::against(&frame.host, given.vcpus, given.memory), given.is_old)
    }

    #[allow(clippy::cast_precision_loss, reason = "a ratio needs no more digits")]
    fn against(host: &HostFacts, vcpus: Measured<u64>, memory: Measured<Kib>) -> Self {
        let unknown = Missing::new(Why::NotOffered);
        let cpus = host.cpus.filter(|&cpus| cpus > 0).ok_or(unknown);
        // The test hypervisor makes up the size of its memory.
        let total = host.memory_kib.filter(|&kib| kib > 0 && !host.demo).ok_or(unknown);
        Self {
            vcpus,
            vcpus_per_cpu: vcpus.and_then(|vcpus| Ok(vcpus as f64 / f64::from(cpus?))),
            memory,
            memory_percent: memory.and_then(|memory| Ok(memory.0 as f64 / total? as f64 * 100.0)),
        }
    }
}
