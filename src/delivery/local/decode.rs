//! Reads form 2, column by column as `encode` has written it. Trusts nothing:
//! what does not fit is [`Damaged`], and counts beyond what a host has are not
//! believed, so that a few bytes never ask for much memory.

use std::time::Duration;

use uuid::Uuid;

use super::{
    column::Damaged,
    fields::{DIFFERING, In, array, bounded, count_of, next, one, several, total, zagzig},
    form::{Cycle, Disk, Domain, Groups, Job, Name, Nic, Seen, Vcpu},
    scale::{latency, per_second, size},
};
use crate::model::{
    DomainState, HostLoad, Kib, Measured, WallTime,
    frame::{Health, HostFacts},
    host::{HostCpu, HostMemory, Pressure},
    reading::DiskSize,
};

/// Most live domains, vCPUs, and disks or NICs of a cycle that are believed.
const MOST_DOMAINS: usize = 1 << 14;
const MOST_VCPUS: usize = 1 << 18;
const MOST_DEVICES: usize = 1 << 16;
/// Most vCPUs for each byte. They alone may be all alike, such as those of
/// idle guests: domains differ by their ids, and a domain's devices by name.
/// One guest with as many vCPUs as QEMU can give takes some 70 bytes.
const ALIKE: usize = 256;

/// What `bytes` say.
pub(super) fn decode(bytes: &[u8]) -> Result<Cycle, Damaged> {
    let mut from = In::open(bytes)?;
    let cycle = Cycle {
        number: from.columns.number()?,
        at: WallTime(zagzig(from.columns.number()?)),
        took: Duration::from_micros(from.columns.number()?),
        interval: Duration::from_micros(from.columns.number()?),
        host: from.host()?,
        load: from.load()?,
        domains: from.domains()?,
    };
    if from.columns.ends_here() { Ok(cycle) } else { Err(Damaged) }
}

impl In<'_> {
    fn host(&mut self) -> Result<Option<HostFacts>, Damaged> {
        if !self.flag()? {
            return Ok(None);
        }
        let mut text = || -> Result<Option<String>, Damaged> {
            if self.flag()? { Ok(Some(one(self.texts(1)?)?.to_string())) } else { Ok(None) }
        };
        let (name, hypervisor, libvirt) = (text()?, text()?, text()?);
        let [cpus, memory_kib] = array(self.optional(2)?)?;
        let cpus = cpus.map(u32::try_from).transpose().map_err(|_| Damaged)?;
        Ok(Some(HostFacts { name, hypervisor, libvirt, cpus, memory_kib, demo: self.flag()? }))
    }

    fn load(&mut self) -> Result<Option<HostLoad>, Damaged> {
        if !self.flag()? {
            return Ok(None);
        }
        let [cpu, memory, pressure] = array(self.reasons(3)?)?;
        let cpu = if let Some(missing) = cpu {
            Err(missing)
        } else {
            let [user, system, iowait] = array(self.hundredths(3)?)?;
            Ok(HostCpu { user: sure(user)?, system: sure(system)?, iowait })
        };
        let memory = if let Some(missing) = memory {
            Err(missing)
        } else {
            let [total, available] = array(self.columns.column(2)?)?;
            Ok(HostMemory { total: Kib(total), available: Kib(available) })
        };
        let pressure = if let Some(missing) = pressure {
            Err(missing)
        } else {
            let [cpu, memory, io] = array(self.hundredths(3)?)?;
            Ok(Pressure { cpu: sure(cpu)?, memory: sure(memory)?, io: sure(io)? })
        };
        Ok(Some(HostLoad { cpu, memory, pressure }))
    }

    fn domains(&mut self) -> Result<Vec<Domain>, Damaged> {
        let most_devices = self.believed(MOST_DEVICES, DIFFERING);
        let count = bounded(self.columns.number()?, self.believed(MOST_DOMAINS, DIFFERING))?;
        let ids = self.columns.column(count)?;
        let has_name = self.flags(count)?;
        let mut names = self.names(count_of(&has_name))?.into_iter();
        let mut groups = Vec::new();
        for _ in 0..8 {
            groups.push(self.reasons(count)?.into_iter());
        }
        let seen = self.flags(count)?;
        let mut all_seen = self.seen(count_of(&seen))?.into_iter();
        let disks = self.columns.column(count)?;
        let mut all_disks = self.disks(total(&disks, most_devices)?)?.into_iter();
        let nics = self.columns.column(count)?;
        let mut all_nics = self.nics(total(&nics, most_devices)?)?.into_iter();
        let mut domains = Vec::with_capacity(count);
        for ((((id, named), seen), disks), nics) in
            ids.into_iter().zip(has_name).zip(seen).zip(disks).zip(nics)
        {
            let groups: Vec<_> = groups.iter_mut().map(|column| column.next().flatten()).collect();
            let [cpu, vcpus, vcpu_count, memory, rss, guest_memory, nic_group, disk_group] = array(groups)?;
            domains.push(Domain {
                id: u32::try_from(id).map_err(|_| Damaged)?,
                name: if named { Some(next(&mut names)?) } else { None },
                missing: Groups {
                    cpu,
                    vcpus,
                    vcpu_count,
                    memory,
                    rss,
                    guest_memory,
                    nics: nic_group,
                    disks: disk_group,
                },
                disks: several(&mut all_disks, disks)?,
                nics: several(&mut all_nics, nics)?,
                seen: if seen { Some(next(&mut all_seen)?) } else { None },
            });
        }
        Ok(domains)
    }

    fn names(&mut self, count: usize) -> Result<Vec<Name>, Damaged> {
        let high = self.columns.column(count)?;
        let low = self.columns.column(count)?;
        let names = self.texts(count)?;
        let uuids = high.into_iter().zip(low).map(|(high, low)| Uuid::from_u64_pair(high, low));
        Ok(uuids.zip(names).map(|(uuid, name)| Name { uuid, name }).collect())
    }

    fn seen(&mut self, count: usize) -> Result<Vec<Seen>, Damaged> {
        let mut states = self.columns.column(count)?.into_iter();
        let mut state_reasons = self.columns.column(count)?.into_iter();
        let healths = self.columns.column(count)?;
        let impaired = self.reasons(healths.iter().filter(|health| **health == 2).count())?;
        let mut impaired = impaired.into_iter();
        let mut cpu_percent = self.hundredths(count)?.into_iter();
        let mut overhead = self.hundredths(count)?.into_iter();
        let mut steal = self.hundredths(count)?.into_iter();
        let mut cpu_cores = self.reasons(count)?.into_iter();
        let mut memory_percent = self.reasons(count)?.into_iter();
        let mut memory_rate = self.reasons(count)?.into_iter();
        let mut held = self.flags(count)?.into_iter();
        let mut cpu_given = self.given(count)?.into_iter();
        let mut guest_given = self.given(count)?.into_iter();
        let counts = self.columns.column(count)?;
        let vcpus = self.vcpus(total(&counts, self.believed(MOST_VCPUS, ALIKE))?, &counts)?;
        let (mut counts, mut vcpus) = (counts.into_iter(), vcpus.into_iter());
        let jobs = self.flags(count)?;
        let mut all_jobs = self.jobs(count_of(&jobs))?.into_iter();
        let mut all = Vec::with_capacity(count);
        for (health, has_job) in healths.into_iter().zip(jobs) {
            all.push(Seen {
                state: state(next(&mut states)?)?,
                state_reason: zagzig(next(&mut state_reasons)?),
                health: match health {
                    0 => Health::Answering,
                    1 => Health::Inactive,
                    2 => Health::Impaired(next(&mut impaired)?.ok_or(Damaged)?),
                    _ => return Err(Damaged),
                },
                cpu_percent: next(&mut cpu_percent)?,
                cpu_cores: next(&mut cpu_cores)?,
                overhead_cores: next(&mut overhead)?,
                steal_percent: next(&mut steal)?,
                memory_percent: next(&mut memory_percent)?,
                memory_rate: next(&mut memory_rate)?,
                memory_held: next(&mut held)?,
                cpu_given: next(&mut cpu_given)?,
                guest_given: next(&mut guest_given)?,
                vcpus: several(&mut vcpus, next(&mut counts)?)?,
                job: if has_job { Some(next(&mut all_jobs)?) } else { None },
            });
        }
        Ok(all)
    }

    fn vcpus(&mut self, count: usize, of_each: &[u64]) -> Result<Vec<Vcpu>, Damaged> {
        let offsets = self.columns.column(count)?;
        let mut percent = self.hundredths(count)?.into_iter();
        let mut steal = self.hundredths(count)?.into_iter();
        let mut halted = self.columns.column(count)?.into_iter();
        let places = of_each.iter().flat_map(|count| 0..i64::try_from(*count).unwrap_or(0));
        let vcpu = |(place, offset): (i64, u64)| {
            Ok(Vcpu {
                index: place
                    .checked_add(zagzig(offset))
                    .and_then(|i| u32::try_from(i).ok())
                    .ok_or(Damaged)?,
                percent: next(&mut percent)?,
                steal_percent: next(&mut steal)?,
                halted: match next(&mut halted)? {
                    0 => Some(false),
                    1 => Some(true),
                    2 => None,
                    _ => return Err(Damaged),
                },
            })
        };
        places.zip(offsets).map(vcpu).collect()
    }

    fn jobs(&mut self, count: usize) -> Result<Vec<Job>, Damaged> {
        let operations = self.texts(count)?;
        let mut elapsed = self.optional(count)?.into_iter();
        let mut remaining = self.optional(count)?.into_iter();
        let mut total = self.optional(count)?.into_iter();
        let mut done = self.optional(count)?.into_iter();
        let mut left = self.optional(count)?.into_iter();
        let job = |operation| {
            Ok(Job {
                operation,
                elapsed: next(&mut elapsed)?.map(Duration::from_millis),
                remaining: next(&mut remaining)?.map(Duration::from_millis),
                total: next(&mut total)?,
                done: next(&mut done)?,
                left: next(&mut left)?,
            })
        };
        operations.into_iter().map(job).collect()
    }

    fn disks(&mut self, count: usize) -> Result<Vec<Disk>, Damaged> {
        let names = self.texts(count)?;
        let mut missing = self.reasons(count)?.into_iter();
        let mut given = self.given(count)?.into_iter();
        let sized = self.flags(count)?;
        let known = count_of(&sized);
        let mut sized = sized.into_iter();
        let mut capacity = self.optional(known)?.into_iter();
        let mut allocation = self.optional(known)?.into_iter();
        let mut physical = self.optional(known)?.into_iter();
        let mut rates = Vec::new();
        for _ in 0..4 {
            rates.push(self.reasons(count)?.into_iter());
        }
        let mut read = self.measured(count, latency::value)?.into_iter();
        let mut write = self.measured(count, latency::value)?.into_iter();
        let mut flush = self.measured(count, latency::value)?.into_iter();
        let mut flushes = self.measured(count, per_second::value)?.into_iter();
        let disk = |name| {
            let size = if next(&mut sized)? {
                Some(DiskSize {
                    capacity: next(&mut capacity)?.map(size::value),
                    allocation: next(&mut allocation)?.map(size::value),
                    physical: next(&mut physical)?.map(size::value),
                })
            } else {
                None
            };
            Ok(Disk {
                name,
                missing: next(&mut missing)?,
                given: next(&mut given)?,
                size,
                rates: array(rates.iter_mut().map(|column| column.next().flatten()).collect())?,
                ms_per_read: next(&mut read)?,
                ms_per_write: next(&mut write)?,
                ms_per_flush: next(&mut flush)?,
                flushes_per_s: next(&mut flushes)?,
            })
        };
        names.into_iter().map(disk).collect()
    }

    fn nics(&mut self, count: usize) -> Result<Vec<Nic>, Damaged> {
        let names = self.texts(count)?;
        let mut missing = self.reasons(count)?.into_iter();
        let mut given = self.given(count)?.into_iter();
        let mut rates = Vec::new();
        for _ in 0..6 {
            rates.push(self.reasons(count)?.into_iter());
        }
        let nic = |name| {
            Ok(Nic {
                name,
                missing: next(&mut missing)?,
                given: next(&mut given)?,
                rates: array(rates.iter_mut().map(|column| column.next().flatten()).collect())?,
            })
        };
        names.into_iter().map(nic).collect()
    }
}

fn state(code: u64) -> Result<DomainState, Damaged> {
    let state = DomainState::from_code(i64::try_from(code).unwrap_or(-1));
    if u64::from(state.code()) == code { Ok(state) } else { Err(Damaged) }
}

/// A value that no reason stands in the place of.
fn sure(value: Measured<f64>) -> Result<f64, Damaged> {
    value.map_err(|_| Damaged)
}
