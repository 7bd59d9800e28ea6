//! NICs, disks and vCPUs of one VM in JSON.

use std::sync::Arc;

use super::value::{Fields, Json, offered};
use crate::model::{
    DomainFrame, Measured, Missing, Why, past,
    rates::{DiskRates, NetRates},
    reading::{DiskCounters, DiskReading, NicCounters, NicReading},
};

const NOT_OFFERED: Missing = Missing::new(Why::NotOffered);

/// All NICs and then all disks, as read; where the group did not answer, as
/// the XML names them.
pub(super) fn devices(domain: &DomainFrame) -> Json {
    Json::List(nics(domain).into_iter().chain(disks(domain)).collect())
}

/// Puts what the XML says of a device. What it does not say is null without a
/// reason: a tap without a bridge has no source. The record holds no XML.
fn describe(fields: &mut Fields, name: &'static str, told: Option<&str>, domain: &DomainFrame) {
    if told.is_none() && past::is_recorded(&domain.reading) {
        fields.measure::<&str>(name, Err(Missing::new(Why::NotRecorded)));
    } else {
        fields.put(name, told);
    }
}

fn nics(domain: &DomainFrame) -> Vec<Json> {
    let (reading, known) = (&domain.reading, &domain.devices.nics);
    let mut all: Vec<NicReading> = reading.nics.iter().flatten().cloned().collect();
    for nic in known {
        if all.iter().all(|read| read.name != nic.name) {
            let missing = reading.nics.as_ref().err().copied().unwrap_or(Missing::new(Why::CallFailed));
            let missing = nic.uncounted.map_or(missing, Missing::new);
            all.push(NicReading { name: Arc::clone(&nic.name), counters: Err(missing) });
        }
    }
    all.iter()
        .map(|nic| {
            let description = known.iter().find(|k| k.name == nic.name);
            let mut fields = Fields::default();
            fields.put("devtype", "nic");
            fields.put("device", &*nic.name);
            describe(&mut fields, "model", description.and_then(|d| d.model.as_deref()), domain);
            describe(&mut fields, "mac", description.and_then(|d| d.mac.as_deref()), domain);
            describe(&mut fields, "source", description.and_then(|d| d.source.as_deref()), domain);
            let rates = rates_of(&domain.rates.nics, &nic.name, nic.counters.err(), NetRates::missing);
            fields.nest("counters", nic_counters(&nic.counters));
            fields.nest("rates", nic_rates(&rates));
            fields.finish(domain.identity())
        })
        .collect()
}

fn disks(domain: &DomainFrame) -> Vec<Json> {
    let (reading, known) = (&domain.reading, &domain.devices.disks);
    let unread = |name: &Arc<str>, missing| DiskReading {
        name: Arc::clone(name),
        counters: Err(missing),
        size: crate::model::reading::DiskSize::default(),
    };
    let empty = Missing::new(Why::EmptyDrive);
    let mut all: Vec<DiskReading> = reading.disks.iter().flatten().cloned().collect();
    for disk in known {
        if all.iter().all(|read| read.name != disk.name) {
            let missing = reading.disks.as_ref().err().copied().unwrap_or(Missing::new(Why::CallFailed));
            all.push(unread(&disk.name, if disk.source.is_none() { empty } else { missing }));
        }
    }
    all.iter()
        .map(|disk| {
            let description = known.iter().find(|k| k.name == disk.name);
            let mut fields = Fields::default();
            fields.put("devtype", "disk");
            fields.put("device", &*disk.name);
            describe(&mut fields, "kind", description.map(|d| &*d.kind), domain);
            describe(&mut fields, "bus", description.and_then(|d| d.bus.as_deref()), domain);
            describe(&mut fields, "source", description.and_then(|d| d.source.as_deref()), domain);
            for (name, size) in [
                ("capacity_bytes", disk.size.capacity),
                ("allocation_bytes", disk.size.allocation),
                ("physical_bytes", disk.size.physical),
            ] {
                // A disk whose counters are missing lacks its sizes for the
                // same reason.
                fields.measure(name, size.ok_or_else(|| disk.counters.err().unwrap_or(NOT_OFFERED)));
            }
            let rates = rates_of(&domain.rates.disks, &disk.name, disk.counters.err(), DiskRates::missing);
            fields.nest("counters", disk_counters(&disk.counters));
            fields.nest("rates", disk_rates(&rates));
            fields.finish(domain.identity())
        })
        .collect()
}

/// A device's rates; where the frame has none, the reason of its counters.
fn rates_of<R: Copy>(
    rates: &[(Arc<str>, R)],
    name: &Arc<str>,
    missing: Option<Missing>,
    none: fn(Missing) -> R,
) -> R {
    rates
        .iter()
        .find(|(known, _)| known == name)
        .map_or_else(|| none(missing.unwrap_or(Missing::new(Why::FirstReading))), |(_, rates)| *rates)
}

/// The fields of `vm_devices` for a NIC.
pub(super) fn nic_counters(counters: &Measured<NicCounters>) -> Fields {
    let mut fields = Fields::default();
    let mut put = |name, pick: fn(&NicCounters) -> Option<u64>| {
        fields.measure(name, counters.and_then(|c| offered(pick(&c))));
    };
    put("rxbytes", |c| c.rx_bytes);
    put("rxpackets", |c| c.rx_packets);
    put("rxerrors", |c| c.rx_errors);
    put("rxdrops", |c| c.rx_drops);
    put("txbytes", |c| c.tx_bytes);
    put("txpackets", |c| c.tx_packets);
    put("txerrors", |c| c.tx_errors);
    put("txdrops", |c| c.tx_drops);
    fields
}

/// The fields of `vm_devices` for a disk, and the times and flushes beyond.
pub(super) fn disk_counters(counters: &Measured<DiskCounters>) -> Fields {
    let mut fields = Fields::default();
    let mut put = |name, pick: fn(&DiskCounters) -> Option<u64>| {
        fields.measure(name, counters.and_then(|c| offered(pick(&c))));
    };
    put("rd_req", |c| c.rd_reqs);
    put("rd_bytes", |c| c.rd_bytes);
    put("wr_reqs", |c| c.wr_reqs);
    put("wr_bytes", |c| c.wr_bytes);
    put("errors", |c| c.errors);
    put("rd_times", |c| c.rd_times.map(|t| t.0));
    put("wr_times", |c| c.wr_times.map(|t| t.0));
    put("fl_reqs", |c| c.fl_reqs);
    put("fl_times", |c| c.fl_times.map(|t| t.0));
    fields
}

fn nic_rates(rates: &NetRates) -> Fields {
    let mut fields = Fields::default();
    fields.measure("rx_bytes_per_sec", rates.rx_bytes_per_s);
    fields.measure("tx_bytes_per_sec", rates.tx_bytes_per_s);
    fields.measure("rx_packets_per_sec", rates.rx_packets_per_s);
    fields.measure("tx_packets_per_sec", rates.tx_packets_per_s);
    fields.measure("errors_per_sec", rates.errors_per_s);
    fields.measure("drops_per_sec", rates.drops_per_s);
    fields
}

fn disk_rates(rates: &DiskRates) -> Fields {
    let mut fields = Fields::default();
    fields.measure("read_bytes_per_sec", rates.read_bytes_per_s);
    fields.measure("write_bytes_per_sec", rates.write_bytes_per_s);
    fields.measure("reads_per_sec", rates.reads_per_s);
    fields.measure("writes_per_sec", rates.writes_per_s);
    fields.measure("flushes_per_sec", rates.flushes_per_s);
    fields.measure("ms_per_read", rates.ms_per_read);
    fields.measure("ms_per_write", rates.ms_per_write);
    fields.measure("ms_per_flush", rates.ms_per_flush);
    fields
}

/// Each vCPU with its times (ns, cumulative) and its rates.
pub(super) fn vcpus(domain: &DomainFrame) -> Json {
    let Ok(vcpus) = &domain.reading.vcpus else { return Json::List(Vec::new()) };
    let first = Missing::new(Why::FirstReading);
    let of = |vcpu: &crate::model::reading::VcpuCounters| {
        let rates = domain.rates.vcpus.iter().find(|rates| rates.index == vcpu.index);
        let mut fields = Fields::default();
        fields.put("index", vcpu.index);
        fields.measure("time", offered(vcpu.time));
        fields.measure("wait", offered(vcpu.wait));
        fields.measure("delay", offered(vcpu.delay));
        fields.measure("halted", offered(vcpu.halted));
        fields.measure("usage_percent", rates.map_or(Err(first), |r| r.percent));
        fields.measure("steal_percent", rates.map_or(Err(first), |r| r.steal_percent));
        fields.finish(domain.identity())
    };
    Json::List(vcpus.iter().map(of).collect())
}
