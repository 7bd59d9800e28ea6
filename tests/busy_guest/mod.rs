//! A guest that works without an operating system: a boot sector that reads
//! 16 KiB and writes 4 KiB at every tick of the clock, 18 times a second, on a
//! disk that can hold snapshots. It boots in a second and moves its counters
//! for as long as it runs.

use std::path::Path;

/// Size of the disk in bytes.
const SIZE: u64 = 16 << 20;

/// The boot sector.
fn boot_sector() -> [u8; 512] {
    // Where the BIOS puts it, and where in it the two requests to the disk and
    // the number of the boot drive are.
    const ORIGIN: u16 = 0x7c00;
    const READ: u16 = 0x100;
    const WRITE: u16 = 0x110;
    let [read, write] = [READ, WRITE].map(|place| (ORIGIN + place).to_le_bytes());
    let mut code = vec![
        0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, // ax, ds, ss = 0
        0xbc, 0x00, 0x7c, // sp = ORIGIN
        0x88, 0x16, 0xf0, 0x7d, // keep the drive's number
    ];
    let again = code.len();
    code.extend([0xfb, 0xf4]); // sleep until the clock ticks
    // int 13h, functions 42h (read) and 43h (write) with a request at si.
    code.extend([0xbe, read[0], read[1], 0x8a, 0x16, 0xf0, 0x7d, 0xb4, 0x42, 0xcd, 0x13]);
    code.extend([0xbe, write[0], write[1], 0x8a, 0x16, 0xf0, 0x7d, 0xb8, 0x00, 0x43, 0xcd, 0x13]);
    let back = u8::try_from(256 - (code.len() + 2 - again)).unwrap();
    code.extend([0xeb, back]);
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(&code);
    // Sectors, buffer at 2000h:0, first sector.
    let request = |sectors: u8, first: u8| [16, 0, sectors, 0, 0, 0, 0, 0x20, first, 0, 0, 0, 0, 0, 0, 0];
    sector[usize::from(READ)..][..16].copy_from_slice(&request(32, 0));
    sector[usize::from(WRITE)..][..16].copy_from_slice(&request(8, 64));
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// Writes a qcow2 image that boots the work.
pub fn write_disk(path: &Path) {
    const CLUSTER: u64 = 65536;
    const OWN: u64 = 1 << 63;
    // Clusters: header, table of reference counts, the counts, the first and
    // the second level of the map, and the boot sector's.
    let mut image = vec![0_u8; usize::try_from(6 * CLUSTER).unwrap()];
    let mut put = |place: u64, bytes: &[u8]| {
        let place = usize::try_from(place).unwrap();
        image[place..place + bytes.len()].copy_from_slice(bytes);
    };
    put(0, b"QFI\xfb");
    put(4, &2_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &SIZE.to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &(3 * CLUSTER).to_be_bytes());
    put(48, &CLUSTER.to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER).to_be_bytes());
    for cluster in 0..6 {
        put(2 * CLUSTER + 2 * cluster, &1_u16.to_be_bytes());
    }
    put(3 * CLUSTER, &((4 * CLUSTER) | OWN).to_be_bytes());
    put(4 * CLUSTER, &((5 * CLUSTER) | OWN).to_be_bytes());
    put(5 * CLUSTER, &boot_sector());
    std::fs::write(path, image).unwrap();
}

/// The guest's XML: one of four possible vCPUs, a disk `vda`, an empty CD-ROM
/// drive `hda`, a NIC, a balloon that nobody in the guest drives.
pub fn xml(name: &str, uuid: &str, partition: &str, disk: &Path, nic: &str) -> String {
    let disk = disk.display();
    format!(
        "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>16</memory>\
         <vcpu current='1'>4</vcpu><resource><partition>{partition}</partition></resource>\
         <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features><devices>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/>\
         <source file='{disk}'/><target dev='vda' bus='virtio'/></disk>\
         <disk type='file' device='cdrom'><target dev='hda' bus='ide'/><readonly/></disk>\
         <interface type='ethernet'><target dev='{nic}'/><model type='virtio'/></interface>\
         <memballoon model='virtio'><stats period='1'/></memballoon></devices></domain>"
    )
}
