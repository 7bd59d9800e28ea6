//! The device columns: one table per device type gives `vm_devices` and
//! `vm_totals` their fields.

use super::fields::{Field, Line, key};
use crate::model::reading::{DiskCounters, NicCounters};

/// The counters of a device type that are written.
pub(super) trait Columns<const N: usize>: Copy {
    /// They, in the order of the columns; `None` where the driver has none.
    fn values(&self) -> [Option<u64>; N];
    /// Adds the fields of `vm_devices`.
    fn device(line: &mut Line<'_>, values: [Field<u64>; N]);
    /// Adds the fields of `vm_totals`.
    fn total(line: &mut Line<'_>, values: [Field<u64>; N]);
}

/// `count counters: field in vm_devices, field in vm_totals, counter; …`.
/// Written out column by column, so that every key is a constant where it is
/// written: a loop over a table is a third slower.
macro_rules! columns {
    ($count:literal $counters:ident: $($device:literal, $total:literal, $counter:ident;)*) => {
        impl Columns<$count> for $counters {
            fn values(&self) -> [Option<u64>; $count] {
                [$(self.$counter),*]
            }

            fn device(line: &mut Line<'_>, values: [Field<u64>; $count]) {
                let [$($counter),*] = values;
                $(line.int(key!($device), $counter);)*
            }

            fn total(line: &mut Line<'_>, values: [Field<u64>; $count]) {
                let [$($counter),*] = values;
                $(line.int(key!($total), $counter);)*
            }
        }
    };
}

// Counters of a NIC, from the guest's view.
columns! { 8 NicCounters:
    "rxbytes", "net_rxbytes", rx_bytes;
    "rxpackets", "net_rxpackets", rx_packets;
    "rxerrors", "net_rxerrors", rx_errors;
    "rxdrops", "net_rxdrops", rx_drops;
    "txbytes", "net_txbytes", tx_bytes;
    "txpackets", "net_txpackets", tx_packets;
    "txerrors", "net_txerrors", tx_errors;
    "txdrops", "net_txdrops", tx_drops;
}

// Counters of a disk.
columns! { 5 DiskCounters:
    "rd_req", "disk_rd_req", rd_reqs;
    "rd_bytes", "disk_rd_bytes", rd_bytes;
    "wr_reqs", "disk_wr_reqs", wr_reqs;
    "wr_bytes", "disk_wr_bytes", wr_bytes;
    "errors", "disk_errors", errors;
}
