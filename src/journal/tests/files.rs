use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn directory_and_files_are_for_this_user_alone() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state/kvmscope");
    let mut journal = open(&place);
    append(&mut journal, 1, 3);
    assert!(!place.join(format!("{NAME}-shm")).exists(), "nothing is mapped that somebody could cut");
    assert_eq!(mode(&place), 0o700);
    for entry in fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_second_writer_is_refused_while_the_first_has_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = Journal::open(dir.path(), NAME, wide(), &mut Account::default(), at(0));
    assert!(matches!(second, Err(Error::InUse { .. })));
    drop(first);
    open(dir.path());
}

#[test]
fn a_symbolic_link_or_a_directory_in_its_place_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("victim");
    fs::write(&elsewhere, "precious").unwrap();
    std::os::unix::fs::symlink(&elsewhere, dir.path().join(NAME)).unwrap();
    let opened = Journal::open(dir.path(), NAME, wide(), &mut Account::default(), at(0));
    assert!(matches!(opened, Err(Error::NotAFile { .. })));
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
    fs::remove_file(dir.path().join(NAME)).unwrap();
    fs::create_dir(dir.path().join(NAME)).unwrap();
    let opened = Journal::open(dir.path(), NAME, wide(), &mut Account::default(), at(0));
    assert!(matches!(opened, Err(Error::NotAFile { .. })));
}

#[test]
fn a_place_that_cannot_be_written_says_what_where_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let place = file.join("kvmscope");
    let Err(error) = Journal::open(&place, NAME, wide(), &mut Account::default(), at(0)) else {
        panic!("opened below a file");
    };
    let words = error.to_string();
    assert!(words.contains(&place.display().to_string()) && words.contains("store.path"), "{words}");
    assert_eq!(error.fault(), Fault::Surroundings);
}

/// Fills a record, spoils its file and opens it again.
fn reopen_spoiled(spoil: impl FnOnce(&Path)) -> (tempfile::TempDir, Opened) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    for cycle in 1..=50 {
        append(&mut journal, cycle, 20);
    }
    drop(journal);
    spoil(&dir.path().join(NAME));
    let opened = Journal::open(dir.path(), NAME, wide(), &mut Account::default(), at(1_700_000_000)).unwrap();
    (dir, opened)
}

fn assert_set_aside(dir: &Path, opened: &mut Opened, word: &str, reason: &str) {
    let aside = opened.set_aside.clone().expect("set aside");
    let name = aside.path.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(name, format!("{NAME}.{word}-20231114T221320Z"));
    assert!(aside.path.exists());
    assert!(aside.why.contains(reason), "{}", aside.why);
    let note = fs::read_to_string(dir.join(format!("{name}.reason"))).unwrap();
    assert_eq!(note.trim_end(), aside.why);
    // The new one works.
    opened.journal.set_target(Some("t"), at(2)).unwrap();
    let text = append(&mut opened.journal, 100, 3);
    assert_eq!(drain(&mut opened.journal), text);
    assert_accounted(&mut opened.journal);
}

#[test]
fn a_file_that_is_no_database_is_set_aside_with_the_reason() {
    let (dir, mut opened) =
        reopen_spoiled(|path| fs::write(path, "not a database at all, but long enough").unwrap());
    assert_set_aside(dir.path(), &mut opened, "damaged", "not a database");
}

#[test]
fn a_file_cut_in_the_middle_is_set_aside_and_its_waiting_lines_counted_as_lost() {
    let (dir, mut opened) = reopen_spoiled(|path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(3 * 4096).unwrap();
    });
    let account = opened.journal.account();
    assert_eq!(account.emitted, account.settled());
    assert_set_aside(dir.path(), &mut opened, "damaged", "malformed");
}

#[test]
fn a_record_of_a_newer_kvmscope_is_set_aside_with_a_word_and_its_account_goes_on() {
    let (dir, mut opened) = reopen_spoiled(|path| {
        let db = rusqlite::Connection::open(path).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
    });
    let account = opened.journal.account();
    assert_eq!((account.emitted, account.dropped_total()), (1000, 1000));
    assert_set_aside(dir.path(), &mut opened, "newer", "newer kvmscope");
}

#[test]
fn a_database_of_another_program_is_never_written_to() {
    let (dir, mut opened) = reopen_spoiled(|path| {
        for side in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{side}", path.display()));
        }
        let db = rusqlite::Connection::open(path).unwrap();
        db.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    });
    assert_set_aside(dir.path(), &mut opened, "foreign", "another program");
    let aside = opened.set_aside.unwrap().path;
    let db = rusqlite::Connection::open(aside).unwrap();
    assert_eq!(db.query_row("SELECT x FROM theirs", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn rows_that_vanished_are_counted_when_the_record_is_opened() {
    let (_dir, mut opened) = reopen_spoiled(|path| {
        let db = rusqlite::Connection::open(path).unwrap();
        db.execute("DELETE FROM cycle WHERE seq IN (7, 8)", []).unwrap();
    });
    assert_eq!(opened.set_aside, None);
    let account = opened.journal.account();
    assert_eq!(account.dropped, [(reason::DAMAGED_FILE.to_owned(), 40)].into());
    assert_eq!(opened.journal.waiting(), 960);
    assert_accounted(&mut opened.journal);
}

#[test]
fn a_row_with_a_flipped_bit_is_counted_and_all_others_are_delivered() {
    let (_dir, mut opened) = reopen_spoiled(|path| {
        let db = rusqlite::Connection::open(path).unwrap();
        db.execute("UPDATE body SET lines = zeroblob(length(lines)) WHERE seq = 1", []).unwrap();
        db.execute("UPDATE cycle SET crc = crc + 1 WHERE seq = 10", []).unwrap();
        db.execute("DELETE FROM body WHERE seq = 50", []).unwrap();
    });
    let journal = &mut opened.journal;
    journal.set_target(Some("t"), at(1)).unwrap();
    let expected: String = (2..=49).filter(|cycle| *cycle != 10).map(|cycle| text(cycle, 20)).collect();
    assert_eq!(drain(journal), expected);
    assert_eq!(journal.account().dropped, [(reason::DAMAGED_ROW.to_owned(), 60)].into());
    assert_accounted(journal);
}

#[test]
fn a_file_removed_while_open_is_noticed_and_its_account_carried_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    append(&mut journal, 1, 10);
    journal.still_there().unwrap();
    fs::remove_file(dir.path().join(NAME)).unwrap();
    let error = journal.still_there().unwrap_err();
    assert_eq!(error.fault(), Fault::File);
    let mut carried = journal.abandon();
    let mut journal = Journal::open(dir.path(), NAME, wide(), &mut carried, at(2)).unwrap().journal;
    let account = journal.account();
    assert_eq!((account.emitted, account.dropped_total()), (10, 10));
    assert_accounted(&mut journal);
}

#[test]
fn text_that_is_no_text_is_damage_and_the_record_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    append(&mut journal, 1, 3);
    let rename = "UPDATE account SET name = CAST(x'ff6c6f63616c' AS TEXT) WHERE name = 'local'";
    journal.db.execute(rename, []).unwrap();
    drop(journal);
    let opened = Journal::open(dir.path(), NAME, wide(), &mut Account::default(), at(0)).unwrap();
    assert!(opened.set_aside.is_some());
}

#[test]
fn a_row_number_that_leaves_none_for_the_next_is_damage() {
    let end = i64::MAX;
    for change in [
        format!("UPDATE cycle SET seq = {end} WHERE seq = (SELECT max(seq) FROM cycle)"),
        format!("UPDATE cycle SET seq = {end} - 1 WHERE seq = (SELECT max(seq) FROM cycle)"),
        format!("UPDATE target SET row = {end}"),
    ] {
        let (dir, mut opened) = reopen_spoiled(|path| alter(path, &change));
        let account = opened.journal.account();
        assert_eq!(account.emitted, account.settled(), "{change}");
        assert_set_aside(dir.path(), &mut opened, "damaged", "out of range");
    }
}

/// One byte of the file's header becomes another.
fn set_byte(path: &Path, place: u64, value: u8) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[value], place).unwrap();
}

#[test]
fn a_file_that_asks_for_a_newer_sqlite_is_damaged_and_not_somebody_elses_to_make_writable() {
    for (place, reason) in [(18, "SQLite"), (19, "not a database")] {
        for value in [3, 0xff] {
            let (dir, mut opened) = reopen_spoiled(|path| set_byte(path, place, value));
            let account = opened.journal.account();
            assert_eq!((account.emitted, account.dropped_total()), (1000, 1000), "{place}: {value}");
            assert_set_aside(dir.path(), &mut opened, "damaged", reason);
        }
    }
}

#[test]
fn a_record_that_does_not_take_over_what_others_lost_is_set_aside_and_all_of_it_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(1)).unwrap();
    append(&mut journal, 1, 20);
    drop(journal);
    // It can be read to its end, and no figure of it can be changed.
    let refuse = "CREATE TRIGGER no_more BEFORE INSERT ON account BEGIN SELECT 1 FROM missing; END";
    alter(&dir.path().join(NAME), refuse);
    let mut carried = Account { emitted: 7, ..Account::default() };
    carried.drop_lines("lost before", 7);
    let mut opened = Journal::open(dir.path(), NAME, wide(), &mut carried, at(1_700_000_000)).unwrap();
    assert!(carried.is_empty());
    let account = opened.journal.account();
    assert_eq!(account.emitted, 27);
    let lost = [("lost before".to_owned(), 7), (reason::DAMAGED_FILE.to_owned(), 20)];
    assert_eq!(account.dropped, lost.into());
    assert_set_aside(dir.path(), &mut opened, "damaged", "missing");
    drop(opened);
    let again = open(dir.path()).account();
    assert_eq!(again.emitted, 30, "each is counted once");
}
