//! The way through one domain, value by value, and what is guessed of each.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::flow::Flow;
use crate::model::{
    Degrees, DomainDevices, DomainFrame, DomainJob, DomainRates, DomainReading, DomainState, Happening,
    Identity, Kib, Measured, Missing, MonoTime, Nanos, WallTime, Why,
    frame::Health,
    rates::{AngleScale, Angles, Baseline, DiskRates, NetRates, Periods, VcpuRates},
    reading::{
        CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, MemorySize, NicCounters, NicReading,
        VcpuCounters,
    },
};

const UNKNOWN: Missing = Missing::new(Why::NotRecorded);
/// No guess is refused for its age: that costs nothing.
const ANY_PERIOD: Duration = Duration::from_hours(24);

/// From one frame to the next.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// The time between, in nanoseconds.
    pub since: i64,
    /// The references of the angles.
    pub scale: AngleScale,
}

/// What seldom changes.
#[derive(Clone, Debug)]
pub(super) struct Rare {
    identity: Arc<Identity>,
    devices: Arc<DomainDevices>,
    timeline: Arc<[Happening]>,
    job: Option<DomainJob>,
    health: Health,
    state_reason: i64,
}

impl Rare {
    fn of(domain: &DomainFrame) -> Self {
        Self {
            identity: Arc::clone(&domain.reading.identity),
            devices: Arc::clone(&domain.devices),
            timeline: Arc::clone(&domain.timeline),
            job: domain.job,
            health: domain.health,
            state_reason: domain.reading.state_reason,
        }
    }
}

/// Parts that are shared are the same, and equal ones need not be shared.
impl PartialEq for Rare {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.identity, &other.identity)
            && Arc::ptr_eq(&self.devices, &other.devices)
            && Arc::ptr_eq(&self.timeline, &other.timeline)
            && (self.job, self.health, self.state_reason) == (other.job, other.health, other.state_reason)
    }
}

/// What is known of a domain from the frames before.
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// As it was last.
    pub before: Arc<DomainFrame>,
    /// Its last known counters, group by group.
    known: DomainReading,
    baseline: Baseline,
}

impl Track {
    /// Of a domain that was never seen.
    pub fn blank() -> Self {
        let identity = Arc::new(Identity { uuid: Uuid::nil(), id: None, name: Arc::default() });
        let known =
            DomainReading::unanswered(identity, DomainState::NoState, WallTime(0), MonoTime(0), UNKNOWN);
        let before = DomainFrame {
            reading: known.clone(),
            rates: DomainRates::missing(UNKNOWN),
            devices: Arc::default(),
            health: Health::Answering,
            fresh: true,
            timeline: Arc::default(),
            job: None,
            last: None,
        };
        Self { before: Arc::new(before), known, baseline: Baseline::default() }
    }

    /// About how many bytes it takes beside what it shares.
    pub fn held_bytes(&self) -> usize {
        // What the baseline holds is about as much as the counters.
        size_of::<Self>() + 2 * self.before.held_bytes()
    }

    /// Sends the domain of the next frame, or receives it.
    pub fn walk(
        &mut self,
        flow: &mut Flow<'_>,
        now: Option<&Arc<DomainFrame>>,
        step: Step,
    ) -> Arc<DomainFrame> {
        let before = Arc::clone(&self.before);
        let told = now.map(|now| &**now);
        let rare = flow.rare(told.map(Rare::of).as_ref(), &Rare::of(&before));
        let fresh = flow.number(told.is_some_and(|now| now.fresh), before.fresh);
        let last = flow.last(told, &before);
        let Rare { identity, devices, timeline, job, health, state_reason } = rare;
        let reading = told.map_or(&before.reading, |now| &now.reading);
        let reading = self.reading(flow, reading, identity, state_reason, step.since);
        let follow = self.baseline.advance(&reading, &Periods::every(ANY_PERIOD), &step.scale);
        let rates = told.map_or(&before.rates, |now| &now.rates);
        let rates = rates_of(flow, rates, &follow, &before.rates);
        self.remember(&reading);
        let domain = DomainFrame { reading, rates, devices, health, fresh, timeline, job, last };
        // What is sent others share.
        self.before = now.cloned().unwrap_or_else(|| Arc::new(domain));
        Arc::clone(&self.before)
    }

    fn remember(&mut self, now: &DomainReading) {
        fn keep<T: Clone>(known: &mut Measured<T>, now: &Measured<T>) {
            if now.is_ok() {
                known.clone_from(now);
            }
        }
        let known = &mut self.known;
        keep(&mut known.cpu, &now.cpu);
        keep(&mut known.vcpus, &now.vcpus);
        keep(&mut known.vcpu_count, &now.vcpu_count);
        keep(&mut known.memory, &now.memory);
        keep(&mut known.rss, &now.rss);
        keep(&mut known.guest_memory, &now.guest_memory);
        keep(&mut known.nics, &now.nics);
        keep(&mut known.disks, &now.disks);
    }

    fn reading(
        &self,
        flow: &mut Flow<'_>,
        now: &DomainReading,
        identity: Arc<Identity>,
        state_reason: i64,
        since: i64,
    ) -> DomainReading {
        let (before, known) = (&self.before.reading, &self.known);
        let state = flow.number(now.state, before.state);
        let at = WallTime(flow.number(now.at.0, before.at.0.wrapping_add(since)));
        let passed = at.0.wrapping_sub(before.at.0).cast_unsigned();
        let mono = MonoTime(flow.number(now.mono.0, before.mono.0.wrapping_add(passed)));
        let cpu = flow.measured(&now.cpu, &before.cpu, |flow, now| {
            let (now, known) = (or_none(now), or_none(known.cpu.as_ref().ok()));
            CpuCounters {
                time: flow.number(now.time, known.time),
                user: flow.optional(now.user, known.user),
                system: flow.optional(now.system, known.system),
            }
        });
        let vcpus = flow.measured(&now.vcpus, &before.vcpus, |flow, now| {
            list(flow, now, known.vcpus.as_ref().ok(), |flow, nth, now, known| {
                let blank = vcpu(u32::try_from(nth).unwrap_or(u32::MAX));
                let (now, known) = (now.unwrap_or(&blank), known.unwrap_or(&blank));
                VcpuCounters {
                    index: flow.number(now.index, known.index),
                    time: flow.optional(now.time, known.time),
                    wait: flow.optional(now.wait, known.wait),
                    delay: flow.optional(now.delay, known.delay),
                    halted: flow.optional(now.halted, known.halted),
                }
            })
        });
        let vcpu_count = flow.measured(&now.vcpu_count, &before.vcpu_count, |flow, now| {
            flow.number(now.copied().unwrap_or(0), known.vcpu_count.unwrap_or(0))
        });
        let memory = flow.measured(&now.memory, &before.memory, |flow, now| {
            let blank = MemorySize { current: Kib(0), maximum: Kib(0) };
            let (now, known) = (now.copied().unwrap_or(blank), known.memory.unwrap_or(blank));
            let maximum = flow.number(now.maximum, known.maximum);
            MemorySize { current: flow.number(now.current, known.current), maximum }
        });
        let rss = flow.measured(&now.rss, &before.rss, |flow, now| {
            flow.number(now.copied().unwrap_or_default(), known.rss.unwrap_or_default())
        });
        let guest_memory = flow.measured(&now.guest_memory, &before.guest_memory, |flow, now| {
            let (now, known) = (now.copied().unwrap_or_default(), known.guest_memory.unwrap_or_default());
            guest(flow, &now, &known)
        });
        let nics = flow.measured(&now.nics, &before.nics, |flow, now| {
            list(flow, now, known.nics.as_ref().ok(), |flow, _, now, known| {
                let name = flow.name(now.map(|nic| &nic.name), known.map(|nic| &nic.name));
                let blank = Err(UNKNOWN);
                let known = known.map_or(&blank, |nic| &nic.counters);
                let counters = flow.measured(now.map_or(&blank, |nic| &nic.counters), known, |flow, now| {
                    nic(flow, &now.copied().unwrap_or_default(), &known.unwrap_or_default())
                });
                NicReading { name, counters }
            })
        });
        let disks = flow.measured(&now.disks, &before.disks, |flow, now| {
            list(flow, now, known.disks.as_ref().ok(), |flow, _, now, known| {
                let name = flow.name(now.map(|disk| &disk.name), known.map(|disk| &disk.name));
                let blank = DiskReading { name: Arc::clone(&name), counters: Err(UNKNOWN), size: NO_SIZE };
                let (now, known) = (now.unwrap_or(&blank), known.unwrap_or(&blank));
                let counters = flow.measured(&now.counters, &known.counters, |flow, now| {
                    disk(flow, &now.copied().unwrap_or_default(), &known.counters.unwrap_or_default())
                });
                DiskReading { name, counters, size: size(flow, &now.size, &known.size) }
            })
        });
        DomainReading {
            identity,
            state,
            state_reason,
            at,
            mono,
            cpu,
            vcpus,
            vcpu_count,
            memory,
            rss,
            guest_memory,
            nics,
            disks,
        }
    }
}

const NO_SIZE: DiskSize = DiskSize { capacity: None, allocation: None, physical: None };

fn or_none(counters: Option<&CpuCounters>) -> CpuCounters {
    counters.copied().unwrap_or(CpuCounters { time: Nanos(0), user: None, system: None })
}

fn vcpu(index: u32) -> VcpuCounters {
    VcpuCounters { index, time: None, wait: None, delay: None, halted: None }
}

/// A list of things that keep their order from frame to frame.
fn list<T>(
    flow: &mut Flow<'_>,
    now: Option<&Vec<T>>,
    known: Option<&Vec<T>>,
    mut each: impl FnMut(&mut Flow<'_>, usize, Option<&T>, Option<&T>) -> T,
) -> Vec<T> {
    let (now, known) = (now.map_or(&[][..], Vec::as_slice), known.map_or(&[][..], Vec::as_slice));
    let count = flow.number(now.len(), known.len());
    (0..count).map(|nth| each(flow, nth, now.get(nth), known.get(nth))).collect()
}

/// Every field of a plain struct, sent or received by `$way`.
macro_rules! fields {
    ($flow:ident.$way:ident($a:expr, $b:expr): $type:ident { $($field:ident),* $(,)? }) => {
        $type { $($field: $flow.$way($a.$field, $b.$field)),* }
    };
    ($flow:ident.$way:ident($a:expr, $b:expr, $c:expr): $type:ident { $($field:ident),* $(,)? }) => {
        $type { $($field: $flow.$way($a.$field, $b.$field, $c.$field)),* }
    };
}

fn guest(flow: &mut Flow<'_>, now: &GuestMemory, known: &GuestMemory) -> GuestMemory {
    fields!(flow.optional(now, known): GuestMemory {
        available, usable, unused, swap_in, swap_out, major_faults, minor_faults, disk_caches, last_update,
    })
}

fn nic(flow: &mut Flow<'_>, now: &NicCounters, known: &NicCounters) -> NicCounters {
    fields!(flow.optional(now, known): NicCounters {
        rx_bytes, rx_packets, rx_errors, rx_drops, tx_bytes, tx_packets, tx_errors, tx_drops,
    })
}

fn disk(flow: &mut Flow<'_>, now: &DiskCounters, known: &DiskCounters) -> DiskCounters {
    fields!(flow.optional(now, known): DiskCounters {
        rd_reqs, rd_bytes, rd_times, wr_reqs, wr_bytes, wr_times, fl_reqs, fl_times, errors,
    })
}

fn size(flow: &mut Flow<'_>, now: &DiskSize, known: &DiskSize) -> DiskSize {
    fields!(flow.optional(now, known): DiskSize { capacity, allocation, physical })
}

fn disk_rates(flow: &mut Flow<'_>, now: &DiskRates, follow: &DiskRates, before: &DiskRates) -> DiskRates {
    fields!(flow.rate(now, follow, before): DiskRates {
        read_bytes_per_s, write_bytes_per_s, reads_per_s, writes_per_s, flushes_per_s, ms_per_read,
        ms_per_write, ms_per_flush,
    })
}

fn net_rates(flow: &mut Flow<'_>, now: &NetRates, follow: &NetRates, before: &NetRates) -> NetRates {
    fields!(flow.rate(now, follow, before): NetRates {
        rx_bytes_per_s, tx_bytes_per_s, rx_packets_per_s, tx_packets_per_s, errors_per_s, drops_per_s,
    })
}

fn vcpu_rates(flow: &mut Flow<'_>, now: &VcpuRates, follow: &VcpuRates, before: &VcpuRates) -> VcpuRates {
    let index = flow.number(now.index, follow.index);
    let percent = flow.rate(now.percent, follow.percent, before.percent);
    let steal_percent = flow.rate(now.steal_percent, follow.steal_percent, before.steal_percent);
    VcpuRates { index, percent, steal_percent }
}

fn angles(flow: &mut Flow<'_>, now: &Angles, follow: &Angles, before: &Angles) -> Angles {
    let mut angle = |pick: fn(&Angles) -> Measured<Degrees>| {
        let [now, follow, before] = [now, follow, before].map(|of| pick(of).map(|degrees| degrees.0));
        flow.rate(now, follow, before).map(Degrees)
    };
    Angles {
        cpu: angle(|of| of.cpu),
        memory: angle(|of| of.memory),
        disk_read: angle(|of| of.disk_read),
        disk_write: angle(|of| of.disk_write),
        net_rx: angle(|of| of.net_rx),
        net_tx: angle(|of| of.net_tx),
    }
}

/// Rates of devices, with their names.
fn devices<T>(
    flow: &mut Flow<'_>,
    [now, follow, before]: [&Vec<(Arc<str>, T)>; 3],
    blank: &T,
    mut rates: impl FnMut(&mut Flow<'_>, &T, &T, &T) -> T,
) -> Vec<(Arc<str>, T)> {
    let count = flow.number(now.len(), follow.len());
    (0..count)
        .map(|nth| {
            let name = flow.name(now.get(nth).map(|of| &of.0), follow.get(nth).map(|of| &of.0));
            let [now, follow, before] =
                [now, follow, before].map(|list| list.get(nth).map_or(blank, |of| &of.1));
            (name, rates(flow, now, follow, before))
        })
        .collect()
}

fn rates_of(
    flow: &mut Flow<'_>,
    now: &DomainRates,
    follow: &DomainRates,
    before: &DomainRates,
) -> DomainRates {
    let memory_held = flow.number(now.memory_held, before.memory_held);
    let blank = VcpuRates { index: 0, percent: Err(UNKNOWN), steal_percent: Err(UNKNOWN) };
    let count = flow.number(now.vcpus.len(), follow.vcpus.len());
    let vcpus = (0..count).map(|nth| {
        let of = |rates: &'_ DomainRates| rates.vcpus.get(nth).copied().unwrap_or(blank);
        vcpu_rates(flow, &of(now), &of(follow), &of(before))
    });
    let vcpus = vcpus.collect();
    let (no_disk, no_nic) = (DiskRates::missing(UNKNOWN), NetRates::missing(UNKNOWN));
    let disks = devices(flow, [&now.disks, &follow.disks, &before.disks], &no_disk, disk_rates);
    let nics = devices(flow, [&now.nics, &follow.nics, &before.nics], &no_nic, net_rates);
    let mut rate = |pick: fn(&DomainRates) -> Measured<f64>| flow.rate(pick(now), pick(follow), pick(before));
    DomainRates {
        cpu_percent: rate(|of| of.cpu_percent),
        cpu_cores: rate(|of| of.cpu_cores),
        overhead_cores: rate(|of| of.overhead_cores),
        steal_percent: rate(|of| of.steal_percent),
        memory_percent: rate(|of| of.memory_percent),
        memory_kib_per_s: rate(|of| of.memory_kib_per_s),
        vcpus,
        memory_held,
        disk: disk_rates(flow, &now.disk, &follow.disk, &before.disk),
        net: net_rates(flow, &now.net, &follow.net, &before.net),
        disks,
        nics,
        angles: angles(flow, &now.angles, &follow.angles, &before.angles),
    }
}
