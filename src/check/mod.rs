//! `kvmscope check`: each prerequisite, whether it holds, and how to mend it.
//!
//! Owns the list of checks and their words. It changes nothing on the host,
//! in the record or in the database.

mod host;
mod store;

use std::fmt::Write as _;

use serde::Serialize;

use crate::{clock::Clock, config::Config, influx};

/// One prerequisite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// How to mend it; empty where there is nothing to mend.
    pub mend: String,
}

impl Check {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok: true, detail: detail.into(), mend: String::new() }
    }

    fn failed(name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name: name.into(), ok: false, detail: detail.into(), mend: mend.into() }
    }
}

/// Runs every check, in the order in which one builds on the other.
pub async fn run(config: &Config, clock: &Clock) -> Vec<Check> {
    let mut checks = host::checks(&config.libvirt, clock);
    checks.extend(store::checks(&config.store));
    checks.extend(database(&config.influx).await);
    checks
}

/// Those that do not ask libvirt, where it is known not to answer.
pub async fn run_beside(config: &Config) -> Vec<Check> {
    let mut checks = store::checks(&config.store);
    checks.extend(database(&config.influx).await);
    checks
}

async fn database(settings: &crate::config::Influx) -> Vec<Check> {
    if settings.url.is_none() {
        return vec![Check::ok("influxdb", "no influx.url: every sample is recorded locally only")];
    }
    match influx::client::Client::new(settings) {
        Err(error) => vec![Check::failed("influxdb", error.to_string(), "")],
        Ok(mut client) => client
            .check()
            .await
            .into_iter()
            .map(|check| Check {
                name: check.name.into(),
                ok: check.ok,
                detail: check.detail,
                mend: check.mend,
            })
            .collect(),
    }
}

/// The checks as lines of text.
#[must_use]
pub fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let verdict = if check.ok { "ok    " } else { "failed" };
        let name = &check.name;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{verdict}  {name:<width$}  {}", check.detail);
        if !check.ok && !check.mend.is_empty() {
            let _ = writeln!(text, "        {:<width$}  to mend: {}", "", check.mend);
        }
    }
    text
}

/// Whether every prerequisite holds.
#[must_use]
pub fn all_ok(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.ok)
}
