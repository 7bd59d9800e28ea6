use uuid::Uuid;

use super::*;
use crate::model::domain::{DiskDevice, NicDevice};

const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> (WallTime, MonoTime) {
    (WallTime(i64::try_from(seconds * SECOND).unwrap()), MonoTime(seconds * SECOND))
}

fn devices() -> DomainDevices {
    DomainDevices {
        nics: vec![NicDevice {
            name: "vnet7".into(),
            alias: Some("net1".into()),
            uncounted: None,
            model: None,
            mac: None,
            source: None,
        }],
        disks: vec![DiskDevice {
            name: "vdc".into(),
            alias: Some("virtio-disk2".into()),
            kind: "disk".into(),
            bus: None,
            source: None,
        }],
        ..DomainDevices::default()
    }
}

/// A timeline that has heard these, a minute apart.
fn heard(kinds: Vec<EventKind>, devices: Option<&DomainDevices>) -> Timeline {
    let mut timeline = Timeline::default();
    for (minute, kind) in (1..).zip(kinds) {
        hear(&mut timeline, minute * 60, kind, devices);
    }
    timeline
}

fn hear(timeline: &mut Timeline, seconds: u64, kind: EventKind, devices: Option<&DomainDevices>) {
    let event = DomainEvent { uuid: Uuid::from_u128(1), at: at(seconds), kind };
    timeline.hear(&event, "vm", devices);
}

fn texts(timeline: &mut Timeline) -> Vec<String> {
    timeline.shown().iter().map(|happening| happening.text.to_string()).collect()
}

fn added(alias: &str) -> EventKind {
    EventKind::DeviceAdded { alias: alias.into() }
}

fn io_error(alias: &str, path: &str, reason: &str) -> EventKind {
    EventKind::IoError { alias: alias.into(), path: path.into(), reason: reason.into() }
}

fn balloon(mebibytes: u64) -> EventKind {
    EventKind::Balloon { size: Kib(mebibytes * 1024) }
}

#[test]
fn events_read_as_an_operator_would_say_them() {
    let kinds = vec![
        EventKind::Life { text: "started (migrated here)", weight: Weight::Note },
        EventKind::Rebooted,
        EventKind::Watchdog { action: "reset" },
        io_error("virtio-disk2", "/images/c.img", "enospc"),
        io_error("virtio-disk9", "/images/x.img", ""),
        io_error("", "/images/y.img", "eio"),
        added("net1"),
        EventKind::DeviceRemoved { alias: "virtio-disk2".into() },
        EventKind::DeviceRemovalFailed { alias: "net1".into() },
        EventKind::JobCompleted {
            operation: "migration out",
            took: Some(Duration::from_millis(12_345)),
            success: true,
        },
        EventKind::JobCompleted { operation: "backup", took: None, success: false },
        EventKind::BlockJob { disk: "vda".into(), operation: "commit", outcome: BlockJobOutcome::Completed },
        EventKind::Agent { connected: true },
        EventKind::BlockThreshold { disk: "vda".into() },
        EventKind::MemoryFailure { action: "guest told" },
    ];
    let mut timeline = heard(kinds, Some(&devices()));
    timeline.learn(&devices(), at(3_600).1);
    assert_eq!(
        texts(&mut timeline),
        [
            "started (migrated here)",
            "rebooted",
            "watchdog not served: reset",
            "I/O error on vdc: enospc",
            "I/O error on virtio-disk9",
            "I/O error on y.img: eio",
            "NIC vnet7 attached",
            "disk vdc detached",
            "NIC vnet7 not detached: the guest does not let it go",
            "migration out finished in 12 s",
            "backup failed",
            "commit of vda finished",
            "guest agent connected",
            "block threshold on vda",
            "host memory failure: guest told",
        ]
    );
    let weights: Vec<_> = timeline.shown().iter().map(|happening| happening.weight).collect();
    assert_eq!(weights[..4], [Weight::Note, Weight::Note, Weight::Trouble, Weight::Trouble]);
    assert_eq!(timeline.shown()[1].at, WallTime(120 * 1_000_000_000));
}

#[test]
fn an_attached_device_is_shown_at_once_and_named_when_its_xml_was_read() {
    let mut timeline = heard(vec![added("virtio-disk2"), added("usb-tablet0")], None);
    assert_eq!(texts(&mut timeline), ["device virtio-disk2 attached", "device usb-tablet0 attached"]);
    timeline.learn(&devices(), at(30).1);
    assert_eq!(texts(&mut timeline)[0], "device virtio-disk2 attached", "that was asked for before it");
    timeline.learn(&devices(), at(3_600).1);
    assert_eq!(texts(&mut timeline), ["disk vdc attached", "device usb-tablet0 attached"]);
    // Another device by that alias later changes nothing of what was.
    let mut other = devices();
    other.disks[0].name = "vdx".into();
    timeline.learn(&other, at(3_601).1);
    assert_eq!(texts(&mut timeline)[0], "disk vdc attached");
}

#[test]
fn an_alias_that_is_given_again_is_another_device() {
    let mut timeline = heard(vec![added("net1")], Some(&devices()));
    assert_eq!(texts(&mut timeline), ["device net1 attached"], "not the NIC that the old XML knows");
    let mut other = devices();
    other.nics[0].name = "vnet8".into();
    timeline.learn(&other, at(3_600).1);
    assert_eq!(texts(&mut timeline), ["NIC vnet8 attached"]);
}

#[test]
fn a_balloon_on_its_way_is_one_happening() {
    let mut timeline = Timeline::default();
    timeline.see_balloon(Kib(2048 * 1024));
    for (second, size) in [(1, 1800), (2, 1500), (4, 1024)] {
        hear(&mut timeline, second, balloon(size), None);
    }
    assert_eq!(texts(&mut timeline), ["balloon 2.00 GB → 1.00 GB"]);
    // A reading, and something else, come between two of its events.
    timeline.see_balloon(Kib(1000 * 1024));
    hear(&mut timeline, 5, EventKind::Rebooted, None);
    hear(&mut timeline, 6, balloon(1000), None);
    assert_eq!(texts(&mut timeline), ["balloon 2.00 GB → 1000.00 MB", "rebooted"]);

    let mut timeline = Timeline::default();
    timeline.see_balloon(Kib(2048 * 1024));
    hear(&mut timeline, 4, balloon(1024), None);
    assert_eq!(timeline.shown()[0].at, at(4).0);
    hear(&mut timeline, 60, balloon(1024), None);
    assert_eq!(texts(&mut timeline).len(), 1, "the same size is no change");
    hear(&mut timeline, 90, balloon(1536), None);
    assert_eq!(texts(&mut timeline)[1], "balloon 1.00 GB → 1.50 GB");
    let mut unknown = heard(vec![balloon(512)], None);
    assert_eq!(texts(&mut unknown), ["balloon → 512.00 MB"]);
}

#[test]
fn a_swarm_of_the_same_is_counted_and_old_happenings_are_let_go() {
    let mut timeline = Timeline::default();
    for second in 0..100 {
        hear(&mut timeline, second, io_error("virtio-disk2", "", "enospc"), Some(&devices()));
    }
    assert_eq!(texts(&mut timeline), ["I/O error on vdc: enospc (100 times)"]);
    hear(&mut timeline, 200, io_error("virtio-disk2", "", "enospc"), Some(&devices()));
    assert_eq!(texts(&mut timeline).len(), 2, "much later it is news again");

    for number in 0..10 * u64::try_from(KEPT).unwrap() {
        hear(&mut timeline, 300 + number, EventKind::Agent { connected: number % 2 == 0 }, None);
    }
    let shown = texts(&mut timeline);
    assert_eq!(shown.len(), KEPT);
    assert!(shown.iter().all(|text| text.starts_with("guest agent")), "{shown:?}");
}

#[test]
fn an_unchanged_timeline_is_shared_by_all_frames() {
    let mut timeline = heard(vec![EventKind::Rebooted], None);
    assert!(Arc::ptr_eq(&timeline.shown(), &timeline.shown()));
}

#[test]
fn each_entry_began_at_an_instant_of_its_own_and_keeps_it() {
    let mut timeline = Timeline::default();
    for kind in
        [EventKind::Rebooted, EventKind::Agent { connected: true }, EventKind::Agent { connected: false }]
    {
        hear(&mut timeline, 5, kind, None);
    }
    hear(&mut timeline, 9, EventKind::Agent { connected: false }, None);
    let shown = timeline.shown();
    let times: Vec<_> = shown.iter().map(|happening| (happening.since.0 - at(5).0.0, happening.at)).collect();
    assert_eq!(times, [(0, at(5).0), (1, at(5).0), (2, at(9).0)]);
}
