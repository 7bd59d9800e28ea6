use uuid::Uuid;

use super::{Param, Signs, decode};
use crate::{
    libvirt::question::{RawDisk, RawDomain},
    model::{
        DomainState, Kib, Nanos,
        reading::{CpuCounters, DiskCounters, DiskSize, GuestMemory, MemorySize, NicCounters, VcpuCounters},
    },
};

fn decoded(params: &[(&str, Param<'_>)]) -> (RawDomain, Signs) {
    let mut raw = RawDomain::empty(Uuid::nil());
    let signs = decode(&mut raw, params.iter().map(|(name, value)| (name.as_bytes(), *value)));
    (raw, signs)
}

fn n(value: u64) -> Param<'static> {
    Param::Unsigned(value)
}

const RUNNING: [(&str, Param<'static>); 2] =
    [("state.state", Param::Signed(1)), ("state.reason", Param::Signed(5))];

#[test]
#[allow(clippy::too_many_lines, reason = "one record, field by field")]
fn every_counter_of_a_full_record_lands_in_its_place() {
    let mut params = RUNNING.to_vec();
    params.extend([
        ("cpu.time", n(11)),
        ("cpu.user", n(12)),
        ("cpu.system", n(13)),
        ("cpu.cache.monitor.count", n(99)),
        ("balloon.current", n(21)),
        ("balloon.maximum", n(22)),
        ("balloon.swap_in", n(23)),
        ("balloon.swap_out", n(24)),
        ("balloon.major_fault", n(25)),
        ("balloon.minor_fault", n(26)),
        ("balloon.unused", n(27)),
        ("balloon.available", n(28)),
        ("balloon.usable", n(29)),
        ("balloon.last-update", n(30)),
        ("balloon.disk_caches", n(31)),
        ("balloon.hugetlb_pgalloc", n(98)),
        ("balloon.rss", n(32)),
        ("vcpu.current", n(2)),
        ("vcpu.maximum", n(4)),
        ("vcpu.0.state", Param::Signed(1)),
        ("vcpu.0.time", n(41)),
        ("vcpu.0.wait", n(42)),
        ("vcpu.0.delay", n(43)),
        ("vcpu.0.halted", Param::Flag(true)),
        ("vcpu.3.time", n(44)),
        ("net.count", n(1)),
        ("net.0.name", Param::Text(b"vnet0")),
        ("net.0.rx.bytes", n(51)),
        ("net.0.rx.pkts", n(52)),
        ("net.0.rx.errs", n(53)),
        ("net.0.rx.drop", n(54)),
        ("net.0.tx.bytes", n(55)),
        ("net.0.tx.pkts", n(56)),
        ("net.0.tx.errs", n(57)),
        ("net.0.tx.drop", n(58)),
        ("block.count", n(1)),
        ("block.0.name", Param::Text(b"vda")),
        ("block.0.path", Param::Text(b"/disk")),
        ("block.0.backingIndex", n(97)),
        ("block.0.rd.reqs", n(61)),
        ("block.0.rd.bytes", n(62)),
        ("block.0.rd.times", n(63)),
        ("block.0.wr.reqs", n(64)),
        ("block.0.wr.bytes", n(65)),
        ("block.0.wr.times", n(66)),
        ("block.0.fl.reqs", n(67)),
        ("block.0.fl.times", n(68)),
        ("block.0.errors", n(69)),
        ("block.0.allocation", n(70)),
        ("block.0.capacity", n(71)),
        ("block.0.physical", n(72)),
    ]);
    let (raw, signs) = decoded(&params);
    let expected = RawDomain {
        state: DomainState::Running,
        reason: 5,
        cpu: Some(CpuCounters { time: Nanos(11), user: Some(Nanos(12)), system: Some(Nanos(13)) }),
        vcpu_count: Some(2),
        vcpus: Some(vec![
            VcpuCounters {
                index: 0,
                time: Some(Nanos(41)),
                wait: Some(Nanos(42)),
                delay: Some(Nanos(43)),
                halted: Some(true),
            },
            VcpuCounters { index: 3, time: Some(Nanos(44)), wait: None, delay: None, halted: None },
        ]),
        memory: Some(MemorySize { current: Kib(21), maximum: Kib(22) }),
        rss: Some(Kib(32)),
        guest: Some(GuestMemory {
            available: Some(Kib(28)),
            usable: Some(Kib(29)),
            unused: Some(Kib(27)),
            swap_in: Some(Kib(23)),
            swap_out: Some(Kib(24)),
            major_faults: Some(25),
            minor_faults: Some(26),
            disk_caches: Some(Kib(31)),
            last_update: Some(30),
        }),
        nics: Some(vec![(
            "vnet0".into(),
            NicCounters {
                rx_bytes: Some(51),
                rx_packets: Some(52),
                rx_errors: Some(53),
                rx_drops: Some(54),
                tx_bytes: Some(55),
                tx_packets: Some(56),
                tx_errors: Some(57),
                tx_drops: Some(58),
            },
        )]),
        disks: Some(vec![RawDisk {
            name: "vda".into(),
            counters: Some(DiskCounters {
                rd_reqs: Some(61),
                rd_bytes: Some(62),
                rd_times: Some(Nanos(63)),
                wr_reqs: Some(64),
                wr_bytes: Some(65),
                wr_times: Some(Nanos(66)),
                fl_reqs: Some(67),
                fl_times: Some(Nanos(68)),
                errors: Some(69),
            }),
            size: DiskSize { allocation: Some(70), capacity: Some(71), physical: Some(72) },
        }]),
        ..RawDomain::empty(Uuid::nil())
    };
    assert_eq!(raw, expected);
    assert_eq!(signs, Signs { monitor: true, media: true });
}

#[test]
fn a_record_without_its_monitor_part_shows_no_sign_of_the_monitor() {
    let (raw, signs) = decoded(&[
        ("state.state", Param::Signed(1)),
        ("cpu.time", n(1)),
        ("balloon.current", n(2)),
        ("balloon.maximum", n(3)),
        ("vcpu.current", n(1)),
        ("vcpu.0.time", n(4)),
        ("net.count", n(0)),
        ("block.count", n(1)),
        ("block.0.name", Param::Text(b"vda")),
        ("block.0.path", Param::Text(b"/disk")),
    ]);
    assert_eq!(signs, Signs { monitor: false, media: true });
    assert_eq!((raw.rss, raw.guest), (None, None));
    assert_eq!(raw.nics, Some(vec![]), "no NICs is an answer");
    assert_eq!(raw.disks, Some(vec![RawDisk { name: "vda".into(), ..RawDisk::default() }]));
}

#[test]
fn an_empty_drive_alone_is_no_medium() {
    let (raw, signs) = decoded(&[("block.count", n(1)), ("block.0.name", Param::Text(b"sda"))]);
    assert_eq!(signs, Signs::default());
    assert_eq!(raw.disks.map(|disks| disks.len()), Some(1));
}

#[test]
fn gaps_in_the_numbering_and_scattered_order_are_taken_as_they_come() {
    let (raw, _) = decoded(&[
        ("net.count", n(3)),
        ("net.2.name", Param::Text(b"vnet9")),
        ("net.0.rx.bytes", n(1)),
        ("net.2.rx.bytes", n(2)),
        ("net.0.name", Param::Text(b"vnet7")),
        ("net.4000000000.name", Param::Text(b"huge")),
        ("net.4000000000.tx.bytes", n(3)),
    ]);
    let names: Vec<_> = raw.nics.unwrap().into_iter().map(|(name, c)| (name, c.rx_bytes)).collect();
    assert_eq!(names, [("vnet9".into(), Some(2)), ("vnet7".into(), Some(1)), ("huge".into(), None)]);
}

#[test]
fn what_is_unknown_or_malformed_is_skipped() {
    let (raw, signs) = decoded(&[
        ("", n(1)),
        ("cpu", n(1)),
        ("cpu.", n(1)),
        (".time", n(1)),
        ("vcpu.x.time", n(1)),
        ("vcpu..time", n(1)),
        ("vcpu.-1.time", n(1)),
        ("vcpu.99999999999.time", n(1)),
        ("vcpu.current", n(u64::MAX)),
        ("cpu.time", Param::Text(b"12")),
        ("cpu.user", Param::Other),
        ("balloon.current", Param::Signed(-1)),
        ("balloon.maximum", n(1)),
        ("perf.cmt", n(1)),
        ("state.state", Param::Other),
    ]);
    assert_eq!(raw, RawDomain::empty(Uuid::nil()));
    assert_eq!(signs, Signs::default());
}

#[test]
fn minus_one_is_no_count_and_no_zero() {
    let (raw, _) = decoded(&[
        ("block.0.name", Param::Text(b"vda")),
        ("block.0.rd.reqs", n(5)),
        ("block.0.errors", Param::Signed(-1)),
    ]);
    let counters = raw.disks.unwrap()[0].counters.unwrap();
    assert_eq!((counters.rd_reqs, counters.errors), (Some(5), None));
}

#[test]
fn a_nic_whose_counters_failed_is_left_out_and_the_largest_counters_are_kept() {
    let (raw, _) = decoded(&[
        ("net.0.name", Param::Text(b"vnet0")),
        ("net.1.name", Param::Text(b"vnet1")),
        ("net.1.rx.bytes", n(u64::MAX)),
    ]);
    let nics = raw.nics.unwrap();
    assert_eq!(nics.len(), 1);
    assert_eq!((nics[0].0.as_str(), nics[0].1.rx_bytes), ("vnet1", Some(u64::MAX)));
}

#[test]
fn hostile_device_names_are_rewritten_and_broken_utf8_survives() {
    let (raw, _) = decoded(&[
        ("block.0.name", Param::Text(b"a\nb\\")),
        ("block.1.name", Param::Text(b"\xff\xfe")),
        ("block.2.name", Param::Signed(3)),
    ]);
    let names: Vec<_> = raw.disks.unwrap().into_iter().map(|disk| disk.name).collect();
    assert_eq!(names, ["a_b_", "\u{fffd}\u{fffd}"]);
}
