//! The systemd unit: it is one, and what it may do stays small.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

#[path = "lab/skip.rs"]
mod skip;

use std::process::{Command, Output};

const UNIT: &str = include_str!("../assets/kvmscope.service");
/// Of ten, by `systemd-analyze security`.
const MOST_EXPOSED: f64 = 2.0;

/// What `systemd-analyze` says of the unit; `None` after saying that `test` is
/// skipped.
fn analyzed(test: &str, words: &[&str]) -> Option<Output> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kvmscope.service");
    // The program is installed nowhere yet.
    std::fs::write(&path, UNIT.replace("/usr/bin/kvmscope", env!("CARGO_BIN_EXE_kvmscope"))).unwrap();
    let output = Command::new("systemd-analyze").args(words).arg(&path).env("LC_ALL", "C.UTF-8").output();
    if output.is_err() {
        skip::skipped(test, "systemd-analyze is not installed");
    }
    output.ok()
}

#[test]
fn systemd_understands_every_line() {
    let Some(output) = analyzed("the unit is understood", &["verify", "--man=no"]) else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    // It may know of other units of this machine that are not in order.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("kvmscope")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn its_exposure_is_small() {
    let words = ["security", "--offline=yes", "--no-pager"];
    let Some(output) = analyzed("the unit's exposure", &words) else { return };
    let said = String::from_utf8(output.stdout).unwrap();
    let level = said.split("Overall exposure level for kvmscope.service: ").nth(1).unwrap();
    let level: f64 = level.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= MOST_EXPOSED, "{said}");
}

#[test]
fn it_asks_for_no_group_and_names_the_places_that_the_agent_uses() {
    for line in ["Type=notify", "StateDirectory=kvmscope", "RuntimeDirectory=kvmscope", "NoNewPrivileges=yes"]
    {
        assert!(UNIT.lines().any(|told| told == line), "{line}");
    }
    assert!(
        !UNIT
            .lines()
            .any(|line| line.starts_with("SupplementaryGroups") || line.starts_with("Group=libvirt"))
    );
    let environment = UNIT.lines().find(|line| line.starts_with("Environment=")).unwrap();
    assert!(environment.contains("XDG_STATE_HOME=/var/lib") && environment.contains("XDG_RUNTIME_DIR=/run"));
}
