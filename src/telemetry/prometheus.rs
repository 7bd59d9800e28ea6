//! The VMs' figures and our own accounting in Prometheus' text format.
//!
//! A missing value has no sample: a scraper takes every number for one. VMs
//! are told apart by name and uuid; no address and no path is in it.

use std::fmt::Write as _;

use super::{Json, json::totals_of};
use crate::model::{
    DomainFrame, Frame,
    status::{CollectionState, CollectorStatus, DeliveryStatus, StoreStatus},
};

/// Its content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A family of samples: its name, what it is, whether it only grows.
type Family = (&'static str, &'static str, &'static str);

/// One family of every VM's, and where its value comes from.
type OfVm = (Family, fn(&DomainFrame, &Totals) -> Option<Json>);

/// The fields of `vm_totals` by name.
struct Totals(Vec<(&'static str, Json)>);

impl Totals {
    fn get(&self, name: &str) -> Option<Json> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone())
    }
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

const OF_VMS: &[OfVm] = &[
    (("kvmscope_vm_state", "libvirt's code of the state; 1 is running.", GAUGE), |vm, _| {
        Some(u32::from(vm.reading.state.code()).into())
    }),
    (("kvmscope_vm_answering", "1 where the VM answered in full, or is off.", GAUGE), |vm, _| {
        Some(u32::from(!matches!(vm.health, crate::model::frame::Health::Impaired(_))).into())
    }),
    (("kvmscope_vm_vcpus", "vCPUs now.", GAUGE), |vm, _| vm.reading.vcpu_count.ok().map(Json::from)),
    (("kvmscope_vm_cpu_seconds_total", "CPU time of the QEMU process.", COUNTER), |vm, _| {
        vm.reading.cpu.ok().map(|cpu| seconds(cpu.time.0))
    }),
    (("kvmscope_vm_cpu_usage_percent", "The guest's own work, of all its vCPUs.", GAUGE), |vm, _| {
        vm.rates.cpu_percent.ok().map(Json::from)
    }),
    (("kvmscope_vm_steal_percent", "Waiting in the host's run queue.", GAUGE), |vm, _| {
        vm.rates.steal_percent.ok().map(Json::from)
    }),
    (("kvmscope_vm_memory_max_bytes", "Maximum memory.", GAUGE), |vm, _| {
        vm.reading.memory.ok().map(|memory| bytes(memory.maximum.0))
    }),
    (("kvmscope_vm_memory_used_bytes", "Memory in use.", GAUGE), |vm, _| {
        vm.reading.memory_used().ok().map(|(used, _)| bytes(used.0))
    }),
    (("kvmscope_vm_memory_rss_bytes", "Memory of the QEMU process on the host.", GAUGE), |vm, _| {
        vm.reading.rss.ok().map(|rss| bytes(rss.0))
    }),
    (("kvmscope_vm_disk_read_bytes_total", "Read from disks.", COUNTER), |_, t| t.get("disk_rd_bytes")),
    (("kvmscope_vm_disk_reads_total", "Read requests.", COUNTER), |_, t| t.get("disk_rd_req")),
    (("kvmscope_vm_disk_written_bytes_total", "Written to disks.", COUNTER), |_, t| t.get("disk_wr_bytes")),
    (("kvmscope_vm_disk_writes_total", "Write requests.", COUNTER), |_, t| t.get("disk_wr_reqs")),
    (("kvmscope_vm_network_received_bytes_total", "Received, the guest's view.", COUNTER), |_, t| {
        t.get("net_rxbytes")
    }),
    (("kvmscope_vm_network_received_packets_total", "Packets received.", COUNTER), |_, t| {
        t.get("net_rxpackets")
    }),
    (("kvmscope_vm_network_received_drops_total", "Packets dropped on receive.", COUNTER), |_, t| {
        t.get("net_rxdrops")
    }),
    (("kvmscope_vm_network_sent_bytes_total", "Sent, the guest's view.", COUNTER), |_, t| {
        t.get("net_txbytes")
    }),
    (("kvmscope_vm_network_sent_packets_total", "Packets sent.", COUNTER), |_, t| t.get("net_txpackets")),
    (("kvmscope_vm_network_sent_drops_total", "Packets dropped on send.", COUNTER), |_, t| {
        t.get("net_txdrops")
    }),
];

/// Every VM's figures as of `frame`.
#[must_use]
pub fn vms(frame: &Frame) -> String {
    let rows: Vec<(String, Totals)> = frame
        .domains
        .iter()
        .map(|domain| {
            let identity = domain.identity();
            let labels = format!("{{name=\"{}\",uuid=\"{}\"}}", escaped(&identity.name), identity.uuid);
            (labels, Totals(totals_of(domain).told()))
        })
        .collect();
    let mut text = String::new();
    for (family, value) in OF_VMS {
        head(&mut text, *family);
        for (domain, (labels, totals)) in frame.domains.iter().zip(&rows) {
            if let Some(value) = value(domain, totals) {
                sample(&mut text, family.0, labels, &value);
            }
        }
    }
    text
}

/// What the collector, delivery and record account for.
#[must_use]
pub fn accounting(
    collector: Option<&CollectorStatus>,
    delivery: &DeliveryStatus,
    store: &StoreStatus,
) -> String {
    let mut text = String::new();
    let mut one = |name, help, kind, value: Option<Json>| {
        if let Some(value) = value {
            head(&mut text, (name, help, kind));
            sample(&mut text, name, "", &value);
        }
    };
    let running = collector.is_some_and(|c| matches!(c.state, CollectionState::Running { .. }));
    one("kvmscope_collecting", "1 while cycles run.", GAUGE, Some(u32::from(running).into()));
    if let Some(c) = collector {
        let count = |n: usize| Some(Json::Whole(n as u64));
        one("kvmscope_collections_total", "Cycles closed.", COUNTER, Some(c.total_collections.into()));
        one("kvmscope_collection_errors_total", "Calls that failed.", COUNTER, Some(c.total_errors.into()));
        one("kvmscope_skipped_ticks_total", "Ticks skipped.", COUNTER, Some(c.skipped_ticks.into()));
        one("kvmscope_reconnects_total", "Connections opened anew.", COUNTER, Some(c.reconnects.into()));
        one("kvmscope_stuck_calls", "Calls that hang in libvirtd.", GAUGE, count(c.stuck_calls.len()));
        one("kvmscope_vms", "Live VMs.", GAUGE, count(c.vms_monitored));
        one("kvmscope_silent_vms", "VMs that did not answer in full.", GAUGE, count(c.silent.len()));
        let took = c.last_cycle_took.map(|took| took.as_secs_f64().into());
        one("kvmscope_last_cycle_seconds", "How long the last cycle took.", GAUGE, took);
        let at = c.last_collection_at.and_then(|at| u64::try_from(at.seconds()).ok()).map(Json::Whole);
        one("kvmscope_last_collection_timestamp_seconds", "When it closed.", GAUGE, at);
    }
    let d = delivery;
    one("kvmscope_lines_emitted_total", "Lines handed over.", COUNTER, Some(d.emitted.into()));
    one("kvmscope_lines_delivered_total", "Lines the server confirmed.", COUNTER, Some(d.delivered.into()));
    one("kvmscope_lines_quarantined_total", "Lines the server refused.", COUNTER, Some(d.quarantined.into()));
    one("kvmscope_lines_waiting", "Lines not yet delivered.", GAUGE, Some(d.waiting().into()));
    one("kvmscope_batches_total", "Requests answered with success.", COUNTER, Some(d.batches.into()));
    one("kvmscope_retries_total", "Requests repeated.", COUNTER, Some(d.retries.into()));
    one("kvmscope_record_bytes", "The local record on disk.", GAUGE, Some(store.bytes.into()));
    one("kvmscope_record_cycles", "Cycles in it.", GAUGE, Some(store.cycles.into()));
    let dropped = "kvmscope_lines_dropped_total";
    head(&mut text, (dropped, "Lines lost, by reason.", COUNTER));
    for (reason, lines) in &delivery.dropped {
        let labels = format!("{{reason=\"{}\"}}", escaped(reason));
        sample(&mut text, dropped, &labels, &Json::Whole(*lines));
    }
    text
}

fn head(text: &mut String, (name, help, kind): Family) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &str, value: &Json) {
    let _ = match value {
        Json::Whole(n) => writeln!(text, "{name}{labels} {n}"),
        Json::Real(x) if x.is_finite() => writeln!(text, "{name}{labels} {x}"),
        _ => Ok(()),
    };
}

fn seconds(nanos: u64) -> Json {
    Json::Real(std::time::Duration::from_nanos(nanos).as_secs_f64())
}

fn bytes(kib: u64) -> Json {
    Json::Whole(kib.saturating_mul(1024))
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::fixture;

    #[test]
    fn a_missing_value_has_no_sample_and_a_name_no_way_out_of_its_quotes() {
        let mut frame = fixture::frame();
        let text = vms(&frame);
        let web = "{name=\"web-frontend-1\",uuid=\"550e8400-e29b-41d4-a716-446655440001\"}";
        for (name, value) in [
            ("kvmscope_vm_state", "1"),
            ("kvmscope_vm_cpu_seconds_total", "6"),
            ("kvmscope_vm_memory_max_bytes", "2147483648"),
            ("kvmscope_vm_network_received_bytes_total", "2048576"),
        ] {
            assert!(text.contains(&format!("\n{name}{web} {value}\n")), "{name}: {text}");
        }
        assert_eq!(text.matches("# TYPE kvmscope_vm_state gauge\n").count(), 1);
        // The hung one tells no disk, the one that is off nothing but its state.
        let hung = frame.domains[2].identity().uuid.to_string();
        assert!(!text.lines().any(|l| l.starts_with("kvmscope_vm_disk_read_bytes") && l.contains(&hung)));
        let off = frame.domains[4].identity().uuid.to_string();
        let told: Vec<&str> = text.lines().filter(|line| line.contains(&off)).collect();
        assert!(
            told.iter().all(|l| l.starts_with("kvmscope_vm_state")
                || l.starts_with("kvmscope_vm_answer")
                || l.starts_with("kvmscope_vm_memory_max")
                || l.starts_with("kvmscope_vm_vcpus")),
            "{told:?}"
        );
        // Names are stored without control characters; quotes and backslashes stay.
        frame.domains.truncate(4);
        let hostile = vms(&frame);
        for line in hostile.lines().filter(|line| line.contains("虚拟机")) {
            assert!(line.contains("\\\"x\\\",{") && line.contains("\",uuid=\"550e8400-"), "{line}");
        }
        assert!(!hostile.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn every_line_is_accounted_for() {
        let mut delivery = DeliveryStatus { emitted: 10, delivered: 3, quarantined: 2, ..Default::default() };
        delivery.waiting_on_disk = 4;
        delivery.dropped.insert("too \"old\"".into(), 1);
        let text = accounting(None, &delivery, &StoreStatus::default());
        for line in [
            "kvmscope_collecting 0",
            "kvmscope_lines_emitted_total 10",
            "kvmscope_lines_delivered_total 3",
            "kvmscope_lines_quarantined_total 2",
            "kvmscope_lines_waiting 4",
            "kvmscope_lines_dropped_total{reason=\"too \\\"old\\\"\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in:\n{text}");
        }
    }
}
