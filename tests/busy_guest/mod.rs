//! A guest that works without an operating system: a boot sector that reads
//! 16 KiB and writes 4 KiB at every tick of the clock, 18 times a second, on a
//! disk that can hold snapshots. It boots in a second and moves its counters
//! for as long as it runs.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;

/// Size of the disk in bytes.
const SIZE: u64 = 16 << 20;

/// How a guest works.
#[derive(Clone, Copy)]
enum Work {
    /// The same at every tick.
    Steady,
    /// For a second with this much CPU, reading and writing, then with another
    /// amount; the seed says which.
    Wandering(u16),
}

/// The boot sector.
fn boot_sector(work: Work) -> [u8; 512] {
    // Where in it the two requests to the disk, the number of the boot drive,
    // the random number and the count of ticks are.
    const READ: u16 = 0x100;
    const WRITE: u16 = 0x110;
    const RANDOM: usize = 0x1f2;
    // What is written to lies in a page without code: whoever writes to a page
    // with code has it all translated anew, which costs more than the work.
    const DATA: u16 = 0x9000;
    let [read, write] = [READ, WRITE].map(|place| (DATA + place).to_le_bytes());
    let mut code = vec![
        0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0x8e, 0xc0, // ax, ds, ss, es = 0
        0xbc, 0x00, 0x60, // sp
        0xbe, 0x00, 0x7c, 0xbf, 0x00, 0x90, 0xb9, 0x00, 0x02, 0xf3, 0xa4, // copy it to DATA
        0x88, 0x16, 0xf0, 0x91, // keep the drive's number
    ];
    let again = code.len();
    code.extend([0xfb, 0xf4]); // sleep until the clock ticks
    // int 13h, functions 42h (read) and 43h (write) with a request at si.
    let disk = [
        [0xbe, read[0], read[1], 0x8a, 0x16, 0xf0, 0x91, 0xb4, 0x42, 0xcd, 0x13].as_slice(),
        &[0xbe, write[0], write[1], 0x8a, 0x16, 0xf0, 0x91, 0xb8, 0x00, 0x43, 0xcd, 0x13],
    ]
    .concat();
    match work {
        Work::Steady => code.extend(disk),
        Work::Wandering(_) => {
            #[rustfmt::skip]
            let roll = [
                0xa1, 0xf2, 0x91, 0x69, 0xc0, 0x55, 0x62, 0x05, 0x19, 0x36, 0xa3, 0xf2, 0x91, // next random number
                0x80, 0xe4, 0x3f, 0xfe, 0xc4, 0x88, 0x26, read[0] + 2, read[1], // read 1 to 64 sectors
                0x24, 0x1f, 0xfe, 0xc0, 0xa2, write[0] + 2, write[1], // write 1 to 32
            ];
            // Every 16th tick a new number, and the disk's work by it: the BIOS
            // spins while a disk works, so more would be work for nothing.
            code.extend([0xfe, 0x06, 0xf4, 0x91, 0xf6, 0x06, 0xf4, 0x91, 0x0f]);
            code.extend([0x75, u8::try_from(roll.len() + disk.len()).unwrap()]);
            code.extend(roll);
            code.extend(disk);
            // Every tick: count down from 16 times the random number.
            code.extend([0x66, 0x0f, 0xb7, 0x0e, 0xf2, 0x91, 0x66, 0xc1, 0xe1, 0x04, 0x66, 0x41]);
            code.extend([0x66, 0x49, 0x75, 0xfc]);
        }
    }
    let back = u8::try_from(256 - (code.len() + 2 - again)).unwrap();
    code.extend([0xeb, back]);
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(&code);
    // Sectors, buffer at 2000h:0, first sector.
    let request = |sectors: u8, first: u8| [16, 0, sectors, 0, 0, 0, 0, 0x20, first, 0, 0, 0, 0, 0, 0, 0];
    sector[usize::from(READ)..][..16].copy_from_slice(&request(32, 0));
    sector[usize::from(WRITE)..][..16].copy_from_slice(&request(8, 64));
    if let Work::Wandering(seed) = work {
        sector[RANDOM..][..2].copy_from_slice(&seed.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// Writes a qcow2 image that boots the work.
pub fn write_disk(path: &Path) {
    write_image(path, Work::Steady);
}

/// Writes a qcow2 image whose guest works by fits and starts: every second it
/// takes another share of CPU, up to 2 %, reads up to 32 KiB and writes up to 16.
pub fn write_wandering_disk(path: &Path, seed: u16) {
    write_image(path, Work::Wandering(seed));
}

fn write_image(path: &Path, work: Work) {
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
    put(5 * CLUSTER, &boot_sector(work));
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
