//! What the encoder writes, read back by an independent parser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod sample;

use std::collections::BTreeMap;

use influxdb_line_protocol::parse_lines;
use kvmscope::{
    config::MissingPolicy,
    influx::line::{Encoder, TagError},
    model::{Frame, Kib, Missing, Why, reading::MemorySize},
};
use sample::{AT, disk, domain, frame, identity, nic, reading};

const UUID: &str = "550e8400-e29b-41d4-a716-446655440000";

fn encoder(missing: MissingPolicy) -> Encoder {
    Encoder::new(missing, &BTreeMap::new()).unwrap()
}

fn encode(encoder: &mut Encoder, frame: &Frame) -> String {
    let mut out = Vec::new();
    let done = encoder.encode(frame, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(usize::try_from(done.lines), Ok(text.lines().count()));
    assert!(text.is_empty() || text.ends_with('\n'));
    text
}

/// The example domain, changed by `change`, as one frame.
fn one(change: impl FnOnce(&mut kvmscope::model::DomainReading)) -> Frame {
    let mut reading = reading(identity(Some(1), "ubuntu-vm", UUID));
    change(&mut reading);
    frame(vec![domain(reading)])
}

/// The fields of the only line of a measurement (and device).
fn fields(text: &str, start: &str) -> Option<BTreeMap<String, String>> {
    let mut lines = text.lines().filter(|line| line.starts_with(start));
    let line = lines.next()?;
    assert!(lines.next().is_none(), "{start} twice in {text}");
    let fields = line.rsplit(' ').nth(1).unwrap();
    Some(fields.split(',').map(|f| f.split_once('=').unwrap()).map(|(k, v)| (k.into(), v.into())).collect())
}

fn field(text: &str, start: &str, name: &str) -> Option<String> {
    fields(text, start).unwrap_or_else(|| panic!("no {start} in {text}")).remove(name)
}

const NOT_NOW: Missing = Missing::new(Why::MonitorNotAnswering);
const NEVER: Missing = Missing::new(Why::NotOffered);

#[test]
fn a_full_reading_gives_these_very_lines() {
    let mut domain = domain(reading(identity(Some(1), "ubuntu-vm", UUID)));
    domain.rates.memory_kib_per_s = Ok(1024.0);
    let text = encode(&mut encoder(MissingPolicy::Zero), &frame(vec![domain]));
    let tags = format!("VMID=1,name=ubuntu-vm,uuid={UUID}");
    let expected = [
        // The specification's example, letter by letter.
        "vm_metrics,VMID=1,name=ubuntu-vm,uuid=550e8400-e29b-41d4-a716-446655440000 state=\"running\",cpu_count=2i,memory_max_kb=2097152i,memory_used_kb=1048576i,cputime_ns=5000000000i 1699868400000000000".to_owned(),
        format!("vm_features,{tags} memory_rate_kb_per_sec=1024.0,memory_angle_deg=89.9440471081062 1699868400000000000"),
        format!("vm_devices,{tags},devtype=nic,device=vnet0 rxbytes=1000i,rxpackets=1001i,rxerrors=1002i,rxdrops=1003i,txbytes=1004i,txpackets=1005i,txerrors=1006i,txdrops=1007i 1699868400000000000"),
        format!("vm_devices,{tags},devtype=nic,device=vnet1 rxbytes=2000i,rxpackets=2001i,rxerrors=2002i,rxdrops=2003i,txbytes=2004i,txpackets=2005i,txerrors=2006i,txdrops=2007i 1699868400000000000"),
        format!("vm_devices,{tags},devtype=disk,device=vda rd_req=300i,rd_bytes=301i,wr_reqs=303i,wr_bytes=304i,errors=0i 1699868400000000000"),
        format!("vm_totals,{tags} net_rxbytes=3000i,net_rxpackets=3002i,net_rxerrors=3004i,net_rxdrops=3006i,net_txbytes=3008i,net_txpackets=3010i,net_txerrors=3012i,net_txdrops=3014i,disk_rd_req=300i,disk_rd_bytes=301i,disk_wr_reqs=303i,disk_wr_bytes=304i,disk_errors=0i,memactual=2000000i,memrss=1234567i,memavailable=2000000i,memusable=951424i,memswap_in=11i,memswap_out=12i,memmajor_fault=13i,memminor_fault=14i,memdisk_cache=15i,timeusr=3000000000i,timesys=1000000000i,cputime=5000000000i,cpus=2i,state=1i 1699868400000000000"),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn only_live_domains_that_were_read_have_lines() {
    let mut stale = domain(reading(identity(Some(2), "stale", "550e8400-e29b-41d4-a716-446655440002")));
    stale.fresh = false;
    let off = domain(reading(identity(None, "off", "550e8400-e29b-41d4-a716-446655440003")));
    let text = encode(&mut encoder(MissingPolicy::Zero), &frame(vec![stale, off]));
    assert_eq!(text, "");
}

#[test]
fn never_there_is_zero_or_left_out_and_not_this_time_is_always_left_out() {
    let never = one(|r| {
        r.cpu = Err(NEVER);
        r.vcpu_count = Err(NEVER);
        r.memory = Err(NEVER);
        r.rss = Err(NEVER);
        r.guest_memory = Err(Missing::new(Why::NoBalloonDriver));
        r.nics = Err(NEVER);
        r.disks = Err(NEVER);
    });
    let zero = encode(&mut encoder(MissingPolicy::Zero), &never);
    let metrics = fields(&zero, "vm_metrics").unwrap();
    assert_eq!(metrics.len(), 5);
    assert!(metrics.iter().all(|(name, value)| name == "state" || value == "0i"), "{zero}");
    let totals = fields(&zero, "vm_totals").unwrap();
    assert_eq!(totals.len(), 27);
    assert!(totals.iter().all(|(name, value)| name == "state" || value == "0i"), "{zero}");
    assert_eq!(zero.lines().count(), 2);
    let omit = encode(&mut encoder(MissingPolicy::Omit), &never);
    assert_eq!(fields(&omit, "vm_metrics").unwrap().into_keys().collect::<Vec<_>>(), ["state"]);
    assert_eq!(fields(&omit, "vm_totals").unwrap().into_keys().collect::<Vec<_>>(), ["state"]);

    // A hung VM still says its state, and nothing that nobody read.
    let hung = one(|r| {
        r.vcpu_count = Err(NOT_NOW);
        r.memory = Err(NOT_NOW);
        r.rss = Err(NOT_NOW);
        r.guest_memory = Err(NOT_NOW);
        r.nics = Err(NOT_NOW);
        r.disks = Err(NOT_NOW);
    });
    for missing in [MissingPolicy::Zero, MissingPolicy::Omit] {
        let text = encode(&mut encoder(missing), &hung);
        let names = |start| fields(&text, start).unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(names("vm_metrics"), ["cputime_ns", "state"]);
        assert_eq!(names("vm_totals"), ["cputime", "state", "timesys", "timeusr"]);
        assert_eq!(text.lines().count(), 2);
    }
}

#[test]
fn a_field_the_driver_lacks_is_never_there_even_where_its_group_answers() {
    let partial = one(|r| {
        r.cpu.as_mut().unwrap().user = None;
        r.guest_memory.as_mut().unwrap().disk_caches = None;
        let mut nic = nic("vnet0", 7);
        nic.counters.as_mut().unwrap().rx_drops = None;
        r.nics = Ok(vec![nic]);
    });
    let zero = encode(&mut encoder(MissingPolicy::Zero), &partial);
    for (line, name) in [
        ("vm_totals", "timeusr"),
        ("vm_totals", "memdisk_cache"),
        ("vm_totals", "net_rxdrops"),
        ("vm_devices,VMID=1,name=ubuntu-vm,uuid=550e8400-e29b-41d4-a716-446655440000,devtype=nic", "rxdrops"),
        ("vm_devices,VMID=1,name=ubuntu-vm,uuid=550e8400-e29b-41d4-a716-446655440000,devtype=disk", "errors"),
    ] {
        assert_eq!(field(&zero, line, name).as_deref(), Some("0i"), "{name}");
        let omit = encode(&mut encoder(MissingPolicy::Omit), &partial);
        assert_eq!(field(&omit, line, name), None, "{name}");
    }
}

#[test]
fn memory_used_follows_its_source_and_never_slips_to_another() {
    let used = |frame: &Frame| {
        field(&encode(&mut encoder(MissingPolicy::Zero), frame), "vm_metrics", "memory_used_kb")
    };
    assert_eq!(used(&one(|_| {})).as_deref(), Some("1048576i"));
    let unused = one(|r| r.guest_memory.as_mut().unwrap().usable = None);
    assert_eq!(used(&unused).as_deref(), Some("1100000i"));
    let balloon = one(|r| r.guest_memory = Err(Missing::new(Why::NoStatsPeriod)));
    assert_eq!(used(&balloon).as_deref(), Some("2000000i"));
    let stale = one(|r| r.guest_memory = Err(Missing::since(Why::GuestReportStale, AT)));
    assert_eq!(used(&stale), None);
}

#[test]
fn nics_without_host_counters_and_empty_drives() {
    let odd = one(|r| {
        let mut hostdev = nic("hostdev0", 0);
        hostdev.counters = Err(Missing::new(Why::HostdevNic));
        let mut user = nic("net1", 0);
        user.counters = Err(Missing::new(Why::UserModeNic));
        r.nics = Ok(vec![hostdev, nic("vnet0", 5), user]);
        let mut cdrom = disk("sda", 0);
        cdrom.counters = Err(Missing::new(Why::EmptyDrive));
        r.disks = Ok(vec![cdrom]);
    });
    let zero = encode(&mut encoder(MissingPolicy::Zero), &odd);
    assert!(!zero.contains("hostdev0") && !zero.contains("net1"), "{zero}");
    assert_eq!(field(&zero, "vm_totals", "net_rxbytes").as_deref(), Some("5i"));
    let cdrom = "vm_devices,VMID=1,name=ubuntu-vm,uuid=550e8400-e29b-41d4-a716-446655440000,devtype=disk";
    assert_eq!(fields(&zero, cdrom).unwrap().values().collect::<Vec<_>>(), ["0i"; 5]);
    assert_eq!(field(&zero, "vm_totals", "disk_rd_bytes").as_deref(), Some("0i"));
    let omit = encode(&mut encoder(MissingPolicy::Omit), &odd);
    assert_eq!(fields(&omit, cdrom), None);
    assert_eq!(field(&omit, "vm_totals", "disk_rd_bytes"), None);
}

#[test]
fn a_domain_without_devices_has_true_zeros_in_both_settings() {
    for missing in [MissingPolicy::Zero, MissingPolicy::Omit] {
        for bare in [
            one(|r| {
                r.nics = Err(Missing::new(Why::NoNics));
                r.disks = Err(Missing::new(Why::NoDisks));
            }),
            one(|r| {
                r.nics = Ok(vec![]);
                r.disks = Ok(vec![]);
            }),
        ] {
            let text = encode(&mut encoder(missing), &bare);
            assert_eq!(field(&text, "vm_totals", "net_txdrops").as_deref(), Some("0i"));
            assert_eq!(field(&text, "vm_totals", "disk_errors").as_deref(), Some("0i"));
        }
    }
}

#[test]
fn a_device_that_fails_stands_in_totals_with_its_last_counters() {
    let mut encoder = encoder(MissingPolicy::Zero);
    let mut step = |change: &dyn Fn(&mut kvmscope::model::DomainReading)| {
        let text = encode(&mut encoder, &one(change));
        let total = |name| field(&text, "vm_totals", name);
        (total("net_rxbytes"), total("disk_rd_bytes"), text.matches("vm_devices").count())
    };
    let some = |n: &str| Some(n.to_owned());
    let failing = |r: &mut kvmscope::model::DomainReading| {
        r.nics.as_mut().unwrap()[1].counters = Err(Missing::new(Why::CallFailed));
        r.disks.as_mut().unwrap()[0].counters = Err(NOT_NOW);
    };
    // Never counted before: nothing to stand in. The other NIC is the total;
    // of the disks there is none, and that is not zero.
    assert_eq!(step(&failing), (some("1000i"), None, 1));
    assert_eq!(step(&|_| {}), (some("3000i"), some("301i"), 3));
    assert_eq!(step(&failing), (some("3000i"), some("301i"), 1));
    // A group that did not answer has no total at all, and forgets nothing.
    assert_eq!(step(&|r| r.nics = Err(NOT_NOW)), (None, some("301i"), 1));
    assert_eq!(step(&failing), (some("3000i"), some("301i"), 1));
    // Devices may change places between readings.
    let swapped = |r: &mut kvmscope::model::DomainReading| {
        failing(r);
        r.nics.as_mut().unwrap().swap(0, 1);
    };
    assert_eq!(step(&swapped), (some("3000i"), some("301i"), 1));
    // Unplugged: gone from the total. Plugged in again: not counted yet.
    assert_eq!(step(&|r| r.nics.as_mut().unwrap().truncate(1)), (some("1000i"), some("301i"), 2));
    assert_eq!(step(&failing), (some("1000i"), some("301i"), 1));
    // A new incarnation starts without a past.
    let restarted = |r: &mut kvmscope::model::DomainReading| {
        r.identity = identity(Some(2), "ubuntu-vm", UUID);
        failing(r);
    };
    assert_eq!(step(&restarted), (some("1000i"), None, 1));
}

#[test]
fn a_domain_that_was_off_or_gone_starts_without_a_past() {
    let failing = |r: &mut kvmscope::model::DomainReading| {
        r.disks.as_mut().unwrap()[0].counters = Err(NOT_NOW);
    };
    for pause in [frame(vec![]), one(|r| r.identity = identity(None, "ubuntu-vm", UUID))] {
        let mut encoder = encoder(MissingPolicy::Zero);
        encode(&mut encoder, &one(|_| {}));
        encode(&mut encoder, &pause);
        let text = encode(&mut encoder, &one(failing));
        assert_eq!(field(&text, "vm_totals", "disk_rd_bytes"), None);
    }
    // Merely not being read in a cycle is no such pause.
    let mut encoder = encoder(MissingPolicy::Zero);
    encode(&mut encoder, &one(|_| {}));
    let mut unread = domain(reading(identity(Some(1), "ubuntu-vm", UUID)));
    unread.fresh = false;
    encode(&mut encoder, &frame(vec![unread]));
    let text = encode(&mut encoder, &one(failing));
    assert_eq!(field(&text, "vm_totals", "disk_rd_bytes").as_deref(), Some("301i"));
}

#[test]
fn a_renamed_domain_is_written_under_its_new_name_at_once() {
    let mut encoder = encoder(MissingPolicy::Zero);
    encode(&mut encoder, &one(|_| {}));
    let text = encode(&mut encoder, &one(|r| r.identity = identity(Some(1), "new name", UUID)));
    assert!(text.lines().all(|line| line.contains(",name=new\\ name,")), "{text}");
}

#[test]
fn counters_beyond_i64_saturate_and_are_counted() {
    let huge = one(|r| {
        r.nics.as_mut().unwrap()[0].counters.as_mut().unwrap().rx_bytes = Some(u64::MAX);
        r.memory = Ok(MemorySize { current: Kib(i64::MAX as u64), maximum: Kib(1 << 63) });
    });
    let mut out = Vec::new();
    let done = encoder(MissingPolicy::Zero).encode(&huge, &mut out);
    // The NIC's own, its total, and the maximum; the current size just fits.
    assert_eq!(done.saturated, 3);
    let text = String::from_utf8(out).unwrap();
    let max = format!("{}i", i64::MAX);
    assert_eq!(field(&text, "vm_metrics", "memory_max_kb").as_ref(), Some(&max));
    assert_eq!(field(&text, "vm_totals", "net_rxbytes").as_ref(), Some(&max));
    assert!(parse_lines(&text).all(|line| line.is_ok()));
}

#[test]
fn features_are_written_with_a_rate_and_never_without_or_not_finite() {
    let features = |rate| {
        let mut domain = domain(reading(identity(Some(1), "ubuntu-vm", UUID)));
        domain.rates.memory_kib_per_s = rate;
        fields(&encode(&mut encoder(MissingPolicy::Zero), &frame(vec![domain])), "vm_features")
    };
    assert_eq!(features(Err(Missing::new(Why::FirstReading))), None);
    // Between two reports of the guest's the rate is held, not recorded again.
    let mut held = domain(reading(identity(Some(1), "ubuntu-vm", UUID)));
    held.rates.memory_kib_per_s = Ok(1.0);
    held.rates.memory_held = true;
    assert_eq!(fields(&encode(&mut encoder(MissingPolicy::Zero), &frame(vec![held])), "vm_features"), None);
    for not_finite in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(features(Ok(not_finite)), None);
    }
    for (rate, spelled, angle) in [(-0.5, "-0.5", -26.5650_f64), (1e21, "1e21", 90.0), (0.0, "0.0", 0.0)] {
        let fields = features(Ok(rate)).unwrap();
        assert_eq!(fields["memory_rate_kb_per_sec"], spelled);
        let stored: f64 = fields["memory_angle_deg"].parse().unwrap();
        assert!((stored - angle).abs() < 1e-3, "{stored}");
    }
}

#[test]
fn static_tags_come_last_and_may_not_take_a_name_of_the_measurements() {
    let tags = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let mut tagged = tags("host", "kvm 1");
    tagged.insert("rack=a".into(), String::new());
    let mut with_tags = Encoder::new(MissingPolicy::Zero, &tagged).unwrap();
    let text = encode(&mut with_tags, &one(|_| {}));
    for line in text.lines() {
        let head = line.rsplitn(3, ' ').nth(2).unwrap();
        assert!(head.ends_with(",host=kvm\\ 1,rack\\=a=_"), "{head}");
    }
    // Every name of the tables, whoever adds one to them.
    let every = encode(&mut encoder(MissingPolicy::Zero), &{
        let mut domain = domain(reading(identity(Some(1), "a", UUID)));
        domain.rates.memory_kib_per_s = Ok(1.0);
        frame(vec![domain])
    });
    for line in parse_lines(&every) {
        let line = line.unwrap();
        let tag_set = line.series.tag_set.unwrap();
        let names = tag_set.iter().map(|t| t.0.as_str()).chain(line.field_set.iter().map(|f| f.0.as_str()));
        for name in names {
            assert!(kvmscope::config::is_own_name(name), "{name}");
            let refused = Encoder::new(MissingPolicy::Zero, &tags(name, "x")).unwrap_err();
            assert_eq!(refused, TagError::Reserved(name.to_owned()));
            assert!(refused.to_string().contains("influx.tags"), "{refused}");
        }
    }
    for unfit in ["", "a\nb", "a\\"] {
        let refused = Encoder::new(MissingPolicy::Zero, &tags(unfit, "x")).unwrap_err();
        assert_eq!(refused, TagError::Unfit(unfit.to_owned()));
    }
}
