//! Why a number is not there. Every absent value carries one of these.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::WallTime;

/// A value, or why there is none.
pub type Measured<T> = Result<T, Missing>;

/// Why a value is missing, and since when where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Missing {
    /// The reason.
    pub why: Why,
    /// When the condition was first noticed, for reasons that last.
    pub since: Option<WallTime>,
}

/// The two kinds of missing of the record; they are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This VM or this libvirt cannot give the statistic: written as 0 or
    /// left out, as `record.missing` says.
    NeverThere,
    /// It could be had, but not in this cycle: always left out.
    NotThisTime,
}

/// The reasons a value can be missing for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The VM has no memory balloon, so no guest report.
    NoBalloonDriver,
    /// There is a balloon, but no `<stats period>`; the operator can set one.
    NoStatsPeriod,
    /// The balloon has a period, but no guest driver has ever reported.
    NoGuestReport,
    /// A NIC passed through to the guest: the host cannot count it.
    HostdevNic,
    /// A user-mode NIC: QEMU keeps no counters for it.
    UserModeNic,
    /// A NIC without a target name, of a type not listed above.
    UnnamedNic,
    /// A drive without a medium.
    EmptyDrive,
    /// The VM has no NIC at all.
    NoNics,
    /// The VM has no disk at all.
    NoDisks,
    /// The hypervisor driver or libvirt version does not offer it.
    NotOffered,
    /// The host is another machine: what only its kernel tells is not read.
    RemoteHost,
    /// The host's kernel keeps no pressure figures.
    NoPressure,
    /// The VM is not running.
    Inactive,
    /// A rate needs two readings and this is the first.
    FirstReading,
    /// A counter fell: the VM or the device started anew.
    CounterRestarted,
    /// The last reading is more than three of the group's periods old.
    Gap,
    /// The instants of the two readings are too uncertain for a rate: one of
    /// their calls took far longer than the other.
    UncertainInstants,
    /// No request in the interval, so no latency.
    NoRequests,
    /// QEMU's monitor has not answered since `Missing::since`.
    MonitorNotAnswering,
    /// Another client's job holds the VM.
    Busy,
    /// The VM is migrating.
    Migrating,
    /// The guest's own report is older than three of its periods.
    GuestReportStale,
    /// The group was not due in this cycle.
    NotDue,
    /// Too many calls already hang in libvirtd; this one was not made.
    NotAsked {
        /// How many calls hung when the question was skipped.
        stuck: u16,
    },
    /// The list call that should bring it has not returned yet.
    NoAnswerYet,
    /// libvirt itself is not answering or not connected.
    NoConnection,
    /// The call failed for this VM or device alone.
    CallFailed,
    /// It was there, and the record cannot tell it: of the past alone.
    NotRecorded,
}

impl Why {
    /// Which of the two kinds this reason is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::NoBalloonDriver
            | Self::NoStatsPeriod
            | Self::HostdevNic
            | Self::UserModeNic
            | Self::UnnamedNic
            | Self::EmptyDrive
            | Self::NoNics
            | Self::NoDisks
            | Self::NotOffered
            | Self::RemoteHost
            | Self::NoPressure
            | Self::NoGuestReport
            | Self::Inactive => Kind::NeverThere,
            Self::FirstReading
            | Self::CounterRestarted
            | Self::Gap
            | Self::UncertainInstants
            | Self::NoRequests
            | Self::MonitorNotAnswering
            | Self::Busy
            | Self::Migrating
            | Self::GuestReportStale
            | Self::NotDue
            | Self::NotAsked { .. }
            | Self::NoAnswerYet
            | Self::NoConnection
            | Self::CallFailed
            | Self::NotRecorded => Kind::NotThisTime,
        }
    }

    /// What the operator can do about it, where anything can be done.
    #[must_use]
    pub fn mend(self) -> Option<&'static str> {
        match self {
            Self::NoStatsPeriod => Some("virsh dommemstat DOMAIN --period 2 --live"),
            Self::NoBalloonDriver => Some("add <memballoon model='virtio'/> to the domain"),
            Self::NoGuestReport => Some("load virtio_balloon in the guest"),
            Self::UserModeNic => Some("connect the NIC to a bridge or a network"),
            Self::UnnamedNic => Some("give the interface a <target dev='…'/>"),
            Self::NoPressure => Some("boot the host with psi=1"),
            _ => None,
        }
    }
}

impl Missing {
    /// A reason without a beginning worth telling.
    #[must_use]
    pub const fn new(why: Why) -> Self {
        Self { why, since: None }
    }

    /// A reason that has lasted since `since`.
    #[must_use]
    pub const fn since(why: Why, since: WallTime) -> Self {
        Self { why, since: Some(since) }
    }

    /// Shorthand for [`Why::kind`].
    #[must_use]
    pub fn kind(self) -> Kind {
        self.why.kind()
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::NoBalloonDriver => f.write_str("no balloon driver"),
            Why::NoStatsPeriod => f.write_str("no statistics period"),
            Why::NoGuestReport => f.write_str("no guest report"),
            Why::HostdevNic => f.write_str("passed through: the host cannot count it"),
            Why::UserModeNic => f.write_str("user-mode NIC: no host counters"),
            Why::UnnamedNic => f.write_str("no target name: no host counters"),
            Why::EmptyDrive => f.write_str("empty drive"),
            Why::NoNics => f.write_str("no NICs"),
            Why::NoDisks => f.write_str("no disks"),
            Why::NotOffered => f.write_str("not offered by this hypervisor"),
            Why::RemoteHost => f.write_str("the host is another machine"),
            Why::NoPressure => f.write_str("no pressure figures in this kernel"),
            Why::Inactive => f.write_str("not running"),
            Why::FirstReading => f.write_str("first reading"),
            Why::CounterRestarted => f.write_str("counter restarted"),
            Why::Gap => f.write_str("gap since the last reading"),
            Why::UncertainInstants => f.write_str("instants of reading too uncertain"),
            Why::NoRequests => f.write_str("no requests"),
            Why::MonitorNotAnswering => f.write_str("monitor not answering"),
            Why::Busy => f.write_str("busy with another job"),
            Why::Migrating => f.write_str("migrating"),
            Why::GuestReportStale => f.write_str("guest report stale"),
            Why::NotDue => f.write_str("not due"),
            Why::NotAsked { stuck } => write!(f, "not asked: {stuck} calls already hang"),
            Why::NoAnswerYet => f.write_str("no answer yet"),
            Why::NoConnection => f.write_str("libvirt not answering"),
            Why::CallFailed => f.write_str("the call failed"),
            Why::NotRecorded => f.write_str("not recorded"),
        }?;
        match self.since {
            Some(since) => write!(f, " since {}", since.hms()),
            None => Ok(()),
        }
    }
}
