//! A thousand machines on the test hypervisor, through the whole program: keys
//! are answered, the cycle's cost is shown, memory stays flat, and every
//! machine is recorded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod double;
mod lab;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use double::Double;
use lab::{terminal::Terminal, test_host::test_host_of};

const MACHINES: u32 = 1000;
const SIZE: (u16, u16) = (50, 150);
/// What an answer to a key may take in a debug build on a machine that is busy
/// with other tests; a key that waited for the collector would wait for all of
/// its cycle.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Cycles until every buffer has its size.
const WARM: u64 = 90;
/// Cycles over which memory is watched.
const WATCHED: u64 = 50;

/// The number before `words` on the status page.
fn figure(screen: &str, words: &str) -> Option<u64> {
    let (before, _) = screen.split_once(words)?;
    let digits = before.trim_end().rsplit(|c: char| !c.is_ascii_digit() && c != ',' && c != ' ').next()?;
    digits.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// The column that the table is sorted by.
fn sorted_by(screen: &str) -> Option<String> {
    Some(screen.split_once("sort ")?.1.split(' ').next()?.to_owned())
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Presses `key` and gives the time until the screen fulfils `shows`.
fn answered(terminal: &mut Terminal, key: &str, shows: impl Fn(&str) -> bool) -> Duration {
    let pressed = Instant::now();
    terminal.press(key);
    terminal.wait(&format!("the answer to {key:?}"), shows);
    pressed.elapsed()
}

#[test]
fn a_thousand_machines_are_shown_and_recorded_with_live_keys_and_flat_memory() {
    let home = tempfile::tempdir().unwrap();
    let uri = test_host_of(home.path(), MACHINES);
    let started = Instant::now();
    // The history of each machine is full after ten cycles: what grows from
    // then on would grow for ever.
    let config = home.path().join("c.toml");
    std::fs::write(&config, "[screen]\nhistory_cycles = 10\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap(), "--uri", &uri, "--poll-interval", "0.2"];
    // A server is wanted, and there is no token for it yet: everything waits.
    let database = Double::open();
    let url = database.url();
    let variables = [("INFLUX_URL", url.as_str())];
    let mut terminal = Terminal::start(home.path(), SIZE, &arguments, &variables);
    terminal
        .wait("all machines", |screen| screen.contains("1000 running") || screen.contains("1 000 running"));
    eprintln!("all machines on the screen after {:.1} s", started.elapsed().as_secs_f64());
    // The cycle's cost is shown.
    terminal.press("c");
    terminal.wait("the cost of a cycle of all machines", |screen| {
        screen.contains("last cycle") && screen.contains(" of 0.2 s (") && screen.contains("1000 in ")
    });
    let closed = |screen: &str| figure(screen, " closed,");
    let patience = Duration::from_mins(3);
    let cycles = |terminal: &Terminal, enough: u64| {
        lab::within(patience, &format!("{enough} cycles"), || {
            closed(&terminal.screen()).filter(|closed| *closed >= enough)
        })
    };
    let warm = cycles(&terminal, WARM);
    let before = resident(terminal.pid());
    // Keys are answered while all of them are read.
    terminal.press("c");
    terminal.wait_for("vm-0");
    // By name, so that a row stays where it is.
    let by_name = |terminal: &Terminal| terminal.screen().contains("sort NAME");
    for _ in 0..20 {
        if by_name(&terminal) {
            break;
        }
        let before = sorted_by(&terminal.screen());
        answered(&mut terminal, "o", |screen| sorted_by(screen) != before);
    }
    assert!(by_name(&terminal), "{}", terminal.screen());
    terminal.press("g");
    terminal.wait_for("vm-0001");
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(answered(&mut terminal, "G", |screen| screen.contains("vm-0999")));
        answers.push(answered(&mut terminal, "g", |screen| screen.contains("vm-0000")));
        answers.push(answered(&mut terminal, "/vm-0777", |screen| {
            screen.contains("vm-0777 ") && !screen.contains("vm-0776")
        }));
        answers.push(answered(&mut terminal, "\x1b", |screen| screen.contains(" 778 / 1000")));
        answers.push(answered(&mut terminal, "?", |screen| screen.contains("keys: everywhere")));
        answers.push(answered(&mut terminal, "\x1b", |screen| !screen.contains("keys: everywhere")));
    }
    answers.sort_unstable();
    eprintln!("keys: median {:?}, worst {:?}", answers[answers.len() / 2], answers[answers.len() - 1]);
    assert!(answers.last().is_some_and(|worst| *worst < AT_ONCE), "{answers:?}");
    terminal.press("c");
    terminal.wait_for("last cycle");
    cycles(&terminal, warm + WATCHED);
    let after = resident(terminal.pid());
    eprintln!(
        "{}",
        terminal
            .screen()
            .lines()
            .filter(|l| l.contains("last cycle") || l.contains("closed"))
            .collect::<Vec<_>>()
            .join("\n")
    );
    eprintln!("resident: {before} KiB after {warm} cycles, {after} KiB {WATCHED} cycles later");
    assert!(after < before + before / 10 + 8 * 1024, "memory grows: {before} KiB, then {after} KiB");
    terminal.press("q");
    let status = terminal.wait_for_end();
    assert!(status.success(), "{status:?}");

    // With the token, what was recorded is all there.
    let variables = [("INFLUX_URL", url.as_str()), ("INFLUX_TOKEN", "a-token")];
    let mut terminal = Terminal::start(home.path(), SIZE, &["--stopped", "--uri", &uri], &variables);
    let names = |database: &Double| {
        let lines = database.lines("vmstats");
        let metrics = lines.iter().filter(|line| line.starts_with("vm_metrics,"));
        metrics
            .filter_map(|line| Some(line.split_once(",name=")?.1.split([',', ' ']).next()?.to_owned()))
            .collect::<BTreeSet<_>>()
    };
    let said = || {
        let lines = database.lines("vmstats");
        format!(
            "every machine is delivered: {} lines, {:?} …\n{}",
            lines.len(),
            lines.first(),
            terminal.screen()
        )
    };
    let seen = lab::within_or_say(Duration::from_mins(1), said, || {
        let names = names(&database);
        (names.len() == MACHINES as usize).then_some(names)
    });
    assert!(seen.contains("vm-0000") && seen.contains("vm-0999"));
    // Most of it may still be on its way: it stays recorded.
    terminal.press("q");
    assert!(terminal.wait_for_end().success());
}
