//! Files of earlier versions.

use std::fs;

use super::{super::schema, *};
use crate::model::{Happening, timeline::Weight};

/// A record of version 1 as the program made it: 30 cycles of 10 lines, 125
/// lines delivered, one refused, to the target `t`. It was made before files
/// had an id.
const VERSION_1: &[u8] = include_bytes!("../../../tests/data/record-v1.db.zst");

fn version_1(directory: &Path) {
    let content = zstd::decode_all(VERSION_1).unwrap();
    fs::write(directory.join(NAME), content).unwrap();
}

#[test]
fn a_record_of_version_1_is_read_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    version_1(dir.path());
    let Opened { mut journal, set_aside } =
        Journal::open(dir.path(), NAME, wide(), &mut Account::default(), at(40)).unwrap();
    assert_eq!(set_aside, None);
    let account = journal.account();
    assert_eq!((account.emitted, account.delivered, account.quarantined), (300, 125, 1));
    assert_eq!((account.dropped_total(), journal.waiting(), journal.cycles()), (0, 174, 30));
    assert_eq!(journal.quarantine(10).unwrap()[0].2.message, "no such type");
    let rows = journal.rows(0, 100).unwrap();
    assert_eq!(rows.len(), 30);
    for (cycle, row) in (1..).zip(&rows) {
        assert_eq!(row.bytes.as_deref(), Some(text(cycle, 10).as_bytes()));
        assert_eq!(row.local, Some((1, format!("{{\"cycle\":{cycle}}}").into_bytes())));
    }
    journal.set_target(Some("t"), at(40)).unwrap();
    let new = append(&mut journal, 41, 10);
    let before: String = (1..=30).map(|cycle| text(cycle, 10)).collect();
    let rest: String = before.split_inclusive('\n').skip(126).collect();
    assert!(drain(&mut journal) == rest + &new);
    let happening = Happening { at: at(41), since: at(41), text: "rebooted".into(), weight: Weight::Note };
    let event = Event { uuid: uuid::Uuid::nil(), name: "vm".into(), happening };
    journal.keep_events(std::slice::from_ref(&event)).unwrap();
    assert_eq!(journal.events_of(event.uuid, 9).unwrap(), [event], "what version 2 has is there");
    assert_accounted(&mut journal);
    drop(journal);
    let db = rusqlite::Connection::open(dir.path().join(NAME)).unwrap();
    assert_eq!(schema::version(&db).unwrap(), schema::VERSION);
}

#[test]
fn there_is_a_step_from_every_version_to_the_next() {
    assert_eq!(i64::try_from(schema::STEPS.len()).unwrap() + 1, schema::VERSION);
}

#[test]
fn steps_are_taken_from_the_files_version_on_all_or_none() {
    let dir = tempfile::tempdir().unwrap();
    version_1(dir.path());
    let mut db = rusqlite::Connection::open(dir.path().join(NAME)).unwrap();
    let first = "ALTER TABLE cycle ADD COLUMN colour INTEGER NOT NULL DEFAULT 7";
    schema::migrate(&mut db, 1, &[first]).unwrap();
    assert_eq!(schema::version(&db).unwrap(), 2);
    let steps = [first, "UPDATE cycle SET colour = colour + seq", "UPDATE account SET nothing = 1"];
    schema::migrate(&mut db, 2, &steps).unwrap_err();
    let colours = |db: &rusqlite::Connection| {
        db.query_row("SELECT sum(colour) FROM cycle", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((schema::version(&db).unwrap(), colours(&db)), (2, 210), "nothing of it was done");
    schema::migrate(&mut db, 2, &steps[..2]).unwrap();
    assert_eq!((schema::version(&db).unwrap(), colours(&db)), (3, 210 + 465));
    schema::migrate(&mut db, 3, &steps[..2]).unwrap();
    assert_eq!((schema::version(&db).unwrap(), colours(&db)), (3, 210 + 465), "no step is taken twice");
}
