//! A small host for tests: real readings through the real rate arithmetic,
//! the same at every run.

mod figures;
mod guest;

use std::{collections::HashMap, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{App, Clipboard, Message, Settings};
use crate::{
    config,
    model::{
        AngleScale, Frame, HostLoad, Identity, Kib, Missing, MonoTime, WallTime, Why,
        frame::HostFacts,
        host::{HostCpu, HostMemory, Pressure},
        name::storable,
        status::{CollectionState, ConfigEntry, StoreState},
    },
};
pub(crate) use figures::{collector, dead_server, delivering, store};
pub(crate) use guest::HANGS_AT;
use guest::{Guest, Trait, guest};

/// 2026-01-05 14:00:00 UTC.
pub(crate) const START: WallTime = WallTime(1_767_621_600_000_000_000);
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn at(seconds: u64) -> WallTime {
    WallTime(START.0 + i64::try_from(seconds).unwrap() * 1_000_000_000)
}
pub(crate) struct Host {
    guests: Vec<Guest>,
    cycle: u64,
    /// Cycles over which memory and disks are spread.
    round: u64,
    pub demo: bool,
}

const GUESTS: [(&str, Trait, u32, u64, [f64; 6]); 16] = [
    ("web-frontend-1", Trait::Plain, 4, 8192, [0.76, 0.63, 0.0, 12.4, 3.1, 18.0]),
    ("web-frontend-2", Trait::Plain, 4, 8192, [0.24, 0.45, 0.0, 0.2, 0.9, 4.2]),
    ("web-batch", Trait::Hung, 8, 16384, [0.02, 0.40, 0.0, 0.1, 0.0, 0.0]),
    ("web-staging", Trait::Paused, 2, 4096, [0.0, 0.21, 0.0, 0.0, 0.0, 0.0]),
    ("db-primary", Trait::Plain, 16, 65536, [0.94, 0.88, 41.0, 63.0, 5.2, 9.7]),
    ("db-replica", Trait::Plain, 8, 65536, [0.12, 0.92, 2.1, 30.0, 6.0, 0.3]),
    ("windows-dc", Trait::NoBalloon, 2, 8192, [0.05, 1.0, 0.01, 0.03, 0.02, 0.01]),
    ("builder", Trait::NoPeriod, 8, 16384, [0.55, 1.0, 0.4, 22.0, 11.0, 0.6]),
    ("router-sriov", Trait::Passthrough, 2, 2048, [0.31, 0.18, 0.0, 0.0, 0.4, 0.4]),
    (
        "customer-0417-production-postgresql-replica-eu-central-1b-03",
        Trait::Plain,
        4,
        8192,
        [0.08, 0.35, 0.1, 0.4, 0.2, 0.1],
    ),
    ("evil\u{1b}[31m\n\u{202e}txt.exe", Trait::Plain, 1, 512, [0.01, 0.5, 0.0, 0.0, 0.0, 0.0]),
    ("虚拟机-测试", Trait::Plain, 2, 2048, [0.03, 0.52, 0.0, 0.004, 0.001, 0.002]),
    ("fresh-boot", Trait::Newborn, 2, 2048, [0.5, 0.3, 1.0, 1.0, 1.0, 1.0]),
    ("old-mail", Trait::Off, 2, 2048, [0.0; 6]),
    ("template-debian-12", Trait::Off, 1, 1024, [0.0; 6]),
    ("test-kernel", Trait::Crashed, 1, 1024, [0.0; 6]),
];

impl Host {
    pub(crate) fn new() -> Self {
        let guests = (0u32..).zip(GUESTS).map(|(n, row)| guest(n, row)).collect();
        Self { guests, cycle: 0, round: 1, demo: false }
    }

    /// A host with `count` plain guests.
    pub(crate) fn with(count: u32) -> Self {
        Self::of_plain((0..count).map(|n| format!("vm-{n:05}")))
    }

    /// A host with plain guests that libvirt calls so.
    pub(crate) fn named(names: &[&str]) -> Self {
        Self::of_plain(names.iter().map(|name| storable(name).into_owned()))
    }

    fn of_plain(names: impl Iterator<Item = String>) -> Self {
        let guests = (0u32..).zip(names).map(|(n, name)| {
            let load = [f64::from(n % 97) / 97.0, 0.5, 0.1, 0.2, 0.3, f64::from(n % 13)];
            let mut guest = guest(n, ("", Trait::Plain, 2, 2048, load));
            guest.identity = Arc::new(Identity { name: name.into(), ..(*guest.identity).clone() });
            guest
        });
        Self { guests: guests.collect(), cycle: 0, round: 1, demo: false }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.guests.retain(|g| &*g.identity.name != name);
    }

    pub(crate) fn set_load(&mut self, name: &str, load: f64) {
        for guest in self.guests.iter_mut().filter(|g| &*g.identity.name == name) {
            guest.load[0] = load;
        }
    }

    /// Spreads memory and disks over `round` cycles from now on.
    pub(crate) fn spread(&mut self, round: u64) {
        self.round = round;
    }

    /// From the next cycle on another job holds `name`.
    pub(crate) fn occupy(&mut self, name: &str) {
        for guest in self.guests.iter_mut().filter(|g| &*g.identity.name == name) {
            guest.busy_since = Some(self.cycle + 1);
        }
    }

    pub(crate) fn uuid(&self, name: &str) -> Uuid {
        self.guests.iter().find(|g| &*g.identity.name == name).unwrap().identity.uuid
    }

    pub(crate) fn cycle(&mut self) -> Arc<Frame> {
        self.cycle += 1;
        let cycle = self.cycle;
        let scale = AngleScale::default();
        let mut domains: Vec<_> =
            self.guests.iter_mut().map(|guest| guest.frame(cycle, self.round, &scale)).collect();
        domains.sort_by_key(|d| (!d.is_live(), Arc::clone(&d.identity().name)));
        Arc::new(Frame {
            cycle,
            at: at(cycle),
            mono: MonoTime(cycle * 1_000_000_000),
            took: Duration::from_millis(118),
            interval: Duration::from_secs(1),
            host: Arc::new(HostFacts {
                name: Some("hv-07".into()),
                hypervisor: Some("QEMU 8.2.2".into()),
                libvirt: Some("10.0.0".into()),
                cpus: Some(64),
                memory_kib: Some(256 << 20),
                demo: self.demo,
            }),
            load: load(cycle, self.demo),
            scale,
            domains: domains.into(),
        })
    }
}

/// The host itself: half busy, two thirds full, waiting for its disks now and
/// then. In its first cycle it has no rate yet; a demo tells nothing.
fn load(cycle: u64, demo: bool) -> HostLoad {
    if demo {
        return HostLoad::missing(Missing::new(Why::NotOffered));
    }
    let cpu = HostCpu { user: 39.4, system: 8.2, iowait: Ok(1.6) };
    HostLoad {
        cpu: if cycle > 1 { Ok(cpu) } else { Err(Missing::new(Why::FirstReading)) },
        memory: Ok(HostMemory { total: Kib(256 << 20), available: Kib(92 << 20) }),
        pressure: Ok(Pressure { cpu: 8.09, memory: 0.0, io: 0.42 }),
    }
}
pub(crate) fn settings() -> Settings {
    let entry = |key: &str, value: &str, origin: &str| ConfigEntry {
        key: key.into(),
        value: value.into(),
        origin: origin.into(),
    };
    Settings {
        screen: config::Screen::default(),
        config: vec![
            entry("libvirt.uri", "qemu:///system", "default"),
            entry("libvirt.timeout", "30 s", "default"),
            entry("collector.poll_interval", "1 s", "environment POLL_INTERVAL"),
            entry("influx.url", "https://influx.example:8086", "file /etc/kvmscope/config.toml:4"),
            entry("influx.db", "vmstats", "default"),
            entry("influx.token", "***", "environment INFLUX_TOKEN"),
            entry("store.path", "/var/lib/kvmscope", "default"),
            entry("store.max_bytes", "1 GB", "default"),
            entry("screen.theme", "dark", "command line --theme"),
        ],
        interval: Duration::from_secs(1),
        log_file: Some("/var/lib/kvmscope/kvmscope.log".into()),
        clipboard: Clipboard::Terminal,
        now: START,
    }
}

/// A running app with `cycles` cycles of the fixture host behind it.
pub(crate) fn running(cycles: u64) -> (App, Host) {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    for _ in 0..cycles {
        app.update(Message::Frame(host.cycle()));
    }
    app.update(Message::Tick(at(cycles)));
    app.update(Message::Collector(collector(CollectionState::Running { since: at(0) })));
    app.update(Message::Delivery(delivering(), store(StoreState::Writable)));
    (app, host)
}
/// Names by uuid, for messages of failed assertions.
pub(crate) fn names(app: &App) -> HashMap<Uuid, String> {
    let frame = app.frame().unwrap();
    frame.domains.iter().map(|d| (d.identity().uuid, d.identity().name.to_string())).collect()
}
