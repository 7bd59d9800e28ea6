//! The record on real files in a directory of each test's own.

mod accounting;
mod asides;
mod damage;
mod events;
mod files;
mod locking;
mod marks;
mod migration;
mod retention;

use std::{path::Path, time::Duration};

use super::*;
use crate::model::WallTime;

/// A disk on which files that are opened find no room to grow, as far as this
/// thread sees.
pub(crate) mod full_disk {
    use std::cell::Cell;

    thread_local!(static FULL: Cell<bool> = const { Cell::new(false) });

    pub(crate) fn set(full: bool) {
        FULL.set(full);
    }

    pub(crate) fn apply(db: &rusqlite::Connection) {
        if FULL.get() {
            // SQLite raises the bound to the pages that are there.
            db.pragma_update_and_check(None, "max_page_count", 1, |_| Ok(())).unwrap();
        }
    }
}

/// Changes a record as another program would.
pub(crate) fn alter(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

const NAME: &str = "record.db";
const SECOND: i64 = 1_000_000_000;

fn wide() -> Limits {
    Limits {
        max_bytes: 1 << 30,
        max_age: Duration::from_hours(168),
        min_free: 0,
        full_resolution: Duration::from_hours(6),
    }
}

fn at(second: i64) -> WallTime {
    WallTime(second * SECOND)
}

pub(super) fn open(directory: &Path) -> Journal {
    open_with(directory, wide())
}

fn open_with(directory: &Path, limits: Limits) -> Journal {
    Journal::open(directory, NAME, limits, &mut Account::default(), at(0)).unwrap().journal
}

/// `count` lines of cycle `cycle`, each told apart from every other.
fn text(cycle: i64, count: usize) -> String {
    let line =
        |i| format!("vm_metrics,VMID={i},name=vm{i} cputime_ns={}i {}\n", cycle * 1000, cycle * SECOND);
    (0..count).map(line).collect()
}

fn entry(cycle: i64, text: &str) -> Entry<'_> {
    Entry {
        at: at(cycle),
        part: 0,
        first: at(cycle),
        last: at(cycle),
        lines: text.lines().count() as u64,
        bytes: text.as_bytes(),
        local: None,
    }
}

fn append(journal: &mut Journal, cycle: i64, lines: usize) -> String {
    let text = text(cycle, lines);
    journal.append(&[entry(cycle, &text)], &Account::default()).unwrap();
    text
}

/// The identity, with `waiting` counted anew from the rows.
fn assert_accounted(journal: &mut Journal) {
    let believed = journal.totals;
    journal.count().unwrap();
    assert_eq!(journal.totals, believed, "figures kept in memory and rows on disk");
    let account = journal.account();
    assert_eq!(account.emitted, account.settled() + journal.waiting(), "{account:?}");
}

/// Delivers everything that waits and returns it.
fn drain(journal: &mut Journal) -> String {
    let mut all = Vec::new();
    while let Some(batch) = journal.next_batch(7, 1 << 20).unwrap() {
        let to = batch.position_after(batch.lines).unwrap();
        journal.advance(to, Vec::new(), at(0)).unwrap();
        all.extend(batch.bytes);
    }
    String::from_utf8(all).unwrap()
}
