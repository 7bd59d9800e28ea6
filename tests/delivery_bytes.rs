//! One byte is enough: each byte of the record's header, of the head of its
//! log and of the file that remembers its account becomes another, after a kill
//! and after an orderly end, and so do some bytes anywhere. Whatever they
//! become, recording and delivery resume by themselves, and every line is
//! delivered or counted as lost.
//!
//! A seeded few (`KVMSCOPE_SEED`); with `KVMSCOPE_TORTURE=1` all of the heads and
//! thousands anywhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    clippy::print_stdout,
    reason = "a test that fails stops there and says which byte it was"
)]

mod lab;
mod recording;
mod sample;
mod scripted;

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use kvmscope::{
    journal::file_name,
    model::status::{DeliveryStatus, StoreState},
};
use recording::{LINES, URI, assert_accounted, lines, record, settings, start, wait};
use scripted::{Reply, Scripted};
use tempfile::TempDir;

/// What a record consists of; `SQLite`'s `-shm` is not kept.
const SIDES: [&str; 3] = ["", "-wal", ".lock"];
/// Cycles that are delivered before the byte changes, and those that are recorded.
const DELIVERED: u64 = 10;
const RECORDED: u64 = 20;
/// Bytes of the file's header, and of the log's own with that of its first page.
const HEADS: [usize; 2] = [100, 32 + 24];

/// In memory where the machine has such a place: each trial is a record of its own.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(directory) = tempfile::tempdir_in(memory)
    {
        return directory;
    }
    tempfile::tempdir().unwrap()
}

fn path(directory: &Path, side: &str) -> PathBuf {
    directory.join(format!("{}{side}", file_name(URI)))
}

/// xorshift64: the same choices for the same seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// A record as a process has left it.
struct Left {
    how: &'static str,
    files: [Vec<u8>; 3],
}

impl Left {
    fn at(how: &'static str, directory: &Path) -> Self {
        Self { how, files: SIDES.map(|side| fs::read(path(directory, side)).unwrap_or_default()) }
    }

    /// Every place of it that is tried: the side and the byte.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.files.iter().enumerate().flat_map(|(side, content)| {
            let head = HEADS.get(side).copied().unwrap_or(usize::MAX);
            (0..head.min(content.len())).map(move |place| (side, place))
        })
    }
}

/// What a byte becomes.
fn others(byte: u8) -> BTreeSet<u8> {
    let flipped = (0..8).map(|bit| byte ^ (1 << bit));
    [0, 1, 2, 3, 0x7f, 0xff].into_iter().chain(flipped).filter(|other| *other != byte).collect()
}

/// A server that takes everything, and what it was sent in this trial.
struct Target {
    server: Scripted,
    arrived: Arc<Mutex<HashSet<String>>>,
}

impl Target {
    fn new() -> Self {
        let target = Self { server: Scripted::willing(), arrived: Arc::default() };
        target.takes_everything();
        target
    }

    fn takes_everything(&self) {
        let seen = Arc::clone(&self.arrived);
        self.server.rescript(move |write| {
            seen.lock().unwrap().extend(write.lines.iter().cloned());
            Reply::status(204, "")
        });
    }
}

/// A record in which lines wait, as a killed process leaves it and as one
/// that ends in order does.
fn records(target: &Target) -> [Left; 2] {
    let directory = directory();
    let handle = start(settings(Some(target.server.url()), Some(directory.path())));
    record(&handle, 1..=DELIVERED);
    wait(&handle, "delivered", |d, _| d.delivered == DELIVERED * LINES as u64);
    target.server.rescript(|_| Reply::status(503, ""));
    record(&handle, DELIVERED + 1..=RECORDED);
    wait(&handle, "recorded", |d, _| d.waiting_on_disk == (RECORDED - DELIVERED) * LINES as u64);
    let killed = Left::at("killed", directory.path());
    handle.shutdown(Duration::ZERO);
    drop(handle);
    let ended = Left::at("ended", directory.path());
    assert!(!killed.files[1].is_empty() && ended.files[1].is_empty(), "only the first has a log");
    [killed, ended]
}

/// One byte of a record that becomes another.
#[derive(Clone, Copy)]
struct Change<'a> {
    left: &'a Left,
    side: usize,
    place: usize,
    value: u8,
}

impl Change<'_> {
    fn make(&self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (side, content) in self.left.files.iter().enumerate().filter(|(_, content)| !content.is_empty()) {
            let mut content = content.clone();
            if side == self.side {
                content[self.place] = self.value;
            }
            fs::write(path(directory, SIDES[side]), content).unwrap();
        }
    }

    /// Whether it is where a file says what it is, and not what was recorded.
    fn is_in_head(&self) -> bool {
        HEADS.get(self.side).is_none_or(|head| self.place < *head)
    }
}

/// Starts delivery on a changed record, and records until a cycle arrives.
/// Returns the figures, with everything settled.
fn tried(change: &Change, target: &Target, at: &Path) -> DeliveryStatus {
    change.make(at);
    target.arrived.lock().unwrap().clear();
    let handle = start(settings(Some(target.server.url()), Some(at)));
    let mut status = wait(&handle, "it is opened", |d, s| d.emitted > 0 && s.bytes > 0).0;
    let mut last = RECORDED;
    loop {
        last += 1;
        handle.record(Arc::new(recording::cycle(last)));
        let before = status.emitted;
        status = wait(&handle, "recording and delivery resume", |delivery, store| {
            let taken = delivery.emitted >= before + LINES as u64 && delivery.waiting() == 0;
            taken && store.state == StoreState::Writable
        })
        .0;
        let arrived = target.arrived.lock().unwrap();
        if lines([last]).iter().all(|line| arrived.contains(line)) {
            break;
        }
        // It went to a file whose damage was not met yet, and was lost with it.
        assert!(last < RECORDED + 10, "nothing arrives any more: {status:#?}");
    }
    handle.shutdown(Duration::ZERO);
    drop(handle);
    let arrived = target.arrived.lock().unwrap();
    let emitted: HashSet<String> = lines(1..=last).into_iter().collect();
    assert_eq!(arrived.difference(&emitted).next(), None, "invented or altered");
    let expected = lines(DELIVERED + 1..=last);
    let missing = expected.iter().filter(|line| !arrived.contains(*line)).count() as u64;
    // A row that says that it has more lines than it has is lost with as many.
    let claimed = status.emitted.checked_sub(emitted.len() as u64).expect("no line is forgotten");
    assert!(claimed == 0 || !change.is_in_head(), "{status:#?}");
    assert!(missing + claimed <= status.dropped_total(), "{missing} are missing: {status:#?}");
    assert_eq!(status.quarantined, 0, "{status:#?}");
    assert_accounted(&status);
    status
}

#[test]
fn whatever_one_byte_becomes_recording_and_delivery_resume_and_every_line_is_accounted_for() {
    let seed = std::env::var("KVMSCOPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_251_121);
    let target = Target::new();
    let records = records(&target);
    target.takes_everything();
    let mut seeded = Seeded(seed);
    let heads = records.iter().flat_map(|left| left.places().map(move |(side, place)| (left, side, place)));
    let mut changes: Vec<Change> = heads
        .flat_map(|(left, side, place)| {
            let values = others(left.files[side][place]).into_iter();
            values.map(move |value| Change { left, side, place, value })
        })
        .collect();
    let all = changes.len();
    if !lab::torture() {
        changes = (0..70).map(|_| changes[seeded.below(all)]).collect();
    }
    let heads = changes.len();
    let anywhere = if lab::torture() { 4000 } else { 40 };
    while changes.len() < heads + anywhere {
        let (left, side) = (&records[seeded.below(2)], seeded.below(2));
        let place = seeded.below(left.files[side].len().max(1));
        let Some(byte) = left.files[side].get(place) else { continue };
        let values: Vec<u8> = others(*byte).into_iter().collect();
        // Much of a page is empty, and what stands there is never looked at.
        if *byte != 0 || seeded.below(10) == 0 {
            changes.push(Change { left, side, place, value: values[seeded.below(values.len())] });
        }
    }
    println!("{heads} of {all} bytes of heads and {anywhere} anywhere, KVMSCOPE_SEED={seed}");
    let directory = directory();
    let (mut aside, mut losses) = (0, 0);
    for change in changes {
        let trial = || tried(&change, &target, directory.path());
        let status = catch_unwind(AssertUnwindSafe(trial)).unwrap_or_else(|panic| {
            let Change { left, side, place, value } = change;
            println!("{}: byte {place} of {:?} became {value:#x}", left.how, SIDES[side]);
            resume_unwind(panic)
        });
        losses += u64::from(status.dropped_total() > 0);
        let names = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name());
        aside += u64::from(names.into_iter().any(|name| name.to_str().unwrap().ends_with(".reason")));
    }
    println!("{aside} records were set aside, {losses} had lost lines");
    assert!(aside > 0 && losses > 0, "the bytes matter");
}
