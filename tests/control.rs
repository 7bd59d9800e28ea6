//! Control that feels safe, over a terminal: stopping, the interval, leaving,
//! copying, and two screens on one host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod double;
mod lab;

use std::path::Path;

use double::{Double, Fault, Response};
use lab::terminal::Terminal;

const SIZE: (u16, u16) = (40, 140);
/// Narrow, so that the status page's halves stand one below the other.
const TALL: (u16, u16) = (70, 100);

fn watching(home: &Path, size: (u16, u16), more: &[&str], variables: &[(&str, &str)]) -> Terminal {
    let uri = lab::own_demo_host(home);
    let arguments: Vec<&str> = ["--uri", &uri].iter().chain(more).copied().collect();
    let terminal = Terminal::start(home, size, &arguments, variables);
    terminal.wait_for("web-frontend-1");
    terminal
}

/// Returns what is on the terminal after the screen is gone.
fn ends_well(mut terminal: Terminal) -> String {
    terminal.ends_well();
    terminal.screen()
}

/// The number after `label` in the first line that begins with it.
fn figure(screen: &str, label: &str) -> Option<u64> {
    let line = screen.lines().find_map(|line| line.trim_start().strip_prefix(label))?;
    let digits = line.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn what_waits_goes_on_draining_while_collection_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let database = Double::open();
    database.always(Some(Fault::Answer(Response::new(503, "come back later"))));
    let url = database.url();
    let variables = [("INFLUX_URL", url.as_str()), ("INFLUX_TOKEN", "a-token")];
    let mut terminal = watching(home.path(), TALL, &["--poll-interval", "0.2"], &variables);
    terminal.wait_for("retry");
    terminal.press("s");
    terminal.wait_for_words("COLLECTION STOPPED since");
    terminal.wait_for_words("lines wait for the server");
    terminal.press("c");
    // The last cycle is in the record when nothing is in memory any more.
    let screen = terminal.wait("lines on disk alone", |screen| screen.contains("on disk, 0 in memory"));
    let waits = figure(&screen, "waiting       ▓").expect("lines wait");
    assert!(waits > 0 && database.lines("vmstats").is_empty(), "{screen}");
    database.always(None);
    terminal.press("r");
    terminal.wait("everything delivered", |screen| figure(screen, "waiting       ▓") == Some(0));
    assert!(database.lines("vmstats").len() as u64 >= waits, "{waits} waited");
    let screen = terminal.wait_for("COLLECTION STOPPED since");
    assert!(!screen.contains("lines wait") && screen.contains("errors"), "{screen}");
    terminal.press("q");
    drop(ends_well(terminal));
}

#[test]
fn a_shorter_interval_holds_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = watching(home.path(), TALL, &["--poll-interval", "3600"], &[]);
    terminal.press("c");
    terminal.wait("one cycle", |screen| figure(screen, "cycles") == Some(1));
    // From an hour to a second in twelve steps.
    terminal.press("------------");
    terminal.wait_for("collecting 1 s");
    terminal.wait("cycles that follow on each other", |screen| figure(screen, "cycles") >= Some(3));
    terminal.press("q");
    drop(ends_well(terminal));
}

#[test]
fn y_hands_the_name_and_then_the_uuid_to_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = watching(home.path(), SIZE, &["--theme", "mono"], &[]);
    let copied = |terminal: &Terminal| {
        let bytes = String::from_utf8_lossy(&terminal.everything()).into_owned();
        let texts = bytes.split("\x1b]52;c;").skip(1).filter_map(|rest| rest.split_once('\x07'));
        texts.map(|(text, _)| text.to_owned()).collect::<Vec<_>>()
    };
    // The one machine left is selected: its name is k8s-worker-2.
    terminal.press("/k8s-worker-2\r");
    terminal.wait("one machine", |screen| !screen.contains("web-frontend-1"));
    terminal.press("y");
    terminal.wait_for("copied name k8s-worker-2");
    assert_eq!(copied(&terminal), ["azhzLXdvcmtlci0y"], "base64 of the name");
    terminal.press("y");
    let screen = terminal.wait_for("copied uuid ");
    let uuid = screen.split_once("copied uuid ").unwrap().1.split_whitespace().next().unwrap().to_owned();
    assert_eq!(uuid.len(), 36, "{uuid}");
    assert_eq!(copied(&terminal).len(), 2);
    terminal.press("q");
    drop(ends_well(terminal));
}

#[test]
fn leaving_asks_where_lines_would_be_lost_and_nowhere_else() {
    let home = tempfile::tempdir().unwrap();
    let variables = [("INFLUX_URL", "http://127.0.0.1:1"), ("INFLUX_TOKEN", "a-token")];
    // With a record everything that waits is on disk: nothing to ask.
    let mut terminal = watching(home.path(), SIZE, &[], &variables);
    terminal.wait_for("retry");
    terminal.press("q");
    let left = ends_well(terminal);
    assert!(left.contains("wait in the local record, to be delivered when kvmscope runs again"), "{left}");
    // Without one it is in memory alone.
    let file = home.path().join("no-record.toml");
    std::fs::write(&file, "[store]\npath = \"none\"\n").unwrap();
    let mut terminal = watching(home.path(), SIZE, &["--config", file.to_str().unwrap()], &variables);
    terminal.wait("lines that wait", |screen| screen.contains("retry") && screen.contains("waiting"));
    terminal.press("q");
    let screen = terminal.wait_for("Quit and lose ");
    assert!(screen.contains("nothing delivers them"), "{screen}");
    terminal.press("n");
    terminal.wait("no question", |screen| !screen.contains("Quit and lose "));
    terminal.press("qy");
    let left = ends_well(terminal);
    assert!(left.contains("lines could be neither delivered nor recorded and are lost"), "{left}");
}

#[test]
fn when_the_one_that_records_ends_the_one_that_looks_goes_on_recording() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let start = || Terminal::start(home.path(), SIZE, &["--uri", &uri], &[]);
    let mut first = start();
    first.wait_for("recording locally");
    let mut second = start();
    second.wait_for(&format!("kvmscope (process {}) records this host", first.pid()));
    first.press("q");
    drop(ends_well(first));
    second.wait_for("this one records now");
    let screen = second.wait_for("recording locally");
    assert!(!screen.contains("NOT RECORDING HERE"), "{screen}");
    // Whoever comes next is told of it.
    let mut third = start();
    third.wait_for(&format!("kvmscope (process {}) records this host", second.pid()));
    // And so it is where the one that records is killed.
    second.signal(rustix::process::Signal::KILL);
    second.wait_for_end();
    third.wait_for("recording locally");
    third.press("q");
    drop(ends_well(third));
}

#[test]
fn a_screen_that_does_not_collect_leaves_the_record_to_one_that_does() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let start = |more: &[&str]| {
        let arguments = [&["--uri", uri.as_str()], more].concat();
        Terminal::start(home.path(), SIZE, &arguments, &[])
    };
    let mut first = start(&[]);
    first.wait_for("recording locally");
    let mut stopped = start(&["--stopped"]);
    stopped.wait_for("COLLECTION STOPPED");
    let next = start(&[]);
    next.wait_for(&format!("kvmscope (process {}) records this host", first.pid()));
    first.press("q");
    ends_well(first);
    // Of the two that wait the one that has something to record takes over.
    next.wait_for("recording locally");
    stopped.wait_for(&format!("kvmscope (process {}) records this host", next.pid()));
    stopped.press("q");
    ends_well(stopped);
}
