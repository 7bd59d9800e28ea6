//! Any names and numbers: what an independent parser reads back is what went
//! in, by the specification's table written down a second time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod sample;

use std::collections::BTreeMap;

use std::sync::Arc;

use influxdb_line_protocol::{FieldValue, parse_lines};
use kvmscope::model::{
    DomainFrame, DomainReading, DomainState, Identity, Kib, Measured, Missing, MonoTime, Nanos, WallTime,
    Why,
    name::storable,
    reading::MemorySize,
    reading::{CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, NicCounters, NicReading},
};
use kvmscope::{config::MissingPolicy, influx::line::Encoder};
use proptest::{option, prelude::*};
use sample::{domain, frame};
use uuid::Uuid;

const NOT_NOW: Missing = Missing::new(Why::MonitorNotAnswering);
const NEVER: Missing = Missing::new(Why::NotOffered);

fn encode(missing: MissingPolicy, frame: &kvmscope::model::Frame) -> String {
    let mut out = Vec::new();
    Encoder::new(missing, &BTreeMap::new()).unwrap().encode(frame, &mut out);
    String::from_utf8(out).unwrap()
}

/// Names with a bias to what hurts.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r#"[a,= \\"\n\t#'ü虚\x1b]{0,12}"#,
        Just(String::new()),
        Just("\\".to_owned()),
        "[a-z0-9-]{1,12}",
    ]
}

fn measured<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Measured<T>> {
    prop_oneof![
        6 => value.prop_map(Ok),
        1 => Just(Err(NEVER)),
        1 => Just(Err(NOT_NOW)),
    ]
}

fn counter() -> impl Strategy<Value = Option<u64>> {
    option::weighted(0.9, prop_oneof![any::<u64>(), 0..1000_u64, Just(u64::MAX), Just(1 << 63)])
}

fn nics() -> impl Strategy<Value = Vec<NicReading>> {
    let nic = (name(), measured(prop::array::uniform8(counter())));
    prop::collection::vec(nic, 0..4).prop_map(|nics| {
        let reading = |(name, counters): (String, Measured<[Option<u64>; 8]>)| NicReading {
            name: name.into(),
            counters: counters.map(|c| NicCounters {
                rx_bytes: c[0],
                rx_packets: c[1],
                rx_errors: c[2],
                rx_drops: c[3],
                tx_bytes: c[4],
                tx_packets: c[5],
                tx_errors: c[6],
                tx_drops: c[7],
            }),
        };
        nics.into_iter().map(reading).collect()
    })
}

fn disks() -> impl Strategy<Value = Vec<DiskReading>> {
    let disk = (name(), measured(prop::array::uniform5(counter())));
    prop::collection::vec(disk, 0..4).prop_map(|disks| {
        let reading = |(name, counters): (String, Measured<[Option<u64>; 5]>)| DiskReading {
            name: name.into(),
            counters: counters.map(|c| DiskCounters {
                rd_reqs: c[0],
                rd_bytes: c[1],
                wr_reqs: c[2],
                wr_bytes: c[3],
                errors: c[4],
                ..DiskCounters::default()
            }),
            size: DiskSize::default(),
        };
        disks.into_iter().map(reading).collect()
    })
}

fn any_domain() -> impl Strategy<Value = DomainFrame> {
    let whose = (any::<u128>(), any::<u32>(), name(), 0..8_i64, any::<i64>());
    let groups = (
        measured((any::<u64>(), counter(), counter())),
        measured(any::<u32>()),
        measured((any::<u64>(), any::<u64>())),
        measured(any::<u64>()),
        measured(prop::array::uniform8(counter())),
        measured(nics()),
        measured(disks()),
        measured(any::<f64>()),
    );
    (whose, groups).prop_map(|((uuid, id, name, state, at), groups)| {
        let (cpu, count, memory, rss, guest, nics, disks, rate) = groups;
        let kib = |value: Option<u64>| value.map(Kib);
        let mut domain = domain(DomainReading {
            identity: Arc::new(Identity {
                uuid: Uuid::from_u128(uuid),
                id: Some(id),
                // As it comes, to see that the encoder trusts nobody.
                name: name.into(),
            }),
            state: DomainState::from_code(state),
            state_reason: 0,
            at: WallTime(at),
            mono: MonoTime(0),
            cpu: cpu.map(|(time, user, system)| CpuCounters {
                time: Nanos(time),
                user: user.map(Nanos),
                system: system.map(Nanos),
            }),
            vcpus: Err(NEVER),
            vcpu_count: count,
            memory: memory
                .map(|(current, maximum)| MemorySize { current: Kib(current), maximum: Kib(maximum) }),
            rss: rss.map(Kib),
            guest_memory: guest.map(|g| GuestMemory {
                available: kib(g[0]),
                usable: kib(g[1]),
                unused: kib(g[2]),
                swap_in: kib(g[3]),
                swap_out: kib(g[4]),
                major_faults: g[5],
                minor_faults: g[6],
                disk_caches: kib(g[7]),
                last_update: None,
            }),
            nics,
            disks,
        });
        domain.rates.memory_kib_per_s = rate;
        domain
    })
}

/// A line as the specification wants it: measurement, tags, fields.
type Line = (String, Vec<(String, String)>, Vec<(String, Value)>, i64);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Int(i64),
    Float(f64),
    Text(String),
}

/// The specification's table once more, in the plainest words.
struct Expect {
    missing: MissingPolicy,
    fields: Vec<(String, Value)>,
}

impl Expect {
    fn int(&mut self, name: &str, value: Measured<Option<u64>>) {
        let fit = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let value = match value {
            Ok(Some(value)) => fit(value),
            Ok(None) if self.missing == MissingPolicy::Zero => Value::Int(0),
            Err(m) if m == NEVER && self.missing == MissingPolicy::Zero => Value::Int(0),
            _ => return,
        };
        self.fields.push((name.into(), value));
    }
}

/// One device's counters with their names.
type Counters<const N: usize> = Measured<[(&'static str, Option<u64>); N]>;

fn nic_counters(nic: &NicReading) -> Counters<8> {
    nic.counters.map(|c| {
        [
            ("rxbytes", c.rx_bytes),
            ("rxpackets", c.rx_packets),
            ("rxerrors", c.rx_errors),
            ("rxdrops", c.rx_drops),
            ("txbytes", c.tx_bytes),
            ("txpackets", c.tx_packets),
            ("txerrors", c.tx_errors),
            ("txdrops", c.tx_drops),
        ]
    })
}

fn disk_counters(disk: &DiskReading) -> Counters<5> {
    disk.counters.map(|c| {
        [
            ("rd_req", c.rd_reqs),
            ("rd_bytes", c.rd_bytes),
            ("wr_reqs", c.wr_reqs),
            ("wr_bytes", c.wr_bytes),
            ("errors", c.errors),
        ]
    })
}

/// One device type's counters of one domain's first reading.
fn total<const N: usize>(devices: &Measured<Vec<Counters<N>>>, index: usize) -> Measured<Option<u64>> {
    let devices = devices.as_ref().map_err(|m| *m)?;
    let counted: Vec<u64> = devices.iter().flatten().filter_map(|c| c[index].1).collect();
    if !counted.is_empty() || devices.is_empty() {
        Ok(Some(counted.into_iter().fold(0, u64::saturating_add)))
    } else if devices.contains(&Err(NOT_NOW)) {
        Err(NOT_NOW)
    } else {
        Err(NEVER)
    }
}

fn expected(domain: &DomainFrame, missing: MissingPolicy) -> Vec<Line> {
    let r = &domain.reading;
    let tags = vec![
        ("VMID".to_owned(), r.identity.id.unwrap().to_string()),
        ("name".to_owned(), storable(&r.identity.name).into_owned()),
        ("uuid".to_owned(), r.identity.uuid.to_string()),
    ];
    let mut lines: Vec<Line> = Vec::new();
    let mut line = |measurement: &str, more: &[(&str, &str)], fill: &dyn Fn(&mut Expect)| {
        let mut expect = Expect { missing, fields: Vec::new() };
        fill(&mut expect);
        let mut tags = tags.clone();
        tags.extend(more.iter().map(|(k, v)| ((*k).to_owned(), storable(v).into_owned())));
        if !expect.fields.is_empty() {
            lines.push((measurement.to_owned(), tags, expect.fields, r.at.0));
        }
    };
    line("vm_metrics", &[], &|e| {
        e.fields.push(("state".into(), Value::Text(r.state.word().into())));
        e.int("cpu_count", r.vcpu_count.map(|n| Some(n.into())));
        e.int("memory_max_kb", r.memory.map(|m| Some(m.maximum.0)));
        e.int("memory_used_kb", r.memory_used().map(|m| Some(m.0.0)));
        e.int("cputime_ns", r.cpu.map(|c| Some(c.time.0)));
    });
    line("vm_features", &[], &|e| {
        if let Ok(rate) = domain.rates.memory_kib_per_s.filter_finite() {
            e.fields.push(("memory_rate_kb_per_sec".into(), Value::Float(rate)));
            let angle = (rate + 1e-12).atan().to_degrees();
            e.fields.push(("memory_angle_deg".into(), Value::Float(angle)));
        }
    });
    let nics = r.nics.as_ref().map_err(|m| *m).map(|n| n.iter().map(nic_counters).collect());
    let disks = r.disks.as_ref().map_err(|m| *m).map(|d| d.iter().map(disk_counters).collect());
    for (name, counters) in r.nics.iter().flatten().map(|nic| (&nic.name, nic_counters(nic))) {
        line("vm_devices", &[("devtype", "nic"), ("device", name)], &|e| match counters {
            Ok(counters) => counters.into_iter().for_each(|(name, value)| e.int(name, Ok(value))),
            Err(m) => NIC_NAMES.into_iter().for_each(|name| e.int(name, Err(m))),
        });
    }
    for (name, counters) in r.disks.iter().flatten().map(|disk| (&disk.name, disk_counters(disk))) {
        line("vm_devices", &[("devtype", "disk"), ("device", name)], &|e| match counters {
            Ok(counters) => counters.into_iter().for_each(|(name, value)| e.int(name, Ok(value))),
            Err(m) => DISK_NAMES.into_iter().for_each(|name| e.int(name, Err(m))),
        });
    }
    line("vm_totals", &[], &|e| {
        for (i, name) in NIC_NAMES.iter().enumerate() {
            e.int(&format!("net_{name}"), total(&nics, i));
        }
        for (i, name) in DISK_NAMES.iter().enumerate() {
            e.int(&format!("disk_{name}"), total(&disks, i));
        }
        e.int("memactual", r.memory.map(|m| Some(m.current.0)));
        e.int("memrss", r.rss.map(|m| Some(m.0)));
        let g = r.guest_memory;
        e.int("memavailable", g.map(|g| g.available.map(|k| k.0)));
        e.int("memusable", g.map(|g| g.usable.map(|k| k.0)));
        e.int("memswap_in", g.map(|g| g.swap_in.map(|k| k.0)));
        e.int("memswap_out", g.map(|g| g.swap_out.map(|k| k.0)));
        e.int("memmajor_fault", g.map(|g| g.major_faults));
        e.int("memminor_fault", g.map(|g| g.minor_faults));
        e.int("memdisk_cache", g.map(|g| g.disk_caches.map(|k| k.0)));
        e.int("timeusr", r.cpu.map(|c| c.user.map(|n| n.0)));
        e.int("timesys", r.cpu.map(|c| c.system.map(|n| n.0)));
        e.int("cputime", r.cpu.map(|c| Some(c.time.0)));
        e.int("cpus", r.vcpu_count.map(|n| Some(n.into())));
        e.int("state", Ok(Some(r.state.code().into())));
    });
    lines
}

const NIC_NAMES: [&str; 8] =
    ["rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops"];
const DISK_NAMES: [&str; 5] = ["rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors"];

trait Finite {
    fn filter_finite(self) -> Result<f64, ()>;
}

impl Finite for Measured<f64> {
    fn filter_finite(self) -> Result<f64, ()> {
        self.ok().filter(|value| value.is_finite()).ok_or(())
    }
}

fn parsed(text: &str) -> Vec<Line> {
    parse_lines(text)
        .map(|line| {
            let line = line.unwrap_or_else(|error| panic!("{error} in {text}"));
            let tags = line.series.tag_set.unwrap();
            let value = |value: FieldValue<'_>| match value {
                FieldValue::I64(value) => Value::Int(value),
                FieldValue::F64(value) => Value::Float(value),
                FieldValue::String(value) => Value::Text(value.to_string()),
                other => panic!("{other:?} is no type of ours"),
            };
            (
                line.series.measurement.to_string(),
                tags.into_iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
                line.field_set.into_iter().map(|(k, v)| (k.to_string(), value(v))).collect(),
                line.timestamp.unwrap(),
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn reads_back_as_it_went_in(domain in any_domain(), zero in any::<bool>()) {
        let missing = if zero { MissingPolicy::Zero } else { MissingPolicy::Omit };
        let expected = expected(&domain, missing);
        let frame = frame(vec![domain]);
        let text = encode(missing, &frame);
        prop_assert_eq!(&text, &encode(missing, &frame), "one frame, one text");
        let lines = parsed(&text);
        prop_assert_eq!(&lines, &expected);
        prop_assert!(!text.contains(['\r', '\t', '\u{0}', '\u{1b}']), "{:?}", text);
    }

    #[test]
    fn a_name_is_stable_under_the_one_rule(raw in name()) {
        let once = storable(&raw).into_owned();
        prop_assert_eq!(storable(&once), &*once);
        prop_assert!(!once.is_empty() && !once.ends_with('\\'));
    }
}
