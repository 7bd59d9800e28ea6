use super::*;

/// Lines that do not compress, so that bytes on disk can be told beforehand.
fn noise(cycle: i64, bytes: usize) -> String {
    let mut state = cycle.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut line = String::from("m f=\"");
    while line.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        line.push(char::from(b'a' + u8::try_from(state % 26).unwrap()));
        line.push(char::from(b'A' + u8::try_from(state / 97 % 26).unwrap()));
    }
    format!("{line}\" {cycle}\n")
}

fn append_noise(journal: &mut Journal, cycle: i64) {
    let text = noise(cycle, 16 << 10);
    journal.append(&[entry(cycle, &text)], &Account::default()).unwrap();
}

fn maintain(journal: &mut Journal, now: WallTime) {
    let mut steps = 0;
    while journal.maintain(now).unwrap() {
        steps += 1;
        assert!(steps < 10_000, "retention comes to an end");
    }
}

#[test]
fn max_bytes_holds_while_appending_and_delivered_rows_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 4 << 20, ..wide() };
    let mut journal = open_with(dir.path(), limits);
    for cycle in 1..=300 {
        append_noise(&mut journal, cycle);
        maintain(&mut journal, at(cycle));
        assert!(journal.bytes() <= limits.max_bytes + (1 << 20), "{} at cycle {cycle}", journal.bytes());
    }
    assert_eq!(journal.account().dropped_total(), 0, "local rows that go are no loss");
    assert!(journal.cycles() > 50);

    journal.set_target(Some("t"), at(301)).unwrap();
    for cycle in 301..=320 {
        append_noise(&mut journal, cycle);
        maintain(&mut journal, at(cycle));
    }
    assert_eq!(journal.waiting(), 20);
    assert_eq!(journal.account().dropped_total(), 0, "what was delivered goes before what waits");
    assert_accounted(&mut journal);
}

#[test]
fn what_waits_goes_only_at_the_bound_oldest_first_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 4 << 20, ..wide() };
    let mut journal = open_with(dir.path(), limits);
    journal.set_target(Some("t"), at(0)).unwrap();
    for cycle in 1..=600 {
        append_noise(&mut journal, cycle);
        maintain(&mut journal, at(cycle));
        assert!(journal.bytes() <= limits.max_bytes + (1 << 20));
    }
    let account = journal.account();
    let lost = account.dropped[reason::STORE_FULL];
    assert!(lost > 100, "{account:?}");
    assert_eq!(lost + journal.waiting(), 600);
    assert_accounted(&mut journal);
    let first = i64::try_from(lost).unwrap() + 1;
    let expected: String = (first..=600).map(|cycle| noise(cycle, 16 << 10)).collect();
    assert!(drain(&mut journal) == expected, "the newest stay, without a hole");
    assert_accounted(&mut journal);
}

#[test]
fn a_batch_that_is_being_sent_is_not_pulled_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open_with(dir.path(), Limits { max_age: Duration::from_secs(100), ..wide() });
    journal.set_target(Some("t"), at(0)).unwrap();
    for cycle in 1..=10 {
        append(&mut journal, cycle, 2);
    }
    let batch = journal.next_batch(6, 1 << 20).unwrap().unwrap();
    maintain(&mut journal, at(1000));
    assert_eq!(journal.account().dropped, [(reason::TOO_OLD.to_owned(), 14)].into());
    journal.advance(batch.position_after(6).unwrap(), Vec::new(), at(1000)).unwrap();
    assert_eq!(journal.account().delivered, 6);
    assert_accounted(&mut journal);
    maintain(&mut journal, at(1000));
    assert_eq!(journal.cycles(), 0);
    assert_accounted(&mut journal);
}

#[test]
fn old_rows_go_and_row_numbers_are_not_used_again_before_the_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open_with(dir.path(), Limits { max_age: Duration::from_secs(100), ..wide() });
    journal.set_target(Some("t"), at(0)).unwrap();
    for cycle in 1..=500 {
        append(&mut journal, cycle, 1);
    }
    drain(&mut journal);
    maintain(&mut journal, at(10_000));
    assert_eq!((journal.cycles(), journal.account().dropped_total()), (0, 0));
    drop(journal);
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(10_001)).unwrap();
    let text = append(&mut journal, 10_001, 2);
    assert_eq!(drain(&mut journal), text, "an emptied record still delivers what comes next");
    assert_accounted(&mut journal);
}

#[test]
fn old_delivered_cycles_are_thinned_to_one_in_ten_seconds_and_waiting_ones_never() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { full_resolution: Duration::from_secs(1000), ..wide() };
    let mut journal = open_with(dir.path(), limits);
    journal.set_target(Some("t"), at(0)).unwrap();
    for cycle in 1..=2000 {
        // Two parts per cycle, as for a host whose cycle exceeds a batch.
        let text = text(cycle, 2);
        let first = entry(cycle, &text);
        journal.append(&[first, Entry { part: 1, ..first }], &Account::default()).unwrap();
    }
    while journal.account().delivered < 2800 {
        let batch = journal.next_batch(40, 1 << 20).unwrap().unwrap();
        journal.advance(batch.position_after(40).unwrap(), Vec::new(), at(0)).unwrap();
    }
    // Delivered up to cycle 700; all cycles up to 1500 are older than 1000 s.
    maintain(&mut journal, at(2500));
    let rows = journal.rows(0, 10_000).unwrap();
    let old: Vec<_> = rows.iter().filter(|row| row.at <= at(600)).collect();
    assert_eq!(old.len(), 122, "one cycle per ten seconds, both parts of it");
    for pair in old.chunks(2) {
        assert_eq!((pair[0].part, pair[1].part), (0, 1));
        assert_eq!(pair[0].at, pair[1].at);
    }
    assert_eq!(journal.waiting(), 8000 - 2800);
    assert_eq!(rows.iter().filter(|row| row.at > at(700)).count(), 2600, "what waits is whole");
    assert_eq!(journal.account().dropped_total(), 0);
    assert_accounted(&mut journal);
}

#[test]
fn bytes_shrink_when_much_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    for cycle in 1..=1500 {
        append_noise(&mut journal, cycle);
    }
    let before = journal.bytes();
    drop(journal);
    let mut journal = open_with(dir.path(), Limits { max_bytes: 8 << 20, ..wide() });
    maintain(&mut journal, at(1500));
    assert!(before > 15 << 20 && journal.bytes() <= 8 << 20, "{before} to {}", journal.bytes());
    assert_accounted(&mut journal);
}

#[test]
fn below_min_free_the_record_does_not_grow_and_says_so_when_it_has_nothing_to_give() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.set_target(Some("t"), at(0)).unwrap();
    for cycle in 1..=100 {
        append_noise(&mut journal, cycle);
    }
    let before = journal.bytes();
    // More than any file system has: from now on there is no room outside.
    journal.limits.min_free = u64::MAX;
    for cycle in 101..=200 {
        append_noise(&mut journal, cycle);
        maintain(&mut journal, at(cycle));
    }
    assert!(journal.bytes() <= before + (1 << 20), "{before} to {}", journal.bytes());
    let account = journal.account();
    assert_eq!(account.dropped[reason::STORE_FULL] + journal.waiting(), 200);
    assert_accounted(&mut journal);
    drop(journal);

    let empty = tempfile::tempdir().unwrap();
    let mut journal = open_with(empty.path(), Limits { min_free: u64::MAX, ..wide() });
    let text = text(1, 1);
    let error = journal.append(&[entry(1, &text)], &Account::default()).unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }) && error.to_string().contains("store.min_free"), "{error}");
    assert_eq!(journal.account().emitted, 0);
}

#[test]
fn a_row_settled_in_part_stays_while_its_rest_is_being_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open_with(dir.path(), Limits { max_age: Duration::from_secs(100), ..wide() });
    journal.set_target(Some("t"), at(0)).unwrap();
    append(&mut journal, 1, 4);
    let batch = journal.next_batch(10, 1 << 20).unwrap().unwrap();
    journal.advance(batch.position_after(2).unwrap(), Vec::new(), at(1)).unwrap();
    maintain(&mut journal, at(1000));
    let refused = vec![Refused { line: b"x".to_vec(), message: "no".into() }];
    journal.advance(batch.position_after(4).unwrap(), refused, at(1000)).unwrap();
    let account = journal.account();
    assert_eq!((account.delivered, account.quarantined, account.dropped_total()), (3, 1, 0));
    assert_accounted(&mut journal);
    journal.release();
    maintain(&mut journal, at(1000));
    assert_eq!(journal.cycles(), 0);
}

#[test]
fn refused_lines_do_not_fill_the_record_and_push_out_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 4 << 20, ..wide() };
    let mut journal = open_with(dir.path(), limits);
    journal.set_target(Some("t"), at(0)).unwrap();
    for cycle in 1..=100 {
        append(&mut journal, cycle, 100);
        let batch = journal.next_batch(100, 1 << 20).unwrap().unwrap();
        let refused =
            (0..100).map(|_| Refused { line: vec![b'x'; 700], message: "conflict".into() }).collect();
        journal.advance(batch.position_after(100).unwrap(), refused, at(cycle)).unwrap();
        maintain(&mut journal, at(cycle));
    }
    append(&mut journal, 101, 10);
    maintain(&mut journal, at(101));
    assert!(journal.bytes() <= limits.max_bytes + (1 << 20), "{}", journal.bytes());
    assert_eq!((journal.waiting(), journal.cycles()), (10, 101));
    assert_eq!((journal.account().quarantined, journal.account().dropped_total()), (10_000, 0));
    let kept = journal.quarantine(10_000).unwrap();
    assert!(kept.len() >= 64, "{}", kept.len());
    assert_eq!(kept.last().unwrap().0, at(100), "the newest stay");
    assert_accounted(&mut journal);
}

/// A record whose first 300 cycles bear a time far ahead, until the clock was
/// set back to second 1.
fn with_a_clock_set_back(limits: Limits) -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open_with(dir.path(), limits);
    journal.set_target(Some("t"), at(0)).unwrap();
    for cycle in 1..=600 {
        let stamp = if cycle <= 300 { 1_000_000 + cycle } else { cycle - 300 };
        let text = text(cycle, 1);
        journal.append(&[Entry { at: at(stamp), ..entry(cycle, &text) }], &Account::default()).unwrap();
    }
    (dir, journal)
}

#[test]
fn rows_from_the_future_are_as_old_as_what_came_after_them() {
    let limits = Limits { max_age: Duration::from_secs(200), ..wide() };
    let (_dir, mut journal) = with_a_clock_set_back(limits);
    maintain(&mut journal, at(150));
    assert_eq!(journal.cycles(), 600, "nothing is older than 200 s");
    maintain(&mut journal, at(300));
    // Those stamped 100 and later stay.
    assert_eq!((journal.cycles(), journal.waiting()), (201, 201));
    assert_eq!(journal.account().dropped, [(reason::TOO_OLD.to_owned(), 399)].into());
    maintain(&mut journal, at(501));
    assert_eq!(journal.cycles(), 0);
    assert_accounted(&mut journal);
}

#[test]
fn rows_that_are_all_from_the_future_stay_until_something_comes_after_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open_with(dir.path(), Limits { max_age: Duration::from_secs(200), ..wide() });
    for cycle in 1..=300 {
        append(&mut journal, 1_000_000 + cycle, 1);
    }
    maintain(&mut journal, at(1000));
    assert_eq!(journal.cycles(), 300);
    append(&mut journal, 1000, 1);
    maintain(&mut journal, at(1200));
    assert_eq!(journal.cycles(), 301);
    maintain(&mut journal, at(1201));
    assert_eq!(journal.cycles(), 0);
}

#[test]
fn rows_from_the_future_are_thinned_too() {
    let limits = Limits { full_resolution: Duration::from_secs(100), ..wide() };
    let (_dir, mut journal) = with_a_clock_set_back(limits);
    drain(&mut journal);
    maintain(&mut journal, at(400));
    let cycles = journal.cycles();
    assert!(cycles <= 62 + 128, "{cycles} of 600, of which 60 may stay and a step waits for more");
    assert_accounted(&mut journal);
}
