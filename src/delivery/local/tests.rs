mod bounds;

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Cycle, Decoded, Disk, Domain, Given, Groups, Job, Name, Nic, Seen, VERSION, Vcpu, decode, encode,
    reasons,
    scale::{hundredths, latency, per_second, size},
};
use crate::model::{
    DomainState, HostLoad, Kib, Measured, Missing, WallTime, Why,
    frame::{Health, HostFacts},
    host::{HostCpu, HostMemory, Pressure},
    reading::DiskSize,
};

/// Values from a seed.
struct Any(u64);

impl Any {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn number(&mut self) -> u64 {
        let shift = self.below(64);
        match self.below(8) {
            0 => u64::MAX,
            1 => 0,
            _ => self.next() >> shift,
        }
    }

    fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flip().then(|| make(self))
    }

    fn missing(&mut self) -> Missing {
        let place = usize::try_from(self.below(27)).unwrap();
        let stuck = u16::try_from(self.next() >> 48).unwrap();
        let why = reasons::PLAIN.get(place).copied().unwrap_or(Why::NotAsked { stuck });
        Missing { why, since: self.option(|any| WallTime(any.number().cast_signed())) }
    }

    fn reason(&mut self) -> Option<Missing> {
        if self.below(4) == 0 { Some(self.missing()) } else { None }
    }

    fn measured(&mut self, code: fn(f64) -> Option<u64>, value: fn(u64) -> f64) -> Measured<f64> {
        #[allow(clippy::cast_precision_loss, reason = "any number will do")]
        let number = self.number() as f64 / 1000.0;
        if self.below(5) == 0 { Err(self.missing()) } else { Ok(value(code(number).unwrap())) }
    }

    fn percent(&mut self) -> Measured<f64> {
        self.measured(hundredths::code, hundredths::value)
    }

    fn sure(&mut self) -> f64 {
        hundredths::value(self.below(1 << 39))
    }

    fn text(&mut self) -> Arc<str> {
        const TEXTS: [&str; 9] = [
            "vda",
            "",
            "\\",
            "a b,c=d\"'",
            "line\nvm_metrics,VMID=1",
            "\u{1b}[31m\0",
            "Ünïcode-虚拟机-🦀",
            "\u{202e}",
            "vnet7",
        ];
        let place = usize::try_from(self.below(10)).unwrap();
        TEXTS.get(place).map_or_else(|| "long ".repeat(9000).into(), |text| (*text).into())
    }

    fn given(&mut self) -> Given {
        Given(u16::try_from(self.next() >> 48).unwrap())
    }

    fn several<T>(&mut self, most: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn disk(&mut self) -> Disk {
        Disk {
            name: self.text(),
            missing: self.reason(),
            given: self.given(),
            size: self.option(|any| DiskSize {
                capacity: any.option(|any| size::value(size::code(any.number()))),
                allocation: any.option(|any| size::value(size::code(any.number()))),
                physical: any.option(|any| size::value(size::code(any.number()))),
            }),
            rates: [(); 4].map(|()| self.reason()),
            ms_per_read: self.measured(latency::code, latency::value),
            ms_per_write: self.measured(latency::code, latency::value),
            ms_per_flush: self.measured(latency::code, latency::value),
            flushes_per_s: self.measured(per_second::code, per_second::value),
        }
    }

    fn nic(&mut self) -> Nic {
        Nic {
            name: self.text(),
            missing: self.reason(),
            given: self.given(),
            rates: [(); 6].map(|()| self.reason()),
        }
    }

    fn seen(&mut self) -> Seen {
        Seen {
            state: DomainState::from_code(self.below(8).cast_signed()),
            state_reason: self.number().cast_signed(),
            health: match self.below(3) {
                0 => Health::Answering,
                1 => Health::Inactive,
                _ => Health::Impaired(self.missing()),
            },
            cpu_percent: self.percent(),
            cpu_cores: self.reason(),
            overhead_cores: self.percent(),
            steal_percent: self.percent(),
            memory_percent: self.reason(),
            memory_rate: self.reason(),
            memory_held: self.flip(),
            cpu_given: self.given(),
            guest_given: self.given(),
            vcpus: self.several(5, |any| Vcpu {
                index: u32::try_from(any.next() >> 32).unwrap(),
                percent: any.percent(),
                steal_percent: any.percent(),
                halted: any.option(Self::flip),
            }),
            job: self.option(|any| Job {
                operation: any.text(),
                elapsed: any.option(|any| Duration::from_millis(any.number())),
                remaining: any.option(|any| Duration::from_millis(any.number())),
                total: any.option(Self::number),
                done: any.option(Self::number),
                left: any.option(Self::number),
            }),
        }
    }

    fn domain(&mut self) -> Domain {
        Domain {
            id: u32::try_from(self.next() >> 32).unwrap(),
            name: self
                .option(|any| Name { uuid: Uuid::from_u64_pair(any.next(), any.next()), name: any.text() }),
            missing: Groups {
                cpu: self.reason(),
                vcpus: self.reason(),
                vcpu_count: self.reason(),
                memory: self.reason(),
                rss: self.reason(),
                guest_memory: self.reason(),
                nics: self.reason(),
                disks: self.reason(),
            },
            disks: self.several(4, Self::disk),
            nics: self.several(3, Self::nic),
            seen: self.option(Self::seen),
        }
    }

    fn cycle(&mut self, domains: u64) -> Cycle {
        Cycle {
            number: self.number(),
            at: WallTime(self.number().cast_signed()),
            took: Duration::from_micros(self.number()),
            interval: Duration::from_micros(self.number()),
            host: self.option(|any| HostFacts {
                name: any.option(|any| any.text().to_string()),
                hypervisor: any.option(|any| any.text().to_string()),
                libvirt: any.option(|any| any.text().to_string()),
                cpus: any.option(|any| u32::try_from(any.next() >> 32).unwrap()),
                memory_kib: any.option(Self::number),
                demo: any.flip(),
            }),
            load: self.option(|any| HostLoad {
                cpu: any
                    .option(|any| HostCpu { user: any.sure(), system: any.sure(), iowait: any.percent() })
                    .ok_or(any.missing()),
                memory: any
                    .option(|any| HostMemory { total: Kib(any.number()), available: Kib(any.number()) })
                    .ok_or(any.missing()),
                pressure: any
                    .option(|any| Pressure { cpu: any.sure(), memory: any.sure(), io: any.sure() })
                    .ok_or(any.missing()),
            }),
            domains: (0..domains).map(|_| self.domain()).collect(),
        }
    }
}

fn read(bytes: &[u8]) -> Cycle {
    match decode(VERSION, bytes) {
        Decoded::Read(cycle) => *cycle,
        Decoded::SetAside { word } => panic!("{word}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_read(seed in any::<u64>(), domains in 0_u64..6) {
        let cycle = Any(seed).cycle(domains);
        prop_assert_eq!(read(&encode::encode(&cycle)), cycle);
    }

    #[test]
    fn what_was_changed_is_read_or_set_aside(seed in any::<u64>(), hits in 1_u64..6) {
        let mut any = Any(seed);
        let mut bytes = encode::encode(&any.cycle(3));
        for _ in 0..hits {
            let place = usize::try_from(any.below(bytes.len() as u64)).unwrap();
            match any.below(3) {
                0 => bytes[place] ^= 1 << any.below(8),
                1 => bytes[place] = any.next().to_le_bytes()[0],
                _ => bytes.truncate(place.max(1)),
            }
        }
        for version in 0..4 {
            if let Decoded::SetAside { word } = decode(version, &bytes) {
                prop_assert!(!word.is_empty());
            }
        }
    }
}

#[test]
fn a_large_host_and_an_empty_one_come_back() {
    for domains in [0, 1, 500] {
        let cycle = Any(domains).cycle(domains);
        assert_eq!(read(&encode::encode(&cycle)), cycle);
    }
}

#[test]
fn other_forms_are_read_or_set_aside_with_a_word() {
    let word = |version, bytes: &[u8]| match decode(version, bytes) {
        Decoded::SetAside { word } => word,
        Decoded::Read(cycle) => panic!("{cycle:?}"),
    };
    let bytes = encode::encode(&Any(1).cycle(2));
    assert_eq!(word(9, &bytes), "written by a newer kvmscope, form 9");
    assert_eq!(word(0, &bytes), "no form of kvmscope's");
    assert_eq!(word(2, &bytes[..bytes.len() / 2]), "damaged, form 2");
    assert_eq!(word(2, b""), "damaged, form 2");
    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    assert_eq!(word(2, &longer), "damaged, form 2");
    assert_eq!(word(1, b"{\"cycle\":1}"), "damaged, form 1");
    let deep = "[".repeat(100_000);
    assert_eq!(word(1, deep.as_bytes()), "damaged, form 1");
}

/// As version 1 wrote it.
const FIRST: &str = r#"{"cycle":7,"at":1699868400000000000,"took_ns":118000000,"interval_ns":1000000000,
    "domains":{"550e8400-e29b-41d4-a716-446655440000":{"name":"web-1","id":12,"stale":true,"missing":{
    "disks":{"why":"monitor-not-answering","since":1699868399000000000},
    "memory":{"why":{"not-asked":{"stuck":8}}},
    "nic:hostdev0":{"why":"hostdev-nic"},"disk:sda":{"why":"empty-drive"}}}}}"#;

#[test]
fn reasons_of_the_first_form_are_read() {
    let Decoded::Read(cycle) = decode(1, FIRST.as_bytes()) else { panic!("not read") };
    assert_eq!((cycle.number, cycle.took, cycle.load), (7, Duration::from_millis(118), None));
    let [domain] = &*cycle.domains else { panic!("{cycle:?}") };
    let name = domain.name.as_ref().unwrap();
    assert_eq!((domain.id, &*name.name), (12, "web-1"));
    assert_eq!(name.uuid.to_string(), "550e8400-e29b-41d4-a716-446655440000");
    let since = WallTime(1_699_868_399_000_000_000);
    assert_eq!(domain.missing.disks, Some(Missing::since(Why::MonitorNotAnswering, since)));
    assert_eq!(domain.missing.memory, Some(Missing::new(Why::NotAsked { stuck: 8 })));
    assert_eq!(domain.missing.cpu, None);
    let device = |name: &str, missing: Option<Missing>| (name.to_owned(), missing.unwrap().why);
    assert_eq!(device(&domain.nics[0].name, domain.nics[0].missing), ("hostdev0".into(), Why::HostdevNic));
    assert_eq!(device(&domain.disks[0].name, domain.disks[0].missing), ("sda".into(), Why::EmptyDrive));
    assert_eq!(domain.seen, None, "it kept no numbers");
}

/// A live domain that its line names.
fn unnamed(id: u32) -> Domain {
    Domain { id, name: None, ..Any(id.into()).domain() }
}

#[test]
fn a_domain_without_a_line_takes_no_name_from_those_after_it() {
    let mut cycle = Any(1).cycle(0);
    let stale = Name { uuid: Uuid::from_u128(4), name: "stale".into() };
    cycle.domains = [1, 2, 3, 4, 5].map(unnamed).into();
    cycle.domains[3].name = Some(stale);
    let line = |id: u32, name: &str| {
        format!("vm_metrics,VMID={id},name={name},uuid={} state=1i 7\n", Uuid::from_u128(id.into()))
    };
    // The lines of 1 and 3 were lost; 4's are another's.
    let lines =
        line(2, "web\\ 2") + "vm_disk,VMID=3,name=x y=1i 7\nrubbish\n" + &line(4, "x") + &line(5, "db");
    cycle.name_by(lines.as_bytes());
    let names: Vec<_> =
        cycle.domains.iter().map(|d| d.name.as_ref().map(|n| (n.uuid.as_u128(), &*n.name))).collect();
    assert_eq!(names, [None, Some((2, "web 2")), None, Some((4, "stale")), Some((5, "db"))]);
}

#[test]
fn naming_takes_one_look_at_the_lines() {
    // Each of these looked for through all lines would be 10^9 lines.
    let mut cycle = Any(1).cycle(0);
    cycle.domains = (1..=10_000).map(|id| Domain { disks: vec![], nics: vec![], ..unnamed(id) }).collect();
    let uuid = Uuid::from_u128(7);
    let line = |id| format!("vm_metrics,VMID={id},name=x,uuid={uuid} s=1i 7\n");
    let lines = (10_000..110_000).map(line).collect::<Vec<_>>().concat();
    cycle.name_by(lines.as_bytes());
    let named: Vec<u32> = cycle.domains.iter().filter(|d| d.name.is_some()).map(|d| d.id).collect();
    assert_eq!(named, [10_000]);
}
