//! A host of VMs for the engine that is driven by hand: a time that a test
//! moves, readers that are scripted, and a libvirt that answers as QEMU does
//! where a guest is stopped, busy, migrated or started anew.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use super::super::{Engine, nanos};
use crate::{
    clock::Clock,
    collector::{Command, Settings, Sink, readers::Readers},
    config,
    libvirt::{
        Answer, Control, Error, Groups, Question, RawDisk, RawDomain, RawHost, ReadAt, ReaderId, Reply,
        Roster, RosterEntry,
    },
    model::{
        AngleScale, DomainDevices, DomainJob, DomainState, Frame, Identity, Kib, Missing, MonoTime, Nanos,
        WallTime, Why,
        domain::{Balloon, DiskDevice},
        frame::{Health, HostFacts},
        reading::{CpuCounters, DiskCounters, DiskSize, GuestMemory, MemorySize, VcpuCounters},
        status::{CollectionState, CollectorStatus},
    },
};

pub(super) const MILLISECOND: u64 = 1_000_000;

#[derive(Default)]
pub(super) struct Asked {
    pub started: u32,
    pub ended: Vec<ReaderId>,
    /// Numbers of the watches started.
    pub watches: Vec<u64>,
    /// Questions not answered yet.
    pub open: Vec<(ReaderId, u64, Question)>,
    /// Domains whose job was asked for and told, one by one.
    pub jobs: Vec<u128>,
}

#[derive(Clone, Default)]
pub(super) struct ScriptedReaders(Arc<Mutex<Asked>>);

impl Readers for ScriptedReaders {
    fn start(&mut self) -> Result<ReaderId, String> {
        let mut asked = self.0.lock().unwrap();
        asked.started += 1;
        Ok(asked.started)
    }

    fn ask(&mut self, reader: ReaderId, ticket: u64, question: Question) -> bool {
        self.0.lock().unwrap().open.push((reader, ticket, question));
        true
    }

    fn end(&mut self, reader: ReaderId) {
        self.0.lock().unwrap().ended.push(reader);
    }

    fn watch(&mut self, number: u64) -> Result<(), String> {
        self.0.lock().unwrap().watches.push(number);
        Ok(())
    }

    fn unwatch(&mut self) {}
}

#[derive(Clone, Default)]
pub(super) struct Seen {
    pub frames: Arc<Mutex<Vec<Arc<Frame>>>>,
    pub statuses: Arc<Mutex<Vec<CollectorStatus>>>,
}

impl Sink for Seen {
    fn frame(&mut self, frame: Arc<Frame>) {
        self.frames.lock().unwrap().push(frame);
    }

    fn status(&mut self, status: CollectorStatus) {
        self.statuses.lock().unwrap().push(status);
    }
}

/// An engine with its time, its readers and a host of `domains` VMs.
pub(super) struct Host {
    pub engine: Engine<ScriptedReaders, Seen>,
    pub asked: Arc<Mutex<Asked>>,
    pub seen: Seen,
    pub now: Arc<AtomicU64>,
    pub domains: u128,
    /// Domains whose QEMU is stopped: the call that meets one first hangs.
    pub stopped: Vec<u128>,
    /// Tickets of calls that hang, each with the domain it holds.
    pub hanging: HashMap<u64, u128>,
    /// Domains whose job a dead client's call holds.
    pub left_behind: Vec<u128>,
    /// Domains that another client's job holds.
    pub busy: Vec<u128>,
    /// Domains that are paused for a migration.
    pub migrating: Vec<u128>,
    /// Domains whose XML is never given.
    pub undescribed: Vec<u128>,
    /// Domains that were started anew, which gives them another id.
    pub restarted: Vec<u128>,
    /// What a reading in full costs beyond the usual, in milliseconds.
    pub cost: u64,
    /// Those that take half a second more when they are timed alone.
    pub slow: Vec<u128>,
    /// What every answer is in place of what was asked for.
    pub fails: Option<fn() -> Error>,
    /// How far off such a reading's instant may be, in milliseconds.
    pub error: u64,
    /// The guests' report, where they give one.
    pub report: Option<GuestMemory>,
    pub balloon: Balloon,
    /// The job that runs on every domain, if one does.
    pub job: Option<DomainJob>,
    /// Questions for a job are never answered.
    pub jobs_hang: bool,
    /// Nobody is told who is held.
    pub probes_hang: bool,
    /// The driver knows no jobs.
    pub no_jobs: bool,
}

/// A host that tells nothing of its load.
fn unloaded() -> RawHost {
    let missing = Missing::new(Why::NotOffered);
    RawHost { cpu: Err(missing), memory: Err(missing), pressure: Err(missing) }
}

impl Host {
    pub fn new(domains: u128, max_stuck_calls: usize) -> Self {
        let now = Arc::new(AtomicU64::new(1_000 * MILLISECOND));
        let time = Arc::clone(&now);
        let clock = Clock::from_fn(move || {
            let nanos = time.load(Ordering::SeqCst);
            (WallTime(i64::try_from(nanos).unwrap()), MonoTime(nanos))
        });
        let readers = ScriptedReaders::default();
        let asked = Arc::clone(&readers.0);
        let seen = Seen::default();
        let libvirt = config::Libvirt { max_parallel: 3, max_stuck_calls, ..config::Libvirt::default() };
        let settings =
            Settings { libvirt, interval: Duration::from_secs(1), scale: AngleScale::default(), notes: None };
        let engine = Engine::new(settings, clock, readers, seen.clone());
        Self {
            engine,
            asked,
            seen,
            now,
            domains,
            stopped: vec![],
            hanging: HashMap::new(),
            left_behind: vec![],
            cost: 0,
            slow: Vec::new(),
            fails: None,
            error: 0,
            busy: vec![],
            migrating: vec![],
            undescribed: vec![],
            restarted: vec![],
            report: None,
            balloon: Balloon::Absent,
            job: None,
            jobs_hang: false,
            probes_hang: false,
            no_jobs: false,
        }
    }

    pub fn state(&self) -> CollectionState {
        self.status().state
    }

    pub fn status(&self) -> CollectorStatus {
        self.seen.statuses.lock().unwrap().last().unwrap().clone()
    }

    pub fn frame(&self) -> Arc<Frame> {
        Arc::clone(self.seen.frames.lock().unwrap().last().expect("a frame"))
    }

    pub fn health(&self, number: u128) -> Health {
        let frame = self.frame();
        let wanted = Uuid::from_u128(number);
        frame.domains.iter().find(|d| d.identity().uuid == wanted).expect("the domain").health
    }

    pub fn open(&self) -> Vec<(ReaderId, u64, Question)> {
        self.asked.lock().unwrap().open.clone()
    }

    /// Answers everything that answers. The first call that meets a stopped
    /// domain takes its job and hangs; later ones pass that domain.
    pub fn answer_all(&mut self) {
        loop {
            let answerable = self.open().into_iter().find(|(_, ticket, question)| {
                if self.hanging.contains_key(ticket) {
                    return false;
                }
                if let Question::Describe { uuid } | Question::Xml { uuid } = question {
                    return !self.undescribed.contains(&uuid.as_u128());
                }
                if matches!(question, Question::Job { .. }) {
                    return !self.jobs_hang;
                }
                if matches!(question, Question::Control { .. }) {
                    return !self.probes_hang;
                }
                let Question::List { members, monitor_free: false, .. } = question else { return true };
                let held: Vec<u128> = self.hanging.values().chain(&self.left_behind).copied().collect();
                let meets = members
                    .iter()
                    .map(|m| m.uuid.as_u128())
                    .find(|n| self.stopped.contains(n) && !held.contains(n));
                match meets {
                    Some(number) => {
                        self.hanging.insert(*ticket, number);
                        false
                    }
                    None => true,
                }
            });
            let Some((reader, ticket, question)) = answerable else { return };
            self.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
            let reply = self.fails.map_or_else(|| Ok(self.reply(question)), |error| Err(error()));
            self.give(reader, ticket, reply);
        }
    }

    pub fn reply(&self, question: Question) -> Reply {
        match question {
            Question::Roster => Reply::Roster(Roster {
                domains: (1..=self.domains).map(|number| entry(number, self.id(number))).collect(),
                host: HostFacts::default(),
                load: unloaded(),
            }),
            Question::Describe { uuid } => Reply::Description {
                uuid,
                devices: DomainDevices {
                    disks: vec![DiskDevice {
                        name: "vda".into(),
                        alias: Some("virtio-disk0".into()),
                        kind: "disk".into(),
                        bus: None,
                        source: Some("/vda.img".into()),
                    }],
                    balloon: self.balloon,
                    ..DomainDevices::default()
                },
            },
            Question::Xml { uuid } => {
                Reply::Xml { uuid, xml: format!("<domain><uuid>{uuid}</uuid></domain>").into() }
            }
            Question::Control { uuid, .. } => {
                let number = uuid.as_u128();
                let hangs = self.hanging.values().chain(&self.left_behind).any(|held| *held == number);
                Reply::Control(if hangs {
                    Control::Held(Duration::from_secs(5))
                } else if self.busy.contains(&number) {
                    Control::Held(Duration::from_millis(3))
                } else {
                    Control::Free
                })
            }
            Question::Job { uuid, id } => {
                self.asked.lock().unwrap().jobs.push(uuid.as_u128());
                let job = if self.no_jobs { Err(Missing::new(Why::NotOffered)) } else { Ok(self.job) };
                Reply::Job { uuid, id: Some(id), job }
            }
            Question::List { members, monitor_free, timed } => Reply::List(
                members
                    .iter()
                    .map(|m| {
                        let in_turns = members.iter().any(|other| other.groups != m.groups);
                        let raw = self.raw(m.uuid.as_u128(), m.groups, monitor_free, in_turns);
                        let alone = self.cost + if self.slow.contains(&m.uuid.as_u128()) { 500 } else { 0 };
                        let timed = timed == Some(m.uuid);
                        RawDomain { alone: timed.then_some(Duration::from_millis(alone)), ..raw }
                    })
                    .collect(),
            ),
        }
    }

    pub fn id(&self, number: u128) -> u32 {
        let anew = if self.restarted.contains(&number) { 1_000 } else { 0 };
        u32::try_from(number).unwrap() + anew
    }

    pub fn raw(&self, number: u128, groups: Groups, monitor_free: bool, in_turns: bool) -> RawDomain {
        let time = Nanos(self.now.load(Ordering::SeqCst) / 2);
        let short = self.stopped.contains(&number) || self.busy.contains(&number);
        let full = groups.has(Groups::MEMORY);
        let whole = !short && !monitor_free && full;
        let now = self.engine.clock.now();
        let cost = if full && !in_turns { self.cost } else { self.cost / 5 };
        let migrates = self.migrating.contains(&number);
        RawDomain {
            id: Some(self.id(number)),
            asked: groups,
            rest: (self.cost > 0 && full && in_turns).then(|| ReadAt {
                wall: now.0,
                mono: now.1,
                share: Duration::from_millis(self.cost - self.cost / 5),
                error: Duration::from_millis(self.error),
            }),
            read: (self.cost > 0).then(|| ReadAt {
                wall: now.0,
                mono: now.1,
                share: Duration::from_millis(cost),
                error: Duration::from_millis(self.error),
            }),
            state: if migrates { DomainState::Paused } else { DomainState::Running },
            reason: if migrates { 2 } else { 1 },
            guest: self.report,
            cpu: Some(CpuCounters { time, user: None, system: None }),
            vcpu_count: Some(1),
            vcpus: (!monitor_free).then(|| {
                vec![VcpuCounters { index: 0, time: Some(time), wait: None, delay: None, halted: None }]
            }),
            memory: full.then_some(MemorySize { current: Kib(1), maximum: Kib(2) }),
            rss: whole.then_some(Kib(3)),
            nics: Some(vec![]),
            disks: full.then(|| {
                vec![RawDisk {
                    name: "vda".into(),
                    counters: whole
                        .then(|| DiskCounters { rd_bytes: Some(time.0), ..DiskCounters::default() }),
                    size: DiskSize::default(),
                }]
            }),
            short: short && !monitor_free && full,
            ..RawDomain::empty(Uuid::from_u128(number))
        }
    }

    pub fn give(&mut self, reader: ReaderId, ticket: u64, reply: Result<Reply, Error>) {
        let now = self.engine.clock.now();
        let begun = (WallTime(now.0.0 - 1_000_000), MonoTime(now.1.0 - MILLISECOND));
        self.engine.answer(Answer { reader, ticket, begun, ended: now, reply });
        self.engine.on_time();
    }

    /// Lets `milliseconds` pass, answering whatever answers on the way.
    pub fn pass(&mut self, milliseconds: u64) {
        let end = self.now.load(Ordering::SeqCst) + milliseconds * MILLISECOND;
        loop {
            self.answer_all();
            let now = self.now.load(Ordering::SeqCst);
            let step = self.engine.wait().map_or(u64::MAX, nanos).max(1);
            let next = now.saturating_add(step).min(end);
            self.now.store(next, Ordering::SeqCst);
            self.engine.on_time();
            self.answer_all();
            if next == end {
                return;
            }
        }
    }

    pub fn start(&mut self) {
        self.engine.command(Command::Start);
    }

    /// Lets stopped domains go on: the calls that hang on them return.
    pub fn resume(&mut self) {
        self.stopped.clear();
        self.hanging.clear();
        self.answer_all();
    }

    pub fn calls_that_can_hang(&self) -> usize {
        self.open().iter().filter(|(_, _, q)| matches!(q, Question::List { monitor_free: false, .. })).count()
    }
}

fn entry(number: u128, id: u32) -> RosterEntry {
    RosterEntry {
        identity: Identity {
            uuid: Uuid::from_u128(number),
            id: Some(id),
            name: format!("vm-{number}").into(),
        },
        state: DomainState::Running,
        reason: 1,
    }
}
