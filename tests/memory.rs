//! Thousands of cycles leave memory, threads and descriptors as they were. In
//! a program of its own, because all three are counted per process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unsafe_code,
    reason = "a failed test panics, a test is documented by its name, and counting allocations takes an allocator"
)]

mod lab;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicIsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use kvmscope::{
    clock::Clock,
    collector::{self, Command, Sink},
    config,
    influx::line::Encoder,
    model::{
        AngleScale, Frame,
        status::{CollectionState, CollectorStatus},
    },
};

/// The system's allocator, which also counts the bytes that are in use.
struct Counting;

static IN_USE: AtomicIsize = AtomicIsize::new(0);

fn count(bytes: usize, sign: isize) {
    IN_USE.fetch_add(sign * isize::try_from(bytes).unwrap_or(isize::MAX), Ordering::Relaxed);
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a cycle may leave behind by chance: a map or a channel's block that is
/// just a little larger than it was at the first look.
const CHANCE: isize = 4 * 1024;
/// Memory that C may have taken by chance: its free lists differ with the order
/// of the threads.
const CHANCE_OF_C_KIB: u64 = 4 * 1024;

const DOMAINS: usize = 24;
/// One cycle after the other.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Holds the collector up until its frame is taken, so that none pile up.
struct Frames(mpsc::SyncSender<Arc<Frame>>);

impl Sink for Frames {
    fn frame(&mut self, frame: Arc<Frame>) {
        drop(self.0.send(frame));
    }

    fn status(&mut self, status: CollectorStatus) {
        if let CollectionState::Failed { why, .. } = status.state {
            panic!("{why}");
        }
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Bytes in use by Rust.
    bytes: isize,
    /// Resident memory, C's included.
    resident_kib: u64,
    threads: usize,
    descriptors: usize,
}

fn held(bytes: isize) -> Held {
    let entries = |directory: &str| std::fs::read_dir(directory).unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    Held {
        bytes,
        resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
        threads: entries("/proc/self/task"),
        descriptors: entries("/proc/self/fd"),
    }
}

/// A host of the test hypervisor with so many domains.
fn host(directory: &std::path::Path) -> String {
    let mut xml = String::from("<node>");
    for number in 0..DOMAINS {
        write!(
            xml,
            "<domain type='test'><name>vm{number}</name><uuid>{}</uuid><memory>1048576</memory>\
             <vcpu>2</vcpu><os><type>hvm</type></os><devices><disk type='file'>\
             <source file='/guest/{number}'/><target dev='vda'/></disk>\
             <interface type='bridge'><source bridge='br0'/><target dev='tap{number}'/></interface>\
             <memballoon model='virtio'/></devices></domain>",
            uuid::Uuid::from_u128(number as u128 + 1)
        )
        .unwrap();
    }
    let file = directory.join("host.xml");
    std::fs::write(&file, xml + "</node>").unwrap();
    format!("test://{}", file.display())
}

#[test]
fn cycles_leave_nothing_behind() {
    const WARM_UP: u32 = 200;
    let cycles = if lab::torture() { 10_000 } else { 1000 };
    let directory = tempfile::tempdir().unwrap();
    let libvirt = config::Libvirt {
        uri: host(directory.path()),
        // So that XML is read again and again, too.
        device_cache_ttl: Duration::from_millis(50),
        ..config::Libvirt::default()
    };
    let settings =
        collector::Settings { libvirt, interval: AT_ONCE, scale: AngleScale::default(), notes: None };
    let (sender, frames) = mpsc::sync_channel(0);
    let collector = collector::start(settings, Clock::system(), Frames(sender)).unwrap();
    collector.command(Command::Start);
    let mut encoder = Encoder::new(config::MissingPolicy::Zero, &BTreeMap::new()).unwrap();
    let mut lines = Vec::new();
    let mut take = || {
        let frame = frames.recv_timeout(Duration::from_mins(1)).expect("a frame");
        assert_eq!(frame.domains.len(), DOMAINS);
        lines.clear();
        let done = encoder.encode(&frame, &mut lines);
        let described = frame.domains.iter().all(|domain| domain.devices.disks.len() == 1);
        (done.lines, described)
    };
    lab::within(Duration::from_mins(1), "every XML is read", || take().1.then_some(()));
    // Metrics, totals and a NIC of each; disks take turns on a busy machine.
    let least_lines = 3 * DOMAINS as u64;
    let mut run = |cycles: u32| {
        let mut least = isize::MAX;
        for _ in 0..cycles {
            let (lines, described) = take();
            assert!(lines >= least_lines && described, "{lines} lines");
            least = least.min(IN_USE.load(Ordering::Relaxed));
        }
        least
    };
    run(WARM_UP);
    let first = held(run(50));
    run(cycles - WARM_UP - 100);
    let last = held(run(50));
    println!("{first:?}, and {cycles} cycles later {last:?}");
    assert!(last.bytes - first.bytes < CHANCE, "memory grows: {first:?}, then {last:?}");
    assert!(
        last.resident_kib < first.resident_kib + CHANCE_OF_C_KIB,
        "memory grows: {first:?}, then {last:?}"
    );
    assert_eq!((last.threads, last.descriptors), (first.threads, first.descriptors));
    collector.command(Command::Shutdown);
}
