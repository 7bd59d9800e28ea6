//! A host of so many running machines for the test hypervisor.

use std::{fmt::Write as _, path::Path};

/// Writes it, and returns its URI.
pub fn test_host(home: &Path, machines: u32) -> String {
    let mut xml = String::from("<node>");
    for number in 0..machines {
        let uuid = uuid::Uuid::from_u128(0x5000_8000_0000_0000_0000 + u128::from(number));
        write!(
            xml,
            "<domain type='test'><name>vm-{number:04}</name><uuid>{uuid}</uuid>\
             <memory unit='GiB'>4</memory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os><devices>\
             <disk type='file' device='disk'><source file='/srv/{number}'/><target dev='vda' bus='virtio'/></disk>\
             <interface type='bridge'><source bridge='br0'/><target dev='vnet{number}'/></interface>\
             </devices></domain>",
        )
        .unwrap();
    }
    xml.push_str("</node>");
    let path = home.join("host.xml");
    std::fs::write(&path, xml).unwrap();
    format!("test://{}", path.display())
}
