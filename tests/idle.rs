//! What an open screen costs the line while nothing happens, and while nobody
//! looks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use lab::terminal::{PATIENCE, Terminal};

const SIZE: (u16, u16) = (40, 140);

/// The clock in the header, in seconds of its day.
fn clock(screen: &str) -> Option<u64> {
    let header = screen.lines().next()?;
    let time = header.split(" UTC").next()?.rsplit(' ').next()?;
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hours * 3600 + minutes * 60 + seconds)
}

/// What is written from now until the clock on the screen has gone on by
/// `seconds`, or midnight.
fn written_in(terminal: &Terminal, seconds: u64) -> Vec<u8> {
    let screen = terminal.wait("a clock", |screen| clock(screen).is_some());
    let from = clock(&screen).unwrap();
    let before = terminal.everything().len();
    terminal.wait("the clock goes on", |screen| {
        clock(screen).is_some_and(|now| now >= from + seconds || now < from)
    });
    terminal.everything().split_off(before)
}

fn draws(bytes: &[u8]) -> usize {
    bytes.windows(8).filter(|window| *window == b"\x1b[?2026h").count()
}

/// Draws in three seconds of the clock at one a second: four seconds may be
/// touched, and the key before them had its own.
const SELDOM: usize = 5;

/// A busy machine may be slow for a while, and is not for ever.
fn is_drawn_often(terminal: &Terminal) {
    lab::within(PATIENCE, "more than a draw a second", || {
        (draws(&written_in(terminal, 3)) > SELDOM).then_some(())
    });
}

#[test]
fn a_stopped_screen_sends_its_clock_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let mut terminal = Terminal::start(home.path(), SIZE, &["--stopped", "--uri", &uri], &[]);
    terminal.wait_for("COLLECTION STOPPED since");
    // Whatever begins with the program has begun.
    written_in(&terminal, 2);
    let bytes = written_in(&terminal, 4);
    assert!(bytes.len() < 5 * 80, "{} bytes: {:?}", bytes.len(), String::from_utf8_lossy(&bytes));
    assert!(draws(&bytes) <= 6, "{} draws", draws(&bytes));
    terminal.press("q");
    assert!(terminal.wait_for_end().success());
}

#[test]
fn without_the_focus_it_is_drawn_once_a_second_and_a_key_at_once() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let arguments = ["--uri", &uri, "--poll-interval", "0.2"];
    let mut terminal = Terminal::start(home.path(), SIZE, &arguments, &[]);
    terminal.wait_for("web-frontend-1");
    is_drawn_often(&terminal);
    // What the terminal sends when another window gets the focus.
    terminal.press("\x1b[O");
    written_in(&terminal, 2);
    let unseen = draws(&written_in(&terminal, 3));
    assert!(unseen <= SELDOM, "{unseen} draws in 3 s without the focus");
    terminal.press("?");
    terminal.wait_for("keys: everywhere");
    terminal.press("?\x1b[I");
    is_drawn_often(&terminal);
    terminal.press("q");
    assert!(terminal.wait_for_end().success());
}
