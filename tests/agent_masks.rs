//! What the agent tells of its troubles: what went wrong, and never where.
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

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use agent_process::{
    Agent, PATIENCE,
    asking::{Events, ask},
};
use serde_json::Value;

/// The texts of a list of errors; `None`: there is none.
fn texts(part: &Value) -> Option<Vec<&str>> {
    let errors = part["errors"].as_array()?;
    let texts = errors.iter().map(|error| error["text"].as_str().unwrap()).collect::<Vec<_>>();
    (!texts.is_empty()).then_some(texts)
}

/// An agent with these lines of configuration and arguments, and where it is
/// asked.
fn agent(home: &Path, settings: &str, uri: &str) -> (Agent, PathBuf) {
    let (socket, config) = (home.join("agent.sock"), home.join("agent.toml"));
    std::fs::write(&config, format!("[agent]\nsocket = \"{}\"\n{settings}", socket.display())).unwrap();
    let agent = Agent::start_with(home, &["--config", config.to_str().unwrap(), "--uri", uri], &[]);
    (agent, socket)
}

/// The status, once it has errors of each of `parts`.
fn failed(socket: &Path, parts: &[&str]) -> Value {
    let mut last = Value::Null;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        last = ask(socket, "GET", "/api/telemetry/status").json();
        if parts.iter().all(|part| texts(&last[*part]).is_some()) {
            return last;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("not all of {parts:?} have failed: {last:#}");
}

/// None of `secrets` is in any answer.
fn tells_none(socket: &Path, secrets: &[&str]) {
    let event = Events::open(socket).next("status");
    let mut answers = vec![("events", event.to_string())];
    for target in ["status", "config", "diagnostic", "vms", "vm-telemetry"] {
        let answer = ask(socket, "GET", &format!("/api/telemetry/{target}"));
        answers.push((target, String::from_utf8(answer.body).unwrap()));
    }
    for (name, method, target) in [("start", "POST", "/api/telemetry/start"), ("metrics", "GET", "/metrics")]
    {
        answers.push((name, String::from_utf8(ask(socket, method, target).body).unwrap()));
    }
    for (target, text) in &answers {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {target}: {text}");
        }
    }
}

#[test]
fn a_libvirt_that_is_not_there_is_told_of_without_its_place() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("libvirt-sock-away").display().to_string();
    let (_agent, socket) = agent(home.path(), "", &format!("qemu+unix:///system?socket={place}"));
    let status = failed(&socket, &["collector"]);
    let told = texts(&status["collector"]).unwrap();
    assert!(told.iter().all(|text| text.contains("***")), "what, and not where: {told:?}");
    let why = status["collector"]["why"].as_str().unwrap();
    assert!(why.contains("***"), "{why}");
    tells_none(&socket, &[&place, "libvirt-sock-away", &home.path().display().to_string()]);
}

#[test]
fn troubles_of_database_and_record_are_told_without_addresses_and_places() {
    let home = tempfile::tempdir().unwrap();
    // A database that nobody listens for, and a record in whose place a file stands.
    let port = lab::port::free().port();
    let file = home.path().join("record");
    std::fs::write(&file, "").unwrap();
    let store = file.join("kvmscope").display().to_string();
    let settings = format!(
        "[store]\npath = \"{store}\"\n[influx]\nurl = \"http://127.0.0.1:{port}/base\"\nauth = \"none\"\n"
    );
    let host = lab::own_demo_host(home.path());
    let (_agent, socket) = agent(home.path(), &settings, &host);
    let status = failed(&socket, &["delivery", "store"]);
    let told = texts(&status["store"]).unwrap();
    assert!(told.iter().all(|text| text.contains("***")), "what, and not where: {told:?}");
    let why = status["store"]["why"].as_str().unwrap();
    assert!(why.contains("***"), "{why}");
    assert!(status["delivery"]["why"].is_string(), "{status}");
    let home = home.path().display().to_string();
    tells_none(&socket, &[&home, &store, "127.0.0.1", &format!(":{port}")]);
}
