//! What a reader can be asked, and what it answers.

use std::{
    ops::{BitOr, BitOrAssign},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use super::Error;
use crate::model::{
    DomainDevices, DomainJob, DomainState, Identity, Kib, Measured, MonoTime, Nanos, WallTime,
    frame::HostFacts,
    host::{HostMemory, Pressure},
    reading::{CpuCounters, DiskCounters, DiskSize, GuestMemory, MemorySize, NicCounters, VcpuCounters},
};

/// Number of a reader; whoever starts readers gives each its own.
pub type ReaderId = u32;

/// A set of statistics groups. The state is part of every answer and no group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Groups(u8);

impl Groups {
    /// Nothing but the state.
    pub const NONE: Self = Self(0);
    /// CPU times of the whole process (`cpu.*`).
    pub const CPU: Self = Self(1);
    /// vCPU count and times (`vcpu.*`).
    pub const VCPUS: Self = Self(2);
    /// Balloon size, host RSS, the guest's report (`balloon.*`). RSS and
    /// report need the monitor.
    pub const MEMORY: Self = Self(4);
    /// NICs (`net.*`).
    pub const NICS: Self = Self(8);
    /// Disks (`block.*`). All but their names needs the monitor.
    pub const DISKS: Self = Self(16);
    /// Every group.
    pub const ALL: Self = Self(31);

    /// Whether all of `other` is in here.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in here and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is nothing in here.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Groups {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Groups {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A question to a reader. Each is answered exactly once, unless the reader
/// is dropped before it begins.
#[derive(Clone, Debug)]
pub enum Question {
    /// All domains, active and inactive, and the host's facts. Never waits
    /// for a domain's monitor.
    Roster,
    /// Statistics of exactly these domains. What is wanted of all is read in
    /// one call over all of them, the rest in one more over those of whom it
    /// is wanted.
    List {
        /// Whose, in the order of the answer; each domain once.
        members: Vec<Member>,
        /// Ask nothing that could wait for a domain's monitor: then vCPU
        /// times, host RSS, the guest's report and the disks are absent.
        monitor_free: bool,
        /// The member to be read by calls of its own, at its place between the
        /// others, so that it is known what it costs.
        timed: Option<Uuid>,
    },
    /// The devices of one domain, from its XML.
    Describe {
        /// Which domain.
        uuid: Uuid,
    },
    /// The XML of one domain as it may be shown.
    Xml {
        /// Which domain.
        uuid: Uuid,
    },
    /// Whether a call holds the domain. Never waits for anything that one
    /// call on the domain could hold.
    Control {
        /// Which domain.
        uuid: Uuid,
        /// Its libvirt id, as the asker knows it.
        id: u32,
    },
    /// The job that runs on a domain. Can wait behind a job that lets nobody
    /// ask, and for the monitor while one runs.
    Job {
        /// Which domain.
        uuid: Uuid,
        /// Its libvirt id, as the asker knows it.
        id: u32,
    },
}

/// A domain to be read.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which domain.
    pub uuid: Uuid,
    /// Its libvirt id, as the asker knows it.
    pub id: u32,
    /// Its devices, where they are known: drivers without bulk data are asked
    /// for each NIC and disk by name, and give none while this is `None`.
    pub devices: Option<Arc<DomainDevices>>,
    /// Which statistics are wanted of it.
    pub groups: Groups,
}

/// What a reader answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who answers.
    pub reader: ReaderId,
    /// The number that came with the question.
    pub ticket: u64,
    /// When the call began that brought the answer. Connecting and looking up
    /// domains come before it.
    pub begun: (WallTime, MonoTime),
    /// When that call returned.
    pub ended: (WallTime, MonoTime),
    /// The answer. An error is about the whole question; what concerns one
    /// domain of a list stands in that domain's place.
    pub reply: Result<Reply, Error>,
}

/// The answer to each kind of question.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To [`Question::Roster`].
    Roster(Roster),
    /// To [`Question::List`]: one entry per member, in the members' order.
    List(Vec<RawDomain>),
    /// To [`Question::Describe`].
    Description {
        /// Which domain.
        uuid: Uuid,
        /// What its XML says.
        devices: DomainDevices,
    },
    /// To [`Question::Xml`].
    Xml {
        /// Which domain.
        uuid: Uuid,
        /// Its XML without secrets and control characters.
        xml: Arc<str>,
    },
    /// To [`Question::Control`].
    Control(Control),
    /// To [`Question::Job`].
    Job {
        /// Which domain.
        uuid: Uuid,
        /// Its libvirt id at the time of the answer; `None`: it is not active.
        id: Option<u32>,
        /// Its job, none, or why that is not known.
        job: Measured<Option<DomainJob>>,
    },
}

/// All domains of a host.
#[derive(Clone, Debug)]
pub struct Roster {
    /// Active and inactive ones, in libvirt's order.
    pub domains: Vec<RosterEntry>,
    /// What is known of the host.
    pub host: HostFacts,
    /// What the host is busy with.
    pub load: RawHost,
}

/// The host's counters and gauges in one roster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawHost {
    /// CPU times since the host's boot.
    pub cpu: Measured<HostTimes>,
    /// Memory now.
    pub memory: Measured<HostMemory>,
    /// Pressure; read from the kernel, only where the host is this machine.
    pub pressure: Measured<Pressure>,
}

/// CPU times of the host, all CPUs together, cumulative
/// (`virNodeGetCPUStats`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTimes {
    /// When they were read.
    pub at: MonoTime,
    /// Programs, guests among them.
    pub user: Nanos,
    /// The kernel (`kernel`).
    pub system: Nanos,
    /// Idle with a disk request out, where the driver counts it.
    pub iowait: Option<Nanos>,
    /// Idle, where the driver counts it.
    pub idle: Option<Nanos>,
}

/// One domain of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// Who it is, its name already fit to store and to show.
    pub identity: Identity,
    /// Its state.
    pub state: DomainState,
    /// libvirt's reason code within the state; 0 where the driver tells none.
    pub reason: i64,
}

/// What one call brought for one domain. `None`: this call did not bring it;
/// why is told by what was asked, [`RawDomain::short`],
/// [`RawDomain::refused`] and [`RawDomain::error`].
#[derive(Clone, Debug, PartialEq)]
pub struct RawDomain {
    /// Which domain.
    pub uuid: Uuid,
    /// Its libvirt id at the time of the answer; `None`: it is not active.
    pub id: Option<u32>,
    /// The groups that were asked for.
    pub asked: Groups,
    /// When it was read, and its share of the call's time; `None`: no call
    /// has got as far as this domain.
    pub read: Option<ReadAt>,
    /// When what was not asked of every member of its list was read, where
    /// that took a call of its own.
    pub rest: Option<ReadAt>,
    /// How long the calls took that were about this domain alone; `None`:
    /// there were none.
    pub alone: Option<Duration>,
    /// Its state.
    pub state: DomainState,
    /// libvirt's reason code within the state.
    pub reason: i64,
    /// CPU times of the whole process.
    pub cpu: Option<CpuCounters>,
    /// vCPUs now.
    pub vcpu_count: Option<u32>,
    /// Times of each vCPU, by index.
    pub vcpus: Option<Vec<VcpuCounters>>,
    /// Balloon size and limit.
    pub memory: Option<MemorySize>,
    /// Host-side memory of the process.
    pub rss: Option<Kib>,
    /// The guest's report. Without a statistics period libvirt gives one
    /// whose `last_update` is 0.
    pub guest: Option<GuestMemory>,
    /// Counters of each NIC that has any, by target name.
    pub nics: Option<Vec<(String, NicCounters)>>,
    /// Each disk, by target name.
    pub disks: Option<Vec<RawDisk>>,
    /// The monitor's part was asked for and is absent, although the domain is
    /// active: another call or job holds it.
    pub short: bool,
    /// Groups that this driver does not offer for this domain.
    pub refused: Groups,
    /// There is no such domain any more.
    pub gone: bool,
    /// Why nothing at all could be read of this one domain.
    pub error: Option<Error>,
}

/// Whether a call, of whatever client, holds a domain
/// (`virDomainGetControlInfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// None does, or there is no such domain.
    Free,
    /// One does, for so long.
    Held(Duration),
    /// libvirt does not say.
    Unknown,
}

/// When one domain of a list was read. A call does not tell: estimated from
/// the domain's place between the call's start and its return, so wrong by
/// that call's duration at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAt {
    /// On the wall clock.
    pub wall: WallTime,
    /// On the monotonic clock.
    pub mono: MonoTime,
    /// The call's duration divided by the domains in it.
    pub share: Duration,
    /// How far off the instant may be: the call's duration.
    pub error: Duration,
}

impl ReadAt {
    /// The middle of the share of the domain at `place` of `count` in a call
    /// from `begun` to `ended`.
    #[must_use]
    pub fn estimate(
        begun: (WallTime, MonoTime),
        ended: (WallTime, MonoTime),
        place: usize,
        count: usize,
    ) -> Self {
        let parts = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let error = ended.1.since(begun.1);
        let share = error / parts(count).max(1);
        let offset = share.saturating_mul(parts(place)) + share / 2;
        let nanos = u64::try_from(offset.as_nanos()).unwrap_or(u64::MAX);
        Self {
            wall: WallTime(begun.0.0.saturating_add_unsigned(nanos)),
            mono: begun.1.plus(offset),
            share,
            error,
        }
    }

    /// For a domain that was read once more from `begun` to `ended`, after a
    /// first part that this instant is of: the instant of the second part, as
    /// far off as it is of the first.
    #[must_use]
    pub fn to_the_end_of(self, begun: (WallTime, MonoTime), ended: (WallTime, MonoTime)) -> Self {
        let second = Self::estimate(begun, ended, 0, 1);
        Self { share: self.share + second.share, error: self.error + ended.1.since(self.mono), ..second }
    }
}

/// One disk's part of a bulk record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawDisk {
    /// The target name (`vda`).
    pub name: String,
    /// Counters; `None` for an empty drive and in a short answer.
    pub counters: Option<DiskCounters>,
    /// Sizes.
    pub size: DiskSize,
}

impl RawDomain {
    /// An answer without anything in it.
    #[must_use]
    pub fn empty(uuid: Uuid) -> Self {
        Self {
            uuid,
            id: None,
            asked: Groups::ALL,
            read: None,
            rest: None,
            alone: None,
            state: DomainState::NoState,
            reason: 0,
            cpu: None,
            vcpu_count: None,
            vcpus: None,
            memory: None,
            rss: None,
            guest: None,
            nics: None,
            disks: None,
            short: false,
            refused: Groups::NONE,
            gone: false,
            error: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Groups, ReadAt};
    use crate::model::{MonoTime, WallTime};

    #[test]
    fn what_was_read_in_two_parts_is_dated_by_the_second_and_is_wrong_about_the_first() {
        let at = |nanos: u64| (WallTime(i64::try_from(nanos).unwrap() + 5), MonoTime(nanos));
        let nanos = Duration::from_nanos;
        let first = ReadAt::estimate(at(100), at(140), 1, 4);
        assert_eq!((first.mono, first.error), (MonoTime(115), nanos(40)));
        let both = first.to_the_end_of(at(600), at(610));
        assert_eq!((both.mono, both.wall), (MonoTime(605), WallTime(610)));
        assert_eq!((both.share, both.error), (nanos(20), nanos(535)));
    }

    #[test]
    fn groups_are_a_set() {
        let some = Groups::CPU | Groups::DISKS;
        assert!(some.has(Groups::CPU) && some.has(Groups::DISKS) && !some.has(Groups::NICS));
        assert!(!some.has(Groups::CPU | Groups::NICS));
        assert_eq!(Groups::ALL.without(some), Groups::VCPUS | Groups::MEMORY | Groups::NICS);
        assert_eq!(some.and(Groups::DISKS | Groups::NICS), Groups::DISKS);
        assert!(some.without(Groups::ALL).is_empty());
    }
}
