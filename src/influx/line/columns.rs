//! The device columns: one table per device type gives `vm_devices` and
//! `vm_totals` their fields.

use crate::model::reading::{DiskCounters, NicCounters};

/// One counter of a device type.
pub(super) struct Column<T> {
    /// Its field in `vm_devices`.
    pub device: &'static str,
    /// Its field in `vm_totals`.
    pub total: &'static str,
    /// The counter; `None` where the driver has none.
    pub pick: fn(&T) -> Option<u64>,
}

/// Counters of a NIC, from the guest's view.
pub(super) const NIC: [Column<NicCounters>; 8] = [
    Column { device: "rxbytes", total: "net_rxbytes", pick: |c| c.rx_bytes },
    Column { device: "rxpackets", total: "net_rxpackets", pick: |c| c.rx_packets },
    Column { device: "rxerrors", total: "net_rxerrors", pick: |c| c.rx_errors },
    Column { device: "rxdrops", total: "net_rxdrops", pick: |c| c.rx_drops },
    Column { device: "txbytes", total: "net_txbytes", pick: |c| c.tx_bytes },
    Column { device: "txpackets", total: "net_txpackets", pick: |c| c.tx_packets },
    Column { device: "txerrors", total: "net_txerrors", pick: |c| c.tx_errors },
    Column { device: "txdrops", total: "net_txdrops", pick: |c| c.tx_drops },
];

/// Counters of a disk.
pub(super) const DISK: [Column<DiskCounters>; 5] = [
    Column { device: "rd_req", total: "disk_rd_req", pick: |c| c.rd_reqs },
    Column { device: "rd_bytes", total: "disk_rd_bytes", pick: |c| c.rd_bytes },
    Column { device: "wr_reqs", total: "disk_wr_reqs", pick: |c| c.wr_reqs },
    Column { device: "wr_bytes", total: "disk_wr_bytes", pick: |c| c.wr_bytes },
    Column { device: "errors", total: "disk_errors", pick: |c| c.errors },
];
