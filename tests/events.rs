//! What happens to a domain is heard of at once, from libvirt's own events:
//! on real QEMU guests, and on the test hypervisor as far as it tells any.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    libvirt::{
        Answer, DomainEvent, EventKind, Groups, Member, Question, Reader, Reply, Roster, Settings, Watch,
        WatchNews,
    },
};
use lab::guests::{BATCH, Lab};

/// Anything that must happen happens within this, however busy the machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// libvirt's test hypervisor, shared by all connections of this process.
const TEST_DRIVER: &str = "test:///default";

/// The lab of this file. Its guests and its daemon are changed, so that only
/// one test at a time may have it.
fn take_lab(test: &str) -> Option<(MutexGuard<'static, ()>, &'static Lab)> {
    static TURN: Mutex<()> = Mutex::new(());
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match LAB.get_or_init(|| Lab::start_waiting_for(&[BATCH])) {
        Ok(lab) => Some((turn, lab)),
        Err(reason) => {
            lab::skipped(test, reason);
            None
        }
    }
}

fn settings(uri: &str) -> Settings {
    Settings { uri: uri.to_owned(), timeout: Duration::from_secs(30) }
}

/// A watch and what it tells.
struct Listening {
    watch: Option<Watch>,
    news: mpsc::Receiver<WatchNews>,
}

impl Listening {
    fn to(uri: &str) -> Self {
        let (tell, news) = mpsc::channel();
        let watch = Watch::start(settings(uri), Clock::system(), move |item| drop(tell.send(item))).unwrap();
        Self { watch: Some(watch), news }
    }

    /// As [`Listening::to`], once it listens.
    fn connected(uri: &str) -> Self {
        let listening = Self::to(uri);
        listening.wait(|news| match news {
            WatchNews::Connected { .. } => Some(()),
            WatchNews::Ended { why } => panic!("{why:?}"),
            WatchNews::Happened(_) => None,
        });
        listening
    }

    #[track_caller]
    fn wait<T>(&self, mut wanted: impl FnMut(WatchNews) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let news = self.news.recv_timeout(left).expect("no such news");
            if let Some(found) = wanted(news) {
                return found;
            }
        }
    }

    #[track_caller]
    fn event(&self, wanted: impl Fn(&EventKind) -> bool) -> DomainEvent {
        self.wait(|news| match news {
            WatchNews::Happened(event) if wanted(&event.kind) => Some(event),
            _ => None,
        })
    }

    /// Drops the watch and waits until its thread has given everything back.
    #[track_caller]
    fn end(mut self) {
        drop(self.watch.take());
        self.wait(|news| match news {
            WatchNews::Ended { why: None } => Some(()),
            WatchNews::Ended { why } => panic!("{why:?}"),
            _ => None,
        });
    }
}

fn is_life(kind: &EventKind, said: &str) -> bool {
    matches!(kind, EventKind::Life { text, .. } if *text == said)
}

#[test]
fn the_test_hypervisors_lifecycle_is_heard() {
    let listening = Listening::connected(TEST_DRIVER);
    let operator = virt::connect::Connect::open(Some(TEST_DRIVER)).unwrap();
    let domain = operator.lookup_domain_by_name("test").unwrap();
    domain.suspend().unwrap();
    let event = listening.event(|kind| is_life(kind, "paused"));
    assert_eq!(event.uuid, domain.uuid().unwrap());
    domain.resume().unwrap();
    listening.event(|kind| is_life(kind, "resumed"));
    listening.end();
}

#[test]
fn a_watch_on_nothing_says_why() {
    let listening = Listening::to("qemu:///system?socket=/nonexistent/sock");
    let why = listening.wait(|news| match news {
        WatchNews::Ended { why } => why,
        _ => None,
    });
    assert!(why.to_string().contains("cannot be reached"), "{why}");
}

fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

/// Threads and descriptors of this process.
fn held() -> (usize, usize) {
    (entries("/proc/self/task"), entries("/proc/self/fd"))
}

/// 200 watches come and go, and nothing of them stays.
#[track_caller]
fn leaks_nothing(uri: &str) {
    for _ in 0..5 {
        Listening::connected(uri).end();
    }
    let before = held();
    for _ in 0..200 {
        Listening::connected(uri).end();
    }
    // Another test of this process may hold something for a moment; what 200
    // watches left would stay.
    let mut after = held();
    let end = Instant::now() + PATIENCE;
    while after.0 > before.0 + 3 || after.1 > before.1 + 6 {
        assert!(Instant::now() < end, "threads and descriptors went from {before:?} to {after:?}");
        std::thread::park_timeout(Duration::from_millis(20));
        after = held();
    }
}

#[test]
fn two_hundred_watches_on_the_test_hypervisor_leave_nothing_behind() {
    leaks_nothing(TEST_DRIVER);
}

#[test]
fn two_hundred_watches_on_a_daemon_leave_nothing_behind() {
    let name = "two_hundred_watches_on_a_daemon_leave_nothing_behind";
    let Some((_turn, lab)) = take_lab(name) else { return };
    leaks_nothing(&lab.uri());
}

/// A reader whose answers are waited for.
struct Asking {
    reader: Reader,
    answers: mpsc::Receiver<Answer>,
    asked: u64,
}

impl Asking {
    fn at(uri: &str) -> Self {
        let (tell, answers) = mpsc::channel();
        let reader = Reader::start(1, settings(uri), Clock::system(), move |answer| drop(tell.send(answer)));
        Self { reader: reader.unwrap(), answers, asked: 0 }
    }

    fn ask(&mut self, question: Question) {
        self.asked += 1;
        assert!(self.reader.ask(self.asked, question));
    }

    fn roster(&mut self) -> Roster {
        self.ask(Question::Roster);
        match self.answers.recv_timeout(PATIENCE).unwrap().reply {
            Ok(Reply::Roster(roster)) => roster,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_daemon_that_falls_silent_is_noticed_by_a_call_in_flight_and_by_the_watch() {
    let name = "a_daemon_that_falls_silent_is_noticed_by_a_call_in_flight_and_by_the_watch";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let mut asking = Asking::at(&lab.uri());
    asking.roster();
    let listening = Listening::connected(&lab.uri());
    let frozen = lab.freeze_daemon();
    let since = Instant::now();
    asking.ask(Question::Roster);
    let answer = asking.answers.recv_timeout(PATIENCE).expect("the call hangs as long as the daemon does");
    let error = answer.reply.expect_err("an answer of a daemon that is stopped");
    eprintln!("noticed after {:.1} s: {error}", since.elapsed().as_secs_f64());
    assert!(error.is_connection(), "{error}");
    assert!(since.elapsed() < Duration::from_secs(20), "noticed only after {:?}", since.elapsed());
    let why = listening.wait(|news| match news {
        WatchNews::Ended { why } => why,
        _ => None,
    });
    assert!(why.is_connection(), "{why}");
    assert!(since.elapsed() < Duration::from_secs(25), "the watch noticed only after {:?}", since.elapsed());
    drop(frozen);
    asking.roster();
}

#[test]
fn a_hung_guest_does_not_break_the_connection_that_waits_for_it() {
    let name = "a_hung_guest_does_not_break_the_connection_that_waits_for_it";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let mut asking = Asking::at(&lab.uri());
    let roster = asking.roster();
    let batch = roster.domains.iter().find(|entry| &*entry.identity.name == BATCH).unwrap();
    let member = Member { uuid: batch.identity.uuid, id: batch.identity.id.unwrap(), devices: None };
    let frozen = lab.freeze(BATCH);
    asking.ask(Question::List { members: vec![member], groups: Groups::ALL, monitor_free: false });
    // Longer than keepalive waits for a daemon that is silent.
    let early = asking.answers.recv_timeout(Duration::from_secs(12));
    assert!(early.is_err(), "the call did not wait for the guest: {early:?}");
    drop(frozen);
    match asking.answers.recv_timeout(PATIENCE).unwrap().reply {
        Ok(Reply::List(list)) => assert!(!list[0].short, "{:?}", list[0]),
        other => panic!("{other:?}"),
    }
}
