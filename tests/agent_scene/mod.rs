//! An agent on the lab's guests, and what is asked of its answers.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{collections::BTreeSet, path::PathBuf, sync::MutexGuard};

use serde_json::Value;

use crate::{
    agent_process::{
        Agent, PATIENCE,
        asking::{Answer, ask},
    },
    lab::{
        self,
        guests::{Lab, WEB},
    },
};

/// An agent on the lab's guests.
pub struct Scene {
    pub lab: &'static Lab,
    pub agent: Agent,
    pub socket: PathBuf,
    // Removed after the agent has ended.
    _home: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Scene {
    /// Starts it, and waits until rates are there; `None` after saying that
    /// `test` is skipped.
    pub fn start(test: &str) -> Option<Self> {
        let lab = Lab::shared(test)?;
        let alone = Lab::undisturbed();
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("agent.sock");
        let config = home.path().join("agent.toml");
        std::fs::write(&config, format!("[agent]\nsocket = \"{}\"\n", socket.display())).unwrap();
        let agent = Agent::start(
            home.path(),
            &["--config", config.to_str().unwrap(), "--uri", &lab.uri(), "--poll-interval", "0.5"],
        );
        let scene = Self { lab, agent, socket, _home: home, _alone: alone };
        scene.until("rates are there", |scene| {
            let vm = scene.vm(WEB)?;
            (vm["cpu_usage_percent"].is_number() && vm["memory_rate"].is_number()).then_some(())
        });
        Some(scene)
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        answer.json()
    }

    pub fn ask(&self, method: &str, path: &str) -> Answer {
        ask(&self.socket, method, &format!("/api/telemetry/{path}"))
    }

    /// A VM of `vm-telemetry`.
    pub fn vm(&self, name: &str) -> Option<Value> {
        self.get("vm-telemetry")["vms"].as_array().unwrap().iter().find(|vm| vm["name"] == name).cloned()
    }

    pub fn until<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        lab::within(PATIENCE, what, || ask(self))
    }

    pub fn collections(&self) -> u64 {
        self.get("status")["total_collections"].as_u64().unwrap()
    }
}

/// The keys of an object.
pub fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap_or_else(|| panic!("no object: {object}")).keys().map(String::as_str).collect()
}

#[track_caller]
pub fn has_exactly(object: &Value, expected: &str) {
    assert_eq!(keys(object), expected.split_whitespace().collect(), "{object}");
}

#[track_caller]
pub fn has(object: &Value, expected: &str) {
    let keys = keys(object);
    let lacking: Vec<_> = expected.split_whitespace().filter(|key| !keys.contains(key)).collect();
    assert_eq!(lacking, [] as [&str; 0], "{object}");
}

/// RFC 3339 in UTC.
#[track_caller]
pub fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    assert!(text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(), "{text}");
}

/// Every null of a VM's object has its reason.
#[track_caller]
pub fn is_explained(vm: &Value) {
    for (name, value) in vm.as_object().unwrap() {
        if value.is_null() && name != "job" {
            assert!(vm["missing"][name].is_string(), "{name} of {} is null without a reason", vm["name"]);
        }
    }
}
