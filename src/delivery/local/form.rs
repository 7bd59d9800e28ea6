//! What a cycle's local part says, as values: made from a frame (`made`), or
//! read back.
//!
//! Numbers are as fine as the screen shows them (`scale`): percentages, cores
//! and pressure in hundredths; latencies in microseconds and flushes in tenths
//! per second, three digits of either; sizes of disks to a hundred-thousandth
//! part; durations in microseconds. A value that is missing has its reason,
//! never a number.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use crate::model::{
    DomainState, HostLoad, Measured, Missing, WallTime,
    frame::{Health, HostFacts},
    reading::DiskSize,
};

/// One cycle beside its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Cycle {
    /// Number of the cycle since that process started.
    pub number: u64,
    /// When it closed.
    pub at: WallTime,
    /// How long it took.
    pub took: Duration,
    /// The interval it was meant to keep.
    pub interval: Duration,
    /// The host, in cycles that have it; see [`super::Encoder`].
    pub host: Option<HostFacts>,
    /// What the host was busy with; `None`: that version did not keep it.
    pub load: Option<HostLoad>,
    /// Live domains, in the order of their lines.
    pub domains: Vec<Domain>,
}

/// One live domain of a cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// libvirt's id.
    pub id: u32,
    /// Who it is. `None`: the cycle's lines say so; see [`Cycle::name_by`].
    pub name: Option<Name>,
    /// Why groups of its reading are missing.
    pub missing: Groups,
    /// Its disks, in the order of the reading. Of a cycle that another version
    /// wrote, those of which something is missing.
    pub disks: Vec<Disk>,
    /// NICs of which something is missing. Of any other the lines say all.
    pub nics: Vec<Nic>,
    /// What was seen of it. `None`: nothing of it was read in this cycle, so
    /// it has no line either; or that version kept reasons alone.
    pub seen: Option<Seen>,
}

/// Who a domain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// libvirt's uuid.
    pub uuid: Uuid,
    /// Its name.
    pub name: Arc<str>,
}

/// Why groups of a reading are missing; `None`: they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the group of that name of a reading")]
pub struct Groups {
    pub cpu: Option<Missing>,
    pub vcpus: Option<Missing>,
    pub vcpu_count: Option<Missing>,
    pub memory: Option<Missing>,
    pub rss: Option<Missing>,
    pub guest_memory: Option<Missing>,
    pub nics: Option<Missing>,
    pub disks: Option<Missing>,
}

/// What the screen shows of a domain that its lines cannot say.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// State; the lines say it, too.
    pub state: DomainState,
    /// libvirt's code of why it is in that state.
    pub state_reason: i64,
    /// How it behaved.
    pub health: Health,
    /// The guest's own CPU use, percent of all vCPUs.
    pub cpu_percent: Measured<f64>,
    /// Why the process's CPU use is missing; the lines have the counter.
    pub cpu_cores: Option<Missing>,
    /// QEMU's own cost, in cores.
    pub overhead_cores: Measured<f64>,
    /// Steal, mean over the vCPUs.
    pub steal_percent: Measured<f64>,
    /// Why the percentage of memory is missing.
    pub memory_percent: Option<Missing>,
    /// Why memory's rate is missing.
    pub memory_rate: Option<Missing>,
    /// Whether that rate is an earlier cycle's.
    pub memory_held: bool,
    /// Which CPU counters there are: user, system. The zero that a line may
    /// have in the place of the others is no number.
    pub cpu_given: Given,
    /// The same of the guest's report: available, usable, unused, swap in and
    /// out, major and minor faults, disk caches.
    pub guest_given: Given,
    /// vCPUs, in the order of the reading.
    pub vcpus: Vec<Vcpu>,
    /// The job that ran on it.
    pub job: Option<Job>,
}

/// Which of a group's counters the hypervisor gave: bit n for the n-th.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given(pub u16);

/// One vCPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vcpu {
    /// N of `vcpu.N`.
    pub index: u32,
    /// Busy, percent of wall time.
    pub percent: Measured<f64>,
    /// Kept waiting by the host, percent of wall time.
    pub steal_percent: Measured<f64>,
    /// Whether it was halted; `None`: not offered.
    pub halted: Option<bool>,
}

/// One disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// Target name.
    pub name: Arc<str>,
    /// Why its counters are missing.
    pub missing: Option<Missing>,
    /// Which counters there are, in the order of
    /// [`crate::model::reading::DiskCounters`].
    pub given: Given,
    /// Sizes, in cycles that have them; see [`super::Encoder`].
    pub size: Option<DiskSize>,
    /// Why the rates of bytes read and written and of reads and writes are
    /// missing, in this order.
    pub rates: [Option<Missing>; 4],
    /// Milliseconds per read.
    pub ms_per_read: Measured<f64>,
    /// Milliseconds per write.
    pub ms_per_write: Measured<f64>,
    /// Milliseconds per flush.
    pub ms_per_flush: Measured<f64>,
    /// Flushes per second.
    pub flushes_per_s: Measured<f64>,
}

/// A NIC of which something is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Nic {
    /// Target name or alias.
    pub name: Arc<str>,
    /// Why its counters are missing.
    pub missing: Option<Missing>,
    /// Which counters there are, in the order of
    /// [`crate::model::reading::NicCounters`].
    pub given: Given,
    /// Why its rates are missing, in the order of [`crate::model::rates::NetRates`].
    pub rates: [Option<Missing>; 6],
}

/// A job; as [`crate::model::DomainJob`], in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is that of the model's job")]
pub struct Job {
    pub operation: Arc<str>,
    pub elapsed: Option<Duration>,
    pub remaining: Option<Duration>,
    pub total: Option<u64>,
    pub done: Option<u64>,
    pub left: Option<u64>,
}

impl Given {
    /// The first `count` counters.
    const fn first(count: u32) -> Self {
        Self((1 << count) - 1)
    }

    pub(super) fn of<const N: usize>(there: [bool; N]) -> Self {
        Self(there.iter().rev().fold(0, |bits, there| bits << 1 | u16::from(*there)))
    }
}

/// All eight counters of a NIC.
pub(super) const WHOLE_NIC: Given = Given::first(8);

impl Disk {
    /// A disk of which nothing is there, for one reason.
    pub(super) fn missing(name: &str, reason: Missing) -> Self {
        Self {
            name: name.into(),
            missing: Some(reason),
            given: Given(0),
            size: None,
            rates: [Some(reason); 4],
            ms_per_read: Err(reason),
            ms_per_write: Err(reason),
            ms_per_flush: Err(reason),
            flushes_per_s: Err(reason),
        }
    }
}

impl Cycle {
    /// Gives every domain its name from the lines of the same cycle, which name
    /// those of one id in the same order. One whose line is not among them
    /// stays without.
    pub fn name_by(&mut self, lines: &[u8]) {
        let mut named = lines.split(|byte| *byte == b'\n').filter_map(tags_of);
        let mut unnamed: HashMap<u32, Vec<&mut Domain>> = HashMap::new();
        // The first of an id is the one that is taken from the end.
        for domain in self.domains.iter_mut().rev().filter(|domain| domain.name.is_none()) {
            unnamed.entry(domain.id).or_default().push(domain);
        }
        while !unnamed.is_empty()
            && let Some((id, name)) = named.next()
        {
            let Entry::Occupied(mut of_id) = unnamed.entry(id) else { continue };
            if let Some(domain) = of_id.get_mut().pop() {
                domain.name = Some(name);
            }
            if of_id.get().is_empty() {
                of_id.remove();
            }
        }
    }

    /// About how many bytes of memory its domains take, names and texts aside:
    /// those are no larger than the bytes it was read from.
    pub(in crate::delivery) fn held(&self) -> usize {
        let of = |domain: &Domain| {
            size_of::<Domain>()
                + size_of_val(&*domain.disks)
                + size_of_val(&*domain.nics)
                + domain.seen.as_ref().map_or(0, |seen| size_of_val(&*seen.vcpus))
        };
        self.domains.iter().map(of).sum()
    }
}

/// Id and name in a line of `vm_metrics`, of which each domain has one.
fn tags_of(line: &[u8]) -> Option<(u32, Name)> {
    let tags = std::str::from_utf8(line).ok()?.strip_prefix("vm_metrics,VMID=")?;
    let (id, rest) = tags.split_once(",name=")?;
    // A comma within the name is escaped, so only the tag's own stands bare.
    let (name, rest) = rest.split_once(",uuid=")?;
    let uuid = rest.get(..36)?;
    let mut plain = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let escapes = c == '\\' && rest.peek().is_some_and(|next| matches!(next, ',' | '=' | ' '));
        plain.push(if escapes { rest.next()? } else { c });
    }
    Some((id.parse().ok()?, Name { uuid: Uuid::try_parse(uuid).ok()?, name: plain.into() }))
}
