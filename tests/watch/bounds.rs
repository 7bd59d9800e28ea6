//! What no machine can do.

use std::time::Duration;

use kvmscope::model::{Degrees, DomainFrame, DomainRates, Measured};

/// Bytes per second: more than the memory of any machine moves.
const BYTES: f64 = 64e9;
/// Requests or packets per second.
const OPERATIONS: f64 = 50e6;
/// Milliseconds that one request may take here.
const LATENCY: f64 = 120_000.0;
/// How much of a wait for a core may be booked at its end.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// vCPU times are counted in ticks.
const TICK: Duration = Duration::from_millis(10);

/// The bounds that hold on this machine.
pub struct Physics {
    cores: f64,
}

/// Every rate that must not be negative.
fn all(rates: &DomainRates) -> Vec<(&'static str, Measured<f64>)> {
    let mut all = vec![
        ("cpu_percent", rates.cpu_percent),
        ("cpu_cores", rates.cpu_cores),
        ("steal_percent", rates.steal_percent),
        ("memory_percent", rates.memory_percent),
    ];
    for vcpu in &rates.vcpus {
        all.extend([("vcpu percent", vcpu.percent), ("vcpu steal", vcpu.steal_percent)]);
    }
    for disk in rates.disks.iter().map(|(_, disk)| disk).chain([&rates.disk]) {
        all.extend(bytes_of_disk(disk));
        all.extend([
            ("reads", disk.reads_per_s),
            ("writes", disk.writes_per_s),
            ("flushes", disk.flushes_per_s),
            ("ms per read", disk.ms_per_read),
            ("ms per write", disk.ms_per_write),
        ]);
    }
    for nic in rates.nics.iter().map(|(_, nic)| nic).chain([&rates.net]) {
        all.extend([
            ("rx bytes", nic.rx_bytes_per_s),
            ("tx bytes", nic.tx_bytes_per_s),
            ("rx packets", nic.rx_packets_per_s),
            ("tx packets", nic.tx_packets_per_s),
            ("errors", nic.errors_per_s),
            ("drops", nic.drops_per_s),
        ]);
    }
    all
}

fn bytes_of_disk(disk: &kvmscope::model::rates::DiskRates) -> [(&'static str, Measured<f64>); 2] {
    [("bytes read", disk.read_bytes_per_s), ("bytes written", disk.write_bytes_per_s)]
}

impl Physics {
    pub fn of_this_machine() -> Self {
        let cores = std::thread::available_parallelism().unwrap().get();
        #[allow(clippy::cast_precision_loss, reason = "a number of cores")]
        Self { cores: cores as f64 }
    }

    /// Signs and shapes: what holds for every domain of every frame. Returns
    /// how many rates are there.
    pub fn shape(domain: &DomainFrame) -> u64 {
        let name = &domain.identity().name;
        let mut there = 0;
        for (what, rate) in all(&domain.rates) {
            let Ok(rate) = rate else { continue };
            there += 1;
            let most = match what {
                "bytes read" | "bytes written" | "rx bytes" | "tx bytes" => BYTES,
                "ms per read" | "ms per write" => LATENCY,
                "memory_percent" => 100.0,
                "cpu_cores" | "cpu_percent" | "steal_percent" | "vcpu percent" | "vcpu steal" => f64::MAX,
                _ => OPERATIONS,
            };
            assert!(rate.is_finite() && (0.0..=most).contains(&rate), "{name}: {what} is {rate}");
        }
        if let Ok(growth) = domain.rates.memory_kib_per_s {
            assert!(growth.is_finite(), "{name}: memory grows by {growth}");
        }
        let angles = &domain.rates.angles;
        let [cpu, disk_read, disk_write] = [angles.cpu, angles.disk_read, angles.disk_write];
        for (what, angle, least) in [
            ("cpu", cpu, 0.0),
            ("memory", angles.memory, -90.0),
            ("disk_read", disk_read, 0.0),
            ("disk_write", disk_write, 0.0),
            ("net_rx", angles.net_rx, 0.0),
            ("net_tx", angles.net_tx, 0.0),
        ] {
            if let Ok(Degrees(degrees)) = angle {
                assert!((least..=90.0).contains(&degrees), "{name}: the angle {what} is {degrees}");
            }
        }
        there
    }

    /// What a reading can show at most, `span` after the one before, when both
    /// instants together are off by `error` at most.
    pub fn bounds(&self, name: &str, domain: &DomainFrame, span: Duration, error: Duration) {
        let rates = &domain.rates;
        let stretched = |more: Duration| 1.0 + (error + more).as_secs_f64() / span.as_secs_f64();
        let check = |what: &str, rate: Measured<f64>, most: f64| {
            if let Ok(rate) = rate {
                assert!(rate <= most, "{name}: {what} is {rate}, over {most} in {span:?} ± {error:?}");
            }
        };
        check("cpu_percent", rates.cpu_percent, 100.0 * stretched(TICK));
        check("cpu_cores", rates.cpu_cores, self.cores * stretched(TICK));
        check("steal_percent", rates.steal_percent, 100.0 * stretched(LONGEST_WAIT));
        for vcpu in &rates.vcpus {
            check("vcpu percent", vcpu.percent, 100.0 * stretched(TICK));
            check("vcpu steal", vcpu.steal_percent, 100.0 * stretched(LONGEST_WAIT));
        }
        if let (Ok(rate), Ok(memory)) = (rates.memory_kib_per_s, domain.reading.memory) {
            // No more than all of it, within one reading of a fifth of a second.
            #[allow(clippy::cast_precision_loss, reason = "memory of a small guest in KiB")]
            let most = memory.maximum.0 as f64 * 5.0 * stretched(Duration::ZERO);
            assert!(rate.abs() <= most, "{name}: memory grows by {rate} KiB/s of {most}");
        }
    }
}
