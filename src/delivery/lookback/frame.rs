//! From recorded cycles to frames as the screen showed them.
//!
//! Pure: [`Walk::step`] takes one cycle after the other, each as it stands in
//! the record, and computes what follows from it and those before by the rules
//! of `model::rates`. What the record does not hold is missing, and says so:
//! inactive domains and what a domain's XML told are not in it at all.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use super::{
    super::{
        local::{self, Decoded},
        recorded::Recorded,
    },
    parse::{self, Told},
    rates::{self, LOST, MemoryRate, Trust},
    reading::{Sizes, Source},
};
use crate::model::{
    AngleScale, DomainFrame, DomainJob, DomainRates, DomainReading, DomainState, Frame, HostLoad, Identity,
    Missing, WallTime, Why,
    frame::{Health, HostFacts},
    job,
    missing::Kind,
    past::mono,
    rates::{Baseline, Pass, Periods},
};

/// A cycle of the record may stand for ten seconds: three of these are a gap
/// where nothing says what its rates were.
const THINNED_TO: Duration = Duration::from_secs(10);

/// A walk through the record, oldest cycle first.
///
/// Angles are by the `scale` it is given, the one in force: the record holds
/// no references. What changes seldom (host, sizes of disks) is that of the
/// last cycle that told it, so a walk begins at such a cycle, or before.
#[derive(Debug)]
pub struct Walk {
    scale: AngleScale,
    tracks: HashMap<Uuid, Track>,
    host: Arc<HostFacts>,
    /// Whether no cycle has been seen yet.
    begins: bool,
    /// Cycles without a number of their own are counted.
    cycle: u64,
    interval: Duration,
}

/// What is known of a domain from the cycles before.
#[derive(Debug)]
struct Track {
    identity: Arc<Identity>,
    baseline: Baseline,
    /// Where the last reading of CPU and NICs is from, and that of disks.
    cheap: Option<Stamp>,
    disks: Option<Stamp>,
    /// Met in the walk's first cycle: what was before is not known.
    edge: bool,
    sizes: Sizes,
    /// The rate of the guest's last report, while every cycle since is known.
    memory: Option<f64>,
    last_number: Option<u64>,
    whole: Option<Arc<DomainFrame>>,
    state: (DomainState, i64),
}

/// When something was read, by the record.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The cycle's number in its process; `None`: it is lost.
    pub number: Option<u64>,
    /// The instant, by the wall clock.
    pub at: WallTime,
    /// The interval of the cycles then.
    pub interval: Duration,
    /// How long the cycle took.
    pub took: Duration,
}

/// What holds for a whole cycle.
struct Around<'a> {
    closed: WallTime,
    number: Option<u64>,
    interval: Duration,
    took: Duration,
    local: Option<&'a local::Cycle>,
    damaged: bool,
    begins: bool,
    scale: AngleScale,
}

impl Walk {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(scale: AngleScale) -> Self {
        Self {
            scale,
            tracks: HashMap::new(),
            host: Arc::default(),
            begins: true,
            cycle: 0,
            interval: Duration::ZERO,
        }
    }

    /// The frame of the next cycle. Timelines are left empty.
    pub fn step(&mut self, cycle: &Recorded) -> Frame {
        let local = match &cycle.local {
            Some(Decoded::Read(local)) => Some(&**local),
            _ => None,
        };
        if let Some(host) = local.and_then(|local| local.host.as_ref())
            && *host != *self.host
        {
            self.host = Arc::new(host.clone());
        }
        self.interval = local.map_or(self.interval, |local| local.interval);
        self.cycle = local.map_or(self.cycle.saturating_add(1), |local| local.number);
        let around = Around {
            closed: cycle.at,
            number: local.map(|local| local.number),
            interval: self.interval,
            took: local.map_or(Duration::ZERO, |local| local.took),
            local,
            damaged: cycle.damaged,
            begins: std::mem::take(&mut self.begins),
            scale: self.scale,
        };
        let told = parse::lines(&cycle.lines);
        let mut domains = self.domains(&told, &around);
        domains.sort_by(|a, b| {
            let key = |domain: &DomainFrame| (Arc::clone(&domain.identity().name), domain.identity().uuid);
            key(a).cmp(&key(b))
        });
        Frame {
            cycle: self.cycle,
            at: cycle.at,
            mono: mono(cycle.at),
            took: around.took,
            interval: around.interval,
            host: Arc::clone(&self.host),
            load: local.and_then(|local| local.load).unwrap_or(HostLoad::missing(LOST)),
            scale: self.scale,
            domains: domains.into(),
        }
    }

    fn domains(&mut self, told: &[Told], around: &Around<'_>) -> Vec<Arc<DomainFrame>> {
        let mut lines: HashMap<(Uuid, u32), &Told> =
            told.iter().map(|told| ((told.uuid, told.id), told)).collect();
        let mut done = HashSet::new();
        let mut domains = Vec::with_capacity(told.len());
        for domain in around.local.iter().flat_map(|local| &local.domains) {
            let Some(identity) = self.identity(domain) else { continue };
            let told = lines.remove(&(identity.uuid, domain.id));
            if done.insert(identity.uuid) {
                domains.push(self.domain(identity, told, Some(domain), around));
            }
        }
        // Of which the local part says nothing, or is lost.
        for told in told.iter().filter(|told| lines.contains_key(&(told.uuid, told.id))) {
            if done.insert(told.uuid) {
                let identity = Identity { uuid: told.uuid, id: Some(told.id), name: Arc::clone(&told.name) };
                domains.push(self.domain(identity, Some(told), None, around));
            }
        }
        domains
    }

    /// Who `domain` is. Where the row that names it is damaged, the domain
    /// that had its id before.
    fn identity(&self, domain: &local::Domain) -> Option<Identity> {
        if let Some(name) = &domain.name {
            return Some(Identity { uuid: name.uuid, id: Some(domain.id), name: Arc::clone(&name.name) });
        }
        let mut same = self.tracks.values().filter(|track| track.identity.id == Some(domain.id));
        let track = same.next()?;
        same.next().is_none().then(|| (*track.identity).clone())
    }

    fn domain(
        &mut self,
        identity: Identity,
        told: Option<&Told>,
        local: Option<&local::Domain>,
        around: &Around<'_>,
    ) -> Arc<DomainFrame> {
        let track = self.tracks.entry(identity.uuid).or_insert_with(|| Track::new(&identity, around.begins));
        track.meet(identity);
        let seen = local.and_then(|local| local.seen.as_ref());
        let frame = if told.is_none() && seen.is_none() {
            track.unread(local, around)
        } else {
            track.read(told, local, around)
        };
        track.last_number = around.number;
        frame
    }
}

impl Track {
    fn new(identity: &Identity, edge: bool) -> Self {
        Self {
            identity: Arc::new(identity.clone()),
            baseline: Baseline::default(),
            cheap: None,
            disks: None,
            edge,
            sizes: Sizes::new(),
            memory: None,
            last_number: None,
            whole: None,
            state: (DomainState::NoState, 0),
        }
    }

    /// Another incarnation begins anew; another name is only that.
    fn meet(&mut self, identity: Identity) {
        if self.identity.id != identity.id {
            *self = Self::new(&identity, false);
        } else if *self.identity != identity {
            self.identity = Arc::new(identity);
        }
    }

    /// The frame of a domain of which nothing was read.
    fn unread(&mut self, local: Option<&local::Domain>, around: &Around<'_>) -> Arc<DomainFrame> {
        let groups = local.map(|local| local.missing).unwrap_or_default();
        let missing = groups.cpu.or(groups.memory).or(groups.nics).unwrap_or(LOST);
        let identity = Arc::clone(&self.identity);
        let (state, state_reason) = self.state;
        let mut reading =
            DomainReading::unanswered(identity, state, around.closed, mono(around.closed), missing);
        reading.state_reason = state_reason;
        self.memory = None;
        Arc::new(DomainFrame {
            reading,
            rates: DomainRates::missing(missing),
            devices: Arc::default(),
            health: Health::Impaired(missing),
            fresh: false,
            timeline: Arc::default(),
            job: None,
            last: self.whole.clone(),
        })
    }

    fn read(
        &mut self,
        told: Option<&Told>,
        local: Option<&local::Domain>,
        around: &Around<'_>,
    ) -> Arc<DomainFrame> {
        self.keep_sizes(local);
        let seen = local.and_then(|local| local.seen.as_ref());
        let reading = Source {
            identity: Arc::clone(&self.identity),
            told,
            local,
            damaged: around.damaged,
            sizes: &self.sizes,
            closed: around.closed,
            state: self.state,
        }
        .reading();
        self.state = (reading.state, reading.state_reason);
        let trust = self.trust(&reading, around);
        // Where the reasons of then are known, they say what was a gap.
        let period = if seen.is_some() { Duration::MAX } else { around.interval.max(THINNED_TO) };
        let periods = Periods {
            cheap: period,
            memory: period,
            disk: period,
            error: Duration::ZERO,
            pass: Pass::Full,
            turn: None,
        };
        let computed = self.baseline.advance(&reading, &periods, &around.scale);
        let memory = self.memory_rate(told, seen, around);
        let rates = rates::then(computed, &reading, local, memory, trust, &around.scale);
        let health = seen.map_or_else(|| health(local), |seen| seen.health);
        let awaited = |missing: Option<Missing>| missing.is_some_and(|missing| missing.why == Why::NotDue);
        let groups = local.map(|local| local.missing).unwrap_or_default();
        let whole = matches!(health, Health::Answering) && !awaited(groups.memory) && !awaited(groups.disks);
        let frame = Arc::new(DomainFrame {
            reading,
            rates,
            devices: Arc::default(),
            health,
            fresh: true,
            timeline: Arc::default(),
            job: seen.and_then(|seen| seen.job.as_ref()).map(|job| DomainJob {
                operation: job::operation(&job.operation),
                elapsed: job.elapsed,
                remaining: job.remaining,
                total: job.total,
                done: job.done,
                left: job.left,
            }),
            last: if whole { None } else { self.whole.clone() },
        });
        if whole {
            self.whole = Some(Arc::clone(&frame));
        }
        frame
    }

    fn keep_sizes(&mut self, local: Option<&local::Domain>) {
        let disks = local.iter().flat_map(|local| &local.disks);
        let sized: Sizes = disks.filter_map(|disk| Some((Arc::clone(&disk.name), disk.size?))).collect();
        for (name, size) in sized {
            match self.sizes.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = size,
                None => self.sizes.push((name, size)),
            }
        }
        if let Some(local) = local.filter(|local| local.seen.is_some() && local.missing.disks.is_none()) {
            self.sizes.retain(|(name, _)| local.disks.iter().any(|disk| disk.name == *name));
        }
    }

    /// How far rates from the cycles before to this one can be believed, and
    /// notes this one.
    fn trust(&mut self, reading: &DomainReading, around: &Around<'_>) -> Trust {
        let now =
            Stamp { number: around.number, at: reading.at, interval: around.interval, took: around.took };
        let trusted = |before: Option<Stamp>| before.is_none_or(|before| before.leads_to(&now));
        let trust = Trust { cheap: trusted(self.cheap), disks: trusted(self.disks), edge: self.edge };
        self.cheap = Some(now);
        if reading.disks.is_ok() {
            self.disks = Some(now);
        }
        self.edge = self.edge && around.begins;
        trust
    }

    /// The rate of memory in use is in the lines of the cycles in which memory
    /// was read anew. In others it is that of the last of these, if no cycle
    /// between is gone.
    fn memory_rate(
        &mut self,
        told: Option<&Told>,
        seen: Option<&local::Seen>,
        around: &Around<'_>,
    ) -> MemoryRate {
        let line = told.and_then(|told| told.memory_rate);
        let goes_on = match (self.last_number, around.number) {
            (Some(before), Some(now)) => before.checked_add(1) == Some(now),
            _ => false,
        };
        let held = seen.is_some_and(|seen| seen.memory_held);
        self.memory = match (line, seen) {
            (Some(rate), _) => Some(rate),
            // Not read in this cycle: the report before is still the last.
            (None, Some(_)) if goes_on => self.memory,
            _ => None,
        };
        let rate = match seen.and_then(|seen| seen.memory_rate) {
            Some(missing) => Err(missing),
            None if held => self.memory.ok_or(LOST),
            None => line.ok_or(LOST),
        };
        MemoryRate { rate, held }
    }
}

impl Stamp {
    /// Whether the wall clock ran evenly from here to `later`, as far as the
    /// cycles' numbers tell: rates were of the monotonic clock, which is not
    /// recorded, and a clock that was set would make them wrong.
    #[must_use]
    pub fn leads_to(&self, later: &Self) -> bool {
        let span = later.at.0.saturating_sub(self.at.0);
        let Ok(span) = u64::try_from(span).map(Duration::from_nanos) else { return false };
        let cycles = match (self.number, later.number) {
            (Some(before), Some(now)) if now > before => now - before,
            // Another process, or no number: nothing to compare with.
            _ => return !span.is_zero(),
        };
        let cycles = u32::try_from(cycles).unwrap_or(u32::MAX);
        let took = self.took.saturating_add(later.took);
        let (short, long) = (self.interval.min(later.interval), self.interval.max(later.interval));
        let least = (short.saturating_mul(cycles) / 2).saturating_sub(took);
        let most = (long.saturating_add(took)).saturating_mul(3).saturating_mul(cycles);
        !span.is_zero() && span >= least && span <= most.saturating_add(SLACK)
    }
}

/// What a clock may be off, beside what cycles take.
const SLACK: Duration = Duration::from_secs(2);

/// As well as reasons alone tell it.
fn health(local: Option<&local::Domain>) -> Health {
    let groups = local.map(|local| local.missing).unwrap_or_default();
    [groups.guest_memory, groups.memory, groups.disks, groups.cpu]
        .into_iter()
        .flatten()
        .find(|missing| {
            missing.kind() == Kind::NotThisTime && !matches!(missing.why, Why::NotDue | Why::GuestReportStale)
        })
        .map_or(Health::Answering, Health::Impaired)
}
