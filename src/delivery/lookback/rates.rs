//! The rates of a recorded cycle: computed from the lines, with the reasons of
//! then in their places, and what the local part alone knows beside them.
//!
//! A rate over rows that were thinned is the true mean since the row before.

use std::sync::Arc;

use super::super::local::{Domain, Seen};
use crate::model::{
    AngleScale, DomainRates, DomainReading, Measured, Missing, Why,
    rates::{Angles, DiskRates, NetRates, VcpuRates},
};

/// What is there no more.
pub(super) const LOST: Missing = Missing::new(Why::NotRecorded);

/// What the record knows of a domain's memory rate.
#[derive(Clone, Copy)]
pub(super) struct MemoryRate {
    pub(super) rate: Measured<f64>,
    pub(super) held: bool,
}

/// How far the rates between two recorded cycles can be believed.
#[derive(Clone, Copy)]
pub(super) struct Trust {
    /// CPU and NICs.
    pub(super) cheap: bool,
    /// Disks.
    pub(super) disks: bool,
    /// A first reading is one because the record was read from there on.
    pub(super) edge: bool,
}

/// The rates as they were shown. `computed`: those between the lines of this
/// cycle and those of cycles before.
pub(super) fn then(
    computed: DomainRates,
    reading: &DomainReading,
    local: Option<&Domain>,
    memory: MemoryRate,
    trust: Trust,
    scale: &AngleScale,
) -> DomainRates {
    let told = local.and_then(|local| Some((local, local.seen.as_ref()?)));
    let mut rates = computed;
    rates.memory_kib_per_s = memory.rate;
    rates.memory_held = memory.held;
    match told {
        Some((local, seen)) => {
            own(&mut rates, seen, trust);
            disks(&mut rates, reading, local, trust);
            nics(&mut rates, reading, local, trust);
        }
        None => unsaid(&mut rates, trust),
    }
    totals(&mut rates, reading);
    angles(&mut rates, reading, scale);
    rates
}

/// A value that was shown, unless it was missing `then`: what cannot be
/// computed any more is not recorded.
fn shown(computed: Measured<f64>, then: Option<Missing>, trusted: bool) -> Measured<f64> {
    match (then, computed) {
        (Some(missing), _) => Err(missing),
        (None, Err(missing)) if missing.why == Why::CounterRestarted => Err(missing),
        (None, Ok(value)) if trusted => Ok(value),
        (None, _) => Err(LOST),
    }
}

fn own(rates: &mut DomainRates, seen: &Seen, trust: Trust) {
    rates.cpu_percent = seen.cpu_percent;
    rates.cpu_cores = shown(rates.cpu_cores, seen.cpu_cores, trust.cheap);
    rates.overhead_cores = seen.overhead_cores;
    rates.steal_percent = seen.steal_percent;
    rates.memory_percent = seen.memory_percent.map_or(rates.memory_percent, Err);
    let vcpu = |vcpu: &super::super::local::Vcpu| VcpuRates {
        index: vcpu.index,
        percent: vcpu.percent,
        steal_percent: vcpu.steal_percent,
    };
    rates.vcpus = seen.vcpus.iter().map(vcpu).collect();
}

fn disks(rates: &mut DomainRates, reading: &DomainReading, local: &Domain, trust: Trust) {
    for (disk, (name, of)) in reading.disks.iter().flatten().zip(&mut rates.disks) {
        let Some(then) = local.disks.iter().find(|then| then.name == *name) else {
            *of = DiskRates::missing(disk.counters.err().unwrap_or(LOST));
            continue;
        };
        let [read_bytes, write_bytes, reads, writes] = then.rates;
        *of = DiskRates {
            read_bytes_per_s: shown(of.read_bytes_per_s, read_bytes, trust.disks),
            write_bytes_per_s: shown(of.write_bytes_per_s, write_bytes, trust.disks),
            reads_per_s: shown(of.reads_per_s, reads, trust.disks),
            writes_per_s: shown(of.writes_per_s, writes, trust.disks),
            flushes_per_s: then.flushes_per_s,
            ms_per_read: then.ms_per_read,
            ms_per_write: then.ms_per_write,
            ms_per_flush: then.ms_per_flush,
        };
    }
}

fn nics(rates: &mut DomainRates, reading: &DomainReading, local: &Domain, trust: Trust) {
    for (nic, (name, of)) in reading.nics.iter().flatten().zip(&mut rates.nics) {
        // One of which nothing was missing is in the lines alone.
        let then = local.nics.iter().find(|then| then.name == *name);
        let mut why = then.map_or([None; 6], |then| then.rates);
        if let Err(missing) = nic.counters {
            why = why.map(|then| then.or(Some(missing)));
        }
        let [rx_bytes, tx_bytes, rx_packets, tx_packets, errors, drops] = why;
        *of = NetRates {
            rx_bytes_per_s: shown(of.rx_bytes_per_s, rx_bytes, trust.cheap),
            tx_bytes_per_s: shown(of.tx_bytes_per_s, tx_bytes, trust.cheap),
            rx_packets_per_s: shown(of.rx_packets_per_s, rx_packets, trust.cheap),
            tx_packets_per_s: shown(of.tx_packets_per_s, tx_packets, trust.cheap),
            errors_per_s: shown(of.errors_per_s, errors, trust.cheap),
            drops_per_s: shown(of.drops_per_s, drops, trust.cheap),
        };
    }
}

/// Nothing beside the lines says how it was: neither what is computed from
/// other counters than theirs, nor whether a zero was a number.
fn unsaid(rates: &mut DomainRates, trust: Trust) {
    let plain = |value: Measured<f64>, trusted: bool| match value {
        Ok(_) if !trusted => Err(LOST),
        Err(missing) if missing.why == Why::NotOffered => Err(LOST),
        Err(missing) if missing.why == Why::FirstReading && trust.edge => Err(LOST),
        value => value,
    };
    let nothing = |value: Measured<f64>| match value {
        Err(missing) if !matches!(missing.why, Why::NotOffered | Why::FirstReading) => Err(missing),
        _ => Err(LOST),
    };
    rates.cpu_percent = nothing(rates.cpu_percent);
    rates.overhead_cores = nothing(rates.overhead_cores);
    rates.steal_percent = nothing(rates.steal_percent);
    rates.vcpus = Vec::new();
    rates.cpu_cores = plain(rates.cpu_cores, trust.cheap);
    for (_, of) in &mut rates.disks {
        for value in
            [&mut of.read_bytes_per_s, &mut of.write_bytes_per_s, &mut of.reads_per_s, &mut of.writes_per_s]
        {
            *value = plain(*value, trust.disks);
        }
        for value in [&mut of.flushes_per_s, &mut of.ms_per_read, &mut of.ms_per_write, &mut of.ms_per_flush]
        {
            *value = nothing(*value);
        }
    }
    for (_, of) in &mut rates.nics {
        for value in [
            &mut of.rx_bytes_per_s,
            &mut of.tx_bytes_per_s,
            &mut of.rx_packets_per_s,
            &mut of.tx_packets_per_s,
            &mut of.errors_per_s,
            &mut of.drops_per_s,
        ] {
            *value = plain(*value, trust.cheap);
        }
    }
}

/// All devices together, as of the devices above.
fn totals(rates: &mut DomainRates, reading: &DomainReading) {
    if let Ok(disks) = &reading.disks {
        let none = Missing::new(Why::NoDisks);
        let of = &rates.disks;
        let total = |pick: fn(&DiskRates) -> Measured<f64>| sum(of.iter().map(|(_, of)| pick(of)), none);
        rates.disk = DiskRates {
            read_bytes_per_s: total(|of| of.read_bytes_per_s),
            write_bytes_per_s: total(|of| of.write_bytes_per_s),
            reads_per_s: total(|of| of.reads_per_s),
            writes_per_s: total(|of| of.writes_per_s),
            flushes_per_s: total(|of| of.flushes_per_s),
            ms_per_read: mean(of, |of| (of.ms_per_read, of.reads_per_s), none),
            ms_per_write: mean(of, |of| (of.ms_per_write, of.writes_per_s), none),
            ms_per_flush: mean(of, |of| (of.ms_per_flush, of.flushes_per_s), none),
        };
        debug_assert_eq!(disks.len(), of.len(), "rates of each disk");
    }
    if reading.nics.is_ok() {
        let none = Missing::new(Why::NoNics);
        let of = &rates.nics;
        let total = |pick: fn(&NetRates) -> Measured<f64>| sum(of.iter().map(|(_, of)| pick(of)), none);
        rates.net = NetRates {
            rx_bytes_per_s: total(|of| of.rx_bytes_per_s),
            tx_bytes_per_s: total(|of| of.tx_bytes_per_s),
            rx_packets_per_s: total(|of| of.rx_packets_per_s),
            tx_packets_per_s: total(|of| of.tx_packets_per_s),
            errors_per_s: total(|of| of.errors_per_s),
            drops_per_s: total(|of| of.drops_per_s),
        };
    }
}

/// The sum of those that are there. One that was there and is not recorded
/// makes it too small to be told.
fn sum(values: impl Iterator<Item = Measured<f64>>, none: Missing) -> Measured<f64> {
    let mut total: Measured<f64> = Err(none);
    for value in values {
        total = match (total, value) {
            (_, Err(LOST)) => return Err(LOST),
            (Ok(sum), Ok(value)) => Ok(sum + value),
            (Ok(sum), Err(_)) => Ok(sum),
            (Err(_), Ok(value)) => Ok(value),
            (Err(first), Err(missing)) => Err(if first == none { missing } else { first }),
        };
    }
    total
}

/// Latency over all disks, each weighted by its requests.
fn mean(
    of: &[(Arc<str>, DiskRates)],
    pick: fn(&DiskRates) -> (Measured<f64>, Measured<f64>),
    none: Missing,
) -> Measured<f64> {
    let (mut time, mut requests, mut why) = (0.0, 0.0, none);
    for (_, of) in of {
        match pick(of) {
            (Ok(ms), Ok(per_s)) => {
                time += ms * per_s;
                requests += per_s;
            }
            (Err(LOST), _) | (_, Err(LOST)) => return Err(LOST),
            (Err(missing), _) | (_, Err(missing)) if why == none => why = missing,
            _ => {}
        }
    }
    if requests > 0.0 { Ok(time / requests) } else { Err(why) }
}

fn angles(rates: &mut DomainRates, reading: &DomainReading, scale: &AngleScale) {
    let known = rates.vcpus.iter().filter(|vcpu| vcpu.percent.is_ok()).count();
    let vcpus = match u32::try_from(known) {
        Ok(known) if known > 0 => Ok(known),
        _ => reading.vcpu_count,
    };
    rates.angles = Angles {
        cpu: rates.cpu_percent.and_then(|percent| {
            let vcpus = f64::from(vcpus?);
            Ok(scale.cpu_angle(percent / 100.0 * vcpus, vcpus))
        }),
        memory: rates.memory_kib_per_s.map(|rate| scale.memory_angle(rate)),
        disk_read: rates.disk.read_bytes_per_s.map(|rate| scale.disk_angle(rate)),
        disk_write: rates.disk.write_bytes_per_s.map(|rate| scale.disk_angle(rate)),
        net_rx: rates.net.rx_bytes_per_s.map(|rate| scale.network_angle(rate)),
        net_tx: rates.net.tx_bytes_per_s.map(|rate| scale.network_angle(rate)),
    };
}
