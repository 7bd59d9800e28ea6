//! The host: its facts, asked once per connection, and its load, asked with
//! every roster. Each may be missing, and none of them fails a roster.
//!
//! Figures come from libvirt, which knows the host it runs on. Pressure alone
//! comes from the kernel's files, and only where the host is this machine:
//! this machine's figures must never pass for another's.

use std::{fs, path::Path};

use virt::connect::Connect;

use super::{
    error::is_not_offered,
    ffi::node,
    question::{HostTimes, RawHost},
    uri,
};
use crate::{
    clock::Clock,
    model::{
        Kib, Measured, Missing, MonoTime, Nanos, Why,
        frame::HostFacts,
        host::{HostMemory, Pressure},
        name::storable,
    },
};

/// Where the kernel tells pressure.
const PRESSURE: &str = "/proc/pressure";

pub(super) fn facts(connection: &Connect, raw_uri: &str) -> HostFacts {
    let node = connection.node_info().ok();
    let hypervisor = connection.driver_type().ok().map(|kind| match connection.hyp_version() {
        Ok(version) if version > 0 => format!("{kind} {}", dotted(version)),
        _ => kind,
    });
    HostFacts {
        name: connection.hostname().ok().map(|name| storable(&name).into_owned()),
        hypervisor: hypervisor.map(|text| storable(&text).into_owned()),
        libvirt: connection.lib_version().ok().map(dotted),
        cpus: node.as_ref().map(|node| node.cpus),
        memory_kib: node.as_ref().map(|node| node.memory),
        demo: uri::is_demo(raw_uri),
    }
}

/// libvirt packs a version as major · 1,000,000 + minor · 1,000 + release.
fn dotted(version: u32) -> String {
    format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000)
}

/// Asks for the host's load, and remembers what the driver has refused.
#[derive(Debug)]
pub(super) struct Load {
    /// Everything about this host is made up.
    demo: bool,
    /// Why the kernel's files of this machine tell nothing of the host.
    elsewhere: Option<Missing>,
    no_cpu: bool,
    no_memory: bool,
    counts: node::Counts,
}

impl Load {
    /// For one open connection.
    pub(super) fn of(connection: &Connect, asked_uri: &str) -> Self {
        // An alias of libvirt's own configuration may lead anywhere: the
        // connection knows where it led.
        let reached = connection.uri().unwrap_or_default();
        let demo = uri::is_demo(asked_uri) || uri::is_demo(&reached);
        Self {
            demo,
            elsewhere: pressure_elsewhere(&reached),
            no_cpu: false,
            no_memory: false,
            counts: node::Counts::default(),
        }
    }

    /// The host's load now.
    pub(super) fn read(&mut self, connection: &Connect, clock: &Clock) -> RawHost {
        if self.demo {
            let made_up = Missing::new(Why::NotOffered);
            return RawHost { cpu: Err(made_up), memory: Err(made_up), pressure: Err(made_up) };
        }
        RawHost {
            cpu: asked(&mut self.no_cpu, || {
                let before = clock.now().1;
                let times = node::cpu_times(connection, &mut self.counts)?;
                Ok(cpu(&times, middle(before, clock.now().1)))
            }),
            memory: asked(&mut self.no_memory, || Ok(memory(&node::memory(connection, &mut self.counts)?))),
            pressure: match self.elsewhere {
                Some(missing) => Err(missing),
                None => pressure(Path::new(PRESSURE)),
            },
        }
    }
}

/// Makes a call unless it was refused before, and takes note of a refusal.
fn asked<T>(refused: &mut bool, call: impl FnOnce() -> Result<Option<T>, virt::error::Error>) -> Measured<T> {
    let not_offered = Missing::new(Why::NotOffered);
    if *refused {
        return Err(not_offered);
    }
    match call() {
        Ok(value) => value.ok_or(not_offered),
        Err(error) if is_not_offered(&error) => {
            *refused = true;
            Err(not_offered)
        }
        Err(error) => {
            tracing::debug!("the host's load: {}", error.message());
            Err(Missing::new(Why::CallFailed))
        }
    }
}

/// Why this machine's pressure is not the host's, if it is not: a host that
/// is reached by any other way than a local socket may be another machine.
fn pressure_elsewhere(reached_uri: &str) -> Option<Missing> {
    (!uri::is_this_machine(reached_uri)).then_some(Missing::new(Why::RemoteHost))
}

fn middle(before: MonoTime, after: MonoTime) -> MonoTime {
    before.plus(after.since(before) / 2)
}

fn named(stats: &[(String, u64)], name: &str) -> Option<u64> {
    stats.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

/// `None`: the driver has other figures than busy times.
fn cpu(stats: &[(String, u64)], at: MonoTime) -> Option<HostTimes> {
    Some(HostTimes {
        at,
        user: Nanos(named(stats, "user")?),
        system: Nanos(named(stats, "kernel")?),
        iowait: named(stats, "iowait").map(Nanos),
        idle: named(stats, "idle").map(Nanos),
    })
}

fn memory(stats: &[(String, u64)]) -> Option<HostMemory> {
    let total = named(stats, "total").filter(|&total| total > 0)?;
    // What the kernel itself says it could give back, where libvirt passes
    // that on; else all buffers and cache.
    let available = named(stats, "available").or_else(|| {
        let cache = ["buffers", "cached"].map(|name| named(stats, name).unwrap_or(0));
        Some(cache.into_iter().fold(named(stats, "free")?, u64::saturating_add))
    })?;
    Some(HostMemory { total: Kib(total), available: Kib(available.min(total)) })
}

/// Pressure from the kernel's files below `directory`. They are made by the
/// kernel at the moment they are read: no disk is waited for.
fn pressure(directory: &Path) -> Measured<Pressure> {
    let some = |name: &str| -> Measured<f64> {
        let text = fs::read_to_string(directory.join(name)).map_err(|_| Missing::new(Why::NoPressure))?;
        some_avg10(&text).ok_or(Missing::new(Why::NoPressure))
    };
    Ok(Pressure { cpu: some("cpu")?, memory: some("memory")?, io: some("io")? })
}

/// `avg10` of the line `some`.
fn some_avg10(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let value = line.split(' ').find_map(|part| part.strip_prefix("avg10="))?;
    value.parse().ok().filter(|percent: &f64| (0.0..=100.0).contains(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_versions_are_unpacked() {
        assert_eq!(dotted(9_000_000), "9.0.0");
        assert_eq!(dotted(7_002_022), "7.2.22");
        assert_eq!(dotted(2), "0.0.2");
    }

    fn stats(all: &[(&str, u64)]) -> Vec<(String, u64)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn a_driver_with_other_cpu_figures_has_none() {
        let linux = stats(&[("kernel", 3), ("user", 5), ("idle", 7), ("iowait", 2)]);
        let times = cpu(&linux, MonoTime(9)).unwrap();
        assert_eq!((times.user, times.system, times.iowait), (Nanos(5), Nanos(3), Some(Nanos(2))));
        assert_eq!(cpu(&stats(&[("utilization", 40)]), MonoTime(9)), None);
        assert_eq!(cpu(&stats(&[("kernel", 3), ("user", 5)]), MonoTime(9)).unwrap().iowait, None);
    }

    #[test]
    fn available_memory_is_what_the_kernel_says_or_free_buffers_and_cache() {
        let old = stats(&[("total", 100), ("free", 10), ("buffers", 5), ("cached", 20)]);
        assert_eq!(memory(&old), Some(HostMemory { total: Kib(100), available: Kib(35) }));
        let new = stats(&[("total", 100), ("free", 10), ("cached", 20), ("available", 27)]);
        assert_eq!(memory(&new), Some(HostMemory { total: Kib(100), available: Kib(27) }));
        assert_eq!(memory(&stats(&[("free", 10)])), None, "a share of nothing");
        assert_eq!(memory(&stats(&[("total", 0), ("free", 0)])), None);
    }

    #[test]
    fn pressure_is_that_of_the_last_ten_seconds_in_which_some_waited() {
        let text = "some avg10=8.09 avg60=10.04 avg300=5.87 total=6090503442\nfull avg10=1.00 total=0\n";
        assert_eq!(some_avg10(text), Some(8.09));
        for odd in ["", "full avg10=1.00\n", "some avg60=1\n", "some avg10=nan\n", "some avg10=1e9\n"] {
            assert_eq!(some_avg10(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_kernel_without_pressure_files_is_a_reason() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(pressure(empty.path()), Err(Missing::new(Why::NoPressure)));
        for (name, percent) in [("cpu", 1), ("memory", 2), ("io", 3)] {
            fs::write(empty.path().join(name), format!("some avg10={percent}.50 avg60=0\n")).unwrap();
        }
        assert_eq!(pressure(empty.path()), Ok(Pressure { cpu: 1.5, memory: 2.5, io: 3.5 }));
    }

    #[test]
    fn this_machines_pressure_never_passes_for_a_remote_hosts() {
        for remote in [
            "qemu+ssh://hv-07/system",
            "qemu+libssh2://hv-07/system",
            "qemu+tls://hv-07/system",
            "qemu://hv-07/system",
            "qemu+tcp://127.0.0.1/system",
            "qemu+ext:///system?command=/usr/local/bin/reach-hv-07",
            "qemu+unix://hv-07/system?socket=/tmp/s",
            "",
            "an-alias",
        ] {
            assert_eq!(pressure_elsewhere(remote), Some(Missing::new(Why::RemoteHost)), "{remote}");
        }
        for local in ["qemu:///system", "qemu+unix:///system?socket=/run/x/libvirt-sock-ro", "lxc:///"] {
            assert_eq!(pressure_elsewhere(local), None, "{local}");
        }
    }
}
