//! `kvmscope agent` as a service: it collects without a screen, tells the
//! service manager how it is, reads its configuration again, ends on SIGTERM
//! with everything recorded, and is the only one that records.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod agent_process;
mod double;
mod lab;

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use agent_process::{Agent, asking::ask};
use double::{Double, Mode};
use kvmscope::{
    clock::Clock,
    config::Store,
    journal::{Account, Journal, Limits, file_name},
};
use lab::program;
use rustix::{
    fs::{CWD, Mode as Permissions, OFlags, mkfifoat, open},
    process::Signal,
};

/// What the record of `uri` accounts for, once nobody writes it.
fn account(home: &Path, uri: &str) -> Account {
    let limits = Limits::from(&Store { min_free: 0, ..Store::default() });
    let now = Clock::system().now().0;
    let directory = home.join("state/kvmscope");
    let opened = Journal::open(&directory, &file_name(uri), limits, &mut Account::default(), now).unwrap();
    opened.journal.account().clone()
}

/// A configuration file of the agent's own.
fn configured(home: &Path, text: &str) -> PathBuf {
    let path = home.join("agent.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn it_collects_without_a_screen_and_ends_on_sigterm_with_everything_recorded() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let mut agent = Agent::start(home.path(), &["--uri", &host, "--poll-interval", "0.2"]);
    let told = agent.told("STATUS=collecting");
    assert!(told.contains("VMs; recording locally"), "{told}");
    assert!(agent.end().success(), "{}", agent.log.join("\n"));
    agent.told("STOPPING=1");
    let account = account(home.path(), &host);
    assert!(account.local > 0 && account.dropped.is_empty(), "{account:?}");
}

#[test]
fn what_waits_when_it_is_ended_is_delivered_within_the_deadline() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let double = Double::open();
    let config = configured(
        home.path(),
        "[influx]\nauth = \"none\"\nbatch_max_sec = 3600\nbatch_max_lines = 100000\n",
    );
    let arguments = ["--config", config.to_str().unwrap(), "--uri", &host, "--influx-url", &double.url()];
    let mut agent = Agent::start(home.path(), &[&arguments[..], &["--poll-interval", "0.2"]].concat());
    agent.told("STATUS=collecting");
    assert!(agent.end().success());
    let account = account(home.path(), &host);
    assert!(account.emitted > 0, "{account:?}");
    assert_eq!(account.emitted, account.delivered, "{account:?}\n{}", agent.log.join("\n"));
    assert_eq!(double.lines("vmstats").len() as u64, account.delivered);
}

#[test]
fn a_server_that_hangs_does_not_keep_it_and_what_waits_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let double = Double::open();
    double.set_mode(Mode::Unavailable(None));
    let config = configured(home.path(), "[influx]\nauth = \"none\"\n");
    let arguments = ["--config", config.to_str().unwrap(), "--uri", &host, "--influx-url", &double.url()];
    let mut agent = Agent::start(home.path(), &[&arguments[..], &["--poll-interval", "0.2"]].concat());
    agent.told("STATUS=collecting");
    let asked = Instant::now();
    assert!(agent.end().success());
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    let account = account(home.path(), &host);
    assert!(account.emitted > 0 && account.delivered == 0 && account.dropped.is_empty(), "{account:?}");
}

#[test]
fn what_the_end_loses_is_logged() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let config = configured(
        home.path(),
        "[influx]\nauth = \"none\"\nurl = \"http://127.0.0.1:9\"\n[store]\npath = \"none\"\n",
    );
    let mut agent = Agent::start(home.path(), &["--uri", &host, "--config", config.to_str().unwrap()]);
    agent.logged("delivery failed and is tried again");
    assert!(agent.end().success());
    let log = agent.log.join("\n");
    assert!(log.contains("could be neither delivered nor recorded") && log.contains(": ended"), "{log}");
}

#[test]
fn a_question_that_hangs_does_not_keep_it() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    // The system takes connections for it; it never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = configured(
        home.path(),
        &format!(
            "[influx]\nauth = \"none\"\ntimeout = 120\nurl = \"http://{}\"\n[agent]\nsocket = \"{}\"\n",
            silent.local_addr().unwrap(),
            home.path().join("agent.sock").display()
        ),
    );
    let mut agent = Agent::start(home.path(), &["--uri", &host, "--config", config.to_str().unwrap()]);
    agent.told("STATUS=collecting");
    let told = ask(&home.path().join("agent.sock"), "GET", "/api/telemetry/diagnostic").json();
    assert!(told["checks"].to_string().contains("not finished"), "{told}");
    let asked = Instant::now();
    assert!(agent.end().success());
    assert!(asked.elapsed() < Duration::from_secs(25), "{:?}", asked.elapsed());
}

#[test]
fn sighup_takes_over_what_can_change_and_names_what_cannot() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let text = |interval: &str, url: &str, level: &str| {
        format!(
            "[collector]\npoll_interval = {interval}\n[influx]\nauth = \"none\"\nurl = \"{url}\"\n[log]\nlevel = \"{level}\"\n"
        )
    };
    let config = configured(home.path(), &text("0.2", "none", "info"));
    let mut agent = Agent::start(home.path(), &["--uri", &host, "--config", config.to_str().unwrap()]);
    agent.logged("collecting;");

    configured(home.path(), &text("0.4", "http://127.0.0.1:9", "debug"));
    agent.signal(Signal::HUP);
    agent.logged("collector.poll_interval is 0.4 s now");
    agent.logged("influx.url has changed in the configuration: it takes a restart");
    agent.logged("log.level is DEBUG now");

    configured(home.path(), "[collector]\npoll_interval = 0\n");
    agent.signal(Signal::HUP);
    let refused = agent.logged("the configuration in force stays");
    assert!(refused.contains("collector.poll_interval"), "{refused}");

    // What waits for a restart is told each time, what is in force only once.
    configured(home.path(), &text("0.4", "http://127.0.0.1:9", "debug"));
    agent.signal(Signal::HUP);
    agent.logged("influx.url has changed");
    configured(home.path(), &text("0.4", "none", "debug"));
    agent.signal(Signal::HUP);
    agent.logged("nothing has changed");
    assert!(agent.end().success());
}

#[test]
fn a_configuration_that_does_not_answer_keeps_neither_callers_nor_the_end() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let socket = home.path().join("agent.sock");
    let text = format!("[agent]\nsocket = \"{}\"\n", socket.display());
    let config = configured(home.path(), &text);
    let mut agent = Agent::start(home.path(), &["--uri", &host, "--config", config.to_str().unwrap()]);
    agent.logged("collecting;");
    // As on a share whose server is gone: who opens it waits.
    std::fs::remove_file(&config).unwrap();
    mkfifoat(CWD, &config, Permissions::from_raw_mode(0o600)).unwrap();
    agent.signal(Signal::HUP);
    agent.logged("is being read again");
    agent.signal(Signal::HUP);
    agent.logged("still being read");
    assert_eq!(ask(&socket, "GET", "/healthz").status, 200);
    let asked = Instant::now();
    assert!(agent.end().success());
    assert!(asked.elapsed() < Duration::from_secs(25), "{:?}", asked.elapsed());
}

#[test]
fn a_token_that_does_not_come_does_not_keep_it_from_ending() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let token = home.path().join("token");
    mkfifoat(CWD, &token, Permissions::from_raw_mode(0o600)).unwrap();
    let text = format!("[agent]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"{}\"\n", token.display());
    let config = configured(home.path(), &text);
    let arguments = ["--uri", &host, "--config", config.to_str().unwrap()];
    let mut agent = Agent::spawn(home.path(), &arguments, &[]);
    // Opens once it reads; as long as this is held, there is more to come.
    let _writer = lab::within(agent_process::PATIENCE, "it reads the token", || {
        open(&token, OFlags::WRONLY | OFlags::NONBLOCK, Permissions::empty()).ok()
    });
    assert!(agent.end().success(), "{}", agent.log.join("\n"));
}

#[test]
fn without_any_door_it_collects_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let config = configured(home.path(), "[agent]\nsocket = \"none\"\n");
    let mut agent = Agent::start(home.path(), &["--uri", &host, "--config", config.to_str().unwrap()]);
    agent.told("STATUS=collecting");
    assert!(agent.end().success());
}

#[test]
fn of_two_that_would_record_a_host_the_second_refuses_and_says_who_does() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let first = Agent::start(home.path(), &["--uri", &host]);
    let second = program::kvmscope(home.path()).args(["agent", "--uri", &host]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let words = String::from_utf8(second.stderr).unwrap();
    let holder = format!("kvmscope agent (process {}) already records this host", first.pid());
    assert!(words.contains(&holder), "{words}");
}

#[test]
fn a_libvirt_that_is_not_there_is_waited_for_and_told() {
    let home = tempfile::tempdir().unwrap();
    let uri = "qemu:///system?socket=/nonexistent/libvirt-sock-ro";
    let mut agent = Agent::start(home.path(), &["--uri", uri]);
    let told = agent.told("STATUS=failed");
    assert!(told.contains("/nonexistent/libvirt-sock-ro"), "{told}");
    assert!(agent.end().success());
}

#[test]
fn it_beats_for_a_service_manager_that_watches_and_the_journal_gets_levels() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let log = std::fs::File::create(home.path().join("log")).unwrap();
    let meta = log.metadata().unwrap();
    let stream = format!("{}:{}", meta.dev(), meta.ino());
    let mut agent = Agent::start_with(home.path(), &["--uri", &host], &[("WATCHDOG_USEC", "400000")]);
    agent.told("WATCHDOG=1");
    agent.told("WATCHDOG=1");
    assert!(agent.logged("collecting;").contains(" INFO kvmscope::"));
    drop(agent);

    // With the stream that the journal is said to read, a level and no time.
    let mut second = program::kvmscope(home.path());
    let mut process =
        second.args(["agent", "--uri", &host]).env("JOURNAL_STREAM", &stream).stderr(log).spawn().unwrap();
    let text = lab::within(agent_process::PATIENCE, "a line", || {
        Some(std::fs::read_to_string(home.path().join("log")).unwrap())
            .filter(|text| text.contains("collecting;"))
    });
    lab::processes::send(process.id(), Signal::TERM);
    assert!(process.wait().unwrap().success());
    assert!(text.lines().all(|line| line.starts_with("<6>kvmscope::")), "{text}");
}
