//! From bulk parameters to counters, without a map or a copy in between.
//!
//! Works on any sequence of (name, value), so that it can be tested without
//! libvirt. It trusts neither names nor indices: what it does not know it
//! skips, and a negative count ("unknown" in libvirt) is no count.

use super::question::{RawDisk, RawDomain};
use crate::model::{
    DomainState, Kib, Nanos,
    name::storable,
    reading::{CpuCounters, DiskCounters, GuestMemory, MemorySize, NicCounters, VcpuCounters},
};

/// A parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Param<'a> {
    /// An unsigned number.
    Unsigned(u64),
    /// A signed number.
    Signed(i64),
    /// Yes or no.
    Flag(bool),
    /// Bytes of a name or path.
    Text(&'a [u8]),
    /// A type that no parameter in use has.
    Other,
}

impl Param<'_> {
    pub(super) fn count(self) -> Option<u64> {
        match self {
            Self::Unsigned(n) => Some(n),
            Self::Signed(n) => u64::try_from(n).ok(),
            _ => None,
        }
    }

    pub(super) fn code(self) -> Option<i64> {
        match self {
            Self::Unsigned(n) => i64::try_from(n).ok(),
            Self::Signed(n) => Some(n),
            _ => None,
        }
    }

    fn kib(self) -> Option<Kib> {
        self.count().map(Kib)
    }

    fn nanos(self) -> Option<Nanos> {
        self.count().map(Nanos)
    }
}

/// What a record gives away about how it came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// Something is there that only the monitor tells.
    pub monitor: bool,
    /// There is a disk with a medium, which the monitor would have counters of.
    pub media: bool,
}

/// Puts one record's parameters into `raw`.
pub(super) fn decode<'a>(raw: &mut RawDomain, params: impl Iterator<Item = (&'a [u8], Param<'a>)>) -> Signs {
    let mut parts = Parts::default();
    for (name, value) in params {
        let Some((group, field)) = split(name) else { continue };
        match group {
            b"state" => match field {
                b"state" => raw.state = DomainState::from_code(value.code().unwrap_or(0)),
                b"reason" => raw.reason = value.code().unwrap_or(0),
                _ => (),
            },
            b"cpu" => parts.cpu(field, value),
            b"vcpu" => parts.vcpu(field, value),
            b"balloon" => parts.balloon(field, value),
            b"net" => parts.net(field, value),
            b"block" => parts.block(field, value),
            _ => (),
        }
    }
    parts.finish(raw)
}

#[derive(Default)]
struct Parts {
    cpu_time: Option<Nanos>,
    cpu_user: Option<Nanos>,
    cpu_system: Option<Nanos>,
    vcpu_count: Option<u32>,
    vcpus: Vec<(u32, Vcpu)>,
    current: Option<Kib>,
    maximum: Option<Kib>,
    rss: Option<Kib>,
    guest: GuestMemory,
    has_nics: bool,
    nics: Vec<(u32, Nic)>,
    has_disks: bool,
    disks: Vec<(u32, Disk)>,
}

#[derive(Default)]
struct Vcpu {
    time: Option<Nanos>,
    wait: Option<Nanos>,
    delay: Option<Nanos>,
    halted: Option<bool>,
}

#[derive(Default)]
struct Nic {
    name: String,
    counters: NicCounters,
}

#[derive(Default)]
struct Disk {
    raw: RawDisk,
    counters: DiskCounters,
    has_path: bool,
}

impl Parts {
    fn cpu(&mut self, field: &[u8], value: Param<'_>) {
        match field {
            b"time" => self.cpu_time = value.nanos(),
            b"user" => self.cpu_user = value.nanos(),
            b"system" => self.cpu_system = value.nanos(),
            _ => (),
        }
    }

    fn vcpu(&mut self, field: &[u8], value: Param<'_>) {
        if field == b"current" {
            self.vcpu_count = value.count().and_then(|n| u32::try_from(n).ok());
        }
        let Some((index, field)) = indexed(field) else { return };
        let vcpu = at(&mut self.vcpus, index);
        match field {
            b"time" => vcpu.time = value.nanos(),
            b"wait" => vcpu.wait = value.nanos(),
            b"delay" => vcpu.delay = value.nanos(),
            b"halted" => {
                vcpu.halted = match value {
                    Param::Flag(halted) => Some(halted),
                    other => other.count().map(|n| n != 0),
                }
            }
            _ => (),
        }
    }

    fn balloon(&mut self, field: &[u8], value: Param<'_>) {
        let guest = &mut self.guest;
        match field {
            b"current" => self.current = value.kib(),
            b"maximum" => self.maximum = value.kib(),
            b"rss" => self.rss = value.kib(),
            b"available" => guest.available = value.kib(),
            b"usable" => guest.usable = value.kib(),
            b"unused" => guest.unused = value.kib(),
            b"swap_in" => guest.swap_in = value.kib(),
            b"swap_out" => guest.swap_out = value.kib(),
            b"major_fault" => guest.major_faults = value.count(),
            b"minor_fault" => guest.minor_faults = value.count(),
            b"disk_caches" => guest.disk_caches = value.kib(),
            b"last-update" => guest.last_update = value.count(),
            _ => (),
        }
    }

    fn net(&mut self, field: &[u8], value: Param<'_>) {
        self.has_nics = true;
        let Some((index, field)) = indexed(field) else { return };
        let nic = at(&mut self.nics, index);
        let counters = &mut nic.counters;
        match field {
            b"name" => nic.name = name(value),
            b"rx.bytes" => counters.rx_bytes = value.count(),
            b"rx.pkts" => counters.rx_packets = value.count(),
            b"rx.errs" => counters.rx_errors = value.count(),
            b"rx.drop" => counters.rx_drops = value.count(),
            b"tx.bytes" => counters.tx_bytes = value.count(),
            b"tx.pkts" => counters.tx_packets = value.count(),
            b"tx.errs" => counters.tx_errors = value.count(),
            b"tx.drop" => counters.tx_drops = value.count(),
            _ => (),
        }
    }

    fn block(&mut self, field: &[u8], value: Param<'_>) {
        self.has_disks = true;
        let Some((index, field)) = indexed(field) else { return };
        let Disk { raw: disk, counters, has_path } = at(&mut self.disks, index);
        match field {
            b"name" => disk.name = name(value),
            b"path" => *has_path = true,
            b"rd.reqs" => counters.rd_reqs = value.count(),
            b"rd.bytes" => counters.rd_bytes = value.count(),
            b"rd.times" => counters.rd_times = value.nanos(),
            b"wr.reqs" => counters.wr_reqs = value.count(),
            b"wr.bytes" => counters.wr_bytes = value.count(),
            b"wr.times" => counters.wr_times = value.nanos(),
            b"fl.reqs" => counters.fl_reqs = value.count(),
            b"fl.times" => counters.fl_times = value.nanos(),
            b"errors" => counters.errors = value.count(),
            b"capacity" => disk.size.capacity = value.count(),
            b"allocation" => disk.size.allocation = value.count(),
            b"physical" => disk.size.physical = value.count(),
            _ => (),
        }
    }

    fn finish(self, raw: &mut RawDomain) -> Signs {
        raw.cpu =
            self.cpu_time.map(|time| CpuCounters { time, user: self.cpu_user, system: self.cpu_system });
        raw.vcpu_count = self.vcpu_count;
        let vcpus: Vec<_> = self
            .vcpus
            .into_iter()
            .filter(|(_, vcpu)| vcpu.time.is_some())
            .map(|(index, Vcpu { time, wait, delay, halted })| VcpuCounters {
                index,
                time,
                wait,
                delay,
                halted,
            })
            .collect();
        raw.vcpus = (!vcpus.is_empty()).then_some(vcpus);
        raw.memory = self.current.zip(self.maximum).map(|(current, maximum)| MemorySize { current, maximum });
        raw.rss = self.rss;
        raw.guest = (self.guest != GuestMemory::default()).then_some(self.guest);
        // A NIC whose counters could not be had this time is left out: an
        // entry without counters would read as "never offered".
        let nics = self.nics.into_iter().map(|(_, nic)| nic);
        let counted = nics.filter(|nic| !nic.name.is_empty() && nic.counters != NicCounters::default());
        raw.nics = self.has_nics.then(|| counted.map(|nic| (nic.name, nic.counters)).collect());

        let media = self.disks.iter().any(|(_, disk)| disk.has_path);
        let disks = self.disks.into_iter().map(|(_, Disk { raw, counters, .. })| RawDisk {
            counters: (counters != DiskCounters::default()).then_some(counters),
            ..raw
        });
        let disks: Vec<_> = disks.filter(|disk| !disk.name.is_empty()).collect();
        let monitor =
            raw.rss.is_some() || raw.guest.is_some() || disks.iter().any(|disk| disk.counters.is_some());
        raw.disks = self.has_disks.then_some(disks);
        Signs { monitor, media }
    }
}

/// `vcpu.0.time` → `vcpu` and `0.time`.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = name.iter().position(|&b| b == b'.')?;
    Some((&name[..dot], &name[dot + 1..]))
}

/// `0.time` → 0 and `time`.
fn indexed(field: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, field) = split(field)?;
    if digits.is_empty() {
        return None;
    }
    let index = digits.iter().try_fold(0_u32, |n, digit| {
        let digit = digit.is_ascii_digit().then_some(u32::from(digit & 0x0f))?;
        n.checked_mul(10)?.checked_add(digit)
    })?;
    Some((index, field))
}

/// The entry of this index. libvirt lists one after the other, so it is
/// nearly always the last; gaps are normal and cost nothing.
fn at<T: Default>(entries: &mut Vec<(u32, T)>, index: u32) -> &mut T {
    let place = match entries.last() {
        Some((last, _)) if *last == index => entries.len() - 1,
        _ => entries.iter().position(|(known, _)| *known == index).unwrap_or_else(|| {
            entries.push((index, T::default()));
            entries.len() - 1
        }),
    };
    &mut entries[place].1
}

/// A device's name, fit to store and to show.
fn name(value: Param<'_>) -> String {
    match value {
        Param::Text(bytes) => storable(&String::from_utf8_lossy(bytes)).into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
