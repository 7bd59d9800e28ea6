//! Every path of the agent's API in its documented shape: on real guests, of a
//! VM that hangs, before there is anything to tell, and where it is refused.
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
mod schema;

use agent_process::{
    Agent,
    asking::{Answer, ask, exchange, request, unix},
};
use agent_scene::{Scene, has, has_exactly, is_explained, is_time};
use kvmscope::model::name::storable;
use lab::guests::{BACKUP, DB, GATEWAY, HOSTILE, WEB};
use schema::shape;
use serde_json::{Value, json};

const FIGURES: &str = "id name uuid cpu_usage_percent cpu_rate memory_usage_percent memory_rate \
    memory_kb_per_sec disk_read_bytes disk_read_rate disk_read_bytes_per_sec disk_write_bytes disk_write_rate \
    disk_write_bytes_per_sec network_rx_bytes network_rx_rate network_rx_bytes_per_sec network_tx_bytes \
    network_tx_rate network_tx_bytes_per_sec missing mend state cpu_count memory_max memory_used cputime";

#[test]
fn every_path_answers_in_its_documented_shape() {
    let Some(scene) = Scene::start("every path in its documented shape") else { return };
    for path in ["status", "vms", "config", "vm-telemetry", "diagnostic"] {
        shape(path).holds(&scene.get(path));
    }

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
    shape("stats").holds(&one);
    has(&one, FIGURES);
    has(&one, "devices vcpus events history");
    let disk = one["devices"].as_array().unwrap().iter().find(|d| d["devtype"] == "disk").unwrap();
    has(disk, "devtype device counters rates");
    has_exactly(&one["history"]["disk_write_bytes_per_sec"], "min mean max");

    let history = scene.get(&format!("history?vm={DB}&measurement=vm_totals&field=disk_wr_bytes"));
    has(&history, "vm measurement field unit step points");
    assert_eq!((&history["unit"], &history["step"]), (&"bytes".into(), &0.5.into()));

    shape("history").holds(&history);
    for more in ["&rate=true", "&step=2s"] {
        let asked = format!("history?vm={DB}&measurement=vm_totals&field=disk_wr_bytes{more}");
        shape("history").holds(&scene.get(&asked));
    }
    let device = format!("history?vm={DB}&measurement=vm_devices&field=wr_bytes&device=vda");
    shape("history").holds(&scene.get(&device));
    let off = scene.get(&format!("stats/{BACKUP}"));
    shape("stats").holds(&off);

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
    shape("healthz").holds(&health.json());
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("ok")));

    let metrics = ask(&scene.socket, "GET", "/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(metrics.body).unwrap();
    let uuid = scene.lab.uuid(WEB);
    assert!(text.contains(&format!("kvmscope_vm_state{{name=\"{WEB}\",uuid=\"{uuid}\"}} 1\n")), "{text}");
    assert!(text.contains("\nkvmscope_vms 6\n") && text.contains("\nkvmscope_collecting 1\n"), "{text}");
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
    for path in ["status", "vms", "vm-telemetry", "diagnostic"] {
        shape(path).holds(&scene.get(path));
    }
    shape("stats").holds(&scene.get(&format!("stats/{GATEWAY}")));
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
fn a_field_that_appears_or_vanishes_or_changes_its_kind_is_another_shape() {
    let whole = json!({"count": 0, "vms": []});
    let shape = shape("vms");
    shape.holds(&whole);
    let mut more = whole.clone();
    more["more"] = Value::Null;
    assert!(!shape.is_of(&more) && !shape.is_of(&json!({"vms": []})));
    for other in [json!("0"), json!(-1), json!(0.5), Value::Null] {
        let mut changed = whole.clone();
        changed["count"] = other;
        assert!(!shape.is_of(&changed), "{changed}");
    }
}

#[test]
fn what_is_told_before_there_is_anything_and_what_is_refused_has_its_shape_too() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("agent.sock");
    let config = home.path().join("agent.toml");
    std::fs::write(&config, format!("[agent]\nsocket = \"{}\"\n", socket.display())).unwrap();
    // Nothing answers there.
    let uri = format!("qemu:///system?socket={}", home.path().join("none").display());
    let mut agent = Agent::start(home.path(), &["--config", config.to_str().unwrap(), "--uri", &uri]);
    let get = |path: &str| ask(&socket, "GET", &format!("/api/telemetry/{path}"));
    for path in ["status", "vms", "config", "vm-telemetry", "diagnostic"] {
        shape(path).holds(&get(path).json());
    }
    assert_eq!(get("vm-telemetry").json()["timestamp"], Value::Null);
    shape("healthz").holds(&ask(&socket, "GET", "/healthz").json());
    for (path, name) in [("start", "start"), ("stop", "stop")] {
        shape(name).holds(&ask(&socket, "POST", &format!("/api/telemetry/{path}")).json());
    }
    for path in [
        "nosuch",
        "stats/nosuch",
        "history",
        "history?vm=x",
        "sparklines?vm=x",
        "export",
        "export?since=x",
        "start",
    ] {
        let answer = get(path);
        assert!(answer.status >= 400, "{path}: {answer:?}");
        shape("error").holds(&answer.json());
    }
    assert!(agent.end().success());
}

#[test]
fn a_frame_is_sent_packed_as_the_caller_takes_it_and_not_again() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("agent.sock");
    let config = home.path().join("agent.toml");
    std::fs::write(&config, format!("[agent]\nsocket = \"{}\"\n", socket.display())).unwrap();
    let uri = lab::own_demo_host(home.path());
    let arguments = ["--config", config.to_str().unwrap(), "--uri", &uri, "--poll-interval", "1"];
    let _agent = Agent::start(home.path(), &arguments);
    let get = |headers: &[(&str, &str)]| {
        let request = request("GET", "/api/telemetry/vm-telemetry", "agent", headers);
        Answer::read(&exchange(unix(&socket), request.as_bytes()))
    };
    lab::within(agent_process::PATIENCE, "VMs are there", || {
        get(&[]).json()["count"].as_u64().filter(|count| *count > 0)
    });
    // No frame comes any more.
    ask(&socket, "POST", "/api/telemetry/stop");
    let plain = lab::within(agent_process::PATIENCE, "the last frame's page is written", || {
        let (one, status) = (get(&[]), ask(&socket, "GET", "/api/telemetry/status").json());
        let of_last = one.json()["vms"][0]["read_at"].as_str()? <= status["last_collection_time"].as_str()?;
        let same = get(&[]).header("etag") == one.header("etag");
        (of_last && same).then_some(one)
    });
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
    let mut tags = vec![plain.header("etag").unwrap().to_owned()];
    for encoding in ["gzip", "zstd"] {
        let packed = get(&[("Accept-Encoding", encoding)]);
        assert_eq!(packed.header("content-encoding"), Some(encoding));
        let body = if encoding == "gzip" {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed.body), &mut text).unwrap();
            text
        } else {
            zstd::bulk::decompress(&packed.body, 1 << 24).unwrap()
        };
        assert!(body == plain.body && packed.body.len() * 3 < body.len(), "{encoding}");
        tags.push(packed.header("etag").unwrap().to_owned());
    }
    for (place, encoding) in ["identity", "gzip", "zstd"].iter().enumerate() {
        for (other, tag) in tags.iter().enumerate() {
            let answer = get(&[("Accept-Encoding", encoding), ("If-None-Match", tag)]);
            let expected = if place == other { 304 } else { 200 };
            assert_eq!(answer.status, expected, "{encoding} {tag}");
            assert_eq!(answer.body.is_empty(), place == other);
            assert_eq!(answer.header("etag"), Some(&*tags[place]));
        }
    }
    ask(&socket, "POST", "/api/telemetry/start");
    lab::within(agent_process::PATIENCE, "another frame has another tag", || {
        (get(&[("If-None-Match", &tags[0])]).status == 200).then_some(())
    });
}
