use super::*;

#[test]
fn what_was_appended_is_delivered_once_in_order_and_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("http://db/write"), at(1)).unwrap();
    let all: String = (1..=20).map(|cycle| append(&mut journal, cycle, 5)).collect();
    assert_eq!(journal.waiting(), 100);
    assert_eq!(journal.oldest_waiting().unwrap(), Some(at(1)));
    assert_accounted(&mut journal);
    assert_eq!(drain(&mut journal), all);
    assert_eq!(journal.account().delivered, 100);
    assert_eq!(journal.oldest_waiting().unwrap(), None);
    assert_accounted(&mut journal);
}

#[test]
fn a_restart_goes_on_behind_the_last_answer_even_within_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    let all: String = (1..=3).map(|cycle| append(&mut journal, cycle, 10)).collect();
    let batch = journal.next_batch(14, 1 << 20).unwrap().unwrap();
    assert_eq!(batch.lines, 14);
    journal.advance(batch.position_after(12).unwrap(), Vec::new(), at(2)).unwrap();
    drop(journal);

    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(3)).unwrap();
    assert_eq!((journal.waiting(), journal.account().delivered), (18, 12));
    assert_accounted(&mut journal);
    let rest: String = all.split_inclusive('\n').skip(12).collect();
    assert_eq!(drain(&mut journal), rest);
    assert_accounted(&mut journal);
}

#[test]
fn batches_keep_to_lines_and_bytes_and_never_stall_on_a_giant_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    let giant = format!("m f=\"{}\" 1\n", "x".repeat(5000));
    let small = text(1, 3);
    let both = format!("{giant}{small}");
    journal.append(&[entry(1, &both)], &Account::default()).unwrap();
    let batch = journal.next_batch(100, 1000).unwrap().unwrap();
    assert_eq!(batch.bytes, giant.as_bytes());
    journal.advance(batch.position_after(1).unwrap(), Vec::new(), at(1)).unwrap();
    let batch = journal.next_batch(2, 1 << 20).unwrap().unwrap();
    assert_eq!((batch.lines, batch.rows()), (2, 1));
    assert!(small.as_bytes().starts_with(&batch.bytes));
}

#[test]
fn refused_lines_are_kept_with_the_servers_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    append(&mut journal, 1, 10);
    let batch = journal.next_batch(10, 1 << 20).unwrap().unwrap();
    let refused = Refused { line: b"bad line".to_vec(), message: "field type conflict".into() };
    let delivered = journal.advance(batch.position_after(10).unwrap(), vec![refused.clone()], at(9)).unwrap();
    assert_eq!(delivered, 9);
    let account = journal.account();
    assert_eq!((account.delivered, account.quarantined), (9, 1));
    assert_accounted(&mut journal);
    drop(journal);
    assert_eq!(open(dir.path()).quarantine(10).unwrap(), [(at(9), "t".to_owned(), refused)]);
}

#[test]
fn without_a_target_nothing_waits_and_a_later_target_gets_what_comes_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    append(&mut journal, 1, 10);
    assert_eq!((journal.waiting(), journal.account().local), (0, 10));
    assert_accounted(&mut journal);
    journal.set_target(Some("t"), at(2)).unwrap();
    assert_eq!(journal.next_batch(100, 1 << 20).unwrap(), None);
    let later = append(&mut journal, 2, 4);
    assert_eq!(drain(&mut journal), later);
    assert_accounted(&mut journal);
}

#[test]
fn what_waits_outlives_a_time_without_target_and_a_change_of_target() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("old"), at(1)).unwrap();
    let first = append(&mut journal, 1, 3);
    let batch = journal.next_batch(1, 1 << 20).unwrap().unwrap();
    journal.advance(batch.position_after(1).unwrap(), Vec::new(), at(1)).unwrap();
    journal.set_target(None, at(2)).unwrap();
    append(&mut journal, 2, 5);
    assert_eq!(journal.waiting(), 2);
    assert_accounted(&mut journal);
    // The clock has gone back: the order of use still counts.
    journal.set_target(Some("new"), at(0)).unwrap();
    let third = append(&mut journal, 3, 2);
    let rest: String = first.split_inclusive('\n').skip(1).collect();
    assert_eq!(drain(&mut journal), format!("{rest}{third}"));
    journal.set_target(Some("old"), at(0)).unwrap();
    assert_eq!(journal.waiting(), 0, "the first target is not sent again what the second has got");
    assert_eq!(journal.account().local, 5);
    assert_accounted(&mut journal);
}

#[test]
fn figures_of_lines_that_never_reached_the_record_are_saved_with_the_next_append() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    let mut delta = Account { emitted: 12, delivered: 5, ..Account::default() };
    delta.drop_lines("memory queue full", 7);
    let text = text(1, 3);
    journal.append(&[entry(1, &text)], &delta).unwrap();
    assert_accounted(&mut journal);
    drop(journal);
    let mut journal = open(dir.path());
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.dropped_total()), (15, 5, 7));
    assert_accounted(&mut journal);
}

#[test]
fn a_cursor_the_file_could_not_be_told_is_saved_later_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    append(&mut journal, 1, 10);
    // SQLite itself refuses every write from here on.
    journal.db.pragma_update(None, "query_only", true).unwrap();
    let batch = journal.next_batch(4, 1 << 20).unwrap().unwrap();
    let refused = Refused { line: b"x".to_vec(), message: "no".into() };
    journal.advance(batch.position_after(4).unwrap(), vec![refused], at(1)).unwrap_err();
    assert_eq!((journal.waiting(), journal.account().delivered, journal.account().quarantined), (6, 3, 1));
    let next = journal.next_batch(100, 1 << 20).unwrap().unwrap();
    assert_eq!(next.lines, 6, "nothing is sent twice");
    let text = text(2, 1);
    journal.append(&[entry(2, &text)], &Account::default()).unwrap_err();
    assert_eq!(journal.account().emitted, 10, "what was not appended is not counted");

    journal.db.pragma_update(None, "query_only", false).unwrap();
    append(&mut journal, 2, 1);
    assert_accounted(&mut journal);
    drop(journal);
    let mut journal = open(dir.path());
    assert_eq!((journal.waiting(), journal.account().delivered, journal.account().quarantined), (7, 3, 1));
    assert_eq!(journal.quarantine(10).unwrap().len(), 1);
    assert_accounted(&mut journal);
}

#[test]
fn the_local_part_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    let lines = text(1, 2);
    let local = Local { version: 3, bytes: b"{\"missing\":{}}" };
    journal.append(&[Entry { local: Some(local), ..entry(1, &lines) }], &Account::default()).unwrap();
    let rows = journal.rows(0, 10).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].bytes.as_deref(), Some(lines.as_bytes()));
    assert_eq!(rows[0].local, Some((3, local.bytes.to_vec())));
    assert_eq!((rows[0].at, rows[0].lines), (at(1), 2));
    assert_eq!(journal.covers_since().unwrap(), Some(at(1)));
}

#[test]
fn a_cycle_without_lines_is_recorded_and_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    append(&mut journal, 1, 0);
    assert_eq!((journal.cycles(), journal.waiting()), (1, 0));
    let second = append(&mut journal, 2, 1);
    assert_eq!(drain(&mut journal), second);
    assert_accounted(&mut journal);
}
