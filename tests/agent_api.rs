//! Every path of the agent's API on real guests: the documented shapes, the
//! numbers, what is missing and why, starting and stopping, the past.
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
    collections::BTreeSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::MutexGuard,
    time::Duration,
};

use agent_process::{
    Agent, PATIENCE,
    asking::{Answer, Events, ask, encoded},
};
use kvmscope::model::name::storable;
use lab::{
    guests::{BACKUP, DB, GATEWAY, HOSTILE, Lab, WEB},
    program::Nobody,
    skip::skipped,
};
use serde_json::Value;

/// An agent on the lab's guests.
struct Scene {
    lab: &'static Lab,
    agent: Agent,
    socket: PathBuf,
    // Removed after the agent has ended.
    _home: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Scene {
    /// Starts it, and waits until rates are there; `None` after saying that
    /// `test` is skipped.
    fn start(test: &str) -> Option<Self> {
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

    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        answer.json()
    }

    fn ask(&self, method: &str, path: &str) -> Answer {
        ask(&self.socket, method, &format!("/api/telemetry/{path}"))
    }

    /// A VM of `vm-telemetry`.
    fn vm(&self, name: &str) -> Option<Value> {
        self.get("vm-telemetry")["vms"].as_array().unwrap().iter().find(|vm| vm["name"] == name).cloned()
    }

    fn until<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        lab::within(PATIENCE, what, || ask(self))
    }

    fn collections(&self) -> u64 {
        self.get("status")["total_collections"].as_u64().unwrap()
    }
}

/// The keys of an object.
fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap_or_else(|| panic!("no object: {object}")).keys().map(String::as_str).collect()
}

#[track_caller]
fn has_exactly(object: &Value, expected: &str) {
    assert_eq!(keys(object), expected.split_whitespace().collect(), "{object}");
}

#[track_caller]
fn has(object: &Value, expected: &str) {
    let keys = keys(object);
    let lacking: Vec<_> = expected.split_whitespace().filter(|key| !keys.contains(key)).collect();
    assert_eq!(lacking, [] as [&str; 0], "{object}");
}

/// RFC 3339 in UTC.
#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    assert!(text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(), "{text}");
}

/// Every null of a VM's object has its reason.
#[track_caller]
fn is_explained(vm: &Value) {
    for (name, value) in vm.as_object().unwrap() {
        if value.is_null() && name != "job" {
            assert!(vm["missing"][name].is_string(), "{name} of {} is null without a reason", vm["name"]);
        }
    }
}

const FIGURES: &str = "id name uuid cpu_usage_percent cpu_rate memory_usage_percent memory_rate \
    memory_kb_per_sec disk_read_bytes disk_read_rate disk_read_bytes_per_sec disk_write_bytes disk_write_rate \
    disk_write_bytes_per_sec network_rx_bytes network_rx_rate network_rx_bytes_per_sec network_tx_bytes \
    network_tx_rate network_tx_bytes_per_sec missing mend state cpu_count memory_max memory_used cputime";

#[test]
fn every_path_answers_in_its_documented_shape() {
    let Some(scene) = Scene::start("every path in its documented shape") else { return };

    let status = scene.get("status");
    has(
        &status,
        "running collector_initialized started_at total_collections total_errors last_collection_time \
         last_error vms_monitored total_metrics_written influx_queue_size config collector delivery",
    );
    has_exactly(&status["config"], "libvirt_uri influx_url influx_db poll_interval");
    has(&status["delivery"], "emitted delivered waiting quarantined dropped state last_answer");
    assert_eq!((&status["running"], &status["collector_initialized"]), (&true.into(), &true.into()));
    assert_eq!(status["config"]["libvirt_uri"], "***");
    assert_eq!(status["config"]["poll_interval"], 0.5);
    assert_eq!(status["vms_monitored"], 6);
    is_time(&status["started_at"]);
    is_time(&status["last_collection_time"]);

    let vms = scene.get("vms");
    has_exactly(&vms, "count vms");
    assert_eq!(vms["count"], 7, "the one that is off as well");
    for vm in vms["vms"].as_array().unwrap() {
        has_exactly(vm, "id name uuid state cpu_count memory_max memory_used cputime missing mend");
        is_explained(vm);
    }

    has_exactly(
        &scene.get("config")["config"],
        "libvirt_uri influx_url influx_db poll_interval batch_max_lines batch_max_sec device_cache_ttl",
    );

    let telemetry = scene.get("vm-telemetry");
    has(&telemetry, "count timestamp angle_mode angle_references vms");
    has_exactly(&telemetry["angle_references"], "cpu memory disk network");
    assert_eq!((telemetry["count"].as_u64(), telemetry["angle_mode"].as_str()), (Some(7), Some("scaled")));
    is_time(&telemetry["timestamp"]);
    for vm in telemetry["vms"].as_array().unwrap() {
        has(vm, FIGURES);
        is_explained(vm);
        assert!(vm.get("devices").is_none(), "devices are in stats");
    }
    let hostile = scene.vm(&storable(HOSTILE)).expect("a hostile name is a name");
    assert_eq!(hostile["uuid"].as_str(), Some(&*scene.lab.uuid(HOSTILE)));

    // The record has a cycle a moment after it was told.
    let one = scene.until("the record has two cycles", |scene| {
        let one = scene.get(&format!("stats/{DB}"));
        one["history"]["disk_write_bytes_per_sec"].is_object().then_some(one)
    });
    has(&one, FIGURES);
    has(&one, "devices vcpus events history");
    let disk = one["devices"].as_array().unwrap().iter().find(|d| d["devtype"] == "disk").unwrap();
    has(disk, "devtype device counters rates");
    has_exactly(&one["history"]["disk_write_bytes_per_sec"], "min mean max");

    let history = scene.get(&format!("history?vm={DB}&measurement=vm_totals&field=disk_wr_bytes"));
    has(&history, "vm measurement field unit step points");
    assert_eq!((&history["unit"], &history["step"]), (&"bytes".into(), &0.5.into()));

    let diagnostic = scene.get("diagnostic");
    has_exactly(&diagnostic, "libvirt influx store vms checks");
    has_exactly(&diagnostic["libvirt"], "connected uri version hypervisor since error");
    has_exactly(&diagnostic["influx"], "configured api reachable state last_answer error");
    has_exactly(&diagnostic["store"], "path bytes covers_since writable");
    has_exactly(&diagnostic["vms"], "answering silent");
    assert_eq!(diagnostic["libvirt"]["connected"], true);
    assert_eq!(diagnostic["store"]["writable"], true);
    let checks = diagnostic["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "libvirt" && check["ok"] == true), "{diagnostic}");
    for check in checks {
        has_exactly(check, "name ok detail mend");
    }

    let health = ask(&scene.socket, "GET", "/healthz");
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("ok")));

    let metrics = ask(&scene.socket, "GET", "/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(metrics.body).unwrap();
    let uuid = scene.lab.uuid(WEB);
    assert!(text.contains(&format!("kvmscope_vm_state{{name=\"{WEB}\",uuid=\"{uuid}\"}} 1\n")), "{text}");
    assert!(text.contains("\nkvmscope_vms 6\n") && text.contains("\nkvmscope_collecting 1\n"), "{text}");
}

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
    // The last numbers stay, with the time they are of.
    let last = scene.get("vm-telemetry")["timestamp"].clone();
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
fn history_tells_what_the_answers_of_then_told() {
    let Some(scene) = Scene::start("history against the answers of then") else { return };
    let mut events = Events::open(&scene.socket);
    let mut told = Vec::new();
    for _ in 0..8 {
        let frame = events.next("frame");
        let vm = frame["vms"].as_array().unwrap().iter().find(|vm| vm["name"] == DB).unwrap().clone();
        told.push((vm["read_at"].clone(), vm["disk_write_bytes"].clone()));
    }
    let points = |field: &str, more: &str| {
        let asked = format!("history?vm={DB}&measurement=vm_totals&field={field}{more}");
        scene.get(&asked)["points"].as_array().unwrap().clone()
    };
    let last = told.last().unwrap().0.clone();
    let found = scene.until("the record has the last of them", |_| {
        let found = points("disk_wr_bytes", "");
        found.iter().any(|point| point[0] == last).then_some(found)
    });
    for (at, bytes) in &told {
        let point = found.iter().find(|point| point[0] == *at).unwrap_or_else(|| panic!("{at} is not there"));
        assert_eq!(point[1], *bytes, "{at}");
    }
    // A span that begins later has the rate since the cycle before it.
    let later = points("disk_wr_bytes", &format!("&rate=true&since={}", told[3].0.as_str().unwrap()));
    assert!(later[0][1].is_number(), "{later:?}");
    // The load writes 1 MiB about four times a second.
    let rates = points("disk_wr_bytes", "&rate=true");
    assert!(rates[0][1].is_null(), "the first has no rate");
    let rates: Vec<f64> = rates.iter().filter_map(|point| point[1].as_f64()).collect();
    let mean = rates.iter().sum::<f64>() / f64::from(u32::try_from(rates.len()).unwrap());
    assert!((1e6..1.2e7).contains(&mean), "{mean}: {rates:?}");
    // Fewer points by a larger step, none twice.
    let wide = points("disk_wr_bytes", "&step=2s");
    assert!(wide.len() * 2 < found.len() + 8 && wide.len() >= 2, "{} of {}", wide.len(), found.len());
    // A word, a device, a span in the past.
    let state = scene.get(&format!("history?vm={DB}&measurement=vm_metrics&field=state"));
    assert!(state["points"].as_array().unwrap().iter().all(|point| point[1] == "running"), "{state}");
    let disk = scene.get(&format!("history?vm={DB}&measurement=vm_devices&field=wr_bytes&device=vda"));
    assert!(disk["points"].as_array().unwrap().iter().any(|point| point[1].is_u64()), "{disk}");
    let span = format!("&since={}&until={}", told[2].0.as_str().unwrap(), told[4].0.as_str().unwrap());
    assert!(points("disk_wr_bytes", &span).len() <= 4);
    let old = scene.get(&format!(
        "history?vm={DB}&measurement=vm_metrics&field=cputime_ns&since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z"
    ));
    assert_eq!(old["points"].as_array().unwrap().len(), 0, "{old}");
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
fn of_a_hung_vm_the_reasons_are_told_everywhere_and_the_rest_goes_on() {
    let Some(scene) = Scene::start("a hung VM") else { return };
    let frozen = scene.lab.freeze(GATEWAY);
    let hung = scene.until("its monitor is found not to answer", |scene| {
        let vm = scene.vm(GATEWAY)?;
        vm["missing"]["disk_write_bytes"].as_str()?.starts_with("monitor not answering").then_some(vm)
    });
    is_explained(&hung);
    assert!(hung["disk_write_rate"].is_null() && hung["cputime"].is_u64(), "{hung}");
    assert!(scene.vm(WEB).unwrap()["cpu_usage_percent"].is_number());
    let diagnostic = scene.get("diagnostic");
    let silent = diagnostic["vms"]["silent"].as_array().unwrap();
    assert!(silent.iter().any(|vm| vm["name"] == GATEWAY), "{diagnostic}");
    // Where calls hang, the checks hang none more.
    let stuck = scene.get("status")["collector"]["stuck_calls"].as_array().unwrap().len();
    if stuck > 0 {
        let check = &diagnostic["checks"][0];
        assert!(check["name"] == "libvirt" && check["ok"] == false, "{diagnostic}");
    }
    scene.until("the record has it", |scene| {
        let history = scene.get(&format!("history?vm={GATEWAY}&measurement=vm_totals&field=disk_wr_bytes"));
        let reasons = history["missing"].as_object().unwrap().clone();
        let last = history["points"].as_array().unwrap().last()?.clone();
        (last[1].is_null() && reasons.keys().any(|why| why.starts_with("monitor not answering")))
            .then_some(())
    });
    let metrics = String::from_utf8(ask(&scene.socket, "GET", "/metrics").body).unwrap();
    let uuid = scene.lab.uuid(GATEWAY);
    let of = |name: &str| metrics.lines().any(|line| line.starts_with(name) && line.contains(&uuid));
    assert!(!of("kvmscope_vm_disk_written_bytes_total") && of("kvmscope_vm_cpu_seconds_total"), "{metrics}");
    drop(frozen);
    scene.until("it answers again", |scene| scene.vm(GATEWAY)?["disk_write_bytes"].is_u64().then_some(()));
}

#[test]
fn a_stream_brings_each_frame_and_every_change_of_state_and_ends_with_the_agent() {
    let Some(mut scene) = Scene::start("the stream of events") else { return };
    let mut events = Events::open(&scene.socket);
    assert_eq!(events.next("status")["running"], true);
    let first = events.next("frame");
    has(&first, "count timestamp angle_mode angle_references vms");
    let second = events.next("frame");
    assert!(second["timestamp"].as_str() > first["timestamp"].as_str());
    scene.ask("POST", "stop");
    assert_eq!(events.next("status")["running"], false);
    scene.ask("POST", "start");
    loop {
        if events.next("status")["running"] == true {
            break;
        }
    }
    assert!(scene.agent.end().success());
    assert!(events.ends());
    assert!(!scene.socket.exists(), "the socket is removed");
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
