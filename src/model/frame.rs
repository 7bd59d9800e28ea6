//! A whole cycle: every domain's reading and rates, built once, shared as
//! `Arc<Frame>`, never changed.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    DomainDevices, DomainJob, DomainRates, DomainReading, DomainState, Domains, Happening, HostLoad,
    Identity, Missing, MonoTime, WallTime, Why, rates::AngleScale,
};

/// Everything one collection cycle found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// Number of the cycle since start, from 1.
    pub cycle: u64,
    /// When the cycle was closed.
    pub at: WallTime,
    /// The same on the monotonic clock.
    pub mono: MonoTime,
    /// How long the cycle took, from its first call to its closing.
    pub took: Duration,
    /// The interval it was meant to keep.
    pub interval: Duration,
    /// The host the domains run on.
    pub host: Arc<HostFacts>,
    /// What the host was busy with.
    pub load: HostLoad,
    /// The references of every angle in the frame.
    pub scale: AngleScale,
    /// All domains, live ones first, then by name.
    pub domains: Domains,
}

/// One domain within a frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DomainFrame {
    /// The counters.
    pub reading: DomainReading,
    /// What follows from them and the ones before.
    pub rates: DomainRates,
    /// What the domain's XML says; empty until it was read.
    pub devices: Arc<DomainDevices>,
    /// How the domain behaved in this cycle.
    pub health: Health,
    /// Whether the reading is new in this cycle. `false`: nothing of it was
    /// read in this cycle, and no line is written.
    pub fresh: bool,
    /// What happened to it lately, oldest first.
    pub timeline: Arc<[Happening]>,
    /// The job that runs on it, where one does.
    pub job: Option<DomainJob>,
    /// The last frame in which memory and disks were read, where they were
    /// not in this one: for the screen, which shows old numbers with their
    /// age. Its own `last` is always `None`.
    #[serde(with = "super::frame_sent")]
    pub last: Option<Arc<DomainFrame>>,
}

/// How a domain behaved in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Answered in full.
    Answering,
    /// Not running; nothing was asked.
    Inactive,
    /// Part or all of it is missing, for this reason.
    Impaired(Missing),
}

/// What is known of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Host name as libvirt gives it.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub name: Option<String>,
    /// Hypervisor and version, such as `QEMU 7.2.0`.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub hypervisor: Option<String>,
    /// libvirt's version on the host, such as `9.0.0`.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub libvirt: Option<String>,
    /// Logical CPUs.
    pub cpus: Option<u32>,
    /// Memory in KiB.
    pub memory_kib: Option<u64>,
    /// The built-in test hypervisor: everything on the screen is a demo.
    pub demo: bool,
}

impl DomainFrame {
    /// Shorthand for the reading's identity.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.reading.identity
    }

    /// Whether the domain is active in libvirt's sense: it has an id.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.reading.identity.id.is_some()
    }

    /// Shorthand for the reading's state.
    #[must_use]
    pub fn state(&self) -> DomainState {
        self.reading.state
    }

    /// The last frame with memory, where memory merely was not read in this
    /// one. For the screen, which shows it as what it is; never for a line.
    #[must_use]
    pub fn last_memory(&self) -> Option<&Self> {
        self.last_in_place_of(self.reading.memory_used().err()?)
    }

    /// As [`DomainFrame::last_memory`], with disks.
    #[must_use]
    pub fn last_disks(&self) -> Option<&Self> {
        self.last_in_place_of(*self.reading.disks.as_ref().err()?)
    }

    /// Old numbers stand in where the next reading is awaited any moment. Of a
    /// monitor that does not answer nobody knows when, or whether: the reason
    /// says more.
    fn last_in_place_of(&self, missing: Missing) -> Option<&Self> {
        match missing.why {
            Why::NotDue | Why::Busy | Why::Migrating | Why::NoAnswerYet => self.last.as_deref(),
            _ => None,
        }
    }
}

impl Frame {
    /// The domain that `question` names: libvirt id, then uuid, then name.
    #[must_use]
    pub fn find(&self, question: &str) -> Option<&Arc<DomainFrame>> {
        let by = |test: &dyn Fn(&Identity) -> bool| self.domains.iter().find(|d| test(d.identity()));
        by(&|i| i.id.is_some_and(|id| id.to_string() == question))
            .or_else(|| by(&|i| i.uuid.to_string().eq_ignore_ascii_case(question)))
            .or_else(|| by(&|i| &*i.name == question))
    }
}
