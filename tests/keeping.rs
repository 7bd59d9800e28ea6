//! What the screen keeps on disk and finds again: the past, what was exported,
//! the log, and how the table looked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lab::terminal::{PATIENCE, Terminal, flowed};
use rustix::process::Signal;

const SIZE: (u16, u16) = (40, 140);

/// kvmscope on the demo host, recording, with its machines on the screen.
fn on_demo_host(home: &Path, host: &str) -> Terminal {
    let terminal = Terminal::start(home, SIZE, &["--uri", host, "--poll-interval", "0.2"], &[]);
    terminal.wait_for("web-frontend-1");
    terminal.wait_for("recording locally");
    terminal
}

fn quit(terminal: &mut Terminal) {
    terminal.press("q");
    terminal.ends_well();
}

/// The instant that the badge names.
fn looking_at(screen: &str) -> String {
    screen.split("looking at ").nth(1).unwrap().split(',').next().unwrap().to_owned()
}

/// The first file below `directory` that fits, once it is there.
fn file(directory: &Path, fits: impl Fn(&Path) -> bool) -> PathBuf {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .find(|entry| fits(&entry.path()));
        if let Some(found) = found {
            return found.path();
        }
        assert!(Instant::now() < end, "no such file in {}", directory.display());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn what_an_earlier_run_recorded_is_looked_at_and_p_goes_live() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let mut first = on_demo_host(home.path(), &host);
    // Seen live, so that it is in the record when the run is over.
    first.wait("a rate", |screen| screen.contains('°'));
    first.press("p");
    let seen = looking_at(&first.wait_for("looking at "));
    quit(&mut first);

    let mut second = on_demo_host(home.path(), &host);
    second.press("[");
    second.wait_for("looking at ");
    // Back through what is in memory, into what the first run left.
    let end = Instant::now() + PATIENCE;
    let mut screen = String::new();
    while !screen.contains("from the record") {
        assert!(Instant::now() < end, "memory has no end:\n{screen}");
        second.press("[");
        screen = second.wait("a moment, not a question", |screen| !screen.contains("ago  reading"));
    }
    // A minute back is before the record begins: one stays, and is told so.
    while looking_at(&screen) > seen {
        assert!(Instant::now() < end, "{seen} is not in the record:\n{screen}");
        second.press("[");
        screen = second.wait("a moment, not a question", |screen| !screen.contains("ago  reading"));
    }
    let row = screen.lines().find(|line| line.contains("web-frontend-1")).expect("its row as of then");
    assert!(row.contains('°'), "with its numbers: {row}");
    second.press("{{{{");
    second.wait_for_words("begins here");
    second.press("\r");
    let page = second.wait_for("degrees");
    assert!(page.contains("from the record") && page.contains("identity"), "{page}");
    second.press("\x1b");
    second.wait_for("NAME");
    second.press("p");
    second.wait("live again", |screen| !screen.contains("looking at ") && screen.contains("web-frontend-1"));
    quit(&mut second);
}

#[test]
fn a_record_that_is_off_says_so_and_the_screen_stays() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("kvmscope.toml");
    std::fs::write(&config, "[store]\npath = \"none\"\n").unwrap();
    let host = lab::own_demo_host(home.path());
    let arguments = ["--uri", &host, "--config", config.to_str().unwrap()];
    let mut terminal = Terminal::start(home.path(), SIZE, &arguments, &[]);
    terminal.wait_for("web-frontend-1");
    terminal.press("{");
    terminal.wait_for_words("nothing earlier:");
    terminal.wait_for("looking at ");
    quit(&mut terminal);
}

#[test]
fn e_writes_what_is_shown_and_says_where() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = on_demo_host(home.path(), &lab::own_demo_host(home.path()));
    terminal.wait("a rate", |screen| screen.contains('°'));
    terminal.press("/web\r");
    terminal.wait_for("2 of ");
    terminal.press("e");
    terminal.wait_for_words("export what is shown, into the working directory");
    terminal.press("c");
    let screen = terminal.wait_for_words("wrote 2 VMs to");
    let path = file(home.path(), |path| path.extension().is_some_and(|kind| kind == "csv"));
    assert!(screen.contains(path.file_name().unwrap().to_str().unwrap()), "{screen}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3, "a heading and what the filter shows: {text}");
    assert!(text.contains("web-frontend-1") && !text.contains("db-primary"), "{text}");
    terminal.press("\re");
    terminal.press("j");
    terminal.wait_for_words("wrote web-frontend");
    let path = file(home.path(), |path| path.extension().is_some_and(|kind| kind == "json"));
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(json["vm"]["name"].as_str().unwrap().starts_with("web-frontend"), "{json}");
    // Escape takes the question back, and nothing is written.
    let files = std::fs::read_dir(home.path()).unwrap().count();
    terminal.press("e");
    terminal.wait_for_words("export what is shown, into the working directory");
    terminal.press("\x1b");
    terminal.wait("no question", |screen| !flowed(screen).contains("export what is shown"));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), files);
    quit(&mut terminal);
}

#[test]
fn the_log_is_in_its_file_after_the_end_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let missing = "test:///nowhere/host.xml";
    let mut terminal = Terminal::start(home.path(), SIZE, &["--uri", missing], &[]);
    terminal.wait_for("LIBVIRT NOT REACHED");
    terminal.press("l");
    terminal.wait_for("kept in ");
    terminal.signal(Signal::TERM);
    terminal.wait_for_end();
    let path = home.path().join("state/kvmscope/kvmscope.log");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().any(|line| line.contains("nowhere")), "{text}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
