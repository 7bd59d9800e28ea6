//! The last answered counters of one domain, and the step to the next rates.

use std::{sync::Arc, time::Duration};

use super::{
    AngleScale, Angles, DiskRates, DomainRates, FIRST, NOT_OFFERED, NetRates, RESTARTED, VcpuRates,
    counters::{grown, latency_ms, per_second, sum},
    dated::{Dated, Pass, span},
    vcpus::VcpuSum,
};
use crate::model::{
    DomainReading, Kib, Measured, Missing, MonoTime, Nanos, Why,
    reading::{CpuCounters, DiskCounters, MemorySource, NicCounters, VcpuCounters},
};

/// How often each group is meant to be read, and how well a reading is dated.
/// A gap longer than three of a group's own periods gives no rate.
#[derive(Clone, Copy, Debug)]
pub struct Periods {
    /// CPU, vCPUs and NICs.
    pub cheap: Duration,
    /// Guest memory report.
    pub memory: Duration,
    /// Disks.
    pub disk: Duration,
    /// How far off the reading's instant may be: the duration of its call.
    pub error: Duration,
    /// Which of the cycle's calls that was.
    pub pass: Pass,
    /// How far off that may be for memory and disks, where these were read in
    /// a call of their own after the other one.
    pub turn: Option<Duration>,
}

impl Periods {
    /// Every group in every cycle, at instants that are known exactly.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self {
            cheap: interval,
            memory: interval,
            disk: interval,
            error: Duration::ZERO,
            pass: Pass::Full,
            turn: None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Stamped<T> {
    at: Dated,
    value: T,
}

/// Memory in use, where the number is from, and which report of the guest's.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MemoryUsed {
    used: Kib,
    source: MemorySource,
    /// Computed from `usable`, not from `unused`: after a reboot the guest may
    /// report otherwise, and the two are far apart.
    by_usable: bool,
    /// `balloon.last-update`, where the driver tells it.
    reported: Option<u64>,
}

/// What one domain's next rates are computed against.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// libvirt id of the incarnation the counters belong to; `None` before
    /// the first reading and while the domain is off.
    incarnation: Option<u32>,
    cpu: Option<Stamped<CpuCounters>>,
    vcpus: Option<Stamped<Vec<VcpuCounters>>>,
    memory: Option<Stamped<MemoryUsed>>,
    /// The rate up to the guest's report in `memory`, while that lasts.
    memory_rate: Option<Measured<f64>>,
    nics: Vec<(Arc<str>, Stamped<NicCounters>)>,
    disks: Vec<(Arc<str>, Stamped<DiskCounters>)>,
    /// Devices that were unplugged, and when. A reading of before that, which
    /// comes in late, must not become the base of another device of that name.
    unplugged: Vec<(Arc<str>, MonoTime)>,
}

/// Unplugged devices remembered at once; a domain has no more ports.
const MOST_UNPLUGGED: usize = 64;

impl Baseline {
    /// Computes the rates from the last answered counters to `reading`, and
    /// takes the reading's answered groups as the new base. Groups that did
    /// not answer keep their old base, so that the next rate spans the gap.
    pub fn advance(&mut self, reading: &DomainReading, periods: &Periods, scale: &AngleScale) -> DomainRates {
        if self.incarnation != reading.identity.id {
            *self = Self { incarnation: reading.identity.id, ..Self::default() };
        }
        if self.is_another_process(reading) {
            // The fall of the CPU time itself is told by its own rate below.
            *self = Self { incarnation: self.incarnation, cpu: self.cpu, ..Self::default() };
        }
        let at = Dated { mono: reading.mono, error: periods.error, pass: periods.pass };
        let late = periods.turn.map_or(at, |error| Dated { error, pass: Pass::Turn, ..at });
        let (vcpu_sum, vcpus) = self.vcpu_rates(reading, at, periods.cheap);
        let process = self.cpu_cores(reading, at, periods.cheap);
        let count = reading.vcpu_count.map(f64::from);
        // The guest's own work; the whole process stands in where the driver
        // has no vCPU times at all, never where they merely failed this time.
        let guest: Measured<(f64, f64)> = match vcpu_sum.busy {
            Err(m) if m.why == Why::NotOffered => match (process, count) {
                (Ok(cores), Ok(count)) if count > 0.0 => Ok((cores, count)),
                (Err(m), _) | (_, Err(m)) => Err(m),
                _ => Err(NOT_OFFERED),
            },
            busy => busy,
        };
        // A vCPU of which nothing is known yet is no overhead.
        let known = vcpus.iter().filter(|vcpu| vcpu.percent.is_ok()).count();
        let all_vcpus =
            vcpu_sum.busy.and_then(|(cores, _)| if known == vcpus.len() { Ok(cores) } else { Err(FIRST) });
        let (memory_kib_per_s, memory_held) = self.memory_rate(reading, late, periods.memory);
        let (disk, disks) = self.disk_rates(reading, late, periods.disk);
        let (net, nics) = self.net_rates(reading, at, periods.cheap);
        self.drop_unplugged(reading.mono);
        DomainRates {
            cpu_percent: guest.map(|(cores, count)| cores / count * 100.0),
            cpu_cores: process,
            overhead_cores: overhead(process, all_vcpus),
            steal_percent: vcpu_sum.steal_percent,
            vcpus,
            memory_percent: memory_percent(reading),
            memory_kib_per_s,
            memory_held,
            angles: Angles {
                cpu: guest.map(|(cores, count)| scale.cpu_angle(cores, count)),
                memory: memory_kib_per_s.map(|rate| scale.memory_angle(rate)),
                disk_read: disk.read_bytes_per_s.map(|rate| scale.disk_angle(rate)),
                disk_write: disk.write_bytes_per_s.map(|rate| scale.disk_angle(rate)),
                net_rx: net.rx_bytes_per_s.map(|rate| scale.network_angle(rate)),
                net_tx: net.tx_bytes_per_s.map(|rate| scale.network_angle(rate)),
            },
            disk,
            net,
            disks,
            nics,
        }
    }

    /// The device of this name was unplugged at `at`: one that is plugged in
    /// under the same name begins anew, whatever its counters say.
    pub fn forget_device(&mut self, name: &str, at: MonoTime) {
        self.unplugged.retain(|(known, _)| **known != *name);
        if self.unplugged.len() == MOST_UNPLUGGED {
            self.unplugged.remove(0);
        }
        self.unplugged.push((name.into(), at));
        self.drop_unplugged(at);
    }

    /// Drops the bases of devices that were unplugged after they were read at
    /// `read`; a later reading is of another device.
    fn drop_unplugged(&mut self, read: MonoTime) {
        self.unplugged.retain(|(_, at)| read <= *at);
        let gone = |name: &Arc<str>| self.unplugged.iter().any(|(unplugged, _)| unplugged == name);
        self.nics.retain(|(name, _)| !gone(name));
        self.disks.retain(|(name, _)| !gone(name));
    }

    /// Whether the counters are those of another QEMU under the same id, which
    /// libvirtd gives out anew after a restart of its own: a process's CPU time
    /// never falls. What has grown all the same has not grown in one device.
    fn is_another_process(&self, reading: &DomainReading) -> bool {
        matches!((&self.cpu, &reading.cpu), (Some(before), Ok(now)) if now.time < before.value.time)
    }

    fn cpu_cores(&mut self, reading: &DomainReading, at: Dated, period: Duration) -> Measured<f64> {
        let now = reading.cpu?;
        let before = self.cpu.replace(Stamped { at, value: now }).ok_or(FIRST)?;
        let span = span(before.at, at, period)?;
        let difference = now.time.0.checked_sub(before.value.time.0).ok_or(RESTARTED)?;
        Ok(per_second(difference, span) / 1e9)
    }

    fn vcpu_rates(
        &mut self,
        reading: &DomainReading,
        at: Dated,
        period: Duration,
    ) -> (VcpuSum, Vec<VcpuRates>) {
        let now = match &reading.vcpus {
            Ok(now) => now,
            Err(missing) => return (VcpuSum::missing(*missing), Vec::new()),
        };
        let before = self.vcpus.replace(Stamped { at, value: now.clone() });
        let span = before.as_ref().map_or(Err(FIRST), |before| span(before.at, at, period));
        let rates: Vec<VcpuRates> = now
            .iter()
            .map(|vcpu| {
                let old = before.as_ref().and_then(|b| b.value.iter().find(|old| old.index == vcpu.index));
                let share = |pick: fn(&VcpuCounters) -> Option<Nanos>| -> Measured<f64> {
                    let span = span?;
                    let old = old.ok_or(FIRST)?;
                    let difference = grown(pick(old).map(|n| n.0), pick(vcpu).map(|n| n.0))?;
                    Ok(per_second(difference, span) / 1e9 * 100.0)
                };
                VcpuRates { index: vcpu.index, percent: share(|v| v.time), steal_percent: share(|v| v.delay) }
            })
            .collect();
        (VcpuSum::of(&rates), rates)
    }

    /// The rate of memory in use, and whether it is that of an earlier cycle.
    ///
    /// A guest reports at its own pace. Between two reports nothing is read
    /// anew: compared cycle by cycle, a steady growth would be zeros with a
    /// spike at each report. So reports are compared with reports, each dated
    /// by the cycle that saw it first, and the rate holds until the next.
    fn memory_rate(&mut self, reading: &DomainReading, at: Dated, period: Duration) -> (Measured<f64>, bool) {
        let (used, source) = match reading.memory_used() {
            Ok(now) => now,
            Err(missing) => return (Err(missing), false),
        };
        let guest = reading.guest_memory.ok().filter(|_| source == MemorySource::Guest);
        let reported = guest.and_then(|guest| guest.last_update);
        let by_usable = guest.is_some_and(|guest| guest.usable.is_some());
        let now = MemoryUsed { used, source, by_usable, reported };
        if let (Some(before), Some(rate)) = (&self.memory, self.memory_rate)
            && reported.is_some()
            && before.value.reported == reported
        {
            return (rate, true);
        }
        let before = self.memory.replace(Stamped { at, value: now });
        let rate = before.ok_or(FIRST).and_then(|before| {
            if (before.value.source, before.value.by_usable) != (source, by_usable) {
                return Err(FIRST);
            }
            let span = span(before.at, at, period)?;
            #[allow(clippy::cast_precision_loss, reason = "memory in KiB stays far below 2^53")]
            let difference = used.0 as f64 - before.value.used.0 as f64;
            Ok(difference / span.as_secs_f64())
        });
        self.memory_rate = Some(rate);
        (rate, false)
    }

    fn disk_rates(
        &mut self,
        reading: &DomainReading,
        at: Dated,
        period: Duration,
    ) -> (DiskRates, Vec<(Arc<str>, DiskRates)>) {
        let disks = match &reading.disks {
            Ok(disks) => disks,
            Err(missing) => return (DiskRates::missing(*missing), Vec::new()),
        };
        self.disks.retain(|(name, _)| disks.iter().any(|disk| disk.name == *name));
        let each: Vec<_> = disks
            .iter()
            .map(|disk| {
                let rates = match disk.counters {
                    Err(missing) => DiskRates::missing(missing),
                    Ok(now) => match step(&mut self.disks, &disk.name, at, now, period) {
                        Err(missing) => DiskRates::missing(missing),
                        Ok((before, span)) => disk_between(&before, &now, span),
                    },
                };
                (Arc::clone(&disk.name), rates)
            })
            .collect();
        let none = Missing::new(Why::NoDisks);
        let total = |pick: fn(&DiskRates) -> &Measured<f64>| sum(each.iter().map(|(_, r)| pick(r)), none);
        let all = DiskRates {
            read_bytes_per_s: total(|r| &r.read_bytes_per_s),
            write_bytes_per_s: total(|r| &r.write_bytes_per_s),
            reads_per_s: total(|r| &r.reads_per_s),
            writes_per_s: total(|r| &r.writes_per_s),
            flushes_per_s: total(|r| &r.flushes_per_s),
            ms_per_read: mean_latency(&each, |r| (r.ms_per_read, r.reads_per_s), none),
            ms_per_write: mean_latency(&each, |r| (r.ms_per_write, r.writes_per_s), none),
            ms_per_flush: mean_latency(&each, |r| (r.ms_per_flush, r.flushes_per_s), none),
        };
        (all, each)
    }

    fn net_rates(
        &mut self,
        reading: &DomainReading,
        at: Dated,
        period: Duration,
    ) -> (NetRates, Vec<(Arc<str>, NetRates)>) {
        let nics = match &reading.nics {
            Ok(nics) => nics,
            Err(missing) => return (NetRates::missing(*missing), Vec::new()),
        };
        self.nics.retain(|(name, _)| nics.iter().any(|nic| nic.name == *name));
        let each: Vec<_> = nics
            .iter()
            .map(|nic| {
                let rates = match nic.counters {
                    Err(missing) => NetRates::missing(missing),
                    Ok(now) => match step(&mut self.nics, &nic.name, at, now, period) {
                        Err(missing) => NetRates::missing(missing),
                        Ok((before, span)) => net_between(&before, &now, span),
                    },
                };
                (Arc::clone(&nic.name), rates)
            })
            .collect();
        let none = Missing::new(Why::NoNics);
        let total = |pick: fn(&NetRates) -> &Measured<f64>| sum(each.iter().map(|(_, r)| pick(r)), none);
        let all = NetRates {
            rx_bytes_per_s: total(|r| &r.rx_bytes_per_s),
            tx_bytes_per_s: total(|r| &r.tx_bytes_per_s),
            rx_packets_per_s: total(|r| &r.rx_packets_per_s),
            tx_packets_per_s: total(|r| &r.tx_packets_per_s),
            errors_per_s: total(|r| &r.errors_per_s),
            drops_per_s: total(|r| &r.drops_per_s),
        };
        (all, each)
    }
}

/// What QEMU costs beyond its guest's own work. The two counters are read a
/// moment apart, so a difference below nothing is nothing.
fn overhead(process: Measured<f64>, guest: Measured<f64>) -> Measured<f64> {
    Ok((process? - guest?).max(0.0))
}

fn memory_percent(reading: &DomainReading) -> Measured<f64> {
    let (used, _) = reading.memory_used()?;
    let maximum = reading.memory?.maximum;
    if maximum.0 == 0 {
        return Err(NOT_OFFERED);
    }
    #[allow(clippy::cast_precision_loss, reason = "memory in KiB stays far below 2^53")]
    Ok(used.0 as f64 / maximum.0 as f64 * 100.0)
}

/// Replaces a device's base and returns the old one with the time since.
fn step<T: Copy>(
    bases: &mut Vec<(Arc<str>, Stamped<T>)>,
    name: &Arc<str>,
    at: Dated,
    now: T,
    period: Duration,
) -> Measured<(T, Duration)> {
    let stamped = Stamped { at, value: now };
    match bases.iter_mut().find(|(known, _)| known == name) {
        None => {
            bases.push((Arc::clone(name), stamped));
            Err(FIRST)
        }
        Some((_, base)) => {
            let before = std::mem::replace(base, stamped);
            Ok((before.value, span(before.at, at, period)?))
        }
    }
}

fn disk_between(before: &DiskCounters, now: &DiskCounters, span: Duration) -> DiskRates {
    // A device whose bytes fell was replaced or reset: none of its
    // differences mean anything, even those that happen to have grown.
    if fell(before.rd_bytes, now.rd_bytes)
        || fell(before.wr_bytes, now.wr_bytes)
        || fell(before.rd_reqs, now.rd_reqs)
        || fell(before.wr_reqs, now.wr_reqs)
    {
        return DiskRates::missing(RESTARTED);
    }
    let rate = |old, new| grown(old, new).map(|d| per_second(d, span));
    let nanos = |n: Option<Nanos>| n.map(|n| n.0);
    DiskRates {
        read_bytes_per_s: rate(before.rd_bytes, now.rd_bytes),
        write_bytes_per_s: rate(before.wr_bytes, now.wr_bytes),
        reads_per_s: rate(before.rd_reqs, now.rd_reqs),
        writes_per_s: rate(before.wr_reqs, now.wr_reqs),
        flushes_per_s: rate(before.fl_reqs, now.fl_reqs),
        ms_per_read: latency_ms(
            grown(nanos(before.rd_times), nanos(now.rd_times)),
            grown(before.rd_reqs, now.rd_reqs),
        ),
        ms_per_write: latency_ms(
            grown(nanos(before.wr_times), nanos(now.wr_times)),
            grown(before.wr_reqs, now.wr_reqs),
        ),
        ms_per_flush: latency_ms(
            grown(nanos(before.fl_times), nanos(now.fl_times)),
            grown(before.fl_reqs, now.fl_reqs),
        ),
    }
}

fn net_between(before: &NicCounters, now: &NicCounters, span: Duration) -> NetRates {
    if fell(before.rx_bytes, now.rx_bytes)
        || fell(before.tx_bytes, now.tx_bytes)
        || fell(before.rx_packets, now.rx_packets)
        || fell(before.tx_packets, now.tx_packets)
    {
        return NetRates::missing(RESTARTED);
    }
    let rate = |old, new| grown(old, new).map(|d| per_second(d, span));
    let both = |rx_old, rx_new, tx_old, tx_new| {
        sum([rate(rx_old, rx_new), rate(tx_old, tx_new)].iter(), NOT_OFFERED)
    };
    NetRates {
        rx_bytes_per_s: rate(before.rx_bytes, now.rx_bytes),
        tx_bytes_per_s: rate(before.tx_bytes, now.tx_bytes),
        rx_packets_per_s: rate(before.rx_packets, now.rx_packets),
        tx_packets_per_s: rate(before.tx_packets, now.tx_packets),
        errors_per_s: both(before.rx_errors, now.rx_errors, before.tx_errors, now.tx_errors),
        drops_per_s: both(before.rx_drops, now.rx_drops, before.tx_drops, now.tx_drops),
    }
}

fn fell(before: Option<u64>, now: Option<u64>) -> bool {
    matches!((before, now), (Some(before), Some(now)) if now < before)
}

/// Latency over all disks: each weighted by its requests.
fn mean_latency(
    each: &[(Arc<str>, DiskRates)],
    pick: fn(&DiskRates) -> (Measured<f64>, Measured<f64>),
    none: Missing,
) -> Measured<f64> {
    let (mut time, mut requests) = (0.0, 0.0);
    let mut why = none;
    for (_, rates) in each {
        match pick(rates) {
            (Ok(ms), Ok(per_s)) => {
                time += ms * per_s;
                requests += per_s;
            }
            (Err(missing), _) | (_, Err(missing)) => {
                if why == none {
                    why = missing;
                }
            }
        }
    }
    if requests > 0.0 { Ok(time / requests) } else { Err(why) }
}

#[cfg(test)]
mod tests;
