//! The host's facts, asked once per connection. Each may be missing.

use virt::connect::Connect;

use super::uri;
use crate::model::{frame::HostFacts, name::storable};

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

#[cfg(test)]
mod tests {
    use super::dotted;

    #[test]
    fn packed_versions_are_unpacked() {
        assert_eq!(dotted(9_000_000), "9.0.0");
        assert_eq!(dotted(7_002_022), "7.2.22");
        assert_eq!(dotted(2), "0.0.2");
    }
}
