//! The agent's API on real guests: which VM is meant, starting and stopping,
//! bad questions, who may ask.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod agent_process;
mod agent_scene;
mod lab;

use std::{os::unix::fs::MetadataExt as _, path::Path, process::Command, time::Duration};

use agent_process::asking::{ask, encoded};
use agent_scene::{Scene, has_exactly, is_time};
use kvmscope::model::name::storable;
use lab::{
    guests::{BACKUP, HOSTILE, WEB},
    program::Nobody,
    skip::skipped,
};
use serde_json::Value;

#[test]
fn a_vm_is_found_by_its_id_its_uuid_and_its_name() {
    let Some(scene) = Scene::start("a VM by id, uuid and name") else { return };
    for guest in [WEB, HOSTILE] {
        let uuid = scene.lab.uuid(guest);
        let id = scene.lab.virsh(&["domid", &uuid]).trim().to_owned();
        for asked in [&*id, &*uuid, &uuid.to_uppercase(), guest] {
            let stats = scene.get(&format!("stats/{}", encoded(asked)));
            let found = (stats["uuid"].as_str(), stats["name"].as_str());
            assert_eq!(found, (Some(&*uuid), Some(&*storable(guest))), "{asked}");
        }
    }
    let off = scene.get(&format!("stats/{BACKUP}"));
    assert_eq!((off["id"].is_null(), off["missing"]["id"].as_str()), (true, Some("not running")));
    for unknown in ["4711", "no-such-vm", "00000000-0000-0000-0000-000000000000", "%FF", "a%00b"] {
        let answer = scene.ask("GET", &format!("stats/{unknown}"));
        assert!(matches!(answer.status, 400 | 404), "{unknown}: {answer:?}");
        assert!(answer.json()["error"].is_string());
    }
}

#[test]
fn stop_and_start_take_effect_are_idempotent_and_lose_nothing() {
    let Some(scene) = Scene::start("stop and start") else { return };
    for message in
        ["collection is stopped; what waits goes on to be delivered", "collection was stopped already"]
    {
        let stopped = scene.ask("POST", "stop");
        assert_eq!(stopped.status, 200);
        has_exactly(&stopped.json(), "status message");
        assert_eq!(stopped.json()["status"], "stopped");
        assert_eq!(stopped.json()["message"], message);
    }
    let before = scene.get("status");
    assert_eq!(before["running"], false);
    assert_eq!(ask(&scene.socket, "GET", "/healthz").json()["status"], "stopped");
    // The last numbers stay, with the time they are of; they are told a moment
    // after they were read.
    let instant = |time: &Value| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let read_at = instant(&before["last_collection_time"]);
    let last = scene.until("the last cycle is told", |scene| {
        let told = scene.get("vm-telemetry")["timestamp"].clone();
        (instant(&told) >= read_at).then_some(told)
    });
    is_time(&last);
    let waited = std::time::Instant::now();
    while waited.elapsed() < Duration::from_secs(2) {
        assert_eq!(
            scene.collections(),
            before["total_collections"].as_u64().unwrap(),
            "a cycle while stopped"
        );
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(scene.get("vm-telemetry")["timestamp"], last);
    // A scraper would take them for those of now.
    let metrics = || String::from_utf8(ask(&scene.socket, "GET", "/metrics").body).unwrap();
    let stopped = metrics();
    assert!(stopped.contains("\nkvmscope_collecting 0\n") && !stopped.contains("kvmscope_vm_"), "{stopped}");
    for _ in 0..2 {
        let started = scene.ask("POST", "start");
        assert_eq!(started.status, 200);
        let started = started.json();
        has_exactly(&started, "status message details");
        has_exactly(&started["details"], "running started_at vms_monitored total_collections");
        assert_eq!((&started["status"], &started["details"]["running"]), (&"started".into(), &true.into()));
        is_time(&started["details"]["started_at"]);
    }
    scene.until("cycles go on", |scene| {
        (scene.collections() > before["total_collections"].as_u64().unwrap() + 2).then_some(())
    });
    assert!(metrics().contains("\nkvmscope_vm_state{"));
}

#[test]
fn a_bad_question_gets_400_and_what_is_allowed() {
    let Some(scene) = Scene::start("bad questions") else { return };
    for (question, allowed) in [
        ("history", "a uuid"),
        ("history?vm=web-frontend-1", "vm_metrics, vm_features, vm_devices, vm_totals"),
        ("history?vm=web-frontend-1&measurement=vm_totals&field=nosuch", "disk_wr_bytes"),
        ("history?vm=web-frontend-1&measurement=vm_totals&field=cputime&step=0", "from 0.2 s"),
        ("history?vm=web-frontend-1&measurement=vm_totals&field=cputime&since=now", "RFC 3339"),
        ("history?vm=web-frontend-1&measurement=vm_totals&field=cputime&color=red", "since, until, step"),
    ] {
        let answer = scene.ask("GET", question);
        assert_eq!(answer.status, 400, "{question}: {answer:?}");
        let told = answer.json();
        assert!(told["error"].is_string(), "{told}");
        assert!(told["allowed"].as_str().unwrap().contains(allowed), "{question}: {told}");
    }
    assert_eq!(scene.ask("GET", "history?vm=nosuch&measurement=vm_totals&field=cputime").status, 404);
    for (method, path, status) in
        [("GET", "start", 405), ("POST", "status", 405), ("GET", "nosuch", 404), ("GET", "stats/", 404)]
    {
        let answer = scene.ask(method, path);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["error"].is_string(), "{method} {path}");
    }
}

#[test]
fn the_socket_is_for_its_owner_and_group_alone() {
    const TEST: &str = "the socket's permissions";
    let Some(scene) = Scene::start(TEST) else { return };
    let meta = std::fs::metadata(&scene.socket).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o660);
    let Some(nobody) = Nobody::new(TEST) else { return };
    if !lab::installed("curl") {
        skipped(TEST, "curl is not installed");
        return;
    }
    // Where everybody can reach it, it is the socket that says who may.
    let place = nobody.home().join("place");
    std::fs::create_dir(&place).unwrap();
    std::fs::hard_link(&scene.socket, place.join("agent.sock")).unwrap();
    let ask = |group: u32| {
        let status = Command::new("setpriv")
            .args(["--reuid=65534", &format!("--regid={group}"), "--clear-groups"])
            .args(["curl", "--silent", "--fail", "--output", "/dev/null", "--unix-socket"])
            .arg(place.join("agent.sock"))
            .arg("http://agent/healthz")
            .current_dir(Path::new("/"))
            .status()
            .unwrap();
        status.code()
    };
    assert_eq!(ask(65534), Some(7), "curl: could not connect");
    assert_eq!(ask(meta.gid()), Some(0));
}
