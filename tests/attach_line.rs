//! A screen attached over a line that stands still, loses cycles or falls
//! silent, and to a machine whose clock is another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod agent_process;
mod lab;
mod relay;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use agent_process::{Agent, PATIENCE, asking::ask};
use kvmscope::model::{
    WallTime,
    past::{Moment, Question},
};
use lab::terminal::Terminal;
use relay::{Mode, Relay};

const NEWEST: Moment = Moment::AtOrBefore(WallTime(i64::MAX));

/// An agent, a line to it, and a screen at the other end.
struct Scene {
    agent: Agent,
    relay: Relay,
    home: tempfile::TempDir,
    host: String,
    end: PathBuf,
    socket: PathBuf,
}

impl Scene {
    /// An agent whose machine's clock is so many nanoseconds ahead.
    fn start(ahead: i64, arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = lab::own_demo_host(home.path());
        Self::of(home, host, ahead, arguments)
    }

    fn of(home: tempfile::TempDir, host: String, ahead: i64, arguments: &[&str]) -> Self {
        let (socket, end) = (home.path().join("agent.sock"), home.path().join("line.sock"));
        let config = home.path().join("agent.toml");
        std::fs::write(&config, format!("[agent]\nsocket = \"{}\"\n", socket.display())).unwrap();
        let all = [&["--config", config.to_str().unwrap(), "--uri", &host], arguments].concat();
        let mut agent = Agent::start(home.path(), &all);
        agent.told("STATUS=collecting");
        let relay = Relay::start(&end, &socket, ahead);
        Self { agent, relay, home, host, end, socket }
    }

    fn screen(&self, arguments: &[&str]) -> Terminal {
        let all = [&["--uri", &self.host, "--attach", self.end.to_str().unwrap()], arguments].concat();
        Terminal::start(self.home.path(), (60, 150), &all, &[])
    }

    /// Waits until so many cycles are recorded.
    fn collected(&self, cycles: u64) {
        lab::within(PATIENCE, "cycles are collected", || {
            let status = ask(&self.socket, "GET", "/api/telemetry/status").json();
            status["total_collections"].as_u64().filter(|count| *count >= cycles)
        });
    }
}

/// The cycles in memory that the status page tells.
fn in_memory(screen: &str) -> Option<usize> {
    let line = screen.lines().find_map(|line| line.split_once("in memory"))?.1;
    line.split_once(" cycles")?.0.trim().replace(' ', "").parse().ok()
}

#[test]
fn frames_that_come_in_one_burst_are_all_taken_and_nothing_is_asked_for() {
    let scene = Scene::start(0, &["--poll-interval", "0.2"]);
    let mut terminal = scene.screen(&[]);
    terminal.wait_for("agent collecting");
    scene.relay.wait("the history is told", |line| (!line.looked.is_empty()).then_some(()));
    terminal.press("c");
    terminal.wait("cycles are in memory", |screen| in_memory(screen).is_some_and(|cycles| cycles > 3));
    scene.relay.set(Mode::Hold);
    scene.relay.wait("frames are held", |line| (line.held.len() >= 20).then_some(()));
    scene.relay.set(Mode::Pass);
    let (first, burst) = scene.relay.wait("they came", |line| {
        (line.held.is_empty()).then(|| (line.passed[0], line.passed[line.passed.len() - 1]))
    });
    // Every one of them is in memory: as many as there were cycles.
    terminal.wait("all are in memory", |screen| {
        in_memory(screen).is_some_and(|cycles| cycles as u64 > burst - first)
    });
    // Nothing was lacking, so nothing is asked for after that.
    let come = scene.relay.state().passed.len();
    scene.relay.wait("more cycles come", |line| (line.passed.len() >= come + 30).then_some(()));
    let asked: Vec<Question> = scene.relay.state().looked.iter().map(|looked| looked.question).collect();
    assert_eq!(asked.iter().filter(|question| question.moment == NEWEST).count(), 1, "{asked:?}");
    let cycles = scene.relay.state().passed.clone();
    assert!(cycles.windows(2).all(|two| two[1] == two[0] + 1), "{cycles:?}");
    let holes = scene.relay.state().looked.iter().filter(|looked| looked.told.len() > 15).count();
    assert_eq!(holes, 0, "{asked:?}");
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn cycles_that_a_line_has_lost_are_asked_of_the_record() {
    let scene = Scene::start(0, &["--poll-interval", "0.2"]);
    let terminal = scene.screen(&[]);
    terminal.wait_for("agent collecting");
    scene.relay.wait("cycles come", |line| (line.passed.len() >= 30).then_some(()));
    scene.relay.set(Mode::Lose);
    scene.relay.wait("frames are lost", |line| (line.lost.len() >= 12).then_some(()));
    scene.relay.set(Mode::Pass);
    // A record that has not written them yet is asked again.
    let filled = |line: &relay::State| {
        let is_it = |looked: &&relay::Looked| looked.question.history == line.lost.len();
        let looked = line.looked.iter().rfind(is_it)?;
        let Moment::Before(before) = looked.question.moment else { return None };
        let whole = looked.told.last().is_some_and(|last| before.since(*last) < Duration::from_millis(600));
        whole.then_some((looked.told.len(), line.lost.len()))
    };
    let (told, lost) = scene.relay.wait("the hole is asked for", filled);
    assert_eq!(told, lost);
    let come = scene.relay.state().passed.len();
    scene.relay.wait("more cycles come", |line| (line.passed.len() >= come + 40).then_some(()));
    let all: Vec<WallTime> =
        scene.relay.state().looked.iter().flat_map(|looked| looked.told.clone()).collect();
    // What is quiet by then is not asked for any more.
    let distinct = all.iter().collect::<BTreeSet<_>>().len();
    assert!(all.len() - distinct <= lost, "{:?}", scene.relay.state().looked);
}

#[test]
fn a_history_of_many_machines_comes_in_pieces_and_no_cycle_twice() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::test_host::test_host_of(home.path(), 400);
    let scene = Scene::of(home, host, 0, &["--poll-interval", "0.5"]);
    scene.collected(25);
    let terminal = scene.screen(&[]);
    terminal.wait_for("agent collecting");
    let newest = |line: &relay::State| line.looked.first().map(|looked| looked.told.len());
    let first = scene.relay.wait("the newest are told", newest);
    assert!(first < 20, "one answer tells {first} cycles: this test needs more machines");
    let all = |line: &relay::State| {
        let all: Vec<_> = line.looked.iter().flat_map(|looked| looked.told.clone()).collect();
        (all.len() >= 25).then_some(all)
    };
    let mut all = scene.relay.wait("all are told", all);
    let pieces = scene.relay.state().looked.len();
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "no cycle is told twice");
    assert!(pieces > 1, "{pieces}");
    eprintln!("{count} cycles of 400 machines in {pieces} pieces");
}

#[test]
fn an_agent_whose_stream_is_silent_is_gone_however_often_it_answers_keys() {
    let scene = Scene::start(0, &["--poll-interval", "0.5"]);
    let mut terminal = scene.screen(&[]);
    terminal.wait_for("agent collecting");
    terminal.wait_for("web-frontend-1");
    scene.relay.set(Mode::Silent);
    let silent = Instant::now();
    let mut answered = scene.relay.state().answered;
    let mut keys = "+-".chars().cycle();
    while !terminal.screen().contains("AGENT GONE since") {
        assert!(silent.elapsed() < Duration::from_secs(25), "{}", terminal.screen());
        terminal.press(&keys.next().unwrap().to_string());
        let until = Instant::now() + Duration::from_secs(1);
        // A key that is not answered any more is no reason to wait.
        while scene.relay.state().answered == answered && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        answered = scene.relay.state().answered;
    }
    assert!(answered > 3, "{answered}");
    terminal.wait_for_words("it has said nothing for 8 s");
    scene.relay.set(Mode::Pass);
    terminal.wait("it is live", |screen| screen.contains("agent collecting") && !screen.contains("GONE"));
}

#[test]
fn ages_are_right_where_the_clocks_of_two_machines_are_minutes_apart() {
    for (ahead, words) in [
        (300_000_000_000, "5 min ahead of this machine's"),
        (-300_000_000_000, "5 min behind this machine's"),
    ] {
        let mut scene = Scene::start(ahead, &["--poll-interval", "0.2"]);
        let mut terminal = scene.screen(&[]);
        terminal.wait_for("agent collecting");
        terminal.press("c");
        terminal.wait_for_words(words);
        let screen = terminal.wait("cycles are in memory", |screen| in_memory(screen).is_some());
        // Every age of something that is going on is one of seconds.
        let memory = screen.lines().find(|line| line.contains("in memory")).unwrap();
        assert!(memory.contains(" s,") && !memory.contains("min"), "{memory}");
        let shown = |screen: &str| {
            let head = screen.lines().next()?.split(" UTC").next()?.trim_end().rsplit(' ').next()?.to_owned();
            let mut parts = head.split(':').map(|part| part.parse::<i64>().ok());
            Some(parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
        };
        // The clock of the header is the agent's, and never jumps.
        let clock = |screen: &str| {
            let now = jiff::Timestamp::now().as_second() + ahead / 1_000_000_000;
            let apart = (shown(screen)? - now).rem_euclid(86_400);
            Some(apart <= 2 || apart >= 86_400 - 3)
        };
        let come = scene.relay.state().passed.len();
        while scene.relay.state().passed.len() < come + 25 {
            let screen = terminal.screen();
            assert_ne!(clock(&screen), Some(false), "{screen}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        assert_eq!(clock(&terminal.screen()), Some(true), "{}", terminal.screen());
        terminal.press("\x1b");
        scene.agent.end();
        let screen = terminal.wait_for("AGENT GONE since");
        assert!(!screen.contains("min old"), "{screen}");
        terminal.press("q");
        terminal.ends_well();
    }
}

#[test]
fn options_that_are_the_agents_matter_are_named_once_and_logged() {
    let scene = Scene::start(0, &[]);
    let mut terminal = scene.screen(&["--influx-url", "http://127.0.0.1:9", "--poll-interval", "3"]);
    terminal.wait_for_words("--uri, --poll-interval, --influx-url mean nothing here, they are the agent's");
    terminal.wait_for("agent collecting 1");
    terminal.press("q");
    terminal.ends_well();
    let log = std::fs::read_to_string(scene.home.path().join("state/kvmscope/kvmscope.log")).unwrap();
    assert_eq!(log.matches("--influx-url mean nothing").count(), 1, "{log}");
}
