//! The stored measurements by name: which fields there are, in which unit, and
//! what one of them is in a domain's frame.
//!
//! For questions about a single field over time. The values are those of
//! `json`, and a null is told with its reason.

use std::fmt;

use super::{
    Json, devices,
    json::{features, totals_of},
    value::Fields,
};
use crate::model::{DomainFrame, Measured};

/// A measurement of the line protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measurement {
    /// `vm_metrics`
    Metrics,
    /// `vm_features`
    Features,
    /// `vm_devices`: a field of it is one device's.
    Devices,
    /// `vm_totals`
    Totals,
}

/// How a field's values follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Cumulative: what matters is how fast it grows.
    Counter,
    /// A value of its own each time.
    Gauge,
    /// A word.
    Word,
}

/// One field of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Whose it is.
    pub measurement: Measurement,
    /// Its name in the line.
    pub name: &'static str,
    /// What it counts.
    pub unit: &'static str,
    /// How its values follow one another.
    pub kind: Kind,
}

/// All measurements, with their names.
pub const MEASUREMENTS: [(Measurement, &str); 4] = [
    (Measurement::Metrics, "vm_metrics"),
    (Measurement::Features, "vm_features"),
    (Measurement::Devices, "vm_devices"),
    (Measurement::Totals, "vm_totals"),
];

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = MEASUREMENTS.iter().find(|(measurement, _)| measurement == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

macro_rules! fields {
    ($measurement:ident: $($kind:ident $unit:literal: $($name:ident)+;)+) => {
        &[$($(Field {
            measurement: Measurement::$measurement,
            name: stringify!($name),
            unit: $unit,
            kind: Kind::$kind,
        },)+)+]
    };
}

const METRICS: &[Field] = fields! { Metrics:
    Word "state": state;
    Gauge "vCPUs": cpu_count;
    Gauge "KiB": memory_max_kb memory_used_kb;
    Counter "ns": cputime_ns;
};
const FEATURES: &[Field] = fields! { Features:
    Gauge "KiB/s": memory_rate_kb_per_sec;
    Gauge "degrees": memory_angle_deg;
};
const NIC: &[Field] = fields! { Devices:
    Counter "bytes": rxbytes;
    Counter "packets": rxpackets;
    Counter "errors": rxerrors;
    Counter "drops": rxdrops;
    Counter "bytes": txbytes;
    Counter "packets": txpackets;
    Counter "errors": txerrors;
    Counter "drops": txdrops;
};
const DISK: &[Field] = fields! { Devices:
    Counter "requests": rd_req;
    Counter "bytes": rd_bytes;
    Counter "requests": wr_reqs;
    Counter "bytes": wr_bytes;
    Counter "errors": errors;
};
const TOTALS: &[Field] = fields! { Totals:
    Counter "bytes": net_rxbytes;
    Counter "packets": net_rxpackets;
    Counter "errors": net_rxerrors;
    Counter "drops": net_rxdrops;
    Counter "bytes": net_txbytes;
    Counter "packets": net_txpackets;
    Counter "errors": net_txerrors;
    Counter "drops": net_txdrops;
    Counter "requests": disk_rd_req;
    Counter "bytes": disk_rd_bytes;
    Counter "requests": disk_wr_reqs;
    Counter "bytes": disk_wr_bytes;
    Counter "errors": disk_errors;
    Gauge "KiB": memactual memrss memavailable memusable;
    Counter "KiB": memswap_in memswap_out;
    Counter "faults": memmajor_fault memminor_fault;
    Gauge "KiB": memdisk_cache;
    Counter "ns": timeusr timesys cputime;
    Gauge "vCPUs": cpus;
    Gauge "libvirt's code": state;
};

/// The fields of a measurement.
pub fn fields(measurement: Measurement) -> impl Iterator<Item = &'static Field> {
    let (first, second): (_, &[Field]) = match measurement {
        Measurement::Metrics => (METRICS, &[]),
        Measurement::Features => (FEATURES, &[]),
        Measurement::Devices => (NIC, DISK),
        Measurement::Totals => (TOTALS, &[]),
    };
    first.iter().chain(second)
}

/// The measurement of this name.
#[must_use]
pub fn measurement(name: &str) -> Option<Measurement> {
    MEASUREMENTS.iter().find(|(_, known)| *known == name).map(|(measurement, _)| *measurement)
}

/// What `field` is in `domain`; `device` is the target name of one of
/// `vm_devices`.
///
/// # Errors
/// Why it is missing, in words.
pub fn value(domain: &DomainFrame, field: &Field, device: Option<&str>) -> Result<Json, String> {
    let reading = &domain.reading;
    match field.measurement {
        Measurement::Metrics => match field.name {
            "state" => Ok(reading.state.word().into()),
            "cpu_count" => told(reading.vcpu_count),
            "memory_max_kb" => told(reading.memory.map(|memory| memory.maximum)),
            "memory_used_kb" => told(reading.memory_used().map(|(used, _)| used)),
            _ => told(reading.cpu.map(|cpu| cpu.time)),
        },
        Measurement::Features => features(domain).take(field.name),
        Measurement::Totals => totals_of(domain).take(field.name),
        Measurement::Devices => counters(domain, field, device.unwrap_or_default())?.take(field.name),
    }
}

fn told<T: Into<Json>>(value: Measured<T>) -> Result<Json, String> {
    value.map(Into::into).map_err(|missing| missing.to_string())
}

/// The counters of the device of this name, of the kind that has the field.
fn counters(domain: &DomainFrame, field: &Field, device: &str) -> Result<Fields, String> {
    let reading = &domain.reading;
    let unknown = || "no such device".to_owned();
    if NIC.contains(field) {
        let nics = reading.nics.as_ref().map_err(ToString::to_string)?;
        let nic = nics.iter().find(|nic| *nic.name == *device).ok_or_else(unknown)?;
        Ok(devices::nic_counters(&nic.counters))
    } else {
        let disks = reading.disks.as_ref().map_err(ToString::to_string)?;
        let disk = disks.iter().find(|disk| *disk.name == *device).ok_or_else(unknown)?;
        Ok(devices::disk_counters(&disk.counters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::fixture;

    #[test]
    fn every_field_is_there_under_its_name() {
        let frame = fixture::frame();
        let live = &frame.domains[0];
        let names = |of: &[Field]| of.iter().map(|field| field.name).collect::<Vec<_>>();
        assert_eq!(totals_of(live).names(), names(TOTALS));
        assert_eq!(features(live).names(), names(FEATURES));
        let nic = &live.reading.nics.as_ref().unwrap()[0];
        assert_eq!(devices::nic_counters(&nic.counters).names(), names(NIC));
        let disk = &live.reading.disks.as_ref().unwrap()[0];
        assert_eq!(devices::disk_counters(&disk.counters).names()[..DISK.len()], names(DISK));
        assert_eq!(value(live, &METRICS[0], None), Ok("running".into()));
        assert_eq!(value(live, &METRICS[4], None), Ok(Json::Whole(6_000_000_000)));
        assert_eq!(value(live, &NIC[0], Some(&nic.name)), Ok(Json::Whole(1_000_000 + (1 << 20))));
        assert_eq!(value(live, &DISK[0], Some("nosuch")), Err("no such device".into()));
    }

    #[test]
    fn what_is_missing_says_why() {
        let frame = fixture::frame();
        let hung = &frame.domains[2];
        let disk = value(hung, &DISK[0], Some("vda"));
        assert!(disk.as_ref().is_err_and(|why| why.starts_with("monitor not answering since ")), "{disk:?}");
        let read = fields(Measurement::Totals).find(|field| field.name == "disk_rd_bytes").unwrap();
        let total = value(hung, read, None);
        assert!(total.as_ref().is_err_and(|why| why.starts_with("monitor not answering")), "{total:?}");
    }
}
