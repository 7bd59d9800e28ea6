//! What is remembered beside the record, for a record that lost something.

use std::{collections::BTreeSet, fs, os::unix::fs::FileExt as _};

use super::*;

const LOG: &str = "record.db-wal";
const GUARD: &str = "record.db.lock";

/// The files as a killed process leaves them.
fn killed(directory: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

fn with_target(directory: &Path) -> Journal {
    let mut journal = open(directory);
    journal.set_target(Some("t"), at(1)).unwrap();
    journal
}

fn deliver(journal: &mut Journal, lines: usize) {
    let batch = journal.next_batch(lines, 1 << 20).unwrap().unwrap();
    assert_eq!(batch.lines, lines);
    journal.advance(batch.position_after(lines).unwrap(), Vec::new(), at(1)).unwrap();
}

fn cut(path: &Path, part: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() * part / 8).unwrap();
}

fn flip(path: &Path, part: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let place = file.metadata().unwrap().len() * part / 8;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], place).unwrap();
}

#[test]
fn a_log_lost_after_a_kill_is_counted() {
    for cycles in [5, 60, 200] {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = with_target(dir.path());
        let mut sent = String::new();
        for cycle in 1..=cycles {
            sent.push_str(&append(&mut journal, cycle, 20));
            if cycle % 5 == 0 {
                deliver(&mut journal, 30);
            }
        }
        let before = journal.account();
        for spoil in 0..17 {
            let copy = killed(dir.path());
            let log = copy.path().join(LOG);
            match spoil {
                0 => fs::remove_file(&log).unwrap(),
                1..=8 => cut(&log, spoil - 1),
                _ => flip(&log, spoil - 9),
            }
            let mut journal = with_target(copy.path());
            let account = journal.account();
            assert_eq!(account.emitted, before.emitted, "cycles {cycles}, spoil {spoil}");
            assert!(account.delivered <= before.delivered, "cycles {cycles}, spoil {spoil}");
            assert_accounted(&mut journal);
            let rest = drain(&mut journal);
            let whole: BTreeSet<&str> = sent.lines().collect();
            assert!(rest.lines().all(|line| whole.contains(line)), "nothing is invented");
            let account = journal.account();
            assert_eq!(account.emitted, account.settled(), "cycles {cycles}, spoil {spoil}");
            assert_accounted(&mut journal);
            // Once is enough.
            let again = with_target(killed(copy.path()).path()).account();
            assert_eq!(again, account, "cycles {cycles}, spoil {spoil}");
        }
    }
}

#[test]
fn a_power_cut_takes_back_the_last_deliveries_and_loses_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = with_target(dir.path());
    let mut sent = String::new();
    for cycle in 1..=6 {
        sent.push_str(&append(&mut journal, cycle, 10));
    }
    deliver(&mut journal, 15);
    sent.push_str(&append(&mut journal, 7, 10));
    let synced = killed(dir.path());
    deliver(&mut journal, 20);
    let batch = journal.next_batch(5, 1 << 20).unwrap().unwrap();
    let refused = Refused { line: b"a line".to_vec(), message: "bad".into() };
    journal.advance(batch.position_after(5).unwrap(), vec![refused], at(2)).unwrap();
    let before = journal.account();
    assert_eq!((before.delivered, before.quarantined), (39, 1));
    // The file and its log as of the last sync; what stands beside them is
    // written without one, and may be as new as it was.
    fs::copy(dir.path().join(GUARD), synced.path().join(GUARD)).unwrap();
    let mut journal = with_target(synced.path());
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.quarantined), (70, 15, 0));
    assert_eq!((account.dropped_total(), journal.waiting()), (0, 55));
    assert_accounted(&mut journal);
    let rest: Vec<&str> = sent.lines().skip(15).collect();
    assert_eq!(drain(&mut journal).lines().collect::<Vec<_>>(), rest, "sent again, in order");
    assert_eq!(journal.account().delivered, 70);
    assert_accounted(&mut journal);
}

/// `PRAGMA synchronous`.
const FULL: i64 = 2;

#[test]
fn an_append_is_synced_whatever_was_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = with_target(dir.path());
    let level = |journal: &Journal| -> i64 {
        journal.db.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
    };
    for cycle in 1..=3 {
        append(&mut journal, cycle, 10);
        assert_eq!(level(&journal), FULL);
        deliver(&mut journal, 5);
        assert!(level(&journal) < FULL);
    }
    journal.probe().unwrap();
    assert_eq!(level(&journal), FULL, "a disk that is tried is tried in earnest");
}

#[test]
fn lines_settled_in_a_lost_log_count_as_delivered_where_that_is_sure() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = with_target(dir.path());
    drop(journal);
    journal = with_target(dir.path());
    for cycle in 1..=10 {
        append(&mut journal, cycle, 10);
    }
    deliver(&mut journal, 70);
    let copy = killed(dir.path());
    fs::remove_file(copy.path().join(LOG)).unwrap();
    let mut journal = with_target(copy.path());
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.dropped_total()), (100, 70, 30));
    assert_eq!(account.dropped[reason::DAMAGED_FILE], 30);
    assert_accounted(&mut journal);
}

#[test]
fn local_lines_in_a_lost_log_are_no_loss_to_delivery() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let mut journal = open(dir.path());
    append(&mut journal, 1, 10);
    let copy = killed(dir.path());
    fs::remove_file(copy.path().join(LOG)).unwrap();
    let account = open(copy.path()).account();
    assert_eq!((account.emitted, account.local, account.dropped_total()), (10, 10, 0));
}

#[test]
fn a_record_removed_while_nothing_runs_is_counted_and_one_put_back_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = with_target(dir.path());
    for cycle in 1..=10 {
        append(&mut journal, cycle, 10);
    }
    deliver(&mut journal, 40);
    drop(journal);
    let away = dir.path().join("away");
    fs::rename(dir.path().join(NAME), &away).unwrap();
    let mut journal = with_target(dir.path());
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.dropped_total()), (100, 40, 60));
    append(&mut journal, 11, 10);
    deliver(&mut journal, 10);
    append(&mut journal, 12, 10);
    drop(journal);

    fs::rename(&away, dir.path().join(NAME)).unwrap();
    let mut journal = with_target(dir.path());
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.dropped_total()), (120, 50, 10));
    assert_eq!(journal.waiting(), 60);
    assert_accounted(&mut journal);
    drop(journal);
    assert_eq!(with_target(dir.path()).account(), account);
}

#[test]
fn a_record_moved_away_and_back_while_it_runs_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = with_target(dir.path());
    for cycle in 1..=10 {
        append(&mut journal, cycle, 10);
    }
    deliver(&mut journal, 40);
    let (file, log, away) = (dir.path().join(NAME), dir.path().join(LOG), dir.path().join("away"));
    fs::rename(&file, &away).unwrap();
    fs::rename(&log, dir.path().join("away-wal")).unwrap();
    journal.still_there().unwrap_err();
    let mut carried = journal.abandon();
    let journal = Journal::open(dir.path(), NAME, wide(), &mut carried, at(2)).unwrap().journal;
    assert_eq!(
        (carried, journal.account().emitted, journal.account().dropped_total()),
        (Account::default(), 100, 60)
    );

    fs::rename(&away, &file).unwrap();
    journal.still_there().unwrap_err();
    let mut carried = journal.abandon();
    let mut journal = Journal::open(dir.path(), NAME, wide(), &mut carried, at(3)).unwrap().journal;
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.dropped_total()), (100, 40, 0));
    journal.set_target(Some("t"), at(3)).unwrap();
    let expected: String = (5..=10).map(|cycle| text(cycle, 10)).collect();
    assert!(drain(&mut journal) == expected);
    assert_accounted(&mut journal);
}

#[test]
fn an_account_that_cannot_be_read_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = with_target(dir.path());
    for cycle in 1..=10 {
        append(&mut journal, cycle, 10);
    }
    deliver(&mut journal, 40);
    drop(journal);
    fs::write(dir.path().join(NAME), "no database any more, and nothing of it is left").unwrap();
    let mut journal = with_target(dir.path());
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.dropped_total()), (100, 40, 60));
    assert_accounted(&mut journal);
}

#[test]
fn a_file_set_aside_is_handed_back_when_no_new_one_can_be_begun() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = with_target(dir.path());
    append(&mut journal, 1, 10);
    drop(journal);
    fs::write(dir.path().join(NAME), "no database any more, and nothing of it is left").unwrap();
    let mut carried = Account { emitted: 3, delivered: 3, ..Account::default() };
    full_disk::set(true);
    for _ in 0..3 {
        let Err(error) = Journal::open(dir.path(), NAME, wide(), &mut carried, at(2)) else {
            panic!("there is no room");
        };
        assert!(error.is_full(), "{error}");
        assert_eq!((carried.emitted, carried.delivered, carried.dropped_total()), (13, 3, 10));
    }
    full_disk::set(false);
    let mut journal = Journal::open(dir.path(), NAME, wide(), &mut carried, at(2)).unwrap().journal;
    assert_eq!(carried, Account::default());
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.dropped_total()), (13, 3, 10));
    assert_accounted(&mut journal);
}

#[test]
fn what_makes_no_sense_beside_the_record_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = with_target(dir.path());
    append(&mut journal, 1, 10);
    let account = journal.account();
    drop(journal);
    let guard = dir.path().join(GUARD);
    let sound = fs::read(&guard).unwrap();
    assert!(!sound.is_empty());
    for place in 0..sound.len() {
        let mut altered = sound.clone();
        altered[place] ^= 0x04;
        fs::write(&guard, &altered).unwrap();
        assert_eq!(open(dir.path()).account(), account, "byte {place}");
        fs::write(&guard, &sound[..place]).unwrap();
        assert_eq!(open(dir.path()).account(), account, "cut at {place}");
    }
    for noise in [vec![0xff; 100_000], b"kvmscope record 1 99999999999999999999 0\n".to_vec(), vec![0; 40]] {
        fs::write(&guard, noise).unwrap();
        assert_eq!(open(dir.path()).account(), account);
    }
}

#[test]
fn a_log_removed_or_replaced_while_open_loses_nothing() {
    for replace in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join(LOG);
        let mut journal = with_target(dir.path());
        append(&mut journal, 1, 10);
        let old = fs::read(&log).unwrap();
        append(&mut journal, 2, 10);
        fs::remove_file(&log).unwrap();
        if replace {
            fs::write(&log, old).unwrap();
        }
        let lines = text(3, 10);
        let error = journal.append(&[entry(3, &lines)], &Account::default()).unwrap_err();
        assert!(matches!(error, Error::LogGone { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Surroundings, "the file is sound");
        // As if killed now: nothing depends on what follows.
        let mut journal = with_target(killed(dir.path()).path());
        assert_eq!((journal.waiting(), journal.account().dropped_total()), (20, 0));
        assert!(drain(&mut journal) == format!("{}{}", text(1, 10), text(2, 10)));
        assert_accounted(&mut journal);
    }
}

#[test]
fn a_log_cut_while_open_is_noticed_before_the_next_append() {
    for part in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = with_target(dir.path());
        for cycle in 1..=20 {
            append(&mut journal, cycle, 10);
        }
        cut(&dir.path().join(LOG), part);
        let lines = text(21, 10);
        let error = journal.append(&[entry(21, &lines)], &Account::default()).unwrap_err();
        let mut carried = Account::default();
        if error.fault() == Fault::File {
            carried = journal.abandon();
            Journal::set_aside(&dir.path().join(NAME), "cut", at(2)).unwrap();
        } else {
            assert!(matches!(error, Error::LogGone { .. }), "{error}");
            drop(journal);
        }
        let mut journal = Journal::open(dir.path(), NAME, wide(), &mut carried, at(2)).unwrap().journal;
        assert_eq!(journal.account().emitted, 200, "cut to {part} eighths: {error}");
        assert_accounted(&mut journal);
    }
}

#[test]
fn a_file_given_up_that_could_not_be_renamed_is_counted_once() {
    for damaged_then in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = with_target(dir.path());
        for cycle in 1..=10 {
            append(&mut journal, cycle, 10);
        }
        deliver(&mut journal, 40);
        // As delivery does it for a damaged file; renaming it fails.
        let mut carried = journal.abandon();
        assert_eq!((carried.emitted, carried.dropped_total()), (100, 60));
        carried.add(&Account { emitted: 5, delivered: 5, ..Account::default() });
        if damaged_then {
            fs::write(dir.path().join(NAME), "no database any more, and nothing of it is left").unwrap();
        }
        let mut journal = Journal::open(dir.path(), NAME, wide(), &mut carried, at(2)).unwrap().journal;
        let account = journal.account();
        let waiting = if damaged_then { 0 } else { 60 };
        assert_eq!((account.emitted, account.delivered, journal.waiting()), (105, 45, waiting));
        assert_eq!(account.dropped_total(), 60 - waiting);
        assert_accounted(&mut journal);
        drop(journal);
        assert_eq!(open(dir.path()).account(), account);
    }
}

#[test]
fn figures_altered_in_the_file_are_not_believed() {
    for alter in [
        "UPDATE account SET lines = lines * 1000 WHERE name = 'emitted'",
        "UPDATE account SET lines = lines / 2 WHERE name = 'delivered'",
        "UPDATE account SET lines = 9223372036854775807",
        "UPDATE account SET name = 'delivere' WHERE name = 'delivered' AND lines > 0",
        "DELETE FROM account",
        "UPDATE mark SET value = value + 1 WHERE name = 'id'",
        "DELETE FROM mark WHERE name = 'id'",
        "UPDATE mark SET value = value + 1 WHERE name = 'account'",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = with_target(dir.path());
        append(&mut journal, 1, 10);
        deliver(&mut journal, 4);
        let before = journal.account();
        journal.db.execute(alter, []).unwrap();
        drop(journal);
        let mut journal = with_target(dir.path());
        assert_eq!((journal.account(), journal.waiting()), (before, 6), "{alter}");
        assert_accounted(&mut journal);
        drop(journal);
        if alter.contains("delivere'") {
            continue;
        }
        // With nothing beside it to compare with, they still fit each other.
        fs::write(dir.path().join(GUARD), "").unwrap();
        let db = rusqlite::Connection::open(dir.path().join(NAME)).unwrap();
        db.execute_batch(alter).unwrap();
        drop(db);
        let mut journal = with_target(dir.path());
        assert_accounted(&mut journal);
    }
}
