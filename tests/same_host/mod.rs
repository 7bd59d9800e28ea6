//! Whether two answers tell of one host: what never changes is the same, and
//! what does change is there in both.

use serde_json::Value;

/// What a host is, whenever it is asked.
const LASTING: [&str; 9] = [
    "name",
    "hypervisor",
    "libvirt",
    "cpus",
    "memory",
    "demo",
    "memory_total",
    "vcpus_given",
    "memory_given",
];

/// Compares the `host` objects of two answers, made a moment apart: one over a
/// network, and one of this machine. Over a network this machine is another
/// one, whose kernel's files nobody can see.
#[track_caller]
pub fn same_host(there: &Value, here: &Value) {
    for lasting in LASTING {
        assert!(!there[lasting].is_null(), "{lasting} is missing: {there}");
        assert_eq!(there[lasting], here[lasting], "{lasting}");
    }
    for (name, value) in here.as_object().unwrap() {
        if name.starts_with("pressure_") {
            assert_eq!(there["missing"][name], "the host is another machine", "{name}: {there}");
        } else {
            assert_eq!(there[name].is_null(), value.is_null(), "{name}: {there}");
        }
    }
}
