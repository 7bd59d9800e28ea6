//! Killed while the record itself is in trouble: spoiled and being set aside,
//! and full, so that old lines go. Every loss is counted, none twice, and the
//! next start is quick.
//!
//! A few kills; more than a hundred with `KVMSCOPE_TORTURE=1`. `KVMSCOPE_SEED`
//! chooses the moments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    clippy::print_stdout,
    reason = "a test that fails stops there and shows its seed"
)]

mod double;
mod lab;
mod victim;

use std::{collections::BTreeSet, fs, os::unix::fs::FileExt as _, time::Duration};

use double::{Double, Mode};
use victim::{
    Accepted, DATABASE, Host,
    kills::{Seeded, Starts, alone, kill},
};

/// Makes the record one that must be set aside: damaged, or of a newer kvmscope.
fn spoil(host: &Host, newer: bool) {
    let path = host.file("");
    let file = rusqlite::Connection::open(&path).unwrap();
    if newer {
        file.pragma_update(None, "user_version", 99).unwrap();
    }
    // The log goes into the file, so that what is written there counts.
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(file);
    if !newer {
        // Only an SQLite that there is not yet may write it.
        fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[3], 18).unwrap();
    }
}

#[test]
fn killed_while_a_record_is_set_aside_every_loss_is_counted() {
    const TEST: &str = "killed while a record is set aside";
    let _alone = alone();
    let mut seeded = Seeded::new(TEST, 8_128);
    let double = Double::open();
    let host = Host::new(&double.url());
    let mut accepted = Accepted::of(&host);
    let mut starts = Starts::default();
    let (rounds, mut kills, mut lost) = (if lab::torture() { 20 } else { 2 }, 0, 0);
    let mut came = [0, 0];
    for round in 0..rounds {
        // Some lines are delivered, and others wait.
        let terminal = starts.of(&host);
        double.set_mode(if seeded.below(2) == 0 { Mode::Unavailable(None) } else { Mode::WriteThenReset });
        kill(terminal, Duration::from_millis(300) + seeded.millis(500));
        let found = accepted.look();
        assert_eq!(found.set_aside, None, "round {round}");
        spoil(&host, round % 2 == 0);
        lost += found.waiting;
        let found = accepted.look();
        assert!(found.set_aside.is_some(), "round {round}");
        assert_eq!(found.account.dropped_total(), lost, "round {round}");
        for _ in 0..=seeded.below(2) {
            // Setting aside comes early, and takes little.
            kill(host.start(&[]), seeded.millis(if cfg!(debug_assertions) { 200 } else { 80 }));
            came[usize::from(accepted.look().set_aside.is_none())] += 1;
            kills += 1;
        }
        double.set_mode(Mode::Current);
        kill(starts.of(&host), seeded.millis(300));
        let found = accepted.look();
        assert_eq!(found.set_aside, None, "round {round}");
        assert_eq!(found.account.dropped_total(), lost, "round {round}: {:?}", found.account);
        kills += 2;
    }
    host.deliver_the_rest();
    let found = accepted.look();
    assert_eq!((found.account.dropped_total(), found.waiting), (lost, 0), "{:?}", found.account);
    let arrived: BTreeSet<String> = double.lines(DATABASE).into_iter().collect();
    assert_eq!(arrived.iter().find(|line| !accepted.lines.contains(*line)), None, "invented or altered");
    let missing = accepted.lines.iter().filter(|line| !arrived.contains(*line)).count() as u64;
    println!(
        "{TEST}: {kills} kills, {lost} of {} lines counted as lost, {missing} missing",
        accepted.lines.len()
    );
    println!("{TEST}: {} kills before it was set aside, {} after", came[0], came[1]);
    // What was on its way at a kill may have arrived; it counts as lost once the file is.
    assert!(missing <= lost, "{missing} are missing, {lost} are counted");
    assert!(lost > 0, "there were losses");
    starts.judge(TEST);
}

#[test]
fn killed_while_the_record_is_at_its_bound_every_loss_is_counted() {
    const TEST: &str = "killed while the record is full";
    let _alone = alone();
    let mut seeded = Seeded::new(TEST, 65_537);
    let double = Double::open();
    // Far more than the log may take, so that what was just recorded stays.
    let host = Host::with(&double.url(), "max_bytes = \"3 MiB\"\n");
    let mut accepted = Accepted::of(&host);
    host.fill(320);
    accepted.look();
    let mut starts = Starts::default();
    let kills = if lab::torture() { 60 } else { 3 };
    let mut early = false;
    for number in 0..kills {
        double.set_mode(match seeded.below(4) {
            0 => Mode::WriteThenReset,
            1 => Mode::Current,
            _ => Mode::Unavailable(None),
        });
        early = !early && number > 0 && seeded.below(2) == 0;
        if early {
            kill(host.start(&[]), seeded.millis(300));
        } else {
            kill(starts.of(&host), seeded.millis(if lab::torture() { 2000 } else { 800 }));
        }
        let found = accepted.look();
        assert_eq!(found.set_aside, None, "kill {number}");
        let lost = &found.account.dropped;
        assert!(lost.keys().all(|why| why == "store full"), "kill {number}: {lost:?}");
    }
    double.set_mode(Mode::Current);
    host.deliver_the_rest();
    let account = accepted.look().account;
    let lost = account.dropped_total();
    let arrived: BTreeSet<String> = double.lines(DATABASE).into_iter().collect();
    assert_eq!(arrived.iter().find(|line| !accepted.lines.contains(*line)), None, "invented or altered");
    let missing = accepted.lines.iter().filter(|line| !arrived.contains(*line)).count() as u64;
    println!(
        "{TEST}: {kills} kills, {lost} of {} lines counted as lost, {missing} missing",
        accepted.lines.len()
    );
    // What arrived at a kill was to be sent again, and may have had to make room before.
    assert!(missing <= lost && missing > 0, "{missing} are missing, {lost} are counted");
    starts.judge(TEST);
}
