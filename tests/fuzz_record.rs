//! Hostile record files: the file, its log and its lock damaged at seeded
//! places. Opening and using what stands there does not panic or hang, and the
//! account of every line always closes.
//!
//! Seeded (`KVMSCOPE_SEED`) and short; half a million records with
//! `KVMSCOPE_TORTURE=1`. Each input is made from the seed and its number alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    clippy::print_stdout,
    reason = "a test that fails stops there and shows its seed"
)]

mod fuzzing;
mod lab;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use fuzzing::{Chance, Run, mutate};
use kvmscope::{
    config,
    delivery::recorded::cycles,
    journal::{Account, Entry, Error, Event, Fault, Journal, Limits, Local, Opened, Refused},
    model::{Happening, WallTime, timeline::Weight},
};
use tempfile::TempDir;
use uuid::Uuid;

const NAME: &str = "record.db";
const TARGET: &str = "server/database";
const NOW: WallTime = WallTime(1_699_868_400_000_000_000);
/// What a record consists of on disk. `SQLite`'s `-shm` is made anew.
const SIDES: [&str; 3] = ["", "-wal", ".lock"];

fn limits() -> Limits {
    Limits { min_free: 0, ..Limits::from(&config::Store::default()) }
}

/// In memory where the machine has such a place: half a million records are
/// synced to it again and again.
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
    directory.join(format!("{NAME}{side}"))
}

/// A record as it stands on disk, and its account.
struct Record {
    files: [Vec<u8>; 3],
    account: Account,
    waiting: u64,
}

impl Record {
    fn of(directory: &Path, journal: &Journal) -> Self {
        let files = SIDES.map(|side| fs::read(path(directory, side)).unwrap_or_default());
        Self { files, account: journal.account(), waiting: journal.waiting() }
    }

    fn put(&self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (side, content) in SIDES.iter().zip(&self.files) {
            fs::write(path(directory, side), content).unwrap();
        }
    }
}

fn open(directory: &Path, carried: &mut Account) -> Result<Opened, Error> {
    Journal::open(directory, NAME, limits(), carried, NOW)
}

fn append(journal: &mut Journal, cycle: u32) -> Result<(), Error> {
    let at = WallTime(NOW.0 + i64::from(cycle) * 1_000_000_000);
    let line =
        |n: u32| format!("vm_metrics,VMID={n},name=web-{n} cputime_ns={}i {}\n", cycle * 7919 + n, at.0);
    let lines: String = (1..=8).map(line).collect();
    let local = Local { version: 1, bytes: b"{\"what\":\"the lines cannot say\"}" };
    let entry =
        Entry { at, part: 0, first: at, last: at, lines: 8, bytes: lines.as_bytes(), local: Some(local) };
    journal.append(&[entry], &Account::default())?;
    let happening = Happening { at, since: at, text: "rebooted".into(), weight: Weight::Note };
    journal.keep_events(&[Event { uuid: Uuid::from_u128(1), name: "web-1".into(), happening }])
}

/// Sound records in all forms: closed and killed, with and without a target,
/// with lines that are delivered, wait, were refused and are lost.
fn sound() -> Vec<Record> {
    let directory = directory();
    let mut records = Vec::new();
    let mut keep = |journal: &Journal| records.push(Record::of(directory.path(), journal));
    let mut journal = open(directory.path(), &mut Account::default()).unwrap().journal;
    keep(&journal);
    append(&mut journal, 1).unwrap();
    keep(&journal);
    journal.set_target(Some(TARGET), NOW).unwrap();
    for cycle in 2..12 {
        append(&mut journal, cycle).unwrap();
    }
    keep(&journal);
    let batch = journal.next_batch(20, 1 << 20).unwrap().unwrap();
    let refused = Refused { line: b"a line\n".to_vec(), message: "words".into() };
    journal.advance(batch.position_after(20).unwrap(), vec![refused], NOW).unwrap();
    let mut lost = Account::default();
    lost.emitted = 5;
    lost.drop_lines("queue full", 5);
    journal.append(&[], &lost).unwrap();
    keep(&journal);
    let (account, waiting) = (journal.account(), journal.waiting());
    assert!(waiting > 0 && account.quarantined == 1 && account.delivered > 0 && account.local > 0);
    drop(journal);
    let closed = SIDES.map(|side| fs::read(path(directory.path(), side)).unwrap_or_default());
    assert!(closed[1].is_empty() && closed[0].len() > records[3].files[0].len(), "its log is in the file");
    records.push(Record { files: closed, account, waiting });
    records
}

/// Values that mean something where they are found: lengths, types, ends.
const INTERESTING: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x01",
    b"\x02",
    b"\x05",
    b"\x0a",
    b"\x0d",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x01",
    b"\0\0\0\x02",
    b"\0\0\0\x05",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"SQLite format 3\0",
    b"account",
    b"emitted",
    b"CREATE TRIGGER",
    b"\x28\xb5\x2f\xfd",
    b"\0\0",
];

/// Hits in place, mostly where the file keeps what the rest rests on.
fn hit(chance: &mut Chance, bytes: &mut [u8]) {
    const PAGE: usize = 4096;
    for _ in 0..=chance.below(6) {
        let at = match chance.below(4) {
            0 => chance.below(100),
            1 => chance.below(bytes.len() / PAGE + 1) * PAGE + chance.below(64),
            // Cells fill a page from its end.
            2 => (1 + chance.below(bytes.len() / PAGE + 1)) * PAGE - 1 - chance.below(400),
            _ => chance.below(bytes.len()),
        };
        let Some(place) = bytes.get_mut(at..) else { continue };
        match chance.below(3) {
            0 => {
                if let Some(byte) = place.first_mut() {
                    *byte ^= 1 << chance.below(8);
                }
            }
            1 => {
                if let Some(byte) = place.first_mut() {
                    *byte = chance.byte();
                }
            }
            _ => {
                let value = *chance.pick(INTERESTING);
                let fits = value.len().min(place.len());
                place[..fits].copy_from_slice(&value[..fits]);
            }
        }
    }
}

fn damage(chance: &mut Chance, records: &[Record]) -> Record {
    let base = chance.pick(records);
    let mut files = base.files.clone();
    for _ in 0..=chance.below(2) {
        let side = *chance.pick(&[0, 0, 0, 1, 1, 2]);
        let file = &mut files[side];
        match chance.below(8) {
            0 => file.clear(),
            // Another record's.
            1 => file.clone_from(&chance.pick(records).files[side]),
            2 | 3 => {
                let other = &chance.pick(records).files[chance.below(2)];
                mutate(chance, file, other, INTERESTING, 1 << 20);
            }
            _ => hit(chance, file),
        }
    }
    Record { files, account: Account::default(), waiting: 0 }
}

/// Every table with its columns, its key first.
const TABLES: &[(&str, &[&str])] = &[
    ("cycle", &["seq", "part", "at", "first", "last", "lines", "lines", "bytes", "crc", "stored", "wanted"]),
    ("body", &["seq", "lines", "local_version", "local_bytes", "local"]),
    ("account", &["name", "lines"]),
    ("mark", &["name", "value"]),
    ("target", &["name", "row", "line", "used"]),
    ("quarantine", &["id", "at", "target", "message", "line"]),
    ("event", &["id", "uuid", "since", "at", "weight", "name", "text"]),
];

/// What a cell may have become; one a word.
const VALUES: &str = "NULL -1 0 1 3 8 20 'text' x'00ff' 1e300 4294967296 9223372036854775807 \
    -9223372036854775808 9223372036854775800";

/// Changes what the tables say, in a file whose form stays sound: what damage
/// to the bytes hits too seldom.
fn rewrite(chance: &mut Chance, directory: &Path) {
    let numbers: Vec<&str> = VALUES.split(' ').collect();
    let Ok(file) = rusqlite::Connection::open(path(directory, "")) else { return };
    for _ in 0..=chance.below(3) {
        let (table, columns) = *chance.pick(TABLES);
        let (key, column, value) = (columns[0], *chance.pick(columns), *chance.pick(&numbers));
        let nth = chance.below(12);
        let rows = if chance.one_in(4) {
            String::new()
        } else {
            format!("WHERE {key} = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {nth})")
        };
        let sql = match chance.below(20) {
            0 => format!("DROP TABLE {table}"),
            1..4 => format!("DELETE FROM {table} {rows}"),
            _ => format!("UPDATE OR REPLACE {table} SET {column} = {value} {rows}"),
        };
        // What the table does not take changes nothing.
        let _ = file.execute_batch(&sql);
    }
}

#[track_caller]
fn assert_closes(account: &Account, waiting: u64) {
    assert_eq!(account.emitted, account.settled().saturating_add(waiting), "{waiting} wait: {account:?}");
}

/// As delivery uses it: what waits is sent, what comes is appended.
fn used(journal: &mut Journal) -> Result<(), Error> {
    for row in journal.rows(0, 50)? {
        assert!(row.bytes.is_none_or(|bytes| bytes.len() < 64 << 20));
    }
    journal.covers_since()?;
    journal.quarantine(50)?;
    journal.oldest_waiting()?;
    // These are shown where they can be read, and else not.
    let _ = (journal.growth(), journal.last_refused(), journal.events_of(Uuid::from_u128(1), 50));
    let _ = cycles(journal, 0, 50);
    journal.set_target(Some(TARGET), NOW)?;
    assert_closes(&journal.account(), journal.waiting());
    for _ in 0..3 {
        let Some(batch) = journal.next_batch(30, 1 << 20)? else { break };
        assert_closes(&journal.account(), journal.waiting());
        assert_eq!(batch.bytes.split_inclusive(|byte| *byte == b'\n').count(), batch.lines);
        journal.advance(batch.position_after(batch.lines).unwrap(), Vec::new(), NOW)?;
        assert_closes(&journal.account(), journal.waiting());
    }
    append(journal, 100)?;
    assert_closes(&journal.account(), journal.waiting());
    Ok(())
}

/// How far a record took its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Came {
    /// It was set aside when it was opened, and a new one used.
    Aside,
    /// It was used; lines in it were lost, and counted.
    WithLosses,
    /// It was used and had lost nothing.
    Whole,
    /// It turned out damaged when it was used.
    Abandoned,
}

fn opened_and_used(directory: &Path) -> Came {
    let mut carried = Account::default();
    let Opened { mut journal, set_aside } =
        open(directory, &mut carried).unwrap_or_else(|error| panic!("it is not opened: {error}"));
    assert!(carried.is_empty());
    assert_closes(&journal.account(), journal.waiting());
    let mut carried = match used(&mut journal) {
        Ok(()) if set_aside.is_some() => return Came::Aside,
        Ok(()) if journal.account().dropped.keys().any(|why| why.contains("damaged")) => {
            return Came::WithLosses;
        }
        Ok(()) => return Came::Whole,
        // As delivery does: set aside where the file is to blame, opened anew where its log is.
        Err(error @ Error::LogGone { .. }) => panic!("nobody touched the log: {error}"),
        Err(error) if error.fault() == Fault::File => {
            let lost = journal.abandon();
            assert_closes(&lost, 0);
            Journal::set_aside(&path(directory, ""), &error.to_string(), NOW).unwrap();
            lost
        }
        Err(error) => panic!("the surroundings are sound: {error}"),
    };
    let emitted = carried.emitted;
    let mut journal = open(directory, &mut carried).unwrap().journal;
    assert_closes(&journal.account(), journal.waiting());
    assert!(journal.account().emitted >= emitted, "{:?}", journal.account());
    used(&mut journal).unwrap();
    Came::Abandoned
}

#[test]
fn sound_records_are_opened_as_they_were_left() {
    let directory = directory();
    for record in sound() {
        record.put(directory.path());
        let opened = open(directory.path(), &mut Account::default()).unwrap();
        assert_eq!(opened.set_aside, None);
        assert_eq!((opened.journal.account(), opened.journal.waiting()), (record.account, record.waiting));
        drop(opened);
        assert_eq!(opened_and_used(directory.path()), Came::Whole);
    }
}

#[test]
fn no_record_breaks_the_opener() {
    let records = sound();
    let seen = Mutex::new(HashMap::new());
    let mut run = Run::new("records", 8_128);
    run.batch = 50;
    run.over(
        if lab::torture() { 500_000 } else { 1500 },
        |_| directory(),
        |directory, _, chance| {
            if chance.one_in(3) {
                chance.pick(&records).put(directory.path());
                rewrite(chance, directory.path());
            } else {
                damage(chance, &records).put(directory.path());
            }
            let came = opened_and_used(directory.path());
            *seen.lock().unwrap().entry(came).or_insert(0) += 1;
        },
    );
    let seen = seen.into_inner().unwrap();
    println!("records: {seen:?}");
    let rare = [Came::Abandoned].into_iter().filter(|_| lab::torture());
    for came in [Came::Aside, Came::WithLosses, Came::Whole].into_iter().chain(rare) {
        assert!(seen.contains_key(&came), "nothing came to {came:?}: {seen:?}");
    }
}
