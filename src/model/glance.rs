//! What orders, sums and thresholds need of each domain of a frame, side by
//! side: found once, where the frame is made, so that whoever takes thousands
//! of domains in goes through a short list and not through all of memory.
//!
//! Owns no figure of its own: everything here is said by the domains, and is
//! found anew when they are changed.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{
    DomainFrame, DomainState, Kib, Measured, Why,
    frame::Health,
    history::Slot,
    reading::{MemorySize, MemorySource},
    timeline::Weight,
};

/// The domains of a frame, with a glance at each.
#[derive(Clone, Default)]
pub struct Domains {
    all: Vec<Arc<DomainFrame>>,
    /// Empty after a change, until somebody looks.
    glances: OnceLock<Glances>,
}

#[derive(Clone)]
struct Glances {
    each: Vec<Glance>,
    given: Given,
}

/// One domain, as far as it matters among thousands.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all combine")]
pub struct Glance {
    /// Its uuid.
    pub uuid: Uuid,
    /// The guest's CPU use in percent, of this very cycle.
    pub cpu_percent: Option<f64>,
    /// Memory in use in percent: the last known, where it merely was not read.
    pub memory_percent: Option<f64>,
    /// vCPUs now.
    pub vcpus: Option<u32>,
    /// Bytes of its name.
    pub name_bytes: usize,
    /// Its angles; gaps where nothing was read anew.
    pub angles: Slot,
    /// Its state.
    pub state: DomainState,
    /// Whether it is active in libvirt's sense.
    pub live: bool,
    /// Whether its reading is of this cycle.
    pub fresh: bool,
    /// Whether its monitor does not answer.
    pub hung: bool,
    /// Whether that, a crash or an error waits for somebody.
    pub needy: bool,
    /// Whether its timeline has any trouble, however old.
    pub trouble: bool,
    /// Whether the memory in use is what the guest says.
    pub memory_reported: bool,
}

/// What the live domains were given, with the last known sizes of those whose
/// memory merely was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Their vCPUs; missing where one is not known.
    pub vcpus: Measured<u64>,
    /// Their maximum memory; missing where one is not known.
    pub memory: Measured<Kib>,
    /// Whether a size among them is an older one.
    pub is_old: bool,
}

impl Domains {
    fn new(all: Vec<Arc<DomainFrame>>) -> Self {
        let domains = Self { all, glances: OnceLock::new() };
        domains.found();
        domains
    }

    /// A glance at each domain, in their order.
    #[must_use]
    pub fn glances(&self) -> &[Glance] {
        &self.found().each
    }

    /// What the live ones were given.
    #[must_use]
    pub fn given(&self) -> Given {
        self.found().given
    }

    fn found(&self) -> &Glances {
        self.glances.get_or_init(|| {
            let mut given = Given { vcpus: Ok(0), memory: Ok(Kib(0)), is_old: false };
            let each = self.all.iter().map(|domain| {
                given.add(domain);
                Glance::of(domain)
            });
            Glances { each: each.collect(), given }
        })
    }

    /// Bytes that the two lists take.
    pub(super) fn held_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Arc<DomainFrame>>()
            + self.glances.get().map_or(0, |glances| glances.each.capacity() * size_of::<Glance>())
    }
}

/// The domains alone: a glance is found by whoever reads them.
impl Serialize for Domains {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Domains {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(Self::new)
    }
}

impl Glance {
    fn of(domain: &DomainFrame) -> Self {
        let memory = domain.last_memory().unwrap_or(domain);
        let identity = domain.identity();
        Self {
            uuid: identity.uuid,
            cpu_percent: domain.rates.cpu_percent.ok(),
            memory_percent: memory.rates.memory_percent.ok(),
            vcpus: domain.reading.vcpu_count.ok(),
            name_bytes: identity.name.len(),
            angles: if domain.fresh { Slot::of(&domain.rates.angles) } else { Slot::GAPS },
            state: domain.state(),
            live: domain.is_live(),
            fresh: domain.fresh,
            hung: domain.is_hung(),
            needy: domain.is_hung() || domain.stopped_by().is_some(),
            trouble: domain.timeline.iter().any(|happening| happening.weight == Weight::Trouble),
            memory_reported: memory.memory_is_reported(),
        }
    }
}

impl Given {
    fn add(&mut self, domain: &DomainFrame) {
        if !domain.is_live() {
            return;
        }
        let vcpus = domain.reading.vcpu_count;
        self.vcpus = self.vcpus.and_then(|sum| Ok(sum.saturating_add(vcpus?.into())));
        let size: Measured<MemorySize> = match (domain.reading.memory, domain.last_memory()) {
            (Err(_), Some(last)) => {
                self.is_old = true;
                last.reading.memory
            }
            (memory, _) => memory,
        };
        self.memory = self.memory.and_then(|sum| Ok(Kib(sum.0.saturating_add(size?.maximum.0))));
    }
}

impl DomainFrame {
    /// Whether memory in use is what the guest says. Without its report the
    /// balloon's size stands in: what the guest has, not how full it is.
    #[must_use]
    pub fn memory_is_reported(&self) -> bool {
        matches!(self.reading.memory_used(), Ok((_, MemorySource::Guest)))
    }

    /// Whether the domain's monitor does not answer.
    #[must_use]
    pub fn is_hung(&self) -> bool {
        matches!(self.health, Health::Impaired(missing) if missing.why == Why::MonitorNotAnswering)
    }

    /// What stopped a domain that did not stop of itself: `crashed`,
    /// `I/O error`.
    #[must_use]
    pub fn stopped_by(&self) -> Option<&'static str> {
        match self.state() {
            _ if !self.is_live() => None,
            DomainState::Crashed => Some("crashed"),
            DomainState::Paused => {
                let why = self.state().reason(self.reading.state_reason)?;
                matches!(why, "I/O error" | "watchdog" | "crashed" | "post-copy failed" | "API error")
                    .then_some(why)
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.fmt(f)
    }
}

impl Deref for Domains {
    type Target = Vec<Arc<DomainFrame>>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

/// What was seen of them holds no longer.
impl DerefMut for Domains {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.glances.take();
        &mut self.all
    }
}

impl From<Vec<Arc<DomainFrame>>> for Domains {
    fn from(all: Vec<Arc<DomainFrame>>) -> Self {
        Self::new(all)
    }
}

impl FromIterator<Arc<DomainFrame>> for Domains {
    fn from_iter<T: IntoIterator<Item = Arc<DomainFrame>>>(domains: T) -> Self {
        Self::new(domains.into_iter().collect())
    }
}

impl IntoIterator for Domains {
    type Item = Arc<DomainFrame>;
    type IntoIter = std::vec::IntoIter<Arc<DomainFrame>>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl<'a> IntoIterator for &'a Domains {
    type Item = &'a Arc<DomainFrame>;
    type IntoIter = std::slice::Iter<'a, Arc<DomainFrame>>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl<'a> IntoIterator for &'a mut Domains {
    type Item = &'a mut Arc<DomainFrame>;
    type IntoIter = std::slice::IterMut<'a, Arc<DomainFrame>>;

    fn into_iter(self) -> Self::IntoIter {
        self.deref_mut().iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DomainRates, DomainReading, Identity, Missing, MonoTime, WallTime};

    fn domain(id: Option<u32>, vcpus: u32) -> Arc<DomainFrame> {
        let identity = Arc::new(Identity { uuid: Uuid::from_u128(7), id, name: "web-1".into() });
        let why = Missing::new(Why::FirstReading);
        let mut reading =
            DomainReading::unanswered(identity, DomainState::Running, WallTime(1), MonoTime(1), why);
        reading.vcpu_count = Ok(vcpus);
        Arc::new(DomainFrame {
            reading,
            rates: DomainRates::missing(why),
            devices: Arc::default(),
            health: Health::Answering,
            fresh: true,
            timeline: Arc::default(),
            job: None,
            last: None,
        })
    }

    #[test]
    fn what_was_seen_is_seen_anew_after_a_change() {
        let mut domains: Domains = [domain(Some(1), 4), domain(None, 9)].into_iter().collect();
        assert_eq!(domains.given().vcpus, Ok(4), "those that are off were given nothing");
        assert!(!domains.glances()[0].needy);
        let first = Arc::make_mut(&mut domains[0]);
        first.health = Health::Impaired(Missing::new(Why::MonitorNotAnswering));
        first.reading.vcpu_count = Ok(6);
        assert!(domains.glances()[0].needy && domains.glances()[0].hung);
        assert_eq!(domains.given().vcpus, Ok(6));
        domains.push(domain(Some(2), 1));
        assert_eq!((domains.glances().len(), domains.given().vcpus), (3, Ok(7)));
        let unknown = Missing::new(Why::FirstReading);
        assert_eq!(domains.given().memory, Err(unknown), "a sum over some of them would be too small");
    }
}
