//! The encoder allocates nothing in the steady state. In a program of its own,
//! because what allocates is one per process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unsafe_code,
    reason = "a failed test panics, a test is documented by its name, and counting allocations takes an allocator"
)]

mod sample;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
    sync::Arc,
};

use kvmscope::{
    config::MissingPolicy,
    influx::line::Encoder,
    model::{Frame, Missing, Nanos, WallTime, Why},
};
use sample::{AT, disk, domain, frame, identity, nic, reading};
use uuid::Uuid;

/// The system's allocator, which also counts what this thread asks it for.
struct Counting;

thread_local! {
    /// Blocks asked for; `None` while nobody counts.
    static ASKED: Cell<Option<u64>> = const { Cell::new(None) };
}

// SAFETY: every call is handed to the system's allocator unchanged. What grows
// a block or wants it zeroed goes through `alloc`, too.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get().map(|asked| asked + 1));
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many blocks of memory `encode` asks for on this frame.
fn allocations(encoder: &mut Encoder, frame: &Frame, out: &mut Vec<u8>) -> u64 {
    ASKED.set(Some(0));
    encoder.encode(frame, out);
    ASKED.replace(None).unwrap()
}

const VMS: u64 = 40;

/// Cycle `number` of so many busy VMs: metrics, features, two NICs, two disks
/// and totals of each. The identities are made anew each time, as after a
/// reconnect; the counters are other ones in each cycle.
fn cycle(number: u64, vms: u64) -> Frame {
    let domains = (1..=vms).map(|vm| {
        let uuid = Uuid::from_u128(u128::from(vm)).to_string();
        let mut reading =
            reading(identity(Some(u32::try_from(vm).unwrap()), &format!("web, \\{vm} ü"), &uuid));
        let moved = 1_000_000 + number * 7919 + vm;
        reading.at = WallTime(AT.0 + i64::try_from(number).unwrap() * 1_000_000_000);
        reading.cpu.as_mut().unwrap().time = Nanos(5_000_000_000 + number * 1_000_003);
        reading.nics = Ok(vec![nic("vnet0", moved), nic("vnet 1", 3 * moved)]);
        reading.disks = Ok(vec![disk("vda", 5 * moved), disk("sda", 7 * moved)]);
        // A part that fails now and then is the steady state as well.
        if (number + vm).is_multiple_of(11) {
            let missing = Missing::new(Why::MonitorNotAnswering);
            reading.guest_memory = Err(missing);
            reading.disks.as_mut().unwrap()[1].counters = Err(missing);
        }
        if (number + vm).is_multiple_of(13) {
            reading.nics = Err(Missing::new(Why::NotDue));
        }
        let mut domain = domain(reading);
        let step = f64::from(u32::try_from(number % 1000).unwrap());
        domain.rates.memory_kib_per_s = Ok(step.mul_add(0.1, -3.7) / 3.0);
        domain
    });
    frame(domains.collect())
}

fn encoder() -> Encoder {
    let tags = BTreeMap::from([("rack".to_owned(), "b 7".to_owned())]);
    Encoder::new(MissingPolicy::Zero, &tags).unwrap()
}

#[test]
fn a_known_fleet_is_encoded_without_an_allocation() {
    let mut encoder = encoder();
    let mut out = Vec::new();
    for number in 1..=1000 {
        let frame = cycle(number, VMS);
        out.clear();
        let asked = allocations(&mut encoder, &frame, &mut out);
        let text = std::str::from_utf8(&out).unwrap();
        for measurement in ["vm_metrics,", "vm_features,", "vm_devices,", "vm_totals,"] {
            let lines = text.lines().filter(|line| line.starts_with(measurement)).count() as u64;
            assert!(lines >= VMS, "frame {number}: {lines} lines of {measurement}");
        }
        if number > 2 {
            assert_eq!(asked, 0, "frame {number} asked for memory");
        }
    }
}

/// Otherwise the test above could not fail.
#[test]
fn what_is_new_is_seen_to_allocate() {
    let mut encoder = encoder();
    let mut out = Vec::new();
    assert!(allocations(&mut encoder, &cycle(1, VMS), &mut out) > VMS, "the first frame");
    for number in 2..5 {
        out.clear();
        allocations(&mut encoder, &cycle(number, VMS), &mut out);
    }
    out.clear();
    assert_eq!(allocations(&mut encoder, &cycle(5, VMS), &mut out), 0, "known by now");

    out.clear();
    assert!(allocations(&mut encoder, &cycle(6, VMS + 1), &mut out) > 0, "a new VM");

    let mut renamed = cycle(7, VMS + 1);
    let first = Arc::make_mut(&mut renamed.domains[0]);
    let long = "a name that is far longer than the one before ".repeat(4);
    first.reading.identity = identity(Some(1), &long, &Uuid::from_u128(1).to_string());
    out.clear();
    assert!(allocations(&mut encoder, &renamed, &mut out) > 0, "a longer name");

    let same = cycle(8, VMS + 1);
    assert!(allocations(&mut encoder, &same, &mut Vec::new()) > 0, "a fresh buffer");
}
