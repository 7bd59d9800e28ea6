//! Rows and files that change under the open record.

use super::*;

/// What the figures say, without counting the rows anew as the record does
/// when it is opened.
fn assert_figures(journal: &Journal) {
    let account = journal.account();
    assert_eq!(account.emitted, account.settled() + journal.waiting(), "{account:?}");
}

/// A record in which 10 cycles of 10 lines wait.
fn waiting() -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    for cycle in 1..=10 {
        append(&mut journal, cycle, 10);
    }
    (dir, journal)
}

fn cycles(numbers: impl IntoIterator<Item = i64>) -> String {
    numbers.into_iter().map(|cycle| text(cycle, 10)).collect()
}

#[test]
fn rows_that_vanish_while_it_is_open_are_counted_as_lost() {
    let (_dir, mut journal) = waiting();
    journal.db.execute("DELETE FROM cycle WHERE seq IN (4, 10)", []).unwrap();
    assert_eq!(drain(&mut journal), cycles((1..=9).filter(|cycle| *cycle != 4)));
    assert_figures(&journal);
    assert_eq!(journal.account().dropped, [(reason::DAMAGED_FILE.to_owned(), 20)].into());
    assert_accounted(&mut journal);
}

#[test]
fn rows_that_no_longer_are_to_be_sent_are_counted_as_lost() {
    let (_dir, mut journal) = waiting();
    journal.db.execute("UPDATE cycle SET wanted = 0 WHERE seq > 8", []).unwrap();
    assert_eq!(drain(&mut journal), cycles(1..=8));
    assert_figures(&journal);
    assert_eq!(journal.account().dropped_total(), 20);
}

#[test]
fn a_row_that_vanishes_while_it_is_being_sent_keeps_the_figures_whole() {
    let (dir, mut journal) = waiting();
    let batch = journal.next_batch(100, 1 << 20).unwrap().unwrap();
    journal.db.execute("DELETE FROM cycle WHERE seq = 5", []).unwrap();
    let refused = Refused { line: b"x".to_vec(), message: "no".into() };
    journal.advance(batch.position_after(100).unwrap(), vec![refused; 95], at(1)).unwrap();
    assert_figures(&journal);
    assert_eq!(journal.waiting(), 0);
    let before = journal.account();
    drop(journal);
    let journal = open(dir.path());
    assert_figures(&journal);
    assert_eq!(journal.account(), before, "the file says the same");
}

#[test]
fn a_row_whose_count_is_wrong_is_lost_with_the_lines_it_had() {
    for wrong in [0, 3, 5000] {
        let (_dir, mut journal) = waiting();
        journal.db.execute("UPDATE cycle SET lines = ?1 WHERE seq IN (2, 3, 9)", [wrong]).unwrap();
        assert!(drain(&mut journal) == cycles([1, 4, 5, 6, 7, 8, 10]), "{wrong} lines");
        assert_figures(&journal);
        assert_eq!(journal.account().dropped_total(), 30, "{wrong} lines");
        assert_accounted(&mut journal);
    }
}

#[test]
fn retention_meets_rows_that_changed() {
    for change in ["DELETE FROM cycle WHERE seq < 4", "UPDATE cycle SET lines = 7777 WHERE seq < 4"] {
        let (_dir, mut journal) = waiting();
        journal.limits.max_age = Duration::from_secs(5);
        journal.db.execute(change, []).unwrap();
        while journal.maintain(at(10)).unwrap() {}
        assert_figures(&journal);
        let left = drain(&mut journal);
        assert!(left == cycles(5..=10), "{change}");
        assert_figures(&journal);
        assert_eq!(journal.account().emitted, 100, "{change}");
    }
}

#[test]
fn many_damaged_rows_cost_few_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    for cycle in 1..=600 {
        append(&mut journal, cycle, 1);
    }
    journal.db.execute("UPDATE cycle SET crc = crc + 1", []).unwrap();
    let probe = "SELECT value FROM mark WHERE name = 'probe'";
    journal
        .db
        .execute_batch(
            "INSERT INTO mark VALUES ('probe', 0);
             CREATE TEMP TRIGGER seen AFTER UPDATE ON main.account BEGIN
                 UPDATE mark SET value = value + 1 WHERE name = 'probe';
             END",
        )
        .unwrap();
    assert_eq!(drain(&mut journal), "");
    assert_eq!(journal.account().dropped, [(reason::DAMAGED_ROW.to_owned(), 600)].into());
    let changes: i64 = journal.db.query_row(probe, [], |row| row.get(0)).unwrap();
    assert!(changes < 10, "{changes} transactions for 600 rows");
    assert_accounted(&mut journal);
}

#[test]
fn a_local_part_with_a_flipped_bit_is_never_taken_for_what_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    // Numbers compress into literals, which unpack altered without a word.
    let content: String = (1..=60_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect();
    let local = Local { version: 1, bytes: content.as_bytes() };
    let lines = text(1, 1);
    journal.append(&[Entry { local: Some(local), ..entry(1, &lines) }], &Account::default()).unwrap();
    let stored: Vec<u8> = journal.db.query_row("SELECT local FROM body", [], |row| row.get(0)).unwrap();
    journal.db.pragma_update(None, "synchronous", "OFF").unwrap();
    for bit in 0..stored.len() * 8 {
        let mut altered = stored.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        journal.db.execute("UPDATE body SET local = ?1", [altered]).unwrap();
        let found = journal.rows(0, 1).unwrap().remove(0).local;
        let sound = found.is_none_or(|(_, bytes)| bytes == content.as_bytes());
        assert!(sound, "bit {bit} of {}", stored.len() * 8);
    }
}

#[test]
fn rows_that_claim_more_lines_than_can_be_counted_do_not_stop_recording() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    append(&mut journal, 1, 3);
    journal.set_target(Some("t"), at(1)).unwrap();
    append(&mut journal, 2, 3);
    let closes = |journal: &Journal| {
        let account = journal.account();
        assert_eq!(account.emitted, account.settled().saturating_add(journal.waiting()));
    };
    // What waits, what is lost and what is local: together more than there are numbers.
    for lost in [0, u64::MAX / 2, u64::MAX / 2, u64::MAX / 2] {
        let mut delta = Account { emitted: lost, ..Account::default() };
        delta.drop_lines("lost", lost);
        journal.account.add(&delta);
        journal.db.execute("UPDATE cycle SET lines = ?1 WHERE seq = 2", [i64::MAX / 2]).unwrap();
        journal.recount().unwrap();
        closes(&journal);
        let text = text(3, 3);
        journal.append(&[entry(3, &text)], &Account::default()).unwrap();
        closes(&journal);
    }
}

/// Gives the row in `cell` of the table of cycles another number, in the file
/// itself: there it stays where it is, among numbers it does not fit.
fn renumber(path: &Path, cell: usize, number: u8) {
    let file = rusqlite::Connection::open(path).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'cycle'";
    let page: u32 = file.query_row(root, [], |row| row.get(0)).unwrap();
    drop(file);
    let mut content = std::fs::read(path).unwrap();
    let begin = (usize::try_from(page).unwrap() - 1) * 4096;
    assert_eq!(content[begin], 13, "a leaf");
    let pointer = begin + 8 + 2 * cell;
    let at = begin + usize::from(u16::from_be_bytes([content[pointer], content[pointer + 1]]));
    // One byte says how long it is, the next is its number.
    assert!(content[at] < 0x80 && usize::from(content[at + 1]) == cell + 1);
    content[at + 1] = number;
    std::fs::write(path, content).unwrap();
}

#[test]
fn rows_that_are_counted_and_cannot_be_reached_do_not_wait_for_ever() {
    let mut met = 0;
    for cell in 0..10 {
        for number in [0, 1, 4, 9, 11, 0x7f] {
            let (dir, mut journal) = waiting();
            // The first three are delivered.
            let batch = journal.next_batch(30, 1 << 20).unwrap().unwrap();
            journal.advance(batch.position_after(30).unwrap(), Vec::new(), at(1)).unwrap();
            drop(journal);
            renumber(&dir.path().join(NAME), cell, number);
            let mut journal = open(dir.path());
            let used = (|| {
                journal.set_target(Some("t"), at(2))?;
                let text = text(50, 10);
                journal.append(&[entry(50, &text)], &Account::default())?;
                while let Some(batch) = journal.next_batch(15, 1 << 20)? {
                    let to = batch.position_after(batch.lines).unwrap();
                    journal.advance(to, Vec::new(), at(2))?;
                }
                Ok::<(), Error>(())
            })();
            assert_figures(&journal);
            match used {
                Ok(()) => assert_eq!(journal.waiting(), 0, "row {} became {number}", cell + 1),
                Err(error) => {
                    assert_eq!(error.fault(), Fault::File, "{error}");
                    met += 1;
                }
            }
        }
    }
    assert!(met > 0, "some are damage");
}
