//! Cycles to record, and waiting for the figures of delivery.
#![allow(dead_code, reason = "each test uses its part")]

pub mod watcher;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use kvmscope::{
    clock::Clock,
    config::{Api, Auth, Influx, MissingPolicy, Proxy, Record, Store},
    delivery::{self, Handle, Role, Settings},
    influx::line::Encoder,
    journal::{Account, Journal, Limits, file_name},
    model::{
        Frame, Nanos, WallTime,
        status::{DeliveryStatus, StoreStatus},
    },
};

use crate::sample;

/// The libvirt whose record the tests write.
pub const URI: &str = "test:///default";

/// Lines of one cycle of [`cycle`]: metrics, totals, two NICs and a disk.
pub const LINES: usize = 5;

/// Cycle `number`, of one domain that answers in full, `number` seconds after
/// the test began (old rows would be removed).
pub fn cycle(number: u64) -> Frame {
    static BEGAN: OnceLock<i64> = OnceLock::new();
    cycle_at(number, *BEGAN.get_or_init(|| Clock::system().now().0.seconds()))
}

/// As [`cycle`], counted from `base` seconds since the epoch.
pub fn cycle_at(number: u64, base: i64) -> Frame {
    let identity = sample::identity(Some(7), "web-1", "550e8400-e29b-41d4-a716-446655440000");
    let mut reading = sample::reading(identity);
    let at = WallTime((base + i64::try_from(number).unwrap()) * 1_000_000_000);
    reading.at = at;
    reading.cpu.as_mut().unwrap().time = Nanos(number * 1_000_003);
    let mut frame = sample::frame(vec![sample::domain(reading)]);
    frame.cycle = number;
    frame.at = at;
    frame
}

/// The lines of those cycles, as they must arrive.
pub fn lines(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().flat_map(|number| encoded(&cycle(number))).collect()
}

/// The lines of a frame.
pub fn encoded(frame: &Frame) -> Vec<String> {
    let mut encoder = Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap();
    let mut out = Vec::new();
    encoder.encode(frame, &mut out);
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

/// Settings that deliver to `url` without credentials or proxy, as v3.
pub fn settings(url: Option<String>, directory: Option<&Path>) -> Settings {
    Settings {
        influx: Influx {
            url,
            auth: Auth::None,
            api: Api::V3,
            // Not the developer's.
            proxy: Proxy::Direct,
            batch_max_sec: Duration::from_millis(20),
            ..Influx::default()
        },
        record: Record::default(),
        store: Store { path: directory.map(Path::to_owned), min_free: 0, ..Store::default() },
        libvirt_uri: URI.into(),
        role: Role::Recording(None),
    }
}

/// Starts delivery with the machine's clock.
pub fn start(settings: Settings) -> Handle {
    delivery::start(settings, Clock::system()).unwrap()
}

/// Hands over those cycles, not faster than they are recorded.
pub fn record(handle: &Handle, numbers: impl IntoIterator<Item = u64>) {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    for few in numbers.chunks(15) {
        let before = handle.status().borrow().0.emitted;
        for number in few {
            handle.record(Arc::new(cycle(*number)));
        }
        wait(handle, "recorded", |d, _| d.emitted >= before + (few.len() * LINES) as u64);
    }
}

/// Waits until the figures satisfy `seen`, and returns them.
#[track_caller]
pub fn wait(
    handle: &Handle,
    what: &str,
    mut seen: impl FnMut(&DeliveryStatus, &StoreStatus) -> bool,
) -> (DeliveryStatus, StoreStatus) {
    let mut status = handle.status();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waited = runtime.block_on(async {
        tokio::time::timeout(Duration::from_mins(1), status.wait_for(|(d, s)| seen(d, s))).await.is_ok()
    });
    let now = status.borrow().clone();
    assert!(waited, "{what}: {now:#?}");
    now
}

/// The lines in quarantine, oldest first, each with the server's words. Only
/// once delivery has ended.
pub fn quarantined(directory: &Path) -> Vec<(String, String)> {
    let limits = Limits::from(&settings(None, None).store);
    let now = Clock::system().now().0;
    let journal =
        Journal::open(directory, &file_name(URI), limits, &mut Account::default(), now).unwrap().journal;
    let kept = journal.quarantine(100_000).unwrap();
    kept.into_iter()
        .map(|(_, _, refused)| (String::from_utf8(refused.line).unwrap(), refused.message))
        .collect()
}

/// Waits until everything handed over so far (`emitted` lines) is settled.
#[track_caller]
pub fn wait_settled(handle: &Handle, emitted: u64) -> DeliveryStatus {
    wait(handle, "all settled", |d, _| d.emitted == emitted && d.waiting() == 0).0
}

/// The identity that always holds.
#[track_caller]
pub fn assert_accounted(status: &DeliveryStatus) {
    let there = status.delivered + status.waiting() + status.quarantined + status.dropped_total();
    assert_eq!(status.emitted, there, "{status:#?}");
}

/// Compares lines without printing all of them.
#[track_caller]
pub fn assert_same(found: &[String], expected: &[String]) {
    let differ =
        found.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
    assert!(
        found.len() == expected.len() && differ == found.len(),
        "{} lines, expected {}; the first that differs is line {differ}: {:?}, expected {:?}",
        found.len(),
        expected.len(),
        found.get(differ),
        expected.get(differ),
    );
}
