//! One byte is enough: each byte of the record's header, of the head of its
//! log and of the file that remembers its account becomes another, after a kill
//! and after an orderly end. Whatever it becomes, recording and delivery resume
//! by themselves, and every line is delivered or counted as lost.
//!
//! A seeded few of them (`KVMSCOPE_SEED`); all with `KVMSCOPE_TORTURE=1`.
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

/// Starts delivery with one byte of a record changed, and records one more
/// cycle. Returns the figures when everything is settled.
fn tried(
    left: &Left,
    (side, place): (usize, usize),
    value: u8,
    target: &Target,
    at: &Path,
) -> DeliveryStatus {
    for entry in fs::read_dir(at).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (number, content) in left.files.iter().enumerate().filter(|(_, content)| !content.is_empty()) {
        let mut content = content.clone();
        if number == side {
            content[place] = value;
        }
        fs::write(path(at, SIDES[number]), content).unwrap();
    }
    target.arrived.lock().unwrap().clear();
    let handle = start(settings(Some(target.server.url()), Some(at)));
    handle.record(Arc::new(recording::cycle(RECORDED + 1)));
    let last = lines([RECORDED + 1]);
    let (status, _) = wait(&handle, "recording and delivery resume", |delivery, store| {
        let arrived = target.arrived.lock().unwrap();
        let settled = delivery.waiting() == 0 && delivery.emitted > 0;
        settled && store.state == StoreState::Writable && last.iter().all(|line| arrived.contains(line))
    });
    handle.shutdown(Duration::ZERO);
    drop(handle);
    let arrived = target.arrived.lock().unwrap();
    let emitted: HashSet<String> = lines(1..=RECORDED + 1).into_iter().collect();
    assert_eq!(arrived.difference(&emitted).next(), None, "invented or altered");
    let expected = lines(DELIVERED + 1..=RECORDED + 1);
    let missing = expected.iter().filter(|line| !arrived.contains(*line)).count() as u64;
    assert!(missing <= status.dropped_total(), "{missing} are missing: {status:#?}");
    assert_eq!(status.emitted, emitted.len() as u64, "{status:#?}");
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
    let mut trials: Vec<_> = records
        .iter()
        .flat_map(|left| left.places().map(move |place| (left, place)))
        .flat_map(|(left, (side, at))| {
            others(left.files[side][at]).into_iter().map(move |value| (left, (side, at), value))
        })
        .collect();
    let all = trials.len();
    if !lab::torture() {
        let mut seeded = Seeded(seed);
        trials = (0..80).map(|_| trials[seeded.below(all)]).collect();
    }
    println!("{} of {all} changed bytes, KVMSCOPE_SEED={seed}", trials.len());
    let directory = directory();
    let (mut aside, mut losses) = (0, 0);
    for (left, place, value) in trials {
        let trial = || tried(left, place, value, &target, directory.path());
        let status = catch_unwind(AssertUnwindSafe(trial)).unwrap_or_else(|panic| {
            println!("{}: byte {} of {:?} became {value:#x}", left.how, place.1, SIDES[place.0]);
            resume_unwind(panic)
        });
        losses += u64::from(status.dropped_total() > 0);
        let names = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name());
        aside += u64::from(names.into_iter().any(|name| name.to_str().unwrap().ends_with(".reason")));
    }
    println!("{aside} records were set aside, {losses} had lost lines");
    assert!(aside > 0 && losses > 0, "the bytes matter");
}
