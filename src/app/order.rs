//! The order of the NICs and disks on a VM's page: as the XML has them, or by
//! a number. What is missing comes last, whichever way the numbers run.

use std::{cmp::Ordering, sync::Arc};

use super::{
    Direction,
    detail::{disk_names, nic_names},
};
use crate::model::{
    DomainFrame,
    rates::{DiskRates, NetRates},
    reading::{DiskReading, NicReading},
};

/// What devices can be sorted by, in the order of the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKey {
    /// As the XML has them.
    #[default]
    Given,
    /// Their name.
    Name,
    /// Bytes received or read per second.
    In,
    /// Bytes sent or written per second.
    Out,
    /// Packets received or reads per second.
    InCount,
    /// Packets sent or writes per second.
    OutCount,
    /// Milliseconds per read.
    MsPerRead,
    /// Milliseconds per write.
    MsPerWrite,
    /// Size the guest sees.
    Capacity,
    /// Part of that ever written.
    Fill,
    /// Bytes received or read since the start.
    InTotal,
    /// Bytes sent or written since the start.
    OutTotal,
    /// Errors since the start.
    Errors,
    /// Packets dropped since the start.
    Drops,
}

/// What NICs can be sorted by.
const NICS: [DeviceKey; 10] = [
    DeviceKey::Given,
    DeviceKey::In,
    DeviceKey::Out,
    DeviceKey::InCount,
    DeviceKey::OutCount,
    DeviceKey::Errors,
    DeviceKey::Drops,
    DeviceKey::InTotal,
    DeviceKey::OutTotal,
    DeviceKey::Name,
];

/// What disks can be sorted by.
const DISKS: [DeviceKey; 13] = [
    DeviceKey::Given,
    DeviceKey::In,
    DeviceKey::Out,
    DeviceKey::InCount,
    DeviceKey::OutCount,
    DeviceKey::MsPerRead,
    DeviceKey::MsPerWrite,
    DeviceKey::Capacity,
    DeviceKey::Fill,
    DeviceKey::InTotal,
    DeviceKey::OutTotal,
    DeviceKey::Errors,
    DeviceKey::Name,
];

/// The order of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    key: DeviceKey,
    reversed: bool,
}

/// What is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Nics,
    Disks,
}

impl Order {
    /// By what, and which way it runs.
    #[must_use]
    pub fn shown(self) -> (DeviceKey, Direction) {
        let ascends = matches!(self.key, DeviceKey::Given | DeviceKey::Name);
        let direction = if ascends == self.reversed { Direction::Descending } else { Direction::Ascending };
        (self.key, direction)
    }

    pub(super) fn next(&mut self, table: Table) {
        let keys = table.keys();
        let at = keys.iter().position(|&key| key == self.key).unwrap_or(0);
        *self = Self { key: keys[(at + 1) % keys.len()], reversed: false };
    }

    pub(super) fn reverse(&mut self) {
        self.reversed = !self.reversed;
    }

    /// The names of the devices in this order.
    pub(super) fn names(self, table: Table, domain: &DomainFrame) -> Vec<Arc<str>> {
        let mut names = match table {
            Table::Nics => nic_names(domain),
            Table::Disks => disk_names(domain),
        };
        let (key, direction) = self.shown();
        match key {
            DeviceKey::Given => {}
            DeviceKey::Name => names.sort(),
            _ => {
                let value = |name: &Arc<str>| match table {
                    Table::Nics => nic_value(domain, name, key),
                    Table::Disks => disk_value(domain, name, key),
                };
                let mut valued: Vec<_> = names.iter().map(|name| (value(name), Arc::clone(name))).collect();
                valued.sort_by(|(a, _), (b, _)| match (a, b) {
                    (Some(a), Some(b)) if direction == Direction::Descending => b.total_cmp(a),
                    (Some(a), Some(b)) => a.total_cmp(b),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => Ordering::Equal,
                });
                return valued.into_iter().map(|(_, name)| name).collect();
            }
        }
        if self.reversed {
            names.reverse();
        }
        names
    }
}

impl Table {
    fn keys(self) -> &'static [DeviceKey] {
        match self {
            Self::Nics => &NICS,
            Self::Disks => &DISKS,
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "an order needs no more than 52 bits")]
fn number(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => a.checked_add(b),
        (one, None) | (None, one) => one,
    }
}

fn nic_value(domain: &DomainFrame, name: &str, key: DeviceKey) -> Option<f64> {
    let reading: Option<&NicReading> = domain.reading.nics.iter().flatten().find(|nic| &*nic.name == name);
    let rates: Option<&NetRates> =
        domain.rates.nics.iter().find(|(nic, _)| &**nic == name).map(|(_, rates)| rates);
    let counters = reading.and_then(|nic| nic.counters.ok());
    match key {
        DeviceKey::In => rates?.rx_bytes_per_s.ok(),
        DeviceKey::Out => rates?.tx_bytes_per_s.ok(),
        DeviceKey::InCount => rates?.rx_packets_per_s.ok(),
        DeviceKey::OutCount => rates?.tx_packets_per_s.ok(),
        DeviceKey::Errors => number(counters.and_then(|c| sum(c.rx_errors, c.tx_errors))),
        DeviceKey::Drops => number(counters.and_then(|c| sum(c.rx_drops, c.tx_drops))),
        DeviceKey::InTotal => number(counters?.rx_bytes),
        DeviceKey::OutTotal => number(counters?.tx_bytes),
        _ => None,
    }
}

fn disk_value(domain: &DomainFrame, name: &str, key: DeviceKey) -> Option<f64> {
    // As they are shown: the last ones, where these were not due.
    let shown = domain.last_disks().unwrap_or(domain);
    let reading: Option<&DiskReading> = shown.reading.disks.iter().flatten().find(|disk| &*disk.name == name);
    let rates: Option<&DiskRates> =
        shown.rates.disks.iter().find(|(disk, _)| &**disk == name).map(|(_, rates)| rates);
    let counters = reading.and_then(|disk| disk.counters.ok());
    let size = reading.map(|disk| disk.size).unwrap_or_default();
    match key {
        DeviceKey::In => rates?.read_bytes_per_s.ok(),
        DeviceKey::Out => rates?.write_bytes_per_s.ok(),
        DeviceKey::InCount => rates?.reads_per_s.ok(),
        DeviceKey::OutCount => rates?.writes_per_s.ok(),
        DeviceKey::MsPerRead => rates?.ms_per_read.ok(),
        DeviceKey::MsPerWrite => rates?.ms_per_write.ok(),
        DeviceKey::Capacity => number(size.capacity),
        DeviceKey::Fill => {
            let capacity = number(size.capacity).filter(|&capacity| capacity > 0.0)?;
            Some(number(size.allocation)? / capacity)
        }
        DeviceKey::InTotal => number(counters?.rd_bytes),
        DeviceKey::OutTotal => number(counters?.wr_bytes),
        DeviceKey::Errors => number(counters?.errors),
        _ => None,
    }
}
