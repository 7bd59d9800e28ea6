//! Hosts of libvirt's test hypervisor: as many machines as wanted, under any
//! name, and none of them real.

use std::{fmt::Write as _, path::Path};

/// Writes a host of running machines with these names into `home`, and returns
/// its URI. Each has two vCPUs, a disk and a network card.
pub fn test_host<N: AsRef<str>>(home: &Path, names: impl IntoIterator<Item = N>) -> String {
    let mut xml = String::from("<node>");
    for (number, name) in (0_u128..).zip(names) {
        let name = name.as_ref().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        write!(
            xml,
            "<domain type='test'><name>{name}</name><uuid>{}</uuid><memory>1048576</memory><vcpu>2</vcpu>\
             <os><type>hvm</type></os><devices>\
             <disk type='file'><source file='/guest/{number}.img'/><target dev='vda' bus='virtio'/></disk>\
             <interface type='bridge'><source bridge='br0'/><target dev='tap{number}'/></interface>\
             </devices></domain>",
            uuid::Uuid::from_u128(0x1000_8000_0000_0000_0000 + number),
        )
        .unwrap();
    }
    xml.push_str("</node>");
    let file = home.join("host.xml");
    std::fs::write(&file, xml).unwrap();
    format!("test://{}", file.display())
}

/// The same of so many machines, `vm-0000` and on.
pub fn test_host_of(home: &Path, machines: u32) -> String {
    test_host(home, (0..machines).map(|number| format!("vm-{number:04}")))
}
