//! Bad days of the record and of the database: collection goes on, what is
//! lost is counted, the screen says what to do, and `q` is quick.
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
    path::Path,
    time::{Duration, Instant},
};

use double::{Double, Fault, Response};
use lab::{
    program::{self, Nobody},
    terminal::{Terminal, flowed},
};

const SIZE: (u16, u16) = (40, 140);
/// Narrow, so that the status page's halves stand one below the other.
const TALL: (u16, u16) = (70, 100);
/// What leaving may take on a machine that is busy with other tests: lines on
/// their way are waited for, but only so long.
const SOON: Duration = Duration::from_secs(8);

/// A terminal on a demo host of its own, read five times a second.
fn watching(home: &Path, size: (u16, u16), more: &[&str], variables: &[(&str, &str)]) -> Terminal {
    let uri = lab::own_demo_host(home);
    let arguments: Vec<&str> =
        ["--uri", &uri, "--poll-interval", "0.2"].iter().chain(more).copied().collect();
    Terminal::start(home, size, &arguments, variables)
}

#[track_caller]
fn quits_soon(mut terminal: Terminal) {
    let pressed = Instant::now();
    terminal.press("q");
    terminal.ends_well();
    assert!(pressed.elapsed() < SOON, "q took {:?}", pressed.elapsed());
}

/// `kvmscope check` on the same home: exit code and what it says.
fn check(home: &Path, more: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let uri = lab::own_demo_host(home);
    let mut command = program::kvmscope(home);
    command.args(["check", "--uri", &uri]).args(more).envs(variables.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), flowed(&String::from_utf8(output.stdout).unwrap()))
}

/// The number before `word` in the screen's first line, such as in
/// `1 204 waiting`.
fn figure(screen: &str, word: &str) -> Option<u64> {
    let line = screen.lines().next()?;
    let before = line.split_once(word)?.0.trim_end();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit() && !c.is_whitespace()).next()?;
    digits.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// Waits until the figure before `word` has come, and grown.
#[track_caller]
fn grows(terminal: &Terminal, word: &str) {
    let first = terminal.wait(&format!("a number {word}"), |screen| figure(screen, word).is_some());
    let first = figure(&first, word);
    terminal.wait(&format!("more {word} than {first:?}"), |screen| figure(screen, word) > first);
}

// Settings that cannot work

#[test]
fn a_missing_token_pauses_delivery_alone() {
    let home = tempfile::tempdir().unwrap();
    let database = Double::open();
    let url = database.url();
    let variables = [("INFLUX_URL", url.as_str())];
    let (code, said) = check(home.path(), &[], &variables);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("failed influxdb no token: set INFLUX_TOKEN or influx.token_file"), "{said}");
    let terminal = watching(home.path(), SIZE, &[], &variables);
    terminal.wait_for_words("DELIVERY PAUSED: no token: set INFLUX_TOKEN or influx.token_file");
    terminal.wait_for("web-frontend-1");
    // The local record takes every cycle.
    grows(&terminal, "waiting");
    assert!(!terminal.screen().contains("lost"), "{}", terminal.screen());
    quits_soon(terminal);
    assert!(database.requests().is_empty(), "asked without a token: {:?}", database.requests());
    // With a token, what was recorded meanwhile is delivered.
    let variables = [("INFLUX_URL", url.as_str()), ("INFLUX_TOKEN", "a-token")];
    let terminal = watching(home.path(), SIZE, &["--stopped"], &variables);
    assert!(database.wait(SOON, |database| !database.lines("vmstats").is_empty()));
    quits_soon(terminal);
}

#[test]
fn a_missing_password_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("c.toml");
    std::fs::write(&file, "[influx]\nurl = \"http://127.0.0.1:1\"\nauth = \"basic\"\nuser = \"ann\"\n")
        .unwrap();
    let terminal = watching(home.path(), SIZE, &["--config", file.to_str().unwrap()], &[]);
    terminal.wait_for_words("DELIVERY PAUSED: no password: set INFLUX_PASSWORD or influx.password_file");
    quits_soon(terminal);
}

#[test]
fn a_bad_ca_file_pauses_delivery_and_is_named() {
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("no-ca.pem").display().to_string();
    let garbage = home.path().join("ca.pem").display().to_string();
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nnot base64 at all\n-----END CERTIFICATE-----\n")
        .unwrap();
    for (ca, why) in [(missing, "No such file or directory"), (garbage, "name a readable PEM file")] {
        let file = home.path().join("c.toml");
        std::fs::write(&file, format!("[influx]\nurl = \"https://localhost:1\"\nca_file = \"{ca}\"\n"))
            .unwrap();
        let config = ["--config", file.to_str().unwrap()];
        let variables = [("INFLUX_TOKEN", "a-token")];
        let (code, said) = check(home.path(), &config, &variables);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("failed influxdb influx.ca_file {ca}: ")), "{said}");
        assert!(said.contains(why), "{said}");
        let terminal = watching(home.path(), SIZE, &config, &variables);
        // The banner is wrapped within the path, too: what stands before it is.
        terminal.wait_for_words("DELIVERY PAUSED: influx.ca_file");
        grows(&terminal, "waiting");
        quits_soon(terminal);
    }
}

// The record

#[test]
fn a_file_in_place_of_the_record_is_told_and_what_is_lost_is_counted() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state/kvmscope");
    std::fs::create_dir_all(state.parent().unwrap()).unwrap();
    std::fs::write(&state, "in the way").unwrap();
    let (code, said) = check(home.path(), &[], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("failed local record {}", state.display())), "{said}");
    assert!(said.contains("is not a directory") && said.contains("store.path"), "{said}");

    let database = Double::open();
    let url = database.url();
    database.always(Some(Fault::Answer(Response::new(503, "come back later"))));
    let variables = [("INFLUX_URL", url.as_str()), ("INFLUX_TOKEN", "a-token"), ("MAX_QUEUE", "200")];
    let mut terminal = watching(home.path(), SIZE, &[], &variables);
    terminal.wait_for_words("LOCAL RECORD FAILING since");
    terminal.wait_for_words("set store.path");
    // Cycles go on: more and more is lost, and said to be.
    terminal.wait_for("web-frontend-1");
    grows(&terminal, "lost");
    // `q` asks, because what waits in memory would be lost.
    terminal.press("q");
    terminal.wait_for("yes");
    terminal.press("n");
    // The way is cleared: it recovers by itself.
    std::fs::remove_file(&state).unwrap();
    terminal.wait("no banner", |screen| !screen.contains("LOCAL RECORD FAILING"));
    database.always(None);
    assert!(database.wait(Duration::from_mins(1), |database| !database.lines("vmstats").is_empty()));
    // What was lost stays said.
    assert!(figure(&terminal.screen(), "lost").is_some(), "{}", terminal.screen());
    quits_soon(terminal);
}

#[test]
fn a_read_only_state_directory_is_told_and_collection_goes_on() {
    let name = "a_read_only_state_directory_is_told_and_collection_goes_on";
    let Some(nobody) = Nobody::new(name) else { return };
    let state = nobody.home().join("state/kvmscope");
    // Made by root: nobody may look and not write.
    std::fs::create_dir(&state).unwrap();
    let uri = lab::own_demo_host(nobody.home());
    let output = nobody.kvmscope().args(["check", "--uri", &uri]).output().unwrap();
    let said = flowed(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("failed local record {}", state.display())), "{said}");
    assert!(said.contains("is not writable: Permission denied"), "{said}");
    let start = nobody.words();
    let arguments = ["--uri", &uri, "--poll-interval", "0.2"];
    let words: Vec<&str> = start.iter().map(String::as_str).chain(arguments).collect();
    let terminal = Terminal::run(nobody.home(), SIZE, &words, &[("MAX_QUEUE", "200")]);
    let screen = terminal.wait_for_words("LOCAL RECORD FAILING since");
    assert!(screen.contains("Permission denied"), "{screen}");
    terminal.wait_for("web-frontend-1");
    grows(&terminal, "lost");
    quits_soon(terminal);
}

// The database

/// The status page says each of `words`, and `q` is quick meanwhile.
#[track_caller]
fn status_says(url: &str, token: &str, words: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let variables = [("INFLUX_URL", url), ("INFLUX_TOKEN", token)];
    let mut terminal = watching(home.path(), TALL, &[], &variables);
    terminal.wait_for("web-frontend-1");
    terminal.press("c");
    for words in words {
        terminal.wait_for_words(words);
    }
    quits_soon(terminal);
}

#[test]
fn a_database_that_is_down_is_shown() {
    let address = lab::port::free();
    let cannot = format!("cannot connect to {address}");
    let words = [&cannot, "Connection refused", "last answer no answer", "next try", "on disk"];
    status_says(&format!("http://{address}"), "a-token", &words);
}

#[test]
fn a_web_page_in_place_of_a_database_is_shown() {
    let database = Double::open();
    let page = "<html><head><title>Welcome to the hotel</title></head><body>log in</body></html>";
    let answer = Response::new(200, page).with("Content-Type", "text/html");
    database.always(Some(Fault::Answer(answer)));
    let words = [
        "paused",
        "Welcome to the hotel",
        "a web page answered, not a database",
        "check host, port and path",
    ];
    status_says(&database.url(), "a-token", &words);
    assert!(database.lines("vmstats").is_empty());
}

#[test]
fn a_refused_token_is_shown() {
    let database = Double::guarded("another-token");
    let words = ["paused", "last answer 401", "the server does not accept the credentials", "INFLUX_TOKEN"];
    status_says(&database.url(), "a-token", &words);
}

#[test]
fn a_database_that_never_answers_does_not_hold_up_the_end() {
    let database = Double::open();
    database.always(Some(Fault::Hang));
    let home = tempfile::tempdir().unwrap();
    let url = database.url();
    let variables = [("INFLUX_URL", url.as_str()), ("INFLUX_TOKEN", "a-token")];
    let terminal = watching(home.path(), TALL, &[], &variables);
    assert!(database.wait(SOON, |database| database.requests().iter().any(double::Request::is_write)));
    grows(&terminal, "waiting");
    quits_soon(terminal);
}

// Two at once

#[test]
fn a_second_one_looks_and_names_the_one_that_records() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let mut first = Terminal::start(home.path(), SIZE, &["--uri", &uri], &[]);
    first.wait_for("recording locally");
    let mut second = Terminal::start(home.path(), SIZE, &["--uri", &uri], &[]);
    let banner = format!("NOT RECORDING HERE: kvmscope (process {}) records this host", first.pid());
    second.wait_for(&banner);
    second.wait_for("web-frontend-1");
    second.wait_for("not recording");
    // It is a screen like any other.
    second.press("s");
    second.wait_for("COLLECTION STOPPED");
    second.press("s");
    second.wait_for("collecting");
    assert!(first.screen().contains("recording locally"), "{}", first.screen());
    quits_soon(second);
    // Even a killed one leaves the way free.
    first.signal(rustix::process::Signal::KILL);
    first.wait_for_end();
    let third = Terminal::start(home.path(), SIZE, &["--uri", &uri], &[]);
    third.wait_for("recording locally");
    quits_soon(third);
}
