//! The host's load between two rosters.

use std::time::Duration;

use crate::{
    libvirt::{HostTimes, RawHost},
    model::{HostLoad, Measured, Missing, MonoTime, Nanos, Why, host::HostCpu},
};

/// A gap longer than this many intervals gives no rate.
const LONGEST_GAP: u32 = 3;

/// What the next roster's CPU times are compared with, and the load that
/// followed from the last two.
#[derive(Debug, Default)]
pub(super) struct Host {
    before: Option<HostTimes>,
    /// How often rosters were meant to come at most, since then.
    period: Duration,
    /// As the last roster had it; goes into the next frame.
    pub load: HostLoad,
}

impl Host {
    /// Takes what a roster brought. `cpus` is how many the host has,
    /// `period` how often rosters are meant to come.
    pub fn take(&mut self, raw: &RawHost, cpus: Option<u32>, period: Duration) {
        // A change of the interval is no gap.
        let period = period.max(std::mem::replace(&mut self.period, period));
        let cpu = raw.cpu.and_then(|now| {
            let before = self.before.replace(now).ok_or(Missing::new(Why::FirstReading))?;
            between(&before, &now, cpus, period)
        });
        self.load = HostLoad { cpu, memory: raw.memory, pressure: raw.pressure };
    }

    /// The next roster may come after so long.
    pub fn may_come_after(&mut self, period: Duration) {
        self.period = self.period.max(period);
    }

    /// Nothing is known any more, for this reason. What comes next is
    /// compared with nothing: it may be of another host, or the same one
    /// after a boot.
    pub fn forget(&mut self, why: Missing) {
        *self = Self { load: HostLoad::missing(why), ..Self::default() };
    }
}

fn between(before: &HostTimes, now: &HostTimes, cpus: Option<u32>, period: Duration) -> Measured<HostCpu> {
    let span = span(before.at, now.at, period)?;
    let cpus = cpus.filter(|&cpus| cpus > 0).ok_or(Missing::new(Why::NotOffered))?;
    // The instant is that of the call, and the kernel counts in ticks: over a
    // short span more time may be counted than there seems to have been. Stolen
    // time is counted nowhere.
    let whole = (span.as_secs_f64() * f64::from(cpus)).max(counted(before, now)?);
    Ok(HostCpu {
        user: share(before.user, now.user, whole)?,
        system: share(before.system, now.system, whole)?,
        iowait: match (before.iowait, now.iowait) {
            (Some(before), Some(now)) => share(before, now, whole),
            (None, Some(_)) => Err(Missing::new(Why::FirstReading)),
            (_, None) => Err(Missing::new(Why::NotOffered)),
        },
    })
}

fn span(before: MonoTime, now: MonoTime, period: Duration) -> Measured<Duration> {
    let span = now.since(before);
    if span.is_zero() {
        Err(Missing::new(Why::FirstReading))
    } else if span > period * LONGEST_GAP {
        Err(Missing::new(Why::Gap))
    } else {
        Ok(span)
    }
}

/// Seconds by which all times together have grown.
fn counted(before: &HostTimes, now: &HostTimes) -> Measured<f64> {
    let all = |times: &HostTimes| {
        let idle = times.iowait.unwrap_or(Nanos(0)).0.saturating_add(times.idle.unwrap_or(Nanos(0)).0);
        times.user.0.saturating_add(times.system.0).saturating_add(idle)
    };
    let grown = all(now).checked_sub(all(before)).ok_or(Missing::new(Why::CounterRestarted))?;
    Ok(Duration::from_nanos(grown).as_secs_f64())
}

/// Growth of a time in percent of `whole` seconds.
fn share(before: Nanos, now: Nanos, whole: f64) -> Measured<f64> {
    let grown = now.0.checked_sub(before.0).ok_or(Missing::new(Why::CounterRestarted))?;
    Ok(Duration::from_nanos(grown).as_secs_f64() / whole * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Kib,
        host::{HostMemory, Pressure},
    };

    const SECOND: u64 = 1_000_000_000;
    const PERIOD: Duration = Duration::from_secs(1);

    fn raw(at: u64, user: u64, system: u64, iowait: u64) -> RawHost {
        RawHost {
            cpu: Ok(HostTimes {
                at: MonoTime(at * SECOND),
                user: Nanos(user * SECOND / 10),
                system: Nanos(system * SECOND / 10),
                iowait: Some(Nanos(iowait * SECOND / 10)),
                idle: None,
            }),
            memory: Ok(HostMemory { total: Kib(100), available: Kib(36) }),
            pressure: Ok(Pressure { cpu: 1.0, memory: 2.0, io: 3.0 }),
        }
    }

    fn why(load: &HostLoad) -> Why {
        load.cpu.expect_err("a reason").why
    }

    #[test]
    fn cpu_use_is_the_growth_of_its_times_over_all_cpus() {
        let mut host = Host::default();
        host.take(&raw(10, 500, 100, 7), Some(4), PERIOD);
        assert_eq!(why(&host.load), Why::FirstReading, "not 0 %");
        assert_eq!(host.load.memory.unwrap().used_percent(), Ok(64.0));
        host.take(&raw(11, 510, 106, 9), Some(4), PERIOD);
        let cpu = host.load.cpu.unwrap();
        assert!((cpu.user - 25.0).abs() < 1e-9 && (cpu.system - 15.0).abs() < 1e-9, "{cpu:?}");
        assert!((cpu.iowait.unwrap() - 5.0).abs() < 1e-9 && (cpu.busy() - 40.0).abs() < 1e-9);
    }

    #[test]
    fn a_busy_host_is_never_more_than_busy() {
        let mut host = Host::default();
        let times = |at: u64, user: u64, idle: u64| {
            let RawHost { cpu, memory, pressure } = raw(at, user, 0, 0);
            let cpu = cpu.map(|times| HostTimes { idle: Some(Nanos(idle * SECOND / 10)), ..times });
            RawHost { cpu, memory, pressure }
        };
        host.take(&times(10, 0, 0), Some(2), PERIOD);
        // 2.2 s of two CPUs are counted in the second that has passed.
        host.take(&times(11, 22, 0), Some(2), PERIOD);
        assert!((host.load.cpu.unwrap().busy() - 100.0).abs() < 1e-9);
        host.take(&times(12, 33, 11), Some(2), PERIOD);
        assert!((host.load.cpu.unwrap().busy() - 50.0).abs() < 1e-9);
        // Half of it was stolen.
        host.take(&times(13, 43, 11), Some(2), PERIOD);
        assert!((host.load.cpu.unwrap().busy() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_fallen_counter_a_gap_and_a_lost_link_are_reasons_and_not_numbers() {
        let mut host = Host::default();
        host.take(&raw(10, 500, 100, 7), Some(4), PERIOD);
        host.take(&raw(11, 3, 1, 0), Some(4), PERIOD);
        assert_eq!(why(&host.load), Why::CounterRestarted);
        host.take(&raw(12, 13, 1, 0), Some(4), PERIOD);
        assert!(host.load.cpu.is_ok_and(|cpu| (cpu.user - 25.0).abs() < 1e-9));
        host.take(&raw(16, 23, 1, 0), Some(4), PERIOD);
        assert_eq!(why(&host.load), Why::Gap);
        let lost = Missing::new(Why::NoConnection);
        host.forget(lost);
        assert_eq!(host.load, HostLoad::missing(lost));
        host.take(&raw(17, 33, 1, 0), Some(4), PERIOD);
        assert_eq!(why(&host.load), Why::FirstReading);
    }

    #[test]
    fn iowait_may_fall_alone_and_a_refusal_keeps_its_reason() {
        let mut host = Host::default();
        host.take(&raw(10, 500, 100, 7), Some(4), PERIOD);
        host.take(&raw(11, 510, 106, 6), Some(4), PERIOD);
        let cpu = host.load.cpu.unwrap();
        assert_eq!(cpu.iowait, Err(Missing::new(Why::CounterRestarted)));
        assert!(cpu.user > 0.0);
        let refused = Missing::new(Why::NotOffered);
        host.take(&RawHost { cpu: Err(refused), ..raw(12, 0, 0, 0) }, Some(4), PERIOD);
        assert_eq!(host.load.cpu, Err(refused));
        host.take(&raw(13, 520, 112, 9), None, PERIOD);
        assert_eq!(why(&host.load), Why::NotOffered, "of how many CPUs is not known");
    }
}
