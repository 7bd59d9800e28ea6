//! The agent's past and the stream of its present, on real guests.
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

use agent_process::asking::Events;
use agent_scene::{Scene, has};
use lab::guests::DB;

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
