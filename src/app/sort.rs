//! What the fleet can be sorted by, and which of two VMs comes first.
//!
//! Owns the rules of the order. Live VMs come before those that are off. In
//! an order by load, those that need somebody come first, in either
//! direction: one whose monitor hangs may well use no CPU, and among the idle
//! ones nobody would look for it. Then known values, then those that stand in
//! for them, then missing ones.

use std::cmp::Ordering;

use super::movers::Movers;
use crate::model::{DomainFrame, Measured, glance::Glance};

/// What the table can be sorted by, and has columns for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// Name. Its column is always there.
    Name,
    /// vCPUs.
    Vcpus,
    /// CPU percent.
    Cpu,
    /// Memory percent.
    Memory,
    /// Disk traffic, the larger direction.
    Disk,
    /// Network traffic, the larger direction.
    Net,
    /// Steal percent.
    Steal,
    /// The largest change of late; see [`Movers`].
    Change,
    /// What the QEMU process costs the host, in cores.
    Cores,
    /// Host memory the VM holds.
    Rss,
}

impl SortKey {
    /// The columns beside the name, as they stand until somebody chooses.
    pub const COLUMNS: [Self; 9] = [
        Self::Vcpus,
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Net,
        Self::Steal,
        Self::Change,
        Self::Cores,
        Self::Rss,
    ];

    /// Whether its column is shown until somebody chooses.
    #[must_use]
    pub fn is_usual(self) -> bool {
        !matches!(self, Self::Change | Self::Cores | Self::Rss)
    }

    /// The column's heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Vcpus => "vCPU",
            Self::Cpu => "CPU",
            Self::Memory => "MEM",
            Self::Disk => "DISK",
            Self::Net => "NET",
            Self::Steal => "STEAL",
            Self::Change => "CHANGE",
            Self::Cores => "CORES",
            Self::Rss => "RSS",
        }
    }

    /// What the column shows, in a line.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Vcpus => "how many vCPUs",
            Self::Cpu => "the guest's own work, of all its vCPUs",
            Self::Memory => "memory in use, of the maximum",
            Self::Disk => "read and written per second",
            Self::Net => "received and sent per second",
            Self::Steal => "waiting for a CPU of the host",
            Self::Change => "largest change of degrees in 5 min",
            Self::Cores => "cores the process costs the host",
            Self::Rss => "host memory the VM really holds",
        }
    }

    /// Its word where choices are kept.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Vcpus => "vcpu",
            Self::Cpu => "cpu",
            Self::Memory => "mem",
            Self::Disk => "disk",
            Self::Net => "net",
            Self::Steal => "steal",
            Self::Change => "change",
            Self::Cores => "cores",
            Self::Rss => "rss",
        }
    }

    /// The key of a [`SortKey::word`].
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::COLUMNS.into_iter().chain([Self::Name]).find(|key| key.word() == word)
    }

    /// Names read upwards, loads downwards.
    pub(super) fn natural(self) -> Direction {
        if self == Self::Name { Direction::Ascending } else { Direction::Descending }
    }
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Small ones first.
    Ascending,
    /// Large ones first.
    Descending,
}

impl Direction {
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// A row's place in the order.
pub(super) struct Rank {
    live: bool,
    /// Whether it needs somebody, where that matters to the order.
    needy: bool,
    /// Whether the value is the VM's own, not another that stands in.
    own: bool,
    value: Option<f64>,
}

impl Rank {
    /// Values are compared in steps no finer than the table shows them, so
    /// that rows of equal looks keep the order of their names and do not
    /// trade places at every cycle. VMs that need somebody have no value to
    /// the order: they keep that of their names.
    pub fn of(glance: &Glance, domain: &DomainFrame, key: SortKey, movers: &Movers) -> Self {
        let live = glance.live;
        let ranked = |value: Option<f64>| Self { live, needy: false, own: true, value };
        match key {
            SortKey::Name => ranked(Some(0.0)),
            SortKey::Vcpus => ranked(glance.vcpus.map(f64::from)),
            _ if live && glance.needy => Self { live, needy: true, own: true, value: None },
            SortKey::Cpu if glance.fresh => ranked(glance.cpu_percent.map(f64::round)),
            SortKey::Memory => {
                let value = glance.memory_percent.map(f64::round);
                Self { live, needy: false, own: glance.memory_reported, value }
            }
            SortKey::Change => {
                let change = movers.change(glance.uuid);
                ranked(change.map(|change| change.degrees.abs().round()))
            }
            _ => ranked(Self::value(domain, key)),
        }
    }

    /// The value of a domain for what is no part of a glance.
    fn value(domain: &DomainFrame, key: SortKey) -> Option<f64> {
        const STEP: f64 = 64.0 * 1024.0;
        // One that is merely late keeps its place until it is read again.
        let rates = match &domain.last {
            Some(last) if !domain.fresh => &last.rates,
            _ => &domain.rates,
        };
        // What the row shows: the last numbers, where it is not its turn.
        let memory = domain.last_memory().unwrap_or(domain);
        let stepped = |value: Measured<f64>, step: f64| value.ok().map(|v| (v / step).round());
        match key {
            SortKey::Cpu => stepped(rates.cpu_percent, 1.0),
            SortKey::Disk => {
                let disk = domain.last_disks().unwrap_or(domain).rates.disk;
                stepped(larger(disk.read_bytes_per_s, disk.write_bytes_per_s), STEP)
            }
            SortKey::Net => stepped(larger(rates.net.rx_bytes_per_s, rates.net.tx_bytes_per_s), STEP),
            SortKey::Steal => stepped(rates.steal_percent, 0.1),
            SortKey::Cores => stepped(rates.cpu_cores, 0.01),
            #[allow(clippy::cast_precision_loss, reason = "compared in steps of MiB")]
            SortKey::Rss => stepped(memory.reading.rss.map(|rss| rss.0 as f64), 1024.0),
            SortKey::Name | SortKey::Vcpus | SortKey::Memory | SortKey::Change => None,
        }
    }

    /// Whether it has a value that gives the rows an order.
    pub fn orders(&self) -> bool {
        self.live && (self.value.is_some() || self.needy)
    }

    pub fn compare(&self, other: &Self, direction: Direction) -> Ordering {
        other.live.cmp(&self.live).then_with(|| other.needy.cmp(&self.needy)).then_with(|| {
            match (self.value, other.value) {
                (Some(_), Some(_)) if self.own != other.own => other.own.cmp(&self.own),
                (Some(a), Some(b)) => match direction {
                    Direction::Ascending => a.total_cmp(&b),
                    Direction::Descending => b.total_cmp(&a),
                },
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            }
        })
    }
}

/// The larger of two values; the one that is there if only one is.
fn larger(a: Measured<f64>, b: Measured<f64>) -> Measured<f64> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(a.max(b)),
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(why), Err(_)) => Err(why),
    }
}
