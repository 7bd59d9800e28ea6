//! What happens to a domain is heard of at once, from libvirt's own events:
//! on real QEMU guests, and on the test hypervisor as far as it tells any.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod collecting;
mod lab;
mod listening;

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use collecting::Collecting;
use kvmscope::{
    libvirt::{EventKind, Groups, Member, Question, Reply, WatchNews},
    model::{DomainFrame, status::WatchState, timeline::Weight},
};
use lab::guests::{BACKUP, BATCH, DB, HOSTILE, Lab};
use listening::{Asking, Listening};

/// Anything that must happen happens within this, however busy the machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// libvirt's test hypervisor, shared by all connections of this process.
const TEST_DRIVER: &str = "test:///default";

/// One test at a time: they change the lab's guests and its daemon, and some
/// count what this process holds.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lab of this file, for as long as it is this test's turn.
fn take_lab(test: &str) -> Option<(MutexGuard<'static, ()>, &'static Lab)> {
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    let turn = turn();
    match LAB.get_or_init(|| Lab::start_waiting_for(&[BATCH])) {
        Ok(lab) => Some((turn, lab)),
        Err(reason) => {
            lab::skipped(test, reason);
            None
        }
    }
}

fn is_life(kind: &EventKind, said: &str) -> bool {
    matches!(kind, EventKind::Life { text, .. } if *text == said)
}

#[test]
fn the_test_hypervisors_lifecycle_is_heard() {
    let _turn = turn();
    let listening = Listening::connected(TEST_DRIVER);
    let operator = virt::connect::Connect::open(Some(TEST_DRIVER)).unwrap();
    let domain = operator.lookup_domain_by_name("test").unwrap();
    domain.suspend().unwrap();
    let event = listening.event(|kind| is_life(kind, "paused"));
    assert_eq!(event.uuid, domain.uuid().unwrap());
    domain.resume().unwrap();
    listening.event(|kind| is_life(kind, "resumed"));
    listening.end();
}

#[test]
fn a_watch_on_nothing_says_why() {
    let _turn = turn();
    let listening = Listening::to("qemu:///system?socket=/nonexistent/sock");
    let why = listening.wait(|news| match news {
        WatchNews::Ended { why } => why,
        _ => None,
    });
    assert!(why.to_string().contains("cannot be reached"), "{why}");
}

fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

/// Threads and descriptors of this process.
fn held() -> (usize, usize) {
    (entries("/proc/self/task"), entries("/proc/self/fd"))
}

/// 200 watches come and go, and nothing of them stays.
#[track_caller]
fn leaks_nothing(uri: &str) {
    for _ in 0..5 {
        Listening::connected(uri).end();
    }
    let before = held();
    for _ in 0..200 {
        Listening::connected(uri).end();
    }
    // The threads of the test before, and libvirt's own clearing up, may take
    // a moment; what 200 watches left would stay.
    let mut after = held();
    let end = Instant::now() + PATIENCE;
    while after.0 > before.0 + 3 || after.1 > before.1 + 6 {
        assert!(Instant::now() < end, "threads and descriptors went from {before:?} to {after:?}");
        std::thread::park_timeout(Duration::from_millis(20));
        after = held();
    }
}

#[test]
fn two_hundred_watches_on_the_test_hypervisor_leave_nothing_behind() {
    let _turn = turn();
    leaks_nothing(TEST_DRIVER);
}

#[test]
fn two_hundred_watches_on_a_daemon_leave_nothing_behind() {
    let name = "two_hundred_watches_on_a_daemon_leave_nothing_behind";
    let Some((_turn, lab)) = take_lab(name) else { return };
    leaks_nothing(&lab.uri());
}

#[test]
fn a_daemon_that_falls_silent_is_noticed_by_a_call_in_flight_and_by_the_watch() {
    let name = "a_daemon_that_falls_silent_is_noticed_by_a_call_in_flight_and_by_the_watch";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let mut asking = Asking::at(&lab.uri());
    asking.roster();
    let listening = Listening::connected(&lab.uri());
    let frozen = lab.freeze_daemon();
    let since = Instant::now();
    asking.ask(Question::Roster);
    let answer = asking.answers.recv_timeout(PATIENCE).expect("the call hangs as long as the daemon does");
    let error = answer.reply.expect_err("an answer of a daemon that is stopped");
    eprintln!("noticed after {:.1} s: {error}", since.elapsed().as_secs_f64());
    assert!(error.is_connection(), "{error}");
    assert!(since.elapsed() < Duration::from_secs(20), "noticed only after {:?}", since.elapsed());
    let why = listening.wait(|news| match news {
        WatchNews::Ended { why } => why,
        _ => None,
    });
    assert!(why.is_connection(), "{why}");
    assert!(since.elapsed() < Duration::from_secs(25), "the watch noticed only after {:?}", since.elapsed());
    drop(frozen);
    asking.roster();
}

#[test]
fn a_hung_guest_does_not_break_the_connection_that_waits_for_it() {
    let name = "a_hung_guest_does_not_break_the_connection_that_waits_for_it";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let mut asking = Asking::at(&lab.uri());
    let roster = asking.roster();
    let batch = roster.domains.iter().find(|entry| &*entry.identity.name == BATCH).unwrap();
    let member = Member {
        uuid: batch.identity.uuid,
        id: batch.identity.id.unwrap(),
        devices: None,
        groups: Groups::ALL,
    };
    let frozen = lab.freeze(BATCH);
    asking.ask(Question::List { members: vec![member], monitor_free: false, timed: None });
    // Longer than keepalive waits for a daemon that is silent.
    let early = asking.answers.recv_timeout(Duration::from_secs(12));
    assert!(early.is_err(), "the call did not wait for the guest: {early:?}");
    drop(frozen);
    match asking.answers.recv_timeout(PATIENCE).unwrap().reply {
        Ok(Reply::List(list)) => assert!(!list[0].short, "{:?}", list[0]),
        other => panic!("{other:?}"),
    }
}

// ---- the collector --------------------------------------------------------------

fn has_disk(domain: &DomainFrame, name: &str) -> bool {
    domain.devices.disks.iter().any(|disk| &*disk.name == name)
}

/// Whether `name` is among the disks read, with counters.
fn counts_disk(domain: &DomainFrame, name: &str) -> bool {
    let mut disks = domain.reading.disks.iter().flatten();
    disks.any(|disk| &*disk.name == name && disk.counters.is_ok())
}

/// Every rate of every disk and NIC that is there: none may be negative.
fn no_rate_is_absurd(domain: &DomainFrame) {
    let disks = domain.rates.disks.iter().flat_map(|(_, r)| [r.read_bytes_per_s, r.write_bytes_per_s]);
    let nics = domain.rates.nics.iter().flat_map(|(_, r)| [r.rx_bytes_per_s, r.tx_bytes_per_s]);
    for rate in disks.chain(nics).flatten() {
        assert!((0.0..1e9).contains(&rate), "{rate} of {}", domain.identity().name);
    }
}

#[test]
fn the_test_hypervisors_events_stand_on_the_timeline() {
    let _turn = turn();
    let collecting = Collecting::from(TEST_DRIVER);
    let operator = virt::connect::Connect::open(Some(TEST_DRIVER)).unwrap();
    let domain = operator.lookup_domain_by_name("test").unwrap();
    domain.suspend().unwrap();
    assert_eq!(collecting.happened("test", "paused").weight, Weight::Warning);
    domain.resume().unwrap();
    collecting.happened("test", "resumed");
    let figures = collecting.wait("figures", |latest| Some(latest.status.as_ref()?.events.clone()));
    assert!(figures.seen >= 2 && figures.last_at.is_some(), "{figures:?}");
}

#[test]
fn what_an_operator_does_to_a_guest_stands_on_its_timeline() {
    let name = "what_an_operator_does_to_a_guest_stands_on_its_timeline";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let collecting = Collecting::from(&lab.uri());
    lab.virsh(&["suspend", BATCH]);
    let paused = collecting.happened(BATCH, "paused");
    lab.virsh(&["resume", BATCH]);
    assert!(collecting.happened(BATCH, "resumed").at >= paused.at);
    lab.virsh(&["setmem", BATCH, "100M", "--live"]);
    collecting.domain("the balloon has shrunk", BATCH, |domain| {
        let shrunk = |text: &str| text.starts_with("balloon 12") && text.ends_with(" → 100.00 MB");
        domain.timeline.iter().any(|happening| shrunk(&happening.text)).then_some(())
    });

    // Defined and off until now.
    lab.virsh(&["start", BACKUP, "--paused"]);
    collecting.happened(BACKUP, "started");
    lab.virsh(&["destroy", BACKUP]);
    let stopped = collecting.happened(BACKUP, "stopped: destroyed");
    assert_eq!(stopped.weight, Weight::Warning);
    // A guest without an operating system: the others would boot for long.
    lab.virsh(&["reset", HOSTILE]);
    collecting.domain("a reboot", &lab.uuid(HOSTILE), |domain| {
        domain.timeline.iter().any(|happening| happening.text.starts_with("rebooted")).then_some(())
    });
    let ordered = collecting.wait("a frame", |latest| latest.frame.clone());
    for domain in &ordered.domains {
        assert!(domain.timeline.is_sorted_by_key(|happening| happening.at), "{:?}", domain.timeline);
    }
}

#[test]
fn a_plugged_device_is_there_within_two_intervals_and_gone_as_soon_as_unplugged() {
    let name = "a_plugged_device_is_there_within_two_intervals_and_gone_as_soon_as_unplugged";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let collecting = Collecting::from(&lab.uri());
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("plugged.img");
    std::fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
    let image = image.to_str().unwrap();
    let nic = folder.path().join("nic.xml");
    let xml = "<interface type='ethernet'><target dev='plug0'/><model type='virtio'/></interface>";
    std::fs::write(&nic, xml).unwrap();
    let nic = nic.to_str().unwrap();
    collecting.domain("its devices", BATCH, |domain| has_disk(domain, "vda").then_some(()));

    for _ in 0..2 {
        lab.virsh(&["attach-disk", BATCH, image, "vdx", "--targetbus", "virtio", "--live"]);
        let attached = collecting.cycle();
        // The cycle that runs now, and two more.
        let cycle = collecting.wait("the plugged disk with counters and model", |latest| {
            let frame = latest.frame.as_ref()?;
            let domain = frame.find(BATCH)?;
            no_rate_is_absurd(domain);
            (has_disk(domain, "vdx") && counts_disk(domain, "vdx")).then_some(frame.cycle)
        });
        assert!(cycle <= attached + 3, "attached in cycle {attached}, there in {cycle}");
        collecting.happened(BATCH, "disk vdx attached");
        lab.virsh(&["detach-disk", BATCH, "vdx", "--live"]);
        collecting.happened(BATCH, "disk vdx detached");
        collecting.domain("the disk is gone", BATCH, |domain| {
            no_rate_is_absurd(domain);
            (!has_disk(domain, "vdx") && !counts_disk(domain, "vdx")).then_some(())
        });
    }
    lab.virsh(&["attach-device", BATCH, nic, "--live"]);
    collecting.happened(BATCH, "NIC plug0 attached");
    collecting.domain("the plugged NIC is counted", BATCH, |domain| {
        domain.reading.nics.iter().flatten().any(|n| &*n.name == "plug0" && n.counters.is_ok()).then_some(())
    });
}

#[test]
fn a_watch_that_lost_its_daemon_listens_to_its_successor() {
    let name = "a_watch_that_lost_its_daemon_listens_to_its_successor";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let collecting = Collecting::from(&lab.uri());
    lab.kill_daemon();
    collecting.wait("nobody listens", |latest| {
        (!matches!(latest.status.as_ref()?.events.watch, WatchState::Connected { .. })).then_some(())
    });
    lab.start_daemon();
    collecting.wait("it listens again", |latest| {
        matches!(latest.status.as_ref()?.events.watch, WatchState::Connected { .. }).then_some(())
    });
    lab.virsh(&["suspend", BATCH]);
    collecting.happened(BATCH, "paused");
    lab.virsh(&["resume", BATCH]);
    collecting.happened(BATCH, "resumed");
}

/// A guest that writes to a disk for which the host has no room.
fn guest_without_room(lab: &Lab, folder: &Path) -> String {
    const NAME: &str = "no-room";
    let tiny = folder.join("tiny");
    std::fs::create_dir(&tiny).unwrap();
    let (tiny, image) = (tiny.to_str().unwrap(), tiny.join("full.img"));
    lab.inside(&["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tiny]);
    lab.inside(&["truncate", "-s", "64M", image.to_str().unwrap()]);
    // The guest with the load on its disk, but for all that only one can have.
    let model = lab.virsh(&["dumpxml", DB, "--inactive"]);
    let between = |begin: &str, end: &str| {
        let from = model.find(begin).unwrap();
        &model[from..from + model[from..].find(end).unwrap() + end.len()]
    };
    let xml = format!(
        "<domain type='qemu'><name>{NAME}</name><memory unit='MiB'>128</memory>{resource}{os}\
         <features><acpi/></features><devices><disk type='file' device='disk'>\
         <driver name='qemu' type='raw' cache='unsafe'/><source file='{image}'/>\
         <target dev='vda' bus='virtio'/></disk><memballoon model='none'/></devices></domain>",
        resource = between("<resource>", "</resource>"),
        os = between("<os>", "</os>"),
        image = image.display(),
    );
    let file = folder.join("no-room.xml");
    std::fs::write(&file, xml).unwrap();
    lab.virsh(&["create", file.to_str().unwrap()]);
    NAME.to_owned()
}

#[test]
fn a_host_without_room_for_a_guests_disk_is_told_as_an_io_error() {
    let name = "a_host_without_room_for_a_guests_disk_is_told_as_an_io_error";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let collecting = Collecting::from(&lab.uri());
    let folder = tempfile::tempdir().unwrap();
    let guest = guest_without_room(lab, folder.path());
    // It was not there when the roster was read last.
    collecting.happened(&guest, "started");
    let failed = collecting.happened(&guest, "I/O error on vda: enospc");
    assert_eq!(failed.weight, Weight::Trouble);
    assert_eq!(collecting.happened(&guest, "paused: I/O error").weight, Weight::Trouble);
    lab.virsh(&["destroy", &guest]);
    lab.inside(&["umount", folder.path().join("tiny").to_str().unwrap()]);
}
