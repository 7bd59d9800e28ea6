//! Least, mean and greatest of a VM's figures over a while, for `stats`.

use super::{Json, json, value::Fields};
use crate::model::{DomainFrame, Measured};

type Figure = (&'static str, fn(&DomainFrame) -> Measured<f64>);

/// The figures, by their names in `vm-telemetry`.
const FIGURES: [Figure; 20] = [
    ("cpu_usage_percent", |vm| vm.rates.cpu_percent),
    ("cpu_rate", |vm| vm.rates.angles.cpu.map(|angle| angle.0)),
    ("cpu_cores", |vm| vm.rates.cpu_cores),
    ("steal_percent", |vm| vm.rates.steal_percent),
    ("memory_usage_percent", |vm| vm.rates.memory_percent),
    ("memory_rate", |vm| vm.rates.angles.memory.map(|angle| angle.0)),
    ("memory_kb_per_sec", |vm| vm.rates.memory_kib_per_s),
    ("disk_read_rate", |vm| vm.rates.angles.disk_read.map(|angle| angle.0)),
    ("disk_read_bytes_per_sec", |vm| vm.rates.disk.read_bytes_per_s),
    ("disk_reads_per_sec", |vm| vm.rates.disk.reads_per_s),
    ("disk_write_rate", |vm| vm.rates.angles.disk_write.map(|angle| angle.0)),
    ("disk_write_bytes_per_sec", |vm| vm.rates.disk.write_bytes_per_s),
    ("disk_writes_per_sec", |vm| vm.rates.disk.writes_per_s),
    ("disk_ms_per_read", |vm| vm.rates.disk.ms_per_read),
    ("disk_ms_per_write", |vm| vm.rates.disk.ms_per_write),
    ("network_rx_rate", |vm| vm.rates.angles.net_rx.map(|angle| angle.0)),
    ("network_rx_bytes_per_sec", |vm| vm.rates.net.rx_bytes_per_s),
    ("network_tx_rate", |vm| vm.rates.angles.net_tx.map(|angle| angle.0)),
    ("network_tx_bytes_per_sec", |vm| vm.rates.net.tx_bytes_per_s),
    ("network_drops_per_sec", |vm| vm.rates.net.drops_per_s),
];

/// A VM's figures over a while.
#[derive(Clone, Debug)]
pub struct Summary(Vec<Range>);

#[derive(Clone, Debug)]
struct Range {
    least: f64,
    greatest: f64,
    sum: f64,
    count: f64,
    /// Why the last one was missing, while all are.
    why: String,
}

impl Summary {
    /// Of nothing yet, for the reason `why`.
    #[must_use]
    pub fn none(why: &str) -> Self {
        let none = || Range {
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            sum: 0.0,
            count: 0.0,
            why: why.to_owned(),
        };
        Self(FIGURES.iter().map(|_| none()).collect())
    }

    /// Adds one cycle.
    pub fn add(&mut self, domain: &DomainFrame) {
        for (range, (_, figure)) in self.0.iter_mut().zip(FIGURES) {
            match figure(domain) {
                Ok(value) if value.is_finite() => {
                    range.least = range.least.min(value);
                    range.greatest = range.greatest.max(value);
                    range.sum += value;
                    range.count += 1.0;
                }
                Ok(_) => {}
                Err(missing) => range.why = missing.to_string(),
            }
        }
    }
}

/// The answer of `stats`: the VM's object, and what its figures were of late.
#[must_use]
pub fn stats(domain: &DomainFrame, late: &Summary) -> Json {
    let mut history = Fields::default();
    for ((name, _), range) in FIGURES.iter().zip(&late.0) {
        if range.count > 0.0 {
            let of = |value: f64| Json::Real(value);
            let mean = range.sum / range.count;
            history.put(
                name,
                Json::Object(vec![("min", of(range.least)), ("mean", of(mean)), ("max", of(range.greatest))]),
            );
        } else {
            history.lack(name, range.why.clone());
        }
    }
    json::vm_with(domain, "history", history)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::fixture;

    #[test]
    fn of_several_cycles_least_mean_and_greatest_are_told_and_of_none_why() {
        let frame = fixture::frame();
        let (live, off) = (&frame.domains[0], &frame.domains[4]);
        let mut other = (**live).clone();
        other.rates.cpu_percent = Ok(0.0);
        let mut summary = Summary::none("not recorded");
        summary.add(live);
        summary.add(&other);
        summary.add(off);
        let told: serde_json::Value =
            serde_json::from_str(&serde_json::to_string(&stats(live, &summary)).unwrap()).unwrap();
        let cpu = &told["history"]["cpu_usage_percent"];
        assert_eq!((cpu["min"].as_f64(), cpu["max"].as_f64()), (Some(0.0), Some(40.0)));
        assert_eq!(cpu["mean"].as_f64(), Some(20.0), "what is missing is no zero");
        let none: serde_json::Value = serde_json::from_str(
            &serde_json::to_string(&stats(live, &Summary::none("not recorded"))).unwrap(),
        )
        .unwrap();
        assert!(none["history"]["cpu_rate"].is_null());
        assert_eq!(none["missing"]["history.cpu_rate"], "not recorded");
        assert!(none["devices"].is_array() && none["vcpus"].is_array() && none["events"].is_array());
    }
}
