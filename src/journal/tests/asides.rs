//! How long files that were set aside stay.

use std::fs;

use super::*;

const DAY: i64 = 86_400;
const START: i64 = 1_700_000_000;

/// Sets a file of `bytes` aside at `second`.
fn set_aside(directory: &Path, bytes: usize, second: i64) -> std::path::PathBuf {
    let path = directory.join(NAME);
    fs::write(&path, vec![b'x'; bytes]).unwrap();
    Journal::set_aside(&path, "a test", at(second)).unwrap().path
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !["", "-wal", ".lock"].contains(&name.strip_prefix(NAME).unwrap_or(name)));
    names.sort();
    names
}

#[test]
fn set_aside_files_are_counted_in_bytes_and_go_with_age() {
    let dir = tempfile::tempdir().unwrap();
    let aside = set_aside(dir.path(), 6 << 20, START);
    let mut journal = open(dir.path());
    assert!(journal.bytes() > 6 << 20, "{}", journal.bytes());
    assert_eq!(journal.tidy(at(START + DAY)).unwrap(), []);
    assert_eq!(journal.tidy(at(START + 7 * DAY)).unwrap(), []);
    let gone = journal.tidy(at(START + 8 * DAY)).unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].path, aside);
    assert!(gone[0].bytes > 6 << 20 && gone[0].why.contains("store.max_age"), "{gone:?}");
    assert_eq!(names(dir.path()), [""; 0]);
    assert!(journal.bytes() < 1 << 20, "{}", journal.bytes());
}

#[test]
fn the_newest_stays_and_older_ones_within_a_share() {
    let dir = tempfile::tempdir().unwrap();
    let old: Vec<_> = (0..5).map(|n| set_aside(dir.path(), 200 << 10, START + n)).collect();
    let newest = set_aside(dir.path(), 600 << 10, START + 10);
    let limits = Limits { max_bytes: 4 << 20, ..wide() };
    let mut journal = open_with(dir.path(), limits);
    let gone = journal.tidy(at(START + 20)).unwrap();
    // 600 KiB for the newest, 200 KiB each for the others, of 1 MiB.
    let gone: Vec<_> = gone.into_iter().map(|gone| gone.path).collect();
    assert_eq!(gone, [&old[2], &old[1], &old[0]].map(Clone::clone));
    assert!(newest.exists() && old[3].exists() && old[4].exists());

    drop(journal);
    let last = set_aside(dir.path(), 5 << 20, START + 30);
    let mut journal = open_with(dir.path(), limits);
    assert_eq!(journal.tidy(at(START + 40)).unwrap().len(), 3, "it takes the share alone");
    assert!(last.exists(), "whatever its size");
}

#[test]
fn files_of_others_and_of_other_programs_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mine = [
        "other.db.damaged-20231114T221320Z",
        "record.db.foreign-20231114T221320Z",
        "record.db.damaged-20231114T221320Z.bak",
        "record.db.damaged-yesterday",
        "record.db.damaged",
        "record.db.bak",
    ];
    for name in mine {
        fs::write(dir.path().join(name), "precious").unwrap();
    }
    let mut journal = open(dir.path());
    assert_eq!(journal.tidy(at(START + 1000 * DAY)).unwrap(), []);
    assert!(mine.iter().all(|name| dir.path().join(name).exists()));
}

#[test]
fn below_min_free_what_was_set_aside_goes_before_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    set_aside(dir.path(), 1 << 20, START);
    let mut journal = open(dir.path());
    append(&mut journal, 1, 10);
    assert_eq!(journal.tidy(at(START)).unwrap(), []);
    journal.limits.min_free = u64::MAX;
    let gone = journal.tidy(at(START + 1)).unwrap();
    assert!(gone.len() == 1 && gone[0].why.contains("store.min_free"), "{gone:?}");
    assert_eq!((names(dir.path()).len(), journal.cycles()), (0, 1));
}
