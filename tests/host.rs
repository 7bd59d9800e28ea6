//! The host's figures and the domains' jobs against virsh and the kernel, on
//! a real host with real guests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::time::Instant;

use lab::{guests::Lab, skipped};
use serde_json::Value;

/// Seconds between the two readings of `once`.
const INTERVAL: f64 = 1.0;
/// The kernel counts CPU time in ticks of 10 ms, on each CPU for itself.
const TICK: f64 = 0.01;

/// What `once --json` prints.
fn once(uri: &str) -> Value {
    let home = tempfile::tempdir().unwrap();
    let interval = INTERVAL.to_string();
    let output = lab::program::kvmscope(home.path())
        .args(["once", "--json", "--uri", uri, "--poll-interval", &interval])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn vm<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let vms = answer["vms"].as_array().unwrap();
    vms.iter().find(|vm| vm["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn number(object: &Value, field: &str) -> f64 {
    object[field].as_f64().unwrap_or_else(|| panic!("{field}: {}", object["missing"]))
}

/// `name: 123 KiB` of virsh's lists, by name.
fn listed(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix(':'));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Two idle guests of one vCPU and 16 MiB, or `None` after saying why not.
fn idle_lab(test: &str) -> Option<Lab> {
    Lab::idle(2).map_err(|reason| skipped(test, &reason)).ok()
}

#[test]
fn the_hosts_load_is_what_virsh_and_the_kernel_say() {
    let Some(lab) = idle_lab("the_hosts_load_is_what_virsh_and_the_kernel_say") else { return };
    let cpu_before = lab.virsh(&["nodecpustats"]);
    let begun = Instant::now();
    let answer = once(&lab.uri());
    let cpu_after = lab.virsh(&["nodecpustats"]);
    let host = &answer["host"];
    let cpus = number(host, "cpus");

    // kvmscope's interval lies within virsh's, so it saw no more of each.
    let mut busy = 0.0;
    for (field, name) in
        [("cpu_user_percent", "user"), ("cpu_system_percent", "system"), ("cpu_iowait_percent", "iowait")]
    {
        let seen = number(host, field) / 100.0 * cpus * INTERVAL;
        let grown = (listed(&cpu_after, name) - listed(&cpu_before, name)) / 1e9;
        // The interval is kept to a tenth; a busy machine may be late.
        assert!((0.0..=grown + TICK * cpus + 0.1).contains(&seen), "{name}: {seen} s of {grown} s");
        busy += if name == "iowait" { 0.0 } else { number(host, field) };
    }
    assert!(busy > 0.0, "this test alone keeps it busy");
    assert!((number(host, "cpu_usage_percent") - busy).abs() < 1e-6);

    let memory = lab.virsh(&["nodememstats"]);
    let total = listed(&memory, "total");
    assert!((number(host, "memory_total") - total).abs() < 1.0);
    let available: f64 = ["free", "buffers", "cached"].iter().map(|name| listed(&memory, name)).sum();
    let seen = number(host, "memory_available");
    assert!((seen - available).abs() < total * 0.1, "{seen} KiB of {available} KiB");

    for (field, file) in [
        ("pressure_cpu_percent", "cpu"),
        ("pressure_memory_percent", "memory"),
        ("pressure_io_percent", "io"),
    ] {
        let Ok(text) = std::fs::read_to_string(format!("/proc/pressure/{file}")) else {
            skipped(
                "the_hosts_load_is_what_virsh_and_the_kernel_say",
                "this kernel keeps no pressure figures",
            );
            assert_eq!(host["missing"][field], "no pressure figures in this kernel");
            continue;
        };
        let now: f64 = text.split("avg10=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let seen = number(host, field);
        // A mean over ten seconds, brought up to date every two, can move
        // only so far towards nothing or all in the time since.
        let kept = (-(begun.elapsed().as_secs_f64() + 4.0) / 10.0).exp();
        let range = seen * kept - 1.0..=100.0 - (100.0 - seen) * kept + 1.0;
        assert!(range.contains(&now), "{file}: {seen} and soon after {now}, not in {range:?}");
    }

    assert_eq!(host["vcpus_given"], 2);
    assert!((number(host, "vcpus_per_cpu") - 2.0 / cpus).abs() < 1e-9);
    assert_eq!(host["memory_given"], 2 * 16 * 1024);
}

#[test]
fn a_backup_is_seen_while_it_runs_and_gone_afterwards() {
    let Some(lab) = idle_lab("a_backup_is_seen_while_it_runs_and_gone_afterwards") else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    // In pull mode it runs until it is told to stop.
    let xml = format!(
        "<domainbackup mode='pull'><server transport='unix' socket='{}'/><disks>\
         <disk name='vda' backup='yes' type='file'><scratch file='{}'/></disk>\
         <disk name='vdb' backup='no'/><disk name='vdc' backup='no'/></disks></domainbackup>",
        place("nbd.sock"),
        place("scratch.qcow2"),
    );
    std::fs::write(place("backup.xml"), xml).unwrap();
    assert!(vm(&once(&lab.uri()), "idle-1")["job"].is_null());

    lab.virsh(&["backup-begin", "idle-1", &place("backup.xml")]);
    let answer = once(&lab.uri());
    let job = &vm(&answer, "idle-1")["job"];
    assert_eq!(job["operation"], "backup", "{job}");
    assert!(job["elapsed_sec"].as_f64().is_some_and(|seconds| seconds > 0.0), "{job}");
    assert!(vm(&answer, "idle-2")["job"].is_null());

    lab.virsh(&["domjobabort", "idle-1"]);
    assert!(vm(&once(&lab.uri()), "idle-1")["job"].is_null());
}

#[test]
fn a_paused_guest_says_who_paused_it_and_a_resumed_one_that_it_was() {
    let Some(lab) = idle_lab("a_paused_guest_says_who_paused_it_and_a_resumed_one_that_it_was") else {
        return;
    };
    lab.virsh(&["resume", "idle-1"]);
    let answer = once(&lab.uri());
    let (running, paused) = (vm(&answer, "idle-1"), vm(&answer, "idle-2"));
    assert_eq!((&running["state"], &running["state_reason"]), (&"running".into(), &"unpaused".into()));
    assert_eq!(paused["state"], "paused");
    lab.virsh(&["suspend", "idle-1"]);
    let answer = once(&lab.uri());
    let paused = vm(&answer, "idle-1");
    assert_eq!((&paused["state"], &paused["state_reason"]), (&"paused".into(), &"by the user".into()));
}

#[test]
fn the_demo_host_has_reasons_for_a_load_and_none_of_this_machines_figures() {
    let answer = once("test:///default");
    let host = &answer["host"];
    for field in [
        "cpu_usage_percent",
        "cpu_iowait_percent",
        "memory_total",
        "memory_usage_percent",
        "pressure_cpu_percent",
        "pressure_io_percent",
        "memory_given_percent",
    ] {
        assert!(host[field].is_null(), "{field}: {host}");
        assert_eq!(host["missing"][field], "not offered by this hypervisor", "{field}");
    }
    assert!(number(host, "vcpus_given") > 0.0 && number(host, "vcpus_per_cpu") > 0.0);
    assert!(answer["vms"].as_array().unwrap().iter().all(|vm| vm["job"].is_null()));
}
