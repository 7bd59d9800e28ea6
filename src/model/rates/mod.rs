//! Rates between two readings of one domain: **where every rate is computed**.
//!
//! [`Baseline`] holds the last answered counters of each group of one domain
//! with the instant they are from; [`Baseline::advance`] turns the next
//! reading into [`DomainRates`]. A rate exists only between two readings of
//! the same incarnation, with counters that did not fall, at most three of
//! the group's periods apart, at instants that are known well enough.
//! Otherwise there is a reason, never a zero.

mod angle;
mod baseline;
mod counters;
mod dated;
mod vcpus;

pub use angle::{AngleMode, AngleScale, angle, stored_memory_angle};
pub use baseline::{Baseline, Periods};
pub use dated::Pass;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Degrees, Measured, Missing, Why};

/// The rates of one domain in one cycle. `*_per_s` are per second.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DomainRates {
    /// The guest's own CPU use in percent of all its vCPUs: ΣΔvcpu.N.time
    /// over Δt and vCPUs, or Δcpu.time where vCPU times are not to be had.
    pub cpu_percent: Measured<f64>,
    /// What the whole QEMU process costs the host, in cores, never clamped.
    pub cpu_cores: Measured<f64>,
    /// What QEMU costs beyond the guest's own work (emulator and I/O threads),
    /// in cores: the process's cores less those of its vCPUs. The two come
    /// from different counters read an instant apart, so that of an idle
    /// process the difference may fall below nothing; then it is 0.
    pub overhead_cores: Measured<f64>,
    /// Run-queue wait (Δvcpu.N.delay), mean over the vCPUs, percent of wall time.
    pub steal_percent: Measured<f64>,
    /// Per vCPU, in the order of the reading.
    pub vcpus: Vec<VcpuRates>,
    /// Memory in use in percent of the maximum. Not a rate, but derived.
    pub memory_percent: Measured<f64>,
    /// Growth of memory in use, KiB per second; negative when it shrinks.
    pub memory_kib_per_s: Measured<f64>,
    /// Whether that rate is an earlier cycle's, because the guest has not
    /// reported anew: it is shown, and not recorded once more.
    pub memory_held: bool,
    /// All disks together.
    pub disk: DiskRates,
    /// All NICs together.
    pub net: NetRates,
    /// Each disk, in the order of the reading.
    pub disks: Vec<(Arc<str>, DiskRates)>,
    /// Each NIC, in the order of the reading.
    pub nics: Vec<(Arc<str>, NetRates)>,
    /// The six angles of the screen and the API.
    pub angles: Angles,
}

/// Rates of one vCPU.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct VcpuRates {
    /// N of `vcpu.N`.
    pub index: u32,
    /// Busy, percent of wall time.
    pub percent: Measured<f64>,
    /// Waiting in the host's run queue, percent of wall time.
    pub steal_percent: Measured<f64>,
}

/// Rates of one disk, or of all disks of a domain.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DiskRates {
    /// Bytes read per second.
    pub read_bytes_per_s: Measured<f64>,
    /// Bytes written per second.
    pub write_bytes_per_s: Measured<f64>,
    /// Reads per second.
    pub reads_per_s: Measured<f64>,
    /// Writes per second.
    pub writes_per_s: Measured<f64>,
    /// Flushes per second.
    pub flushes_per_s: Measured<f64>,
    /// Mean milliseconds per read in the interval.
    pub ms_per_read: Measured<f64>,
    /// Mean milliseconds per write in the interval.
    pub ms_per_write: Measured<f64>,
    /// Mean milliseconds per flush in the interval.
    pub ms_per_flush: Measured<f64>,
}

/// Rates of one NIC, or of all NICs of a domain, from the guest's view.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct NetRates {
    /// Bytes received per second.
    pub rx_bytes_per_s: Measured<f64>,
    /// Bytes sent per second.
    pub tx_bytes_per_s: Measured<f64>,
    /// Packets received per second.
    pub rx_packets_per_s: Measured<f64>,
    /// Packets sent per second.
    pub tx_packets_per_s: Measured<f64>,
    /// Errors, both directions, per second.
    pub errors_per_s: Measured<f64>,
    /// Drops, both directions, per second.
    pub drops_per_s: Measured<f64>,
}

/// The six angles, in degrees.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Angles {
    /// Guest CPU against all vCPUs busy.
    pub cpu: Measured<Degrees>,
    /// Memory growth; negative when it shrinks.
    pub memory: Measured<Degrees>,
    /// Disk reads.
    pub disk_read: Measured<Degrees>,
    /// Disk writes.
    pub disk_write: Measured<Degrees>,
    /// Network, received by the guest.
    pub net_rx: Measured<Degrees>,
    /// Network, sent by the guest.
    pub net_tx: Measured<Degrees>,
}

impl DiskRates {
    /// No rate at all, for one reason.
    #[must_use]
    pub fn missing(why: Missing) -> Self {
        Self {
            read_bytes_per_s: Err(why),
            write_bytes_per_s: Err(why),
            reads_per_s: Err(why),
            writes_per_s: Err(why),
            flushes_per_s: Err(why),
            ms_per_read: Err(why),
            ms_per_write: Err(why),
            ms_per_flush: Err(why),
        }
    }
}

impl NetRates {
    /// No rate at all, for one reason.
    #[must_use]
    pub fn missing(why: Missing) -> Self {
        Self {
            rx_bytes_per_s: Err(why),
            tx_bytes_per_s: Err(why),
            rx_packets_per_s: Err(why),
            tx_packets_per_s: Err(why),
            errors_per_s: Err(why),
            drops_per_s: Err(why),
        }
    }
}

impl Angles {
    /// No angle at all, for one reason.
    #[must_use]
    pub fn missing(why: Missing) -> Self {
        Self {
            cpu: Err(why),
            memory: Err(why),
            disk_read: Err(why),
            disk_write: Err(why),
            net_rx: Err(why),
            net_tx: Err(why),
        }
    }
}

impl DomainRates {
    /// No rate at all, for one reason.
    #[must_use]
    pub fn missing(why: Missing) -> Self {
        Self {
            cpu_percent: Err(why),
            cpu_cores: Err(why),
            overhead_cores: Err(why),
            steal_percent: Err(why),
            vcpus: Vec::new(),
            memory_percent: Err(why),
            memory_kib_per_s: Err(why),
            memory_held: false,
            disk: DiskRates::missing(why),
            net: NetRates::missing(why),
            disks: Vec::new(),
            nics: Vec::new(),
            angles: Angles::missing(why),
        }
    }
}

const FIRST: Missing = Missing::new(Why::FirstReading);
const RESTARTED: Missing = Missing::new(Why::CounterRestarted);
const GAP: Missing = Missing::new(Why::Gap);
const UNCERTAIN: Missing = Missing::new(Why::UncertainInstants);
const NOT_OFFERED: Missing = Missing::new(Why::NotOffered);
