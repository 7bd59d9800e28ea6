//! The engine driven by hand: time stands still until a test moves it, and
//! readers answer when a test says so. Hangs on real QEMU are in `tests/`.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::{
    config,
    libvirt::{Control, Error, Groups, RawDisk, RawDomain, RawHost, ReadAt, Roster, RosterEntry},
    model::{
        AngleScale, DomainDevices, DomainJob, DomainState, Frame, Identity, Kib, Nanos, WallTime,
        domain::{Balloon, DiskDevice},
        frame::Health,
        reading::{CpuCounters, DiskCounters, DiskSize, GuestMemory, MemorySize, VcpuCounters},
        status::CollectorStatus,
    },
};

mod attempts;
mod blame;
mod describing;
mod jobs;
mod late;
mod rounds;
mod successors;
mod watch;

const MILLISECOND: u64 = 1_000_000;

#[derive(Default)]
struct Asked {
    started: u32,
    ended: Vec<ReaderId>,
    /// Numbers of the watches started.
    watches: Vec<u64>,
    /// Questions not answered yet.
    open: Vec<(ReaderId, u64, Question)>,
    /// Domains whose job was asked for and told, one by one.
    jobs: Vec<u128>,
}

#[derive(Clone, Default)]
struct ScriptedReaders(Arc<Mutex<Asked>>);

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
struct Seen {
    frames: Arc<Mutex<Vec<Arc<Frame>>>>,
    statuses: Arc<Mutex<Vec<CollectorStatus>>>,
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
struct Host {
    engine: Engine<ScriptedReaders, Seen>,
    asked: Arc<Mutex<Asked>>,
    seen: Seen,
    now: Arc<AtomicU64>,
    domains: u128,
    /// Domains whose QEMU is stopped: the call that meets one first hangs.
    stopped: Vec<u128>,
    /// Tickets of calls that hang, each with the domain it holds.
    hanging: HashMap<u64, u128>,
    /// Domains whose job a dead client's call holds.
    left_behind: Vec<u128>,
    /// Domains that another client's job holds.
    busy: Vec<u128>,
    /// Domains that are paused for a migration.
    migrating: Vec<u128>,
    /// Domains whose XML is never given.
    undescribed: Vec<u128>,
    /// Domains that were started anew, which gives them another id.
    restarted: Vec<u128>,
    /// What a reading in full costs beyond the usual, in milliseconds.
    cost: u64,
    /// How far off such a reading's instant may be, in milliseconds.
    error: u64,
    /// The guests' report, where they give one.
    report: Option<GuestMemory>,
    balloon: Balloon,
    /// The job that runs on every domain, if one does.
    job: Option<DomainJob>,
    /// Questions for a job are never answered.
    jobs_hang: bool,
    /// The driver knows no jobs.
    no_jobs: bool,
}

/// A host that tells nothing of its load.
fn unloaded() -> RawHost {
    let missing = Missing::new(Why::NotOffered);
    RawHost { cpu: Err(missing), memory: Err(missing), pressure: Err(missing) }
}

impl Host {
    fn new(domains: u128, max_stuck_calls: usize) -> Self {
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
            error: 0,
            busy: vec![],
            migrating: vec![],
            undescribed: vec![],
            restarted: vec![],
            report: None,
            balloon: Balloon::Absent,
            job: None,
            jobs_hang: false,
            no_jobs: false,
        }
    }

    fn state(&self) -> CollectionState {
        self.status().state
    }

    fn status(&self) -> CollectorStatus {
        self.seen.statuses.lock().unwrap().last().unwrap().clone()
    }

    fn frame(&self) -> Arc<Frame> {
        Arc::clone(self.seen.frames.lock().unwrap().last().expect("a frame"))
    }

    fn health(&self, number: u128) -> Health {
        let frame = self.frame();
        let wanted = Uuid::from_u128(number);
        frame.domains.iter().find(|d| d.identity().uuid == wanted).expect("the domain").health
    }

    fn open(&self) -> Vec<(ReaderId, u64, Question)> {
        self.asked.lock().unwrap().open.clone()
    }

    /// Answers everything that answers. The first call that meets a stopped
    /// domain takes its job and hangs; later ones pass that domain.
    fn answer_all(&mut self) {
        loop {
            let answerable = self.open().into_iter().find(|(_, ticket, question)| {
                if self.hanging.contains_key(ticket) {
                    return false;
                }
                if let Question::Describe { uuid } = question {
                    return !self.undescribed.contains(&uuid.as_u128());
                }
                if matches!(question, Question::Job { .. }) {
                    return !self.jobs_hang;
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
            let reply = self.reply(question);
            self.give(reader, ticket, Ok(reply));
        }
    }

    fn reply(&self, question: Question) -> Reply {
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
            Question::List { members, monitor_free, .. } => Reply::List(
                members.iter().map(|m| self.raw(m.uuid.as_u128(), m.groups, monitor_free)).collect(),
            ),
        }
    }

    fn id(&self, number: u128) -> u32 {
        let anew = if self.restarted.contains(&number) { 1_000 } else { 0 };
        u32::try_from(number).unwrap() + anew
    }

    fn raw(&self, number: u128, groups: Groups, monitor_free: bool) -> RawDomain {
        let time = Nanos(self.now.load(Ordering::SeqCst) / 2);
        let short = self.stopped.contains(&number) || self.busy.contains(&number);
        let full = groups.has(Groups::MEMORY);
        let whole = !short && !monitor_free && full;
        let now = self.engine.clock.now();
        let cost = if full { self.cost } else { self.cost / 5 };
        let migrates = self.migrating.contains(&number);
        RawDomain {
            id: Some(self.id(number)),
            asked: groups,
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

    fn give(&mut self, reader: ReaderId, ticket: u64, reply: Result<Reply, Error>) {
        let now = self.engine.clock.now();
        let begun = (WallTime(now.0.0 - 1_000_000), MonoTime(now.1.0 - MILLISECOND));
        self.engine.answer(Answer { reader, ticket, begun, ended: now, reply });
        self.engine.on_time();
    }

    /// Lets `milliseconds` pass, answering whatever answers on the way.
    fn pass(&mut self, milliseconds: u64) {
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

    fn start(&mut self) {
        self.engine.command(Command::Start);
    }

    /// Lets stopped domains go on: the calls that hang on them return.
    fn resume(&mut self) {
        self.stopped.clear();
        self.hanging.clear();
        self.answer_all();
    }

    fn calls_that_can_hang(&self) -> usize {
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

fn lost() -> Error {
    let text = || String::from("cut");
    Error::Lost { uri: text(), what: "asking", detail: text(), next: "wait" }
}

fn why(health: Health) -> Option<Why> {
    match health {
        Health::Impaired(missing) => Some(missing.why),
        Health::Answering | Health::Inactive => None,
    }
}

#[test]
fn cycles_run_at_the_interval_and_read_every_domain() {
    let mut host = Host::new(7, 8);
    assert!(matches!(host.state(), CollectionState::Stopped { .. }));
    host.start();
    assert!(matches!(host.state(), CollectionState::Connecting { .. }));
    host.pass(10_500);
    assert!(matches!(host.state(), CollectionState::Running { .. }));
    assert_eq!(host.seen.frames.lock().unwrap().len(), 11);
    let frame = host.frame();
    assert_eq!(frame.domains.len(), 7);
    assert!(frame.domains.iter().all(|d| d.fresh && d.health == Health::Answering));
    assert!(frame.domains.iter().all(|d| (d.rates.cpu_percent.unwrap() - 50.0).abs() < 0.1));
    assert_eq!(host.status().lists, 1, "a millisecond is not worth three calls");
    assert_eq!(host.status().total_collections, 11);
    assert_eq!(host.status().skipped_ticks, 0);
}

#[test]
fn a_hung_domain_is_named_and_costs_one_call_and_nobody_elses_cycle() {
    let mut host = Host::new(9, 8);
    host.start();
    host.pass(3_500);
    host.stopped = vec![4];
    host.pass(2_000);
    assert_eq!(why(host.health(4)), Some(Why::MonitorNotAnswering));
    for _ in 0..5 {
        let before = host.frame().cycle;
        host.pass(1_000);
        assert_eq!(host.frame().cycle, before + 1, "the interval is kept");
        let frame = host.frame();
        assert!(frame.domains.iter().all(|d| d.fresh), "everybody is read, the hung one too");
        assert_eq!(frame.domains.iter().filter(|d| d.health == Health::Answering).count(), 8);
        assert_eq!(host.calls_that_can_hang(), 1);
    }
    let frame = host.frame();
    let hung = frame.find("vm-4").unwrap();
    assert!(hung.rates.cpu_percent.is_ok(), "CPU needs no monitor");
    assert_eq!(hung.reading.disks.as_ref().unwrap_err().why, Why::MonitorNotAnswering);
    let status = host.status();
    assert_eq!(status.stuck_calls.len(), 1);
    assert_eq!(status.stuck_calls[0].domain.as_deref(), Some("vm-4"));
    assert_eq!(status.silent.len(), 1);

    host.resume();
    host.pass(1_000);
    assert_eq!(host.health(4), Health::Answering);
    assert!(host.status().stuck_calls.is_empty());
    assert_eq!(host.status().skipped_ticks, 0);
}

#[test]
fn stuck_calls_never_exceed_their_bound_and_what_cannot_hang_is_still_asked() {
    let mut host = Host::new(12, 4);
    host.start();
    host.pass(2_500);
    host.stopped = (1..=12).collect();
    for _ in 0..40 {
        host.pass(250);
        assert!(host.calls_that_can_hang() <= 4, "{} calls may hang", host.calls_that_can_hang());
    }
    assert_eq!(host.status().stuck_calls.len(), 4);
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| d.fresh && d.rates.cpu_cores.is_ok()), "CPU goes on");
    let not_asked =
        frame.domains.iter().filter(|d| why(d.health) == Some(Why::NotAsked { stuck: 4 })).count();
    let hung = frame.domains.iter().filter(|d| why(d.health) == Some(Why::MonitorNotAnswering)).count();
    assert_eq!((not_asked, hung), (8, 4), "those that are held are known from libvirt's books");
    assert!(host.status().stuck_calls.iter().all(|call| call.domain.is_some()));

    // Stopping and starting while they hang makes no further ones.
    for _ in 0..3 {
        host.engine.command(Command::Stop);
        assert!(matches!(host.state(), CollectionState::Stopped { .. }));
        host.start();
        host.pass(2_000);
        assert!(matches!(host.state(), CollectionState::Running { .. }));
        assert!(host.calls_that_can_hang() <= 4);
    }
    host.resume();
    host.pass(2_500);
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
    assert!(host.status().stuck_calls.is_empty());
}

#[test]
fn a_slow_host_is_not_called_hung() {
    let mut host = Host::new(3, 8);
    host.start();
    host.pass(3_500);
    // Answers come after 700 ms for a while, but everybody is whole.
    for _ in 0..12 {
        let waited = host.now.load(Ordering::SeqCst) + 700 * MILLISECOND;
        while host.now.load(Ordering::SeqCst) < waited {
            let next = host.now.load(Ordering::SeqCst) + 50 * MILLISECOND;
            host.now.store(next, Ordering::SeqCst);
            host.engine.on_time();
        }
        let open: Vec<_> = host.asked.lock().unwrap().open.drain(..).collect();
        for (reader, ticket, question) in open {
            let now = host.engine.clock.now();
            let begun = (WallTime(now.0.0 - 700_000_000), MonoTime(now.1.0 - 700 * MILLISECOND));
            let reply = Ok(host.reply(question));
            host.engine.answer(Answer { reader, ticket, begun, ended: now, reply });
            host.engine.on_time();
        }
        let frame = host.frame();
        assert!(frame.domains.iter().all(|d| why(d.health) != Some(Why::MonitorNotAnswering)));
    }
    host.pass(3_000);
    assert!(host.status().stuck_calls.is_empty());
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
}

#[test]
fn a_host_too_slow_for_every_deadline_is_not_buried_under_calls() {
    let mut host = Host::new(30, 4);
    host.start();
    let mut open_since: HashMap<u64, u64> = HashMap::new();
    let mut most = 0;
    for _ in 0..2_400 {
        let now = host.now.fetch_add(50 * MILLISECOND, Ordering::SeqCst) + 50 * MILLISECOND;
        host.engine.on_time();
        for (reader, ticket, question) in host.open() {
            let since = *open_since.entry(ticket).or_insert(now);
            // Lists take 8 s; all else is quick.
            let is_list = matches!(question, Question::List { .. });
            if !is_list || now - since >= 8_000 * MILLISECOND {
                host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
                let took = now - since;
                let begun = (WallTime(i64::try_from(since).unwrap()), MonoTime(since));
                let ended = (WallTime(i64::try_from(since + took).unwrap()), MonoTime(since + took));
                let reply = Ok(host.reply(question));
                host.engine.answer(Answer { reader, ticket, begun, ended, reply });
                host.engine.on_time();
            }
        }
        let lists = host.open().iter().filter(|(_, _, q)| matches!(q, Question::List { .. })).count();
        most = most.max(lists);
    }
    assert!(most <= 4 + 3, "{most} lists at once: max_stuck_calls and max_parallel are 4 and 3");
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| why(d.health) != Some(Why::MonitorNotAnswering)));
    // It has learned how slow the host is: everybody is read in full again.
    let statuses = host.seen.frames.lock().unwrap();
    let late = &statuses[statuses.len() - 3..];
    assert!(late.iter().any(|f| f.domains.iter().all(|d| d.health == Health::Answering && d.fresh)));
}

#[test]
fn a_domain_short_without_a_stuck_call_is_asked_once_more_and_then_busy() {
    let mut host = Host::new(4, 8);
    host.start();
    host.pass(2_500);
    let whole = host.asked.lock().unwrap().started;
    host.busy = vec![2];
    host.pass(3_000);
    assert_eq!(why(host.health(2)), Some(Why::Busy));
    assert_eq!(host.health(1), Health::Answering);
    assert!(host.frame().find("vm-2").unwrap().rates.cpu_percent.is_ok());
    assert!(host.status().stuck_calls.is_empty());
    host.busy.clear();
    host.pass(1_000);
    assert_eq!(host.health(2), Health::Answering);
    assert_eq!(host.asked.lock().unwrap().started, whole, "no reader was spent on it");
}

#[test]
fn stop_acts_at_once_while_everything_hangs_and_late_answers_change_nothing() {
    let mut host = Host::new(3, 8);
    host.start();
    host.pass(1_500);
    host.stopped = vec![1, 2, 3];
    host.pass(5_000);
    host.engine.command(Command::Stop);
    assert!(matches!(host.state(), CollectionState::Stopped { .. }));
    let frames = host.seen.frames.lock().unwrap().len();
    assert!(host.engine.wait().is_none() || host.calls_that_can_hang() > 0);
    host.resume();
    host.pass(5_000);
    assert_eq!(host.seen.frames.lock().unwrap().len(), frames, "a stopped collector publishes nothing");
    assert!(host.open().is_empty(), "and asks nothing");
}

#[test]
fn a_lost_connection_is_said_for_every_domain_and_tried_again_with_backoff() {
    let mut host = Host::new(2, 8);
    host.start();
    host.pass(2_500);
    // Everything fails from now on.
    let lost = |host: &mut Host| {
        let open: Vec<_> = host.asked.lock().unwrap().open.drain(..).collect();
        for (reader, ticket, _) in open {
            host.give(reader, ticket, Err(lost()));
        }
    };
    let mut attempts = 0;
    let until = host.now.load(Ordering::SeqCst) + 20_000 * MILLISECOND;
    while host.now.load(Ordering::SeqCst) < until {
        let step = host.engine.wait().map_or(MILLISECOND, nanos).max(1);
        host.now.fetch_add(step, Ordering::SeqCst);
        host.engine.on_time();
        attempts += host.open().len();
        lost(&mut host);
    }
    assert!(matches!(host.state(), CollectionState::Failed { .. }));
    assert!((4..=8).contains(&attempts), "{attempts} attempts in 20 s");
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| why(d.health) == Some(Why::NoConnection) && !d.fresh));
    host.engine.command(Command::Reconnect);
    host.pass(1_500);
    assert!(matches!(host.state(), CollectionState::Running { .. }));
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
}

#[test]
fn a_changed_interval_holds_from_the_next_cycle_on() {
    let mut host = Host::new(1, 8);
    host.start();
    host.pass(1_500);
    host.engine.command(Command::SetInterval(Duration::from_millis(200)));
    let before = host.frame().cycle;
    host.pass(2_000);
    let cycles = host.frame().cycle - before;
    assert!((9..=11).contains(&cycles), "{cycles} cycles in 2 s at 200 ms");
}

#[test]
fn a_host_without_domains_has_empty_frames() {
    let mut host = Host::new(0, 8);
    host.start();
    host.pass(2_500);
    assert!(host.frame().domains.is_empty());
    assert_eq!(host.status().total_collections, 3);
}
