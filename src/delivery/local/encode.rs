//! Form 2: columns over the domains, the disks, the vCPUs, each as narrow as
//! its values allow; reasons and texts once, by number.
//!
//! ```text
//! bytes of the texts, bytes of the tables (two numbers of 4 bytes)
//! texts    one after the other
//! tables   the reasons; how long each text is
//! columns  in the order below, which `decode` reads in the same order
//! ```

use std::collections::HashMap;

use super::{
    column::Writer,
    form::{Cycle, Disk, Domain, Groups, Nic, Seen, Vcpu},
    reasons,
    scale::{hundredths, latency, per_second, size},
};
use crate::model::{
    HostLoad, Measured, Missing, Why,
    frame::{Health, HostFacts},
};

/// The bytes of `cycle`.
pub(super) fn encode(cycle: &Cycle) -> Vec<u8> {
    let mut out = Out::default();
    out.number(cycle.number);
    out.number(zigzag(cycle.at.0));
    out.number(micros(cycle.took));
    out.number(micros(cycle.interval));
    out.host(cycle.host.as_ref());
    out.load(cycle.load.as_ref());
    out.domains(&cycle.domains);
    out.finish()
}

#[derive(Default)]
struct Out<'a> {
    columns: Writer,
    text: Vec<u8>,
    lengths: Vec<u64>,
    /// The number of each text and each reason, from 0.
    texts: HashMap<&'a str, u64>,
    reasons: HashMap<Missing, u64>,
    order: Vec<Missing>,
    scratch: Vec<u64>,
}

impl<'a> Out<'a> {
    fn host(&mut self, host: Option<&'a HostFacts>) {
        self.flag(host.is_some());
        let Some(host) = host else { return };
        for text in [&host.name, &host.hypervisor, &host.libvirt] {
            self.flag(text.is_some());
            self.texts(text.as_deref().into_iter());
        }
        self.optional([host.cpus.map(u64::from), host.memory_kib].into_iter());
        self.flag(host.demo);
    }

    fn load(&mut self, load: Option<&HostLoad>) {
        self.flag(load.is_some());
        let Some(load) = load else { return };
        self.reasons([load.cpu.err(), load.memory.err(), load.pressure.err()].into_iter());
        if let Ok(cpu) = load.cpu {
            self.hundredths([Ok(cpu.user), Ok(cpu.system), cpu.iowait].into_iter());
        }
        if let Ok(memory) = load.memory {
            self.column([memory.total.0, memory.available.0].into_iter());
        }
        if let Ok(of) = load.pressure {
            self.hundredths([of.cpu, of.memory, of.io].map(Ok).into_iter());
        }
    }

    fn domains(&mut self, domains: &'a [Domain]) {
        self.number(domains.len() as u64);
        self.column(domains.iter().map(|d| d.id.into()));
        self.column(domains.iter().map(|d| d.name.is_some().into()));
        let names = || domains.iter().filter_map(|d| d.name.as_ref());
        self.column(names().map(|name| name.uuid.as_u64_pair().0));
        self.column(names().map(|name| name.uuid.as_u64_pair().1));
        self.texts(names().map(|name| &*name.name));
        let groups: [fn(&Groups) -> Option<Missing>; 8] = [
            |of| of.cpu,
            |of| of.vcpus,
            |of| of.vcpu_count,
            |of| of.memory,
            |of| of.rss,
            |of| of.guest_memory,
            |of| of.nics,
            |of| of.disks,
        ];
        for pick in groups {
            self.reasons(domains.iter().map(|d| pick(&d.missing)));
        }
        self.column(domains.iter().map(|d| d.seen.is_some().into()));
        let seen: Vec<&Seen> = domains.iter().filter_map(|d| d.seen.as_ref()).collect();
        self.seen(&seen);
        self.column(domains.iter().map(|d| d.disks.len() as u64));
        let disks: Vec<&Disk> = domains.iter().flat_map(|d| &d.disks).collect();
        self.disks(&disks);
        self.column(domains.iter().map(|d| d.nics.len() as u64));
        let nics: Vec<&Nic> = domains.iter().flat_map(|d| &d.nics).collect();
        self.nics(&nics);
    }

    fn seen(&mut self, seen: &[&'a Seen]) {
        let all = || seen.iter().copied();
        self.column(all().map(|s| s.state.code().into()));
        self.column(all().map(|s| zigzag(s.state_reason)));
        self.column(all().map(|s| match s.health {
            Health::Answering => 0,
            Health::Inactive => 1,
            Health::Impaired(_) => 2,
        }));
        self.reasons(all().filter_map(|s| match s.health {
            Health::Impaired(missing) => Some(Some(missing)),
            _ => None,
        }));
        self.hundredths(all().map(|s| s.cpu_percent));
        self.hundredths(all().map(|s| s.overhead_cores));
        self.hundredths(all().map(|s| s.steal_percent));
        self.reasons(all().map(|s| s.cpu_cores));
        self.reasons(all().map(|s| s.memory_percent));
        self.reasons(all().map(|s| s.memory_rate));
        self.column(all().map(|s| s.memory_held.into()));
        self.column(all().map(|s| s.cpu_given.0.into()));
        self.column(all().map(|s| s.guest_given.0.into()));
        self.column(all().map(|s| s.vcpus.len() as u64));
        let vcpus = || all().flat_map(|s| &s.vcpus);
        // Beside the place in the list, which it nearly always is.
        let places = || all().flat_map(|s| (0..).zip(&s.vcpus));
        self.column(places().map(|(place, vcpu): (i64, &Vcpu)| zigzag(i64::from(vcpu.index) - place)));
        self.hundredths(vcpus().map(|v| v.percent));
        self.hundredths(vcpus().map(|v| v.steal_percent));
        self.column(vcpus().map(|v| v.halted.map_or(2, u64::from)));
        self.column(all().map(|s| s.job.is_some().into()));
        let jobs = || all().filter_map(|s| s.job.as_ref());
        self.texts(jobs().map(|job| &*job.operation));
        let span = |span: Option<std::time::Duration>| span.map(millis);
        self.optional(jobs().map(|job| span(job.elapsed)));
        self.optional(jobs().map(|job| span(job.remaining)));
        self.optional(jobs().map(|job| job.total));
        self.optional(jobs().map(|job| job.done));
        self.optional(jobs().map(|job| job.left));
    }

    fn disks(&mut self, disks: &[&'a Disk]) {
        let all = || disks.iter().copied();
        self.texts(all().map(|d| &*d.name));
        self.reasons(all().map(|d| d.missing));
        self.column(all().map(|d| d.given.0.into()));
        self.column(all().map(|d| d.size.is_some().into()));
        let sizes = || all().filter_map(|d| d.size);
        self.optional(sizes().map(|s| s.capacity.map(size::code)));
        self.optional(sizes().map(|s| s.allocation.map(size::code)));
        self.optional(sizes().map(|s| s.physical.map(size::code)));
        for place in 0..4 {
            self.reasons(all().map(|d| d.rates.get(place).copied().flatten()));
        }
        self.measured(all().map(|d| d.ms_per_read), latency::code);
        self.measured(all().map(|d| d.ms_per_write), latency::code);
        self.measured(all().map(|d| d.ms_per_flush), latency::code);
        self.measured(all().map(|d| d.flushes_per_s), per_second::code);
    }

    fn nics(&mut self, nics: &[&'a Nic]) {
        let all = || nics.iter().copied();
        self.texts(all().map(|n| &*n.name));
        self.reasons(all().map(|n| n.missing));
        self.column(all().map(|n| n.given.0.into()));
        for place in 0..6 {
            self.reasons(all().map(|n| n.rates.get(place).copied().flatten()));
        }
    }

    fn number(&mut self, number: u64) {
        self.columns.number(number);
    }

    fn flag(&mut self, flag: bool) {
        self.column([u64::from(flag)].into_iter());
    }

    fn column(&mut self, values: impl Iterator<Item = u64>) {
        self.scratch.clear();
        self.scratch.extend(values);
        self.columns.column(&self.scratch);
    }

    /// Which are there, then those.
    fn optional(&mut self, values: impl Iterator<Item = Option<u64>> + Clone) {
        self.column(values.clone().map(|value| value.is_some().into()));
        self.column(values.flatten());
    }

    /// 0 for a value that is there, else a reason's number, from 1.
    fn reasons(&mut self, values: impl Iterator<Item = Option<Missing>>) {
        self.scratch.clear();
        for missing in values {
            let number = missing.map_or(0, |missing| {
                1 + *self.reasons.entry(missing).or_insert_with(|| {
                    self.order.push(missing);
                    self.order.len() as u64 - 1
                })
            });
            self.scratch.push(number);
        }
        self.columns.column(&self.scratch);
    }

    /// Why values are missing, then those that are not.
    fn measured(
        &mut self,
        values: impl Iterator<Item = Measured<f64>> + Clone,
        code: fn(f64) -> Option<u64>,
    ) {
        let none = Missing::new(Why::NotOffered);
        let coded = values.map(|value| value.and_then(|value| code(value).ok_or(none)));
        self.reasons(coded.clone().map(Result::err));
        self.column(coded.filter_map(Result::ok));
    }

    fn hundredths(&mut self, values: impl Iterator<Item = Measured<f64>> + Clone) {
        self.measured(values, hundredths::code);
    }

    fn texts(&mut self, texts: impl Iterator<Item = &'a str>) {
        self.scratch.clear();
        for text in texts {
            let number = *self.texts.entry(text).or_insert_with(|| {
                self.text.extend_from_slice(text.as_bytes());
                self.lengths.push(text.len() as u64);
                self.lengths.len() as u64 - 1
            });
            self.scratch.push(number);
        }
        self.columns.column(&self.scratch);
    }

    fn finish(self) -> Vec<u8> {
        let mut tables = Writer::default();
        let codes: Vec<(u64, u64)> = self.order.iter().map(|missing| reasons::code(missing.why)).collect();
        let since = || self.order.iter().filter_map(|missing| missing.since);
        let columns: [Vec<u64>; 4] = [
            codes.iter().map(|(code, _)| *code).collect(),
            codes.iter().map(|(_, beside)| *beside).collect(),
            self.order.iter().map(|missing| missing.since.is_some().into()).collect(),
            since().map(|since| zigzag(since.0)).collect(),
        ];
        tables.number(self.order.len() as u64);
        for column in &columns {
            tables.column(column);
        }
        tables.number(self.lengths.len() as u64);
        tables.column(&self.lengths);
        let tables = tables.into_bytes();
        let mut bytes = Vec::with_capacity(8 + self.text.len() + tables.len());
        for length in [self.text.len(), tables.len()] {
            // A cycle is far from 4 GiB; one that were not would be found damaged.
            bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend_from_slice(&self.text);
        bytes.extend_from_slice(&tables);
        bytes.extend_from_slice(&self.columns.into_bytes());
        bytes
    }
}

/// Small numbers of either sign as small numbers.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn micros(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
