use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::model::{Happening, timeline::Weight};

fn event(domain: u128, second: i64, text: &str) -> Event {
    let happening =
        Happening { at: at(second), since: at(second), text: text.into(), weight: Weight::Trouble };
    Event { uuid: Uuid::from_u128(domain), name: "vm".into(), happening }
}

fn texts(journal: &Journal, domain: u128, limit: usize) -> Vec<String> {
    let events = journal.events_of(Uuid::from_u128(domain), limit).unwrap();
    events.iter().map(|event| event.happening.text.to_string()).collect()
}

fn maintain(journal: &mut Journal, now: WallTime) {
    while journal.maintain(now).unwrap() {}
}

#[test]
fn events_outlive_the_cycles_that_thinning_takes_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { full_resolution: Duration::ZERO, ..wide() };
    let mut journal = open_with(dir.path(), limits);
    for cycle in 1..=600 {
        append(&mut journal, cycle, 1);
        if cycle % 100 == 5 {
            journal.keep_events(&[event(1, cycle, &format!("I/O error {cycle}"))]).unwrap();
        }
    }
    maintain(&mut journal, at(601));
    assert!(journal.cycles() < 200, "{} cycles are left", journal.cycles());
    assert_accounted(&mut journal);
    drop(journal);
    let mut journal = open_with(dir.path(), limits);
    let all =
        ["I/O error 5", "I/O error 105", "I/O error 205", "I/O error 305", "I/O error 405", "I/O error 505"];
    assert_eq!(texts(&journal, 1, 100), all);
    assert_eq!(texts(&journal, 1, 2), all[4..], "the last ones");
    assert!(texts(&journal, 2, 100).is_empty());
    // Their age is that of the record.
    journal.limits.max_age = Duration::from_mins(5);
    maintain(&mut journal, at(601));
    assert_eq!(texts(&journal, 1, 100), all[3..]);
}

#[test]
fn an_event_that_came_again_is_one_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    let first = event(1, 5, "device net1 attached");
    let beside = event(1, 6, "guest agent connected");
    journal.keep_events(&[first.clone(), beside]).unwrap();
    let mut again = first.clone();
    again.happening = Happening { at: at(9), text: "NIC vnet7 attached (3 times)".into(), ..first.happening };
    journal.keep_events(&[again.clone()]).unwrap();
    journal.keep_events(&[again.clone()]).unwrap();
    assert_eq!(texts(&journal, 1, 9), ["NIC vnet7 attached (3 times)", "guest agent connected"]);
    assert_eq!(journal.events_of(again.uuid, 9).unwrap()[0], again);
}

#[test]
fn events_made_at_will_take_a_small_part_of_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 4 << 20, ..wide() };
    let mut journal = open_with(dir.path(), limits);
    let long: Arc<str> = "ü".repeat(10_000).into();
    for round in 0..20 {
        let events: Vec<_> =
            (0..100).map(|n| Event { name: Arc::clone(&long), ..event(1, round * 100 + n, &long) }).collect();
        journal.keep_events(&events).unwrap();
        maintain(&mut journal, at(3000));
    }
    let kept = journal.events_of(Uuid::from_u128(1), 10_000).unwrap();
    assert_eq!(kept.len(), (4 << 20) / (16 << 10), "the newest of 2000");
    assert_eq!(kept.last().unwrap().happening.at, at(1999));
    assert!(kept.iter().all(|event| event.happening.text.chars().count() <= 300));
    assert!(journal.bytes() < 3 << 20, "{}", journal.bytes());
}
