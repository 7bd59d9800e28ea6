//! What the host itself is busy with, beside its domains.

use super::{Kib, Measured, Missing, Why};

/// The host in one cycle. Comes from libvirt; pressure alone is read from the
/// kernel, and only where the host is this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostLoad {
    /// CPU use between this cycle's reading and the one before.
    pub cpu: Measured<HostCpu>,
    /// Memory now.
    pub memory: Measured<HostMemory>,
    /// Pressure stall information.
    pub pressure: Measured<Pressure>,
}

/// Host CPU use in percent of all CPUs together (`virNodeGetCPUStats`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostCpu {
    /// Programs, guests among them.
    pub user: f64,
    /// The kernel.
    pub system: f64,
    /// Idle with a disk request out.
    pub iowait: f64,
}

/// Host memory (`virNodeGetMemoryStats`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostMemory {
    /// All of it.
    pub total: Kib,
    /// Free, and what the kernel would give back: buffers and cache.
    pub available: Kib,
}

/// Share of the last ten seconds in which something waited, in percent
/// (`some avg10` of `/proc/pressure/*`).
#[derive(Clone, Copy, Debug, PartialEq)]
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
