//! A frame as line protocol: **where every line is encoded**.
//!
//! Owns the four measurements' names, tags, fields and types, and what is
//! written for a value that is missing. It appends to the caller's buffer and
//! allocates nothing once it knows the domains. It sends nothing and stores
//! nothing but the tags of the domains and their devices' last counters.

mod columns;
mod escape;
mod fields;
mod known;
mod split;
mod tags;
mod totals;

use std::collections::BTreeMap;

use self::{
    columns::Columns,
    fields::{Field, Gathered, Line, Stamp, field, key, offered},
    known::{Known, KnownDevice},
    totals::Sum,
};
use crate::{
    config::MissingPolicy,
    model::{
        DomainFrame, Frame, Measured, Missing, Why,
        missing::Kind,
        rates::stored_memory_angle,
        reading::{DiskCounters, GuestMemory, NicCounters},
    },
};

pub use self::{
    fields::Encoded,
    split::{Piece, split},
    tags::TagError,
};

/// Turns frames into lines. One encoder sees all frames in order: it keeps
/// what stands in for a device that fails in a cycle.
#[derive(Debug)]
pub struct Encoder {
    missing: MissingPolicy,
    /// `,key=value` of the static tags.
    tags: Vec<u8>,
    /// The live domains of the last frame, in its order.
    known: Vec<Known>,
    gathered: Box<Gathered>,
}

impl Encoder {
    /// An encoder that adds `tags` to every line.
    ///
    /// # Errors
    /// A tag key is used by the measurements themselves or cannot be written.
    pub fn new(missing: MissingPolicy, tags: &BTreeMap<String, String>) -> Result<Self, TagError> {
        Ok(Self { missing, tags: tags::spell(tags)?, known: Vec::new(), gathered: Box::default() })
    }

    /// Appends all lines of `frame` to `out`, each ended by a newline: those
    /// of live domains that were read in this cycle.
    pub fn encode(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Encoded {
        let mut done = Encoded::default();
        let mut places = 0;
        for domain in frame.domains.iter().filter(|domain| domain.is_live()) {
            let place = places;
            places += 1;
            let known = known::meet(&mut self.known, place, &domain.reading.identity, &self.tags);
            if domain.fresh {
                known.count_nics(&domain.reading.nics, &self.tags);
                known.count_disks(&domain.reading.disks, &self.tags);
                let mut lines = Lines {
                    out,
                    done: &mut done,
                    missing: self.missing,
                    gathered: &mut self.gathered,
                    at: Stamp::new(domain.reading.at),
                };
                lines.domain(domain, known);
            }
        }
        self.known.truncate(places);
        done
    }
}

/// The lines of one domain in one frame.
struct Lines<'a> {
    out: &'a mut Vec<u8>,
    done: &'a mut Encoded,
    missing: MissingPolicy,
    gathered: &'a mut Gathered,
    /// When the domain was read.
    at: Stamp,
}

impl Lines<'_> {
    fn domain(&mut self, domain: &DomainFrame, known: &Known) {
        self.metrics(domain, known);
        self.features(domain, known);
        self.devices(domain, known);
        self.totals(domain, known);
    }

    /// Begins a line that has `head`, the tags, and the time of the reading.
    fn begin<const N: usize>(&mut self, head: [&[u8]; N]) -> Line<'_> {
        Line::begin(self.out, self.done, self.missing, self.gathered, &self.at, head)
    }

    fn metrics(&mut self, domain: &DomainFrame, known: &Known) {
        let reading = &domain.reading;
        let mut line = self.begin([b"vm_metrics", &known.tags]);
        line.string(key!("state"), reading.state.word());
        line.int(key!("cpu_count"), field(reading.vcpu_count.map(u64::from)));
        line.int(key!("memory_max_kb"), field(reading.memory.map(|m| m.maximum.0)));
        line.int(key!("memory_used_kb"), field(reading.memory_used().map(|(used, _)| used.0)));
        line.int(key!("cputime_ns"), field(reading.cpu.map(|cpu| cpu.time.0)));
        line.end();
    }

    fn features(&mut self, domain: &DomainFrame, known: &Known) {
        // Only where memory was read anew.
        if domain.rates.memory_held {
            return;
        }
        let Some(rate) = domain.rates.memory_kib_per_s.ok().filter(|rate| rate.is_finite()) else { return };
        let mut line = self.begin([b"vm_features", &known.tags]);
        line.float(key!("memory_rate_kb_per_sec"), rate);
        line.float(key!("memory_angle_deg"), stored_memory_angle(rate).0);
        line.end();
    }

    fn devices(&mut self, domain: &DomainFrame, known: &Known) {
        let reading = &domain.reading;
        for (nic, device) in reading.nics.iter().flatten().zip(&known.nics) {
            // Such a NIC has no line at all; the screen says why.
            let uncounted =
                |m: &Missing| matches!(m.why, Why::HostdevNic | Why::UserModeNic | Why::UnnamedNic);
            if !nic.counters.as_ref().is_err_and(uncounted) {
                self.device(&device.head, nic.counters);
            }
        }
        for (disk, device) in reading.disks.iter().flatten().zip(&known.disks) {
            self.device(&device.head, disk.counters);
        }
    }

    fn device<T: Columns<N>, const N: usize>(&mut self, head: &[u8], counters: Measured<T>) {
        let mut line = self.begin([head]);
        let values = match counters {
            Ok(counters) => counters.values().map(offered),
            Err(missing) => [Err(missing.kind()); N],
        };
        T::device(&mut line, values);
        line.end();
    }

    fn totals(&mut self, domain: &DomainFrame, known: &Known) {
        let reading = &domain.reading;
        let mut line = self.begin([b"vm_totals", &known.tags]);
        let nics = reading.nics.as_ref().map(|nics| nics.iter().map(|n| n.counters.err()));
        NicCounters::total(&mut line, totals(nics, &known.nics));
        let disks = reading.disks.as_ref().map(|disks| disks.iter().map(|d| d.counters.err()));
        DiskCounters::total(&mut line, totals(disks, &known.disks));
        line.int(key!("memactual"), field(reading.memory.map(|m| m.current.0)));
        line.int(key!("memrss"), field(reading.rss.map(|rss| rss.0)));
        let guest = |pick: fn(&GuestMemory) -> Option<u64>| {
            field(reading.guest_memory).and_then(|guest| offered(pick(&guest)))
        };
        line.int(key!("memavailable"), guest(|g| g.available.map(|kib| kib.0)));
        line.int(key!("memusable"), guest(|g| g.usable.map(|kib| kib.0)));
        line.int(key!("memswap_in"), guest(|g| g.swap_in.map(|kib| kib.0)));
        line.int(key!("memswap_out"), guest(|g| g.swap_out.map(|kib| kib.0)));
        line.int(key!("memmajor_fault"), guest(|g| g.major_faults));
        line.int(key!("memminor_fault"), guest(|g| g.minor_faults));
        line.int(key!("memdisk_cache"), guest(|g| g.disk_caches.map(|kib| kib.0)));
        let cpu = field(reading.cpu);
        line.int(key!("timeusr"), cpu.and_then(|cpu| offered(cpu.user.map(|time| time.0))));
        line.int(key!("timesys"), cpu.and_then(|cpu| offered(cpu.system.map(|time| time.0))));
        line.int(key!("cputime"), cpu.map(|cpu| cpu.time.0));
        line.int(key!("cpus"), field(reading.vcpu_count.map(u64::from)));
        line.int(key!("state"), Ok(u64::from(reading.state.code())));
        line.end();
    }
}

/// The sums of all counters over a domain's devices. `failures` tells, in the
/// order of `known`, why a device has no counters in this reading.
fn totals<T: Columns<N>, const N: usize>(
    failures: Result<impl Iterator<Item = Option<Missing>>, &Missing>,
    known: &[KnownDevice<T>],
) -> [Field<u64>; N] {
    let failures = match failures {
        Ok(failures) => failures,
        // A domain without any device has a true total, and it is zero.
        Err(Missing { why: Why::NoNics | Why::NoDisks, .. }) => return [Ok(0); N],
        Err(missing) => return [Err(missing.kind()); N],
    };
    let mut sums = [Sum::default(); N];
    for (device, failure) in known.iter().zip(failures) {
        // The last counters are this reading's, unless the device failed.
        let values = match &device.last {
            Some(last) => last.values().map(offered),
            None => [Err(failure.map_or(Kind::NotThisTime, Missing::kind)); N],
        };
        for (sum, value) in sums.iter_mut().zip(values) {
            sum.add(value);
        }
    }
    sums.map(Sum::total)
}
