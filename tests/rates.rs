//! Rates of arbitrary readings: counters that rise, fall and stand near the
//! end of their range, devices and vCPUs that come and go, groups that do not
//! answer, gaps, equal instants, incarnations. Whatever comes, there is no
//! negative and no absurd number, no rate where there is none, and every rate
//! is what a few lines of arithmetic say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kvmscope::model::{
    AngleScale, DomainRates, DomainReading, DomainState, Identity, Kib, Measured, Missing, MonoTime, Nanos,
    WallTime, Why,
    rates::{AngleMode, Baseline, Periods},
    reading::{
        CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, MemorySize, NicCounters, NicReading,
        VcpuCounters,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

const PERIOD: Duration = Duration::from_secs(1);

/// One reading, and what came before it.
#[derive(Clone, Debug)]
struct Step {
    after: u64,
    call: u64,
    reading: DomainReading,
}

fn counter() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..1000,
        2 => 1_000_000_u64..2_000_000,
        1 => u64::MAX - 10..=u64::MAX,
        1 => any::<u64>(),
    ]
}

fn maybe() -> impl Strategy<Value = Option<u64>> {
    option::weighted(0.9, counter())
}

/// A group that mostly answers.
fn group<T: Clone + std::fmt::Debug>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Measured<T>> {
    let why = select(vec![
        Why::MonitorNotAnswering,
        Why::NotDue,
        Why::Busy,
        Why::NotOffered,
        Why::NoGuestReport,
        Why::CallFailed,
    ]);
    prop_oneof![5 => values.prop_map(Ok), 1 => why.prop_map(|why| Err(Missing::new(why)))]
}

fn vcpus() -> impl Strategy<Value = Vec<VcpuCounters>> {
    let one = (maybe(), maybe()).prop_map(|(time, delay)| VcpuCounters {
        index: 0,
        time: time.map(Nanos),
        wait: None,
        delay: delay.map(Nanos),
        halted: None,
    });
    vec(option::weighted(0.8, one), 4).prop_map(|places| {
        let places = (0_u32..).zip(places);
        places.filter_map(|(index, vcpu)| Some(VcpuCounters { index, ..vcpu? })).collect()
    })
}

fn nics() -> impl Strategy<Value = Vec<NicReading>> {
    let counters = (maybe(), maybe(), maybe(), maybe(), maybe()).prop_map(
        |(rx_bytes, tx_bytes, rx_packets, rx_errors, tx_drops)| NicCounters {
            rx_bytes,
            tx_bytes,
            rx_packets,
            rx_errors,
            tx_drops,
            ..NicCounters::default()
        },
    );
    devices(["vnet0", "vnet1", "vnet2"], counters)
        .prop_map(|all| all.into_iter().map(|(name, counters)| NicReading { name, counters }).collect())
}

fn disks() -> impl Strategy<Value = Vec<DiskReading>> {
    let times = (maybe(), maybe());
    let counters = (maybe(), maybe(), maybe(), maybe(), maybe(), times).prop_map(
        |(rd_reqs, rd_bytes, wr_reqs, wr_bytes, fl_reqs, (rd_times, wr_times))| DiskCounters {
            rd_reqs,
            rd_bytes,
            rd_times: rd_times.map(Nanos),
            wr_reqs,
            wr_bytes,
            wr_times: wr_times.map(Nanos),
            fl_reqs,
            ..DiskCounters::default()
        },
    );
    devices(["vda", "vdb", "hda"], counters).prop_map(|all| {
        let size = DiskSize::default();
        all.into_iter().map(|(name, counters)| DiskReading { name, counters, size }).collect()
    })
}

/// Some of the devices of these names, in any order.
fn devices<T: Clone + std::fmt::Debug + 'static>(
    names: [&'static str; 3],
    counters: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<(Arc<str>, Measured<T>)>> {
    vec(option::weighted(0.8, group(counters)), 3)
        .prop_map(move |places| {
            let with_names = names.into_iter().zip(places);
            with_names.filter_map(|(name, counters)| Some((name.into(), counters?))).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn guest() -> impl Strategy<Value = GuestMemory> {
    let kib = || option::weighted(0.8, prop_oneof![4 => 0_u64..200_000, 1 => any::<u64>()].prop_map(Kib));
    (kib(), kib(), kib(), option::weighted(0.7, 0_u64..4)).prop_map(
        |(available, usable, unused, last_update)| GuestMemory {
            available,
            usable,
            unused,
            last_update,
            ..GuestMemory::default()
        },
    )
}

fn reading() -> impl Strategy<Value = DomainReading> {
    let cpu = group(counter().prop_map(|time| CpuCounters { time: Nanos(time), user: None, system: None }));
    let size = (0_u64..200_000, 0_u64..200_000);
    let memory = group(
        size.prop_map(|(current, maximum)| MemorySize { current: Kib(current), maximum: Kib(maximum) }),
    );
    let who = prop_oneof![9 => Just(1_u32), 1 => Just(2_u32)];
    (who, cpu, group(vcpus()), group(0_u32..5), memory, group(guest()), group(nics()), group(disks()))
        .prop_map(|(id, cpu, vcpus, vcpu_count, memory, guest_memory, nics, disks)| DomainReading {
            identity: Arc::new(Identity { uuid: uuid::Uuid::from_u128(1), id: Some(id), name: "vm".into() }),
            state: DomainState::Running,
            state_reason: 0,
            at: WallTime(0),
            mono: MonoTime(0),
            cpu,
            vcpus,
            vcpu_count,
            memory,
            rss: Ok(Kib(1)),
            guest_memory,
            nics,
            disks,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let after = prop_oneof![
        1 => Just(0),
        1 => 1_u64..1000,
        1 => 1_000_000_u64..100_000_000,
        6 => 900_000_000_u64..1_100_000_000,
        1 => 2_900_000_000_u64..3_100_000_000,
        1 => 3_000_000_001_u64..100_000_000_000,
    ];
    let call = prop_oneof![3 => 0_u64..50_000_000, 1 => 0_u64..2_000_000_000];
    (after, call, reading()).prop_map(|(after, call, reading)| Step { after, call, reading })
}

/// Counters of one reading that rates are made of: by owner and name.
fn counters(reading: &DomainReading) -> BTreeMap<(String, &'static str), u64> {
    let mut all = BTreeMap::new();
    let mut add = |owner: String, name, value: Option<u64>| {
        if let Some(value) = value {
            all.insert((owner, name), value);
        }
    };
    let nanos = |n: Option<Nanos>| n.map(|n| n.0);
    add("cpu".into(), "time", reading.cpu.ok().map(|cpu| cpu.time.0));
    for vcpu in reading.vcpus.iter().flatten() {
        add(format!("vcpu{}", vcpu.index), "time", nanos(vcpu.time));
        add(format!("vcpu{}", vcpu.index), "delay", nanos(vcpu.delay));
    }
    for nic in reading.nics.iter().flatten() {
        let counters = nic.counters.unwrap_or_default();
        add(nic.name.to_string(), "rx_bytes", counters.rx_bytes);
        add(nic.name.to_string(), "rx_packets", counters.rx_packets);
    }
    for disk in reading.disks.iter().flatten() {
        let counters = disk.counters.unwrap_or_default();
        add(disk.name.to_string(), "rd_bytes", counters.rd_bytes);
        add(disk.name.to_string(), "fl_reqs", counters.fl_reqs);
    }
    all
}

/// The rates of those counters, in their units.
fn rates(rates: &DomainRates) -> BTreeMap<(String, &'static str), Measured<f64>> {
    let mut all = BTreeMap::from([(("cpu".to_owned(), "time"), rates.cpu_cores.map(|cores| cores * 1e9))]);
    for vcpu in &rates.vcpus {
        all.insert((format!("vcpu{}", vcpu.index), "time"), vcpu.percent.map(|p| p * 1e7));
        all.insert((format!("vcpu{}", vcpu.index), "delay"), vcpu.steal_percent.map(|p| p * 1e7));
    }
    for (name, nic) in &rates.nics {
        all.insert((name.to_string(), "rx_bytes"), nic.rx_bytes_per_s);
        all.insert((name.to_string(), "rx_packets"), nic.rx_packets_per_s);
    }
    for (name, disk) in &rates.disks {
        all.insert((name.to_string(), "rd_bytes"), disk.read_bytes_per_s);
        all.insert((name.to_string(), "fl_reqs"), disk.flushes_per_s);
    }
    all
}

/// Every number that must not be negative.
fn numbers(rates: &DomainRates) -> Vec<Measured<f64>> {
    let mut all = vec![rates.cpu_percent, rates.cpu_cores, rates.steal_percent, rates.memory_percent];
    all.extend(rates.vcpus.iter().flat_map(|vcpu| [vcpu.percent, vcpu.steal_percent]));
    for disk in rates.disks.iter().map(|(_, disk)| disk).chain([&rates.disk]) {
        all.extend([disk.read_bytes_per_s, disk.write_bytes_per_s, disk.reads_per_s, disk.writes_per_s]);
        all.extend([disk.flushes_per_s, disk.ms_per_read, disk.ms_per_write]);
    }
    for nic in rates.nics.iter().map(|(_, nic)| nic).chain([&rates.net]) {
        all.extend([nic.rx_bytes_per_s, nic.tx_bytes_per_s, nic.rx_packets_per_s, nic.tx_packets_per_s]);
        all.extend([nic.errors_per_s, nic.drops_per_s]);
    }
    all
}

/// The last value of a counter in this incarnation.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: u64,
    call: u64,
    value: u64,
}

/// What the readings so far allow to compare.
#[derive(Default)]
struct Oracle {
    id: Option<u32>,
    last: BTreeMap<(String, &'static str), Last>,
}

impl Oracle {
    /// Forgets what is not to be compared with this reading.
    fn meet(&mut self, reading: &DomainReading, now: &BTreeMap<(String, &'static str), u64>) {
        let cpu = ("cpu".to_owned(), "time");
        let fell = now.get(&cpu).zip(self.last.get(&cpu)).is_some_and(|(now, last)| *now < last.value);
        if self.id != reading.identity.id || fell {
            self.last.clear();
        }
        self.id = reading.identity.id;
        let names = |group: &str| -> Option<Vec<String>> {
            match group {
                "vnet" => Some(reading.nics.as_ref().ok()?.iter().map(|n| n.name.to_string()).collect()),
                "vcpu" => {
                    Some(reading.vcpus.as_ref().ok()?.iter().map(|v| format!("vcpu{}", v.index)).collect())
                }
                _ => Some(reading.disks.as_ref().ok()?.iter().map(|d| d.name.to_string()).collect()),
            }
        };
        self.last.retain(|(owner, name), _| {
            let group =
                if *name == "rd_bytes" || *name == "fl_reqs" { "disk" } else { &owner[..owner.len().min(4)] };
            owner == "cpu" || names(group).is_none_or(|names| names.contains(owner))
        });
    }
}

/// Few in the everyday run, many in the long one.
fn cases() -> u32 {
    if std::env::var_os("KVMSCOPE_TORTURE").is_some_and(|value| !value.is_empty()) { 5000 } else { 150 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_readings_gives_a_rate_that_cannot_be(
        steps in vec(step(), 1..25),
        raw in any::<bool>(),
    ) {
        let scale = AngleScale { mode: if raw { AngleMode::Raw } else { AngleMode::Scaled }, ..AngleScale::default() };
        let mut baseline = Baseline::default();
        let mut oracle = Oracle::default();
        let mut mono = 0;
        for Step { after, call, mut reading } in steps {
            mono += after;
            reading.mono = MonoTime(mono);
            let now = counters(&reading);
            oracle.meet(&reading, &now);
            let periods = Periods { error: Duration::from_nanos(call), ..Periods::every(PERIOD) };
            let found = baseline.advance(&reading, &periods, &scale);
            for number in numbers(&found).into_iter().flatten() {
                prop_assert!(number.is_finite() && number >= 0.0, "{number} in {found:?}");
            }
            if let Ok(growth) = found.memory_kib_per_s {
                prop_assert!(growth.is_finite());
                prop_assert!(reading.memory_used().is_ok());
            }
            let a = &found.angles;
            for (angle, least) in [
                (a.cpu, 0.0), (a.memory, -90.0), (a.disk_read, 0.0), (a.disk_write, 0.0), (a.net_rx, 0.0), (a.net_tx, 0.0),
            ] {
                prop_assert!(angle.is_err() || (least..=90.0).contains(&angle.unwrap().0), "{angle:?}");
            }
            for (name, rate) in rates(&found) {
                let (last, value) = (oracle.last.get(&name), now.get(&name));
                let Some((last, value)) = last.zip(value) else {
                    prop_assert!(rate.is_err(), "{name:?}: {rate:?} from {last:?} to {value:?}");
                    continue;
                };
                let span = mono - last.at;
                let comparable = span > 0 && span <= 3 * 1_000_000_000 && last.call.abs_diff(call) <= span / 2;
                match rate {
                    Ok(rate) => {
                        prop_assert!(comparable && *value >= last.value, "{name:?}: {rate} from {last:?} to {value}");
                        let expected = (value - last.value) as f64 / (span as f64 / 1e9);
                        prop_assert!((rate - expected).abs() <= expected * 1e-9, "{name:?}: {rate}, not {expected}");
                    }
                    Err(missing) if comparable && *value >= last.value => {
                        // A device restarts as a whole.
                        prop_assert_eq!(missing.why, Why::CounterRestarted, "{:?}", name);
                        prop_assert!(!name.0.starts_with("vcpu") && name.0 != "cpu", "{name:?}: {missing}");
                    }
                    Err(_) => {}
                }
            }
            // A device or vCPU whose counter is not offered this time has
            // nothing to be compared with the next time.
            let answered = |owner: &str| {
                reading.nics.iter().flatten().any(|n| *n.name == *owner && n.counters.is_ok())
                    || reading.disks.iter().flatten().any(|d| *d.name == *owner && d.counters.is_ok())
                    || reading.vcpus.iter().flatten().any(|v| format!("vcpu{}", v.index) == owner)
            };
            oracle.last.retain(|name, _| now.contains_key(name) || !answered(&name.0));
            oracle.last.extend(now.into_iter().map(|(name, value)| (name, Last { at: mono, call, value })));
        }
    }
}
