//! The host in JSON.

use super::value::{Fields, Json};
use crate::model::{Frame, host::Commitment};

/// Facts, load and what the live VMs were given. Percent of all CPUs
/// together, KiB; pressure is the share of the last ten seconds in percent in
/// which something waited, and is there only where the host is this machine.
pub(super) fn host(frame: &Frame) -> Json {
    let (facts, load) = (&frame.host, &frame.load);
    let mut host = Fields::default();
    host.put("name", facts.name.as_deref());
    host.put("hypervisor", facts.hypervisor.as_deref());
    host.put("libvirt", facts.libvirt.as_deref());
    host.put("cpus", facts.cpus);
    host.put("memory", facts.memory_kib);
    host.put("demo", facts.demo);

    host.measure("cpu_usage_percent", load.cpu.map(|cpu| cpu.busy()));
    host.measure("cpu_user_percent", load.cpu.map(|cpu| cpu.user));
    host.measure("cpu_system_percent", load.cpu.map(|cpu| cpu.system));
    host.measure("cpu_iowait_percent", load.cpu.and_then(|cpu| cpu.iowait));

    host.measure("memory_total", load.memory.map(|memory| memory.total));
    host.measure("memory_available", load.memory.map(|memory| memory.available));
    host.measure("memory_used", load.memory.map(|memory| memory.used()));
    host.measure("memory_usage_percent", load.memory.and_then(|memory| memory.used_percent()));

    host.measure("pressure_cpu_percent", load.pressure.map(|pressure| pressure.cpu));
    host.measure("pressure_memory_percent", load.pressure.map(|pressure| pressure.memory));
    host.measure("pressure_io_percent", load.pressure.map(|pressure| pressure.io));

    let given = Commitment::of(frame);
    host.measure("vcpus_given", given.vcpus);
    host.measure("vcpus_per_cpu", given.vcpus_per_cpu);
    host.measure("memory_given", given.memory);
    host.measure("memory_given_percent", given.memory_percent);
    host.close()
}
