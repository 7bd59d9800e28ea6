//! The judge of a run: looks at every frame of the real collector and at the
//! lines made of it, and fails on the first number that cannot be.
//!
//! What it holds rates against is its own arithmetic over the counters it saw,
//! and what a machine can do at most. It starts no guest and changes nothing.

mod bounds;
mod lines;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, mpsc},
    time::Duration,
};

use kvmscope::{
    collector::Sink,
    model::{DomainFrame, DomainReading, Frame, MonoTime, Nanos, status::CollectorStatus},
};
use uuid::Uuid;

use bounds::Physics;
use lines::Totals;
pub use lines::values;

/// Readings of a domain after which a device that is gone must be gone.
const FOLLOWED_WITHIN: u32 = 3;

/// A domain's incarnation.
type Who = (Uuid, u32);

/// Hands every frame to the test.
pub struct Frames(pub mpsc::Sender<Arc<Frame>>);

impl Sink for Frames {
    fn frame(&mut self, frame: Arc<Frame>) {
        drop(self.0.send(frame));
    }

    fn status(&mut self, _: CollectorStatus) {}
}

/// What was seen so far.
pub struct Watch {
    totals: Totals,
    physics: Physics,
    seen: HashMap<Who, Seen>,
    /// The devices that libvirt says a domain has, since when, and how many
    /// readings were made since.
    truths: HashMap<Uuid, Truth>,
    pub frames: u64,
    pub readings: u64,
    /// Rates that were there.
    pub rates: u64,
}

struct Truth {
    since: MonoTime,
    devices: BTreeSet<String>,
    readings: u32,
}

/// The last counters of one incarnation, each with its instant.
#[derive(Default)]
struct Seen {
    last: BTreeMap<String, (MonoTime, u64)>,
    at: MonoTime,
    /// How far off that instant may be.
    error: Duration,
    nics: BTreeSet<String>,
    disks: BTreeSet<String>,
    /// Devices that were replaced by others of the same name.
    replaced: HashSet<String>,
}

impl Seen {
    /// Takes the devices of a reading and lets the counters go of those that
    /// left: they start anew when they come again. A group that did not answer
    /// says nothing about its devices.
    fn follow(&mut self, reading: &DomainReading) {
        let mut left = BTreeSet::new();
        let mut follow = |known: &mut BTreeSet<String>, now: Option<BTreeSet<String>>| {
            if let Some(now) = now {
                left.extend(known.difference(&now).cloned());
                *known = now;
            }
        };
        let nics = reading.nics.as_ref().ok();
        follow(&mut self.nics, nics.map(|nics| nics.iter().map(|nic| nic.name.to_string()).collect()));
        let disks = reading.disks.as_ref().ok();
        follow(&mut self.disks, disks.map(|disks| disks.iter().map(|disk| disk.name.to_string()).collect()));
        let vcpus = reading.vcpus.as_ref().ok();
        self.last.retain(|counter, _| {
            let owner = counter.split('.').next().unwrap();
            let unplugged = owner.strip_prefix("vcpu").is_some_and(|index| {
                vcpus.is_some_and(|vcpus| !vcpus.iter().any(|vcpu| vcpu.index.to_string() == index))
            });
            !left.contains(owner) && !unplugged
        });
        self.replaced.retain(|device| !left.contains(device));
    }
}

impl Watch {
    pub fn new() -> Self {
        Self {
            totals: Totals::new(),
            physics: Physics::of_this_machine(),
            seen: HashMap::new(),
            truths: HashMap::new(),
            frames: 0,
            readings: 0,
            rates: 0,
        }
    }

    /// libvirt has said at `since` which devices the domain has.
    pub fn told(&mut self, uuid: Uuid, devices: BTreeSet<String>, since: MonoTime) {
        self.truths.insert(uuid, Truth { since, devices, readings: 0 });
    }

    /// A device was taken away and another put in its place at once.
    pub fn replaced(&mut self, uuid: Uuid, device: &str) {
        for (_, seen) in self.seen.iter_mut().filter(|((known, _), _)| *known == uuid) {
            seen.replaced.insert(device.to_owned());
        }
    }

    /// Judges one frame.
    pub fn frame(&mut self, frame: &Frame) {
        self.frames += 1;
        let uuids: HashSet<_> = frame.domains.iter().map(|d| d.identity().uuid).collect();
        assert_eq!(uuids.len(), frame.domains.len(), "a uuid twice");
        let live: Vec<_> = frame.domains.iter().filter_map(|d| d.identity().id).collect();
        assert_eq!(live.iter().collect::<HashSet<_>>().len(), live.len(), "an id twice: {live:?}");
        for domain in &frame.domains {
            self.rates += Physics::shape(domain);
            if domain.fresh && domain.is_live() {
                self.readings += 1;
                self.reading(frame, domain);
            }
        }
        let replaced = |uuid: &Uuid| {
            self.seen.iter().any(|((known, _), seen)| known == uuid && !seen.replaced.is_empty())
        };
        self.totals.frame(frame, replaced);
        self.seen.retain(|(uuid, _), _| uuids.contains(uuid));
    }

    fn reading(&mut self, frame: &Frame, domain: &DomainFrame) {
        let (identity, reading) = (domain.identity(), &domain.reading);
        let who = (identity.uuid, identity.id.unwrap());
        let name = format!("{} ({}) in frame {}", identity.name, who.1, self.frames);
        let devices = device_names(reading);
        if let Some(truth) = self.truths.get_mut(&who.0)
            && reading.mono > truth.since
        {
            truth.readings += 1;
            let stale: Vec<_> = devices.difference(&truth.devices).collect();
            assert!(truth.readings < FOLLOWED_WITHIN || stale.is_empty(), "{name}: {stale:?} are gone");
        }
        let error = frame.took;
        let seen = self.seen.entry(who).or_default();
        let first = seen.last.is_empty();
        let counters = counters(reading);
        seen.follow(reading);
        for (counter, value) in &counters {
            let device = counter.split('.').next().unwrap();
            if let Some((_, before)) = seen.last.get(counter)
                && value < before
            {
                let replaced = seen.replaced.contains(device);
                assert!(replaced, "{name}: {counter} fell from {before} to {value}: {reading:?}");
            }
        }
        for (counter, rate) in rates(domain) {
            let before = seen.last.get(&counter);
            let now = counters.get(&counter);
            let (Some((at, before)), Some(now)) = (before, now) else {
                panic!("{name}: a rate of {counter}, {rate}, between {before:?} and {now:?}");
            };
            let span = reading.mono.since(*at).as_secs_f64();
            let growth = now.checked_sub(*before).unwrap_or_else(|| panic!("{name}: {counter} of {rate}"));
            #[allow(clippy::cast_precision_loss, reason = "counters of a short run")]
            let expected = growth as f64 / span;
            let near = (rate - expected).abs() <= expected * 1e-9 + 1e-9;
            assert!(near, "{name}: {counter} rises by {rate}, and not by {expected} per second");
        }
        if first {
            assert!(domain.rates.cpu_percent.is_err(), "{name}: a rate at first sight");
            assert!(domain.rates.memory_kib_per_s.is_err(), "{name}: a rate at first sight");
        } else {
            let span = reading.mono.since(seen.at);
            self.physics.bounds(&name, domain, span, seen.error + error);
        }
        seen.at = reading.mono;
        seen.error = error;
        seen.last.extend(counters.into_iter().map(|(counter, value)| (counter, (reading.mono, value))));
        // Two readings after a device was replaced its counters are its own.
        if self.truths.get(&who.0).is_some_and(|truth| truth.readings >= FOLLOWED_WITHIN) {
            seen.replaced.clear();
        }
    }
}

/// The names of all devices of a reading, which must differ.
pub fn device_names(reading: &DomainReading) -> BTreeSet<String> {
    let nics = reading.nics.iter().flatten().map(|nic| nic.name.to_string());
    let disks = reading.disks.iter().flatten().map(|disk| disk.name.to_string());
    let names: Vec<_> = nics.chain(disks).collect();
    let set: BTreeSet<_> = names.iter().cloned().collect();
    assert_eq!(set.len(), names.len(), "{}: a device twice: {names:?}", reading.identity.name);
    set
}

/// Every counter of a reading that must never fall, by a name of its own.
fn counters(reading: &DomainReading) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let mut add = |owner: &str, counter: &str, value: Option<u64>| {
        if let Some(value) = value {
            all.insert(format!("{owner}.{counter}"), value);
        }
    };
    let nanos = |n: Option<Nanos>| n.map(|n| n.0);
    if let Ok(cpu) = &reading.cpu {
        add("cpu", "time", Some(cpu.time.0));
    }
    for vcpu in reading.vcpus.iter().flatten() {
        let owner = format!("vcpu{}", vcpu.index);
        add(&owner, "time", nanos(vcpu.time));
        add(&owner, "delay", nanos(vcpu.delay));
    }
    for nic in reading.nics.iter().flatten() {
        if let Ok(c) = &nic.counters {
            add(&nic.name, "rx_bytes", c.rx_bytes);
            add(&nic.name, "tx_bytes", c.tx_bytes);
            add(&nic.name, "rx_packets", c.rx_packets);
            add(&nic.name, "tx_packets", c.tx_packets);
        }
    }
    for disk in reading.disks.iter().flatten() {
        if let Ok(c) = &disk.counters {
            add(&disk.name, "rd_bytes", c.rd_bytes);
            add(&disk.name, "wr_bytes", c.wr_bytes);
            add(&disk.name, "rd_reqs", c.rd_reqs);
            add(&disk.name, "wr_reqs", c.wr_reqs);
            add(&disk.name, "fl_reqs", c.fl_reqs);
            add(&disk.name, "rd_times", nanos(c.rd_times));
            add(&disk.name, "wr_times", nanos(c.wr_times));
        }
    }
    all
}

/// The rates that are there, each by the counter it is the rate of, in that
/// counter's unit.
fn rates(domain: &DomainFrame) -> Vec<(String, f64)> {
    let rates = &domain.rates;
    let mut all = Vec::new();
    let mut add = |owner: &str, counter: &str, rate: kvmscope::model::Measured<f64>, unit: f64| {
        if let Ok(rate) = rate {
            all.push((format!("{owner}.{counter}"), rate * unit));
        }
    };
    add("cpu", "time", rates.cpu_cores, 1e9);
    for vcpu in &rates.vcpus {
        let owner = format!("vcpu{}", vcpu.index);
        add(&owner, "time", vcpu.percent, 1e7);
        add(&owner, "delay", vcpu.steal_percent, 1e7);
    }
    for (name, nic) in &rates.nics {
        add(name, "rx_bytes", nic.rx_bytes_per_s, 1.0);
        add(name, "tx_bytes", nic.tx_bytes_per_s, 1.0);
        add(name, "rx_packets", nic.rx_packets_per_s, 1.0);
        add(name, "tx_packets", nic.tx_packets_per_s, 1.0);
    }
    for (name, disk) in &rates.disks {
        add(name, "rd_bytes", disk.read_bytes_per_s, 1.0);
        add(name, "wr_bytes", disk.write_bytes_per_s, 1.0);
        add(name, "rd_reqs", disk.reads_per_s, 1.0);
        add(name, "wr_reqs", disk.writes_per_s, 1.0);
        add(name, "fl_reqs", disk.flushes_per_s, 1.0);
    }
    all
}
