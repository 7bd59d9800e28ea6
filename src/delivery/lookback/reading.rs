//! One domain's reading, from its lines and the cycle's local part.
//!
//! A zero in a line may stand for a statistic that was never there: the local
//! part's masks say which are numbers. Without them a zero is not believed.

use std::sync::Arc;

use super::{
    super::local::{Disk, Domain, Given, Groups, Nic},
    parse::{Device, Told},
    rates::LOST,
};
use crate::model::{
    DomainReading, DomainState, Identity, Kib, Measured, Missing, Nanos, WallTime, Why, past,
    reading::{
        CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, MemorySize, NicCounters, NicReading,
        VcpuCounters,
    },
};

/// A disk's name and its sizes, as a cycle that has them told.
pub(super) type Sizes = Vec<(Arc<str>, DiskSize)>;

/// What one domain's reading is made from.
pub(super) struct Source<'a> {
    pub(super) identity: Arc<Identity>,
    pub(super) told: Option<&'a Told>,
    pub(super) local: Option<&'a Domain>,
    /// Whether rows of the cycle are damaged.
    pub(super) damaged: bool,
    pub(super) sizes: &'a Sizes,
    /// Where nothing says when it was read.
    pub(super) closed: WallTime,
    /// Where nothing says its state.
    pub(super) state: (DomainState, i64),
}

impl Source<'_> {
    /// The reading. Its monotonic instant is that of the wall clock.
    pub(super) fn reading(&self) -> DomainReading {
        let at = self.told.map_or(self.closed, |told| told.at);
        let groups = self.local.map_or(Groups::default(), |local| local.missing);
        let (state, state_reason) = self.state();
        let number = |group: Option<Missing>, pick: fn(&Told) -> Option<u64>| {
            reason(group)?;
            self.told.and_then(pick).filter(|value| self.sure() || *value > 0).ok_or(LOST)
        };
        DomainReading {
            identity: Arc::clone(&self.identity),
            state,
            state_reason,
            at,
            mono: past::mono(at),
            cpu: number(groups.cpu, |told| told.cpu_time).map(|time| self.cpu(time)),
            vcpus: reason(groups.vcpus).and_then(|()| self.vcpus()),
            vcpu_count: number(groups.vcpu_count, |told| told.cpu_count)
                .and_then(|count| u32::try_from(count).map_err(|_| LOST)),
            memory: number(groups.memory, |told| told.memory_max).and_then(|maximum| {
                let current = self.told.and_then(|told| told.balloon).ok_or(LOST)?;
                Ok(MemorySize { current: Kib(current), maximum: Kib(maximum) })
            }),
            rss: number(groups.rss, |told| told.rss).map(Kib),
            guest_memory: reason(groups.guest_memory).and_then(|()| self.guest()),
            nics: reason(groups.nics).and_then(|()| self.nics()),
            disks: reason(groups.disks).and_then(|()| self.disks()),
        }
    }

    /// Whether masks say which zeros are numbers.
    fn sure(&self) -> bool {
        self.local.is_some_and(|local| local.seen.is_some())
    }

    fn state(&self) -> (DomainState, i64) {
        if let Some(seen) = self.local.and_then(|local| local.seen.as_ref()) {
            return (seen.state, seen.state_reason);
        }
        match self.told.and_then(|told| told.state).and_then(|code| i64::try_from(code).ok()) {
            Some(code) => (DomainState::from_code(code), 0),
            None => self.state,
        }
    }

    fn cpu(&self, time: u64) -> CpuCounters {
        let given = self.local.and_then(|local| Some(local.seen.as_ref()?.cpu_given));
        let split = self.told.map_or([None; 2], |told| told.cpu_split);
        let [user, system] = sieved(split, [0, 1], given);
        CpuCounters { time: Nanos(time), user: user.map(Nanos), system: system.map(Nanos) }
    }

    /// Their times are not recorded, their rates are: these stand elsewhere.
    fn vcpus(&self) -> Measured<Vec<VcpuCounters>> {
        let seen = self.local.and_then(|local| local.seen.as_ref()).ok_or(LOST)?;
        let vcpu = |index, halted| VcpuCounters { index, time: None, wait: None, delay: None, halted };
        Ok(seen.vcpus.iter().map(|of| vcpu(of.index, of.halted)).collect())
    }

    /// The guest's report. What it left unused is told only where memory in
    /// use was computed from that; when it reported is not told at all.
    fn guest(&self) -> Measured<GuestMemory> {
        let told = self.told.ok_or(LOST)?;
        let given = self.local.and_then(|local| Some(local.seen.as_ref()?.guest_given));
        let [available, usable, _, swap_in, swap_out, major_faults, minor_faults, disk_caches] =
            sieved(told.guest, [0, 1, 2, 3, 4, 5, 6, 7], given);
        if self.local.is_none() && available.is_none() {
            // Where memory in use was told all the same, it was the balloon's size.
            return Err(if told.memory_used.is_some() { Missing::new(Why::NotOffered) } else { LOST });
        }
        let unused = match (available, usable, told.memory_used) {
            (Some(available), None, Some(used)) => available.checked_sub(used),
            _ => None,
        };
        let unused = unused.filter(|_| given.is_none_or(|given| has(given, 2)));
        Ok(GuestMemory {
            available: available.map(Kib),
            usable: usable.map(Kib),
            unused: unused.map(Kib),
            swap_in: swap_in.map(Kib),
            swap_out: swap_out.map(Kib),
            major_faults,
            minor_faults,
            disk_caches: disk_caches.map(Kib),
            last_update: None,
        })
    }

    /// NICs in the order of the reading, as far as that can be told: one that
    /// has no line stands before the next one that the local part names. Which
    /// there are only the lines say: where some may be lost, nothing is told.
    fn nics(&self) -> Measured<Vec<NicReading>> {
        self.all_told(Told::has_all_nics)?;
        let told: &[Device<8>] = self.told.map_or(&[], |told| &told.nics);
        let local: &[Nic] = self.local.map_or(&[], |local| &local.nics);
        if self.local.is_none() && told.is_empty() {
            return Err(LOST);
        }
        let counted = |name: &str| told.iter().find(|device| *device.name == *name);
        let mut nics = Vec::with_capacity(told.len());
        let mut lineless = local.iter().peekable();
        for device in told {
            if local.iter().any(|nic| nic.name == device.name) {
                while let Some(nic) = lineless.next_if(|nic| nic.name != device.name) {
                    if counted(&nic.name).is_none() {
                        nics.push(self.nic(&nic.name, None, Some(nic)));
                    }
                }
                let nic = lineless.next();
                nics.push(self.nic(&device.name, Some(device), nic));
            } else {
                nics.push(self.nic(&device.name, Some(device), None));
            }
        }
        let rest = lineless.filter(|nic| counted(&nic.name).is_none());
        nics.extend(rest.map(|nic| self.nic(&nic.name, None, Some(nic))));
        Ok(nics)
    }

    fn all_told(&self, sums_agree: fn(&Told) -> bool) -> Measured<()> {
        let told = self.told.filter(|told| told.is_whole()).ok_or(LOST)?;
        let sound = !self.damaged && self.local.is_some();
        if sound || sums_agree(told) { Ok(()) } else { Err(LOST) }
    }

    fn nic(&self, name: &Arc<str>, device: Option<&Device<8>>, local: Option<&Nic>) -> NicReading {
        let given = match local {
            Some(nic) => Some(nic.given),
            // Of which nothing was missing.
            None => self.sure().then_some(Given(0xff)),
        };
        let counters = reason(local.and_then(|nic| nic.missing)).and_then(|()| {
            let device = device.ok_or(LOST)?;
            let [rx_bytes, rx_packets, rx_errors, rx_drops, tx_bytes, tx_packets, tx_errors, tx_drops] =
                sieved(device.counters, [0, 1, 2, 3, 4, 5, 6, 7], given);
            Ok(NicCounters {
                rx_bytes,
                rx_packets,
                rx_errors,
                rx_drops,
                tx_bytes,
                tx_packets,
                tx_errors,
                tx_drops,
            })
        });
        NicReading { name: Arc::clone(name), counters }
    }

    /// Disks in the order of the reading; the local part names all of them.
    fn disks(&self) -> Measured<Vec<DiskReading>> {
        if !self.sure() {
            self.all_told(Told::has_all_disks)?;
        }
        let told: &[Device<5>] = self.told.map_or(&[], |told| &told.disks);
        let local: &[Disk] = self.local.map_or(&[], |local| &local.disks);
        if self.local.is_none() && told.is_empty() {
            return Err(LOST);
        }
        let line = |name: &str| told.iter().find(|device| *device.name == *name);
        let known = local.iter().map(|disk| self.disk(&disk.name, line(&disk.name), Some(disk)));
        let unknown = told
            .iter()
            .filter(|device| !local.iter().any(|disk| disk.name == device.name))
            .map(|device| self.disk(&device.name, Some(device), None));
        Ok(if self.sure() { known.chain(unknown).collect() } else { unknown.chain(known).collect() })
    }

    fn disk(&self, name: &Arc<str>, device: Option<&Device<5>>, local: Option<&Disk>) -> DiskReading {
        let counters = reason(local.and_then(|disk| disk.missing)).and_then(|()| {
            let given = if self.sure() { Some(local.ok_or(LOST)?.given) } else { None };
            let device = device.ok_or(LOST)?;
            // Times and flushes are in no line.
            let [rd_reqs, rd_bytes, wr_reqs, wr_bytes, errors] =
                sieved(device.counters, [0, 1, 3, 4, 8], given);
            Ok(DiskCounters { rd_reqs, rd_bytes, wr_reqs, wr_bytes, errors, ..DiskCounters::default() })
        });
        let size = local.and_then(|disk| disk.size);
        let before = || self.sizes.iter().find(|(of, _)| of == name).map(|(_, size)| *size);
        DiskReading { name: Arc::clone(name), counters, size: size.or_else(before).unwrap_or_default() }
    }
}

fn reason(group: Option<Missing>) -> Measured<()> {
    group.map_or(Ok(()), Err)
}

fn has(given: Given, bit: u32) -> bool {
    given.0 >> bit & 1 == 1
}

/// The counters that were given; without a mask, those that are not zero.
fn sieved<const N: usize>(
    counters: [Option<u64>; N],
    bits: [u32; N],
    given: Option<Given>,
) -> [Option<u64>; N] {
    let mut bits = bits.into_iter();
    counters.map(|counter| {
        let bit = bits.next().unwrap_or(0);
        counter.filter(|value| given.map_or(*value > 0, |given| has(given, bit)))
    })
}
