//! The shape of `vm-telemetry`: a whole frame, and one VM of it.
//!
//! Times are RFC 3339 UTC; memory KiB, CPU times ns, bytes cumulative,
//! `*_per_sec` per second, `*_rate` degrees. A missing value is null and its
//! reason stands in `missing` under the field's name, `totals.memusable` for
//! a field within an object; `mend` says what can be done about it.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::model::{
    AngleMode, AngleScale, DomainFrame, DomainJob, DomainReading, Frame, Happening, Measured, Missing,
    WallTime, Why,
    frame::Health,
    rates::stored_memory_angle,
    reading::{DiskCounters, GuestMemory, MemorySource, NicCounters},
    timeline::Weight,
};

use super::{
    devices, host,
    value::{Fields, Json, offered},
};

/// What `kvmscope once --json` prints: the answer of `vm-telemetry`, and in
/// each VM what belongs to it.
#[must_use]
pub fn frame(frame: &Frame) -> Json {
    chosen(frame, frame.domains.iter())
}

/// As [`frame`], with some of its VMs alone. What is said of the host is of
/// all of them.
pub(super) fn chosen<'a>(frame: &Frame, domains: impl Iterator<Item = &'a Arc<DomainFrame>>) -> Json {
    let vms: Vec<Json> = domains.map(|domain| vm(domain)).collect();
    let mut fields = vec![("count", Json::Whole(vms.len() as u64))];
    fields.extend(moment(frame, Some(frame.at)));
    fields.push(("vms", Json::List(vms)));
    Json::Object(fields)
}

/// The answer of `vm-telemetry`: every VM's figures, without what belongs to
/// it: sums of counters, devices, vCPUs and events. `at` is `None` where there
/// was no reading yet.
///
/// It is made VM by VM while it is written: that of a thousand would take far
/// more memory than its text.
#[derive(Clone, Copy, Debug)]
pub struct Figures<'a> {
    /// The frame.
    pub frame: &'a Frame,
    /// When it was read.
    pub at: Option<WallTime>,
}

impl Serialize for Figures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("count", &self.frame.domains.len())?;
        for (name, value) in moment(self.frame, self.at) {
            fields.serialize_entry(name, &value)?;
        }
        fields.serialize_entry("vms", &Each(&self.frame.domains))?;
        fields.end()
    }
}

/// The figures of each.
struct Each<'a>(&'a [Arc<DomainFrame>]);

impl Serialize for Each<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|domain| figures(domain)))
    }
}

/// When and how a frame was read, and what the host was busy with.
pub(super) fn moment(frame: &Frame, at: Option<WallTime>) -> [(&'static str, Json); 5] {
    [
        ("timestamp", at.map(time).into()),
        ("angle_mode", mode(frame.scale.mode).into()),
        ("angle_references", references(&frame.scale)),
        ("interval_sec", frame.interval.as_secs_f64().into()),
        ("host", host::host(frame)),
    ]
}

/// One VM: its object in [`frame`].
#[must_use]
pub fn vm(domain: &DomainFrame) -> Json {
    let mut vm = figures_of(domain);
    parts(&mut vm, domain);
    vm.finish(domain.identity())
}

/// One VM with an object more at its end.
pub(super) fn vm_with(domain: &DomainFrame, name: &'static str, more: Fields) -> Json {
    let mut vm = figures_of(domain);
    parts(&mut vm, domain);
    vm.nest(name, more);
    vm.finish(domain.identity())
}

/// Its figures, and why some lack.
fn figures_of(domain: &DomainFrame) -> Fields {
    let (reading, rates) = (&domain.reading, &domain.rates);
    let mut vm = Fields::default();
    vm.measure("id", reading.identity.id.ok_or(Missing::new(Why::Inactive)));
    vm.put("name", &*reading.identity.name);
    vm.put("uuid", reading.identity.uuid.to_string());
    vm.put("state", reading.state.word());
    let why = reading.state.reason(reading.state_reason);
    vm.measure("state_reason", why.ok_or(Missing::new(Why::NotOffered)));
    vm.put("health", health(domain.health));
    vm.put("read_at", time(reading.at));
    vm.put("fresh", domain.fresh);
    vm.measure("last_read_at", last_read(domain).map(time));

    vm.measure("cpu_count", reading.vcpu_count);
    vm.measure("cputime", reading.cpu.map(|cpu| cpu.time));
    vm.measure("cpu_usage_percent", rates.cpu_percent);
    vm.measure("cpu_rate", rates.angles.cpu);
    vm.measure("cpu_cores", rates.cpu_cores);
    vm.measure("overhead_cores", rates.overhead_cores);
    vm.measure("steal_percent", rates.steal_percent);

    let used = reading.memory_used();
    vm.measure("memory_max", reading.memory.map(|memory| memory.maximum));
    vm.measure("memory_used", used.map(|(used, _)| used));
    vm.measure("memory_source", used.map(|(_, source)| source_word(source)));
    vm.measure("memory_usage_percent", rates.memory_percent);
    vm.measure("memory_rate", rates.angles.memory);
    vm.measure("memory_kb_per_sec", rates.memory_kib_per_s);
    vm.measure("host_rss", reading.rss);

    let (disk, net) = sums(reading);
    vm.measure("disk_read_bytes", disk.sum(|c: &DiskCounters| c.rd_bytes));
    vm.measure("disk_read_rate", rates.angles.disk_read);
    vm.measure("disk_read_bytes_per_sec", rates.disk.read_bytes_per_s);
    vm.measure("disk_reads_per_sec", rates.disk.reads_per_s);
    vm.measure("disk_ms_per_read", rates.disk.ms_per_read);
    vm.measure("disk_write_bytes", disk.sum(|c| c.wr_bytes));
    vm.measure("disk_write_rate", rates.angles.disk_write);
    vm.measure("disk_write_bytes_per_sec", rates.disk.write_bytes_per_s);
    vm.measure("disk_writes_per_sec", rates.disk.writes_per_s);
    vm.measure("disk_ms_per_write", rates.disk.ms_per_write);
    vm.measure("disk_flushes_per_sec", rates.disk.flushes_per_s);
    vm.measure("disk_ms_per_flush", rates.disk.ms_per_flush);

    vm.measure("network_rx_bytes", net.sum(|c: &NicCounters| c.rx_bytes));
    vm.measure("network_rx_rate", rates.angles.net_rx);
    vm.measure("network_rx_bytes_per_sec", rates.net.rx_bytes_per_s);
    vm.measure("network_rx_packets_per_sec", rates.net.rx_packets_per_s);
    vm.measure("network_tx_bytes", net.sum(|c| c.tx_bytes));
    vm.measure("network_tx_rate", rates.angles.net_tx);
    vm.measure("network_tx_bytes_per_sec", rates.net.tx_bytes_per_s);
    vm.measure("network_tx_packets_per_sec", rates.net.tx_packets_per_s);
    vm.measure("network_errors_per_sec", rates.net.errors_per_s);
    vm.measure("network_drops_per_sec", rates.net.drops_per_s);

    vm.put("job", domain.job.map(|job| job_of(&job)));
    if let Health::Impaired(missing) = domain.health {
        vm.reason("health", missing);
        // Nobody is asked about a job while he does not answer in full.
        if domain.job.is_none() {
            vm.reason("job", missing);
        }
    }
    vm
}

/// What belongs to it: the fields of the measurements, devices, vCPUs, events.
fn parts(vm: &mut Fields, domain: &DomainFrame) {
    counted(vm, domain);
    vm.put("events", Json::List(domain.timeline.iter().map(event).collect()));
}

/// As [`vm`] without its events: of a cycle of the past.
pub(super) fn recorded(domain: &DomainFrame) -> Json {
    let mut vm = figures_of(domain);
    counted(&mut vm, domain);
    vm.finish(domain.identity())
}

/// Its figures alone.
pub(super) fn figures(domain: &DomainFrame) -> Json {
    figures_of(domain).finish(domain.identity())
}

fn counted(vm: &mut Fields, domain: &DomainFrame) {
    let reading = &domain.reading;
    vm.nest("features", features(domain));
    vm.nest("totals", totals_of(domain));
    vm.put("devices", devices::devices(domain));
    vm.put("vcpus", devices::vcpus(domain));
    if let Err(missing) = reading.vcpus {
        vm.reason("vcpus", missing);
    }
    for (name, missing) in
        [("devices.nic", reading.nics.as_ref().err()), ("devices.disk", reading.disks.as_ref().err())]
    {
        if let Some(missing) = missing {
            vm.reason(name, *missing);
        }
    }
}

/// When memory and disks were read last: where they are null, how long ago
/// that was. Their old values stand nowhere here.
fn last_read(domain: &DomainFrame) -> Measured<WallTime> {
    let reading = &domain.reading;
    match (&reading.disks, &domain.last) {
        (Err(_), Some(last)) => Ok(last.reading.at),
        (Err(missing), None) if reading.memory_used().is_err() => Err(*missing),
        _ => Ok(reading.at),
    }
}

/// The job that runs on a VM. What a job does not tell it cannot tell: its
/// fields are null without a reason.
fn job_of(job: &DomainJob) -> Json {
    let seconds = |span: Duration| span.as_secs_f64();
    Json::Object(vec![
        ("operation", job.operation.into()),
        ("percent", job.percent().into()),
        ("elapsed_sec", job.elapsed.map(seconds).into()),
        ("remaining_sec", job.remaining.map(seconds).into()),
        ("total_bytes", job.total.into()),
        ("done_bytes", job.done.into()),
        ("left_bytes", job.left.into()),
    ])
}

/// The fields of `vm_features`. The angle is the stored one, without a scale.
/// Between two reports of the guest's there is no line, and none here.
pub(super) fn features(domain: &DomainFrame) -> Fields {
    let rate = match domain.rates.memory_kib_per_s {
        Ok(_) if domain.rates.memory_held => Err(Missing::new(Why::NotDue)),
        rate => rate,
    };
    let mut features = Fields::default();
    features.measure("memory_rate_kb_per_sec", rate);
    features.measure("memory_angle_deg", rate.map(stored_memory_angle));
    features
}

/// The sums over its disks, and over its NICs.
fn sums(reading: &DomainReading) -> (Totals<DiskCounters>, Totals<NicCounters>) {
    (
        Totals::of(&reading.disks, |disk| disk.counters, Why::NoDisks),
        Totals::of(&reading.nics, |nic| nic.counters, Why::NoNics),
    )
}

/// The fields of `vm_totals`.
pub(super) fn totals_of(domain: &DomainFrame) -> Fields {
    let (disk, net) = sums(&domain.reading);
    totals(domain, &disk, &net)
}

fn totals(domain: &DomainFrame, disk: &Totals<DiskCounters>, net: &Totals<NicCounters>) -> Fields {
    let reading = &domain.reading;
    let mut totals = Fields::default();
    totals.measure("net_rxbytes", net.sum(|c| c.rx_bytes));
    totals.measure("net_rxpackets", net.sum(|c| c.rx_packets));
    totals.measure("net_rxerrors", net.sum(|c| c.rx_errors));
    totals.measure("net_rxdrops", net.sum(|c| c.rx_drops));
    totals.measure("net_txbytes", net.sum(|c| c.tx_bytes));
    totals.measure("net_txpackets", net.sum(|c| c.tx_packets));
    totals.measure("net_txerrors", net.sum(|c| c.tx_errors));
    totals.measure("net_txdrops", net.sum(|c| c.tx_drops));
    totals.measure("disk_rd_req", disk.sum(|c| c.rd_reqs));
    totals.measure("disk_rd_bytes", disk.sum(|c| c.rd_bytes));
    totals.measure("disk_wr_reqs", disk.sum(|c| c.wr_reqs));
    totals.measure("disk_wr_bytes", disk.sum(|c| c.wr_bytes));
    totals.measure("disk_errors", disk.sum(|c| c.errors));
    totals.measure("memactual", reading.memory.map(|memory| memory.current));
    totals.measure("memrss", reading.rss);
    let mut guest = |name, pick: fn(&GuestMemory) -> Option<u64>| {
        totals.measure(name, reading.guest_memory.and_then(|guest| offered(pick(&guest))));
    };
    guest("memavailable", |g| g.available.map(|k| k.0));
    guest("memusable", |g| g.usable.map(|k| k.0));
    guest("memswap_in", |g| g.swap_in.map(|k| k.0));
    guest("memswap_out", |g| g.swap_out.map(|k| k.0));
    guest("memmajor_fault", |g| g.major_faults);
    guest("memminor_fault", |g| g.minor_faults);
    guest("memdisk_cache", |g| g.disk_caches.map(|k| k.0));
    totals.measure("timeusr", reading.cpu.and_then(|cpu| offered(cpu.user)));
    totals.measure("timesys", reading.cpu.and_then(|cpu| offered(cpu.system)));
    totals.measure("cputime", reading.cpu.map(|cpu| cpu.time));
    totals.measure("cpus", reading.vcpu_count);
    totals.put("state", u32::from(reading.state.code()));
    totals
}

/// The counters of all devices of one kind that can have any.
struct Totals<C> {
    counted: Measured<Vec<C>>,
    none: Missing,
}

impl<C: Copy> Totals<C> {
    /// A device that can never have counters is left out of the sum. One that
    /// has none this time makes the sum a number that is too small, so there
    /// is no sum.
    fn of<D>(devices: &Measured<Vec<D>>, counters: fn(&D) -> Measured<C>, none: Why) -> Self {
        use crate::model::missing::Kind;
        let mut none = Missing::new(none);
        let counted = devices.as_ref().map_err(|missing| *missing).and_then(|devices| {
            let mut counted = Vec::new();
            for device in devices {
                match counters(device) {
                    Ok(c) => counted.push(c),
                    Err(missing) if missing.kind() == Kind::NeverThere => none = missing,
                    Err(missing) => return Err(missing),
                }
            }
            Ok(counted)
        });
        Self { counted, none }
    }

    /// The sum of one counter; saturates rather than wraps.
    fn sum(&self, pick: fn(&C) -> Option<u64>) -> Measured<u64> {
        let counted = self.counted.as_ref().map_err(|missing| *missing)?;
        if counted.is_empty() {
            return Err(self.none);
        }
        let mut values = counted.iter().filter_map(pick).peekable();
        offered(values.peek().is_some().then_some(()))?;
        Ok(values.fold(0, u64::saturating_add))
    }
}

/// One event of a VM's timeline, the oldest first.
fn event(happening: &Happening) -> Json {
    Json::Object(vec![
        ("at", time(happening.at)),
        ("text", (&*happening.text).into()),
        (
            "weight",
            match happening.weight {
                Weight::Note => "note",
                Weight::Warning => "warning",
                Weight::Trouble => "trouble",
            }
            .into(),
        ),
    ])
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Answering => "answering",
        Health::Inactive => "inactive",
        Health::Impaired(_) => "impaired",
    }
}

fn source_word(source: MemorySource) -> &'static str {
    match source {
        MemorySource::Guest => "guest",
        MemorySource::Balloon => "balloon",
    }
}

fn mode(mode: AngleMode) -> &'static str {
    match mode {
        AngleMode::Scaled => "scaled",
        AngleMode::Raw => "raw",
    }
}

/// The rates that read 45°: cpu as a part of the VM's vCPUs, the others in
/// bytes per second; in raw mode 1 of ns, KiB and bytes per second.
fn references(scale: &AngleScale) -> Json {
    let of = |reference: f64| match scale.mode {
        AngleMode::Scaled => Json::Real(reference),
        AngleMode::Raw => Json::Real(1.0),
    };
    Json::Object(vec![
        ("cpu", of(scale.cpu)),
        ("memory", of(scale.memory)),
        ("disk", of(scale.disk)),
        ("network", of(scale.network)),
    ])
}

/// RFC 3339 in UTC.
#[must_use]
pub fn time(at: WallTime) -> Json {
    jiff::Timestamp::from_nanosecond(at.0.into()).map_or(Json::Null, |at| at.to_string().into())
}

#[cfg(test)]
mod tests;
