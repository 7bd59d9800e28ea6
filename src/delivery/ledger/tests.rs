//! Where every line is while the record fails in between.

mod draining;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::*;
use crate::{config::Store as Bounds, journal::Limits, model::status::StoreState};

const SECOND: u64 = 1_000_000_000;

/// A ledger, its clock, and what it publishes.
struct Bench {
    ledger: Ledger,
    now: Arc<AtomicU64>,
    status: watch::Receiver<(DeliveryStatus, StoreStatus)>,
    cycles: i64,
}

impl Bench {
    fn new(directory: Option<&Path>, max_queue: usize) -> Self {
        let now = Arc::new(AtomicU64::new(1_700_000_000 * SECOND));
        let clock = {
            let now = Arc::clone(&now);
            Clock::from_fn(move || {
                let now = now.load(Ordering::Relaxed);
                (WallTime(now.cast_signed()), MonoTime(now))
            })
        };
        let influx = config::Influx { max_queue, ..config::Influx::default() };
        let bounds = Bounds { min_free: 0, ..Bounds::default() };
        let place = directory.map(|directory| Place {
            directory: directory.to_owned(),
            name: "record.db".into(),
            limits: Limits::from(&bounds),
        });
        let (published, status) = watch::channel(Default::default());
        let ledger = Ledger::new(&influx, place, Some("target".into()), clock, published);
        Self { ledger, now, status, cycles: 0 }
    }

    /// Lets time pass and does what is due then.
    fn pass(&mut self, seconds: u64) {
        self.now.fetch_add(seconds * SECOND, Ordering::Relaxed);
        self.ledger.turn();
    }

    /// Hands over `count` cycles of two lines, a second apart.
    fn cycles(&mut self, count: i64) {
        for _ in 0..count {
            self.cycles += 1;
            let bytes = format!("a {0}\nb {0}\n", self.cycles).into_bytes();
            let at = self.ledger.clock.now().0;
            let part = Part { at, number: 0, first: at, last: at, lines: 2, bytes, local: None };
            self.ledger.accept([part], 0);
            self.pass(1);
        }
    }

    /// The figures, after the identity was checked.
    fn status(&mut self) -> (DeliveryStatus, StoreStatus) {
        self.ledger.publish();
        let (delivery, store) = self.status.borrow().clone();
        let there = delivery.delivered + delivery.waiting() + delivery.quarantined + delivery.dropped_total();
        assert_eq!(delivery.emitted, there, "{delivery:#?}");
        (delivery, store)
    }

    fn take(&mut self) -> Option<Load> {
        self.ledger.take(100, 1 << 20)
    }

    /// Delivers everything that can be sent, and returns the cycles of it.
    fn drain(&mut self) -> Vec<i64> {
        let mut all = Vec::new();
        while let Some(load) = self.take() {
            self.ledger.settle(&load, 0, load.lines, Vec::new());
            all.extend(cycles_of(&load));
        }
        all
    }

    fn fill_disk(&mut self, full: bool) {
        self.ledger.store.journal().unwrap().fill_disk(full);
    }
}

/// The cycles whose first line is in a load.
fn cycles_of(load: &Load) -> Vec<i64> {
    let text = std::str::from_utf8(&load.bytes).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("a ")?.parse().ok()).collect()
}

#[test]
fn cycles_within_the_batch_span_are_committed_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100);
    bench.ledger.batch_span = Duration::from_secs(3);
    bench.pass(0);
    bench.cycles(2);
    let (first, _) = bench.status();
    bench.cycles(2);
    let (second, store) = bench.status();
    assert_eq!((first.waiting_on_disk, first.waiting_in_memory), (2, 2), "the first goes at once");
    assert_eq!((second.waiting_on_disk, second.waiting_in_memory, store.cycles), (8, 0, 4));
}

#[test]
fn a_full_disk_is_red_and_loses_nothing_within_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 400);
    bench.cycles(5);
    bench.fill_disk(true);
    bench.cycles(100);
    let (status, store) = bench.status();
    assert!(matches!(store.state, StoreState::Failing { ref why, .. } if why.contains("full")), "{store:?}");
    assert!(status.waiting_in_memory > 0 && status.dropped_total() == 0);
    // It goes on from disk and then from memory, each once and in order.
    let sent = bench.drain();
    assert_eq!(sent, (1..=105).collect::<Vec<_>>());
    let (status, _) = bench.status();
    assert_eq!((status.delivered, status.waiting()), (210, 0));

    bench.cycles(10);
    bench.fill_disk(false);
    bench.pass(60);
    let (status, store) = bench.status();
    assert_eq!(
        (store.state, status.waiting_in_memory, status.waiting_on_disk),
        (StoreState::Writable, 0, 20)
    );
    assert_eq!(bench.drain(), (106..=115).collect::<Vec<_>>());
    // And all of it is in the file, not only in memory.
    let account = bench.status().0;
    drop(bench);
    let mut bench = Bench::new(Some(dir.path()), 400);
    bench.pass(0);
    let (again, _) = bench.status();
    assert_eq!((again.emitted, again.delivered), (account.emitted, account.delivered));
}

#[test]
fn beyond_the_queue_the_oldest_go_and_the_record_learns_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 40);
    bench.cycles(1);
    assert_eq!(bench.drain(), [1]);
    bench.fill_disk(true);
    // What still fits into the last page does not count here.
    while bench.status().1.state == StoreState::Writable {
        bench.cycles(1);
    }
    bench.drain();
    let before = bench.cycles;
    bench.cycles(50);
    let (status, _) = bench.status();
    assert_eq!((status.waiting_in_memory, status.dropped[reason::QUEUE_FULL]), (40, 60));
    bench.fill_disk(false);
    bench.pass(60);
    assert_eq!(bench.status().0.waiting_on_disk, 40);
    assert_eq!(bench.drain(), (before + 31..=before + 50).collect::<Vec<_>>());
    bench.status();
}

#[test]
fn what_is_being_sent_from_memory_when_the_record_recovers_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("blocked");
    std::fs::write(&blocked, "").unwrap();
    let mut bench = Bench::new(Some(&blocked.join("record")), 100);
    bench.cycles(5);
    let load = bench.take().expect("from memory");
    assert_eq!(cycles_of(&load), (1..=5).collect::<Vec<_>>());
    std::fs::remove_file(&blocked).unwrap();
    bench.pass(60);
    assert_eq!(bench.status().0.waiting_on_disk, 10);
    assert!(!bench.ledger.resume(&load));
    bench.ledger.settle(&load, 0, load.lines, Vec::new());
    assert_eq!(bench.status().0.delivered, 0, "these lines are in the record now and are sent from there");
    assert_eq!(bench.drain(), (1..=5).collect::<Vec<_>>());
    assert_eq!(bench.status().0.delivered, 10);
}

#[test]
fn part_of_a_load_from_memory_can_be_settled_and_refused_lines_are_kept_later() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("blocked");
    std::fs::write(&blocked, "").unwrap();
    let mut bench = Bench::new(Some(&blocked.join("record")), 100);
    bench.cycles(4);
    let load = bench.take().unwrap();
    bench.ledger.settle(&load, 0, 3, vec![(1, "bad".into())]);
    bench.ledger.rest();
    let (status, _) = bench.status();
    assert_eq!((status.delivered, status.quarantined, status.waiting_in_memory), (2, 1, 5));
    assert!(bench.ledger.resume(&load));
    bench.ledger.settle(&load, 3, 4, Vec::new());
    bench.ledger.release();
    std::fs::remove_file(&blocked).unwrap();
    bench.pass(60);
    assert_eq!(bench.drain(), [3, 4]);
    let (status, _) = bench.status();
    assert_eq!((status.delivered, status.quarantined), (7, 1));
    let kept = bench.ledger.store.journal().unwrap().quarantine(10).unwrap();
    assert_eq!((kept[0].2.line.as_slice(), kept[0].2.message.as_str()), (&b"b 1"[..], "bad"));
}

#[test]
fn a_file_cut_while_in_use_is_replaced_and_every_line_of_it_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 1000);
    bench.cycles(300);
    for side in ["record.db", "record.db-wal"] {
        let file = std::fs::OpenOptions::new().write(true).open(dir.path().join(side)).unwrap();
        let half = file.metadata().unwrap().len() / 2 / 4096 * 4096;
        file.set_len(half).unwrap();
    }
    bench.ledger.store.journal().unwrap().forget_cache();
    // Until it is noticed, some cycles may still go to the broken file.
    let mut turns = 0;
    while std::fs::read_dir(dir.path())
        .unwrap()
        .all(|e| !e.unwrap().file_name().to_string_lossy().contains("damaged"))
    {
        bench.cycles(1);
        bench.drain();
        bench.status();
        turns += 1;
        assert!(turns < 200, "the damage is noticed: {:?}", bench.status());
    }
    bench.pass(60);
    let before = bench.cycles;
    bench.cycles(5);
    let (status, store) = bench.status();
    assert_eq!(store.state, StoreState::Writable);
    assert_eq!(status.emitted, 2 * bench.cycles.unsigned_abs(), "the account goes on in the new file");
    assert!(bench.drain().ends_with(&(before + 1..=before + 5).collect::<Vec<_>>()));
    bench.status();
}

#[test]
fn a_wall_clock_in_a_wrong_year_does_not_empty_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100);
    let jump = Arc::new(AtomicU64::new(0));
    let (now, ahead) = (Arc::clone(&bench.now), Arc::clone(&jump));
    bench.ledger.clock = Clock::from_fn(move || {
        let now = now.load(Ordering::Relaxed);
        (WallTime((now + ahead.load(Ordering::Relaxed)).cast_signed()), MonoTime(now))
    });
    bench.cycles(5);
    jump.store(1000 * 86_400 * SECOND, Ordering::Relaxed);
    for _ in 0..10 {
        bench.pass(300);
    }
    assert_eq!(bench.status().0.waiting_on_disk, 10);
    for _ in 0..10 {
        bench.pass(300);
    }
    let (status, _) = bench.status();
    assert_eq!(status.dropped_total(), 10, "after an hour it is the time, and they are too old");
}

#[test]
fn without_a_record_the_queue_bounds_what_waits() {
    let mut bench = Bench::new(None, 20);
    bench.cycles(30);
    let (status, store) = bench.status();
    assert_eq!((store.state, status.waiting_in_memory), (StoreState::Off, 20));
    assert_eq!(status.dropped, [(reason::QUEUE_FULL.to_owned(), 40)].into());
    assert_eq!(bench.drain(), (21..=30).collect::<Vec<_>>());
    assert_eq!(bench.status().0.delivered, 20);
}

#[test]
fn a_queue_smaller_than_a_cycle_keeps_the_newest_lines_of_it() {
    let mut bench = Bench::new(None, 1);
    bench.cycles(3);
    let load = bench.take().unwrap();
    assert_eq!(load.bytes, b"b 3\n");
    bench.ledger.settle(&load, 0, 1, Vec::new());
    let (status, _) = bench.status();
    assert_eq!((status.delivered, status.waiting()), (1, 0));
    assert_eq!(status.dropped, [(reason::QUEUE_FULL.to_owned(), 5)].into());
}

#[test]
fn lines_that_cannot_be_kept_at_the_end_are_told() {
    let mut bench = Bench::new(None, 20);
    bench.cycles(3);
    bench.ledger.close();
    let (status, _) = bench.status();
    assert_eq!(status.dropped, [(reason::ENDED.to_owned(), 6)].into());
}

#[test]
fn figures_stand_while_a_record_that_was_lost_cannot_be_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 1000);
    bench.cycles(50);
    bench.drain();
    bench.cycles(10);
    let (before, _) = bench.status();
    crate::journal::tests::full_disk::set(true);
    std::fs::remove_file(dir.path().join("record.db")).unwrap();
    for _ in 0..40 {
        bench.cycles(1);
        let (status, _) = bench.status();
        assert_eq!(status.delivered, before.delivered);
        assert_eq!(status.emitted, 2 * bench.cycles.unsigned_abs());
    }
    assert!(matches!(bench.status().1.state, StoreState::Failing { .. }));
    crate::journal::tests::full_disk::set(false);
    bench.pass(60);
    let (status, store) = bench.status();
    assert_eq!(store.state, StoreState::Writable);
    assert_eq!((status.emitted, status.delivered), (200, before.delivered));
    bench.drain();
    let (status, _) = bench.status();
    assert_eq!(status.emitted, status.delivered + status.dropped_total());
}

#[test]
fn a_target_that_cannot_be_saved_keeps_the_figures() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 1000);
    bench.cycles(50);
    let (before, _) = bench.status();
    drop(bench);
    let mut bench = Bench::new(Some(dir.path()), 1000);
    // A name for which the file has no room left.
    let long = format!("target {}", "x".repeat(20_000));
    bench.ledger.store = Store::new(bench.ledger.store.place().cloned(), Some(long));
    crate::journal::tests::full_disk::set(true);
    bench.pass(0);
    let (status, store) = bench.status();
    assert!(matches!(store.state, StoreState::Failing { .. }), "{store:?}");
    assert_eq!((status.emitted, status.waiting_on_disk), (before.emitted, 100));
    crate::journal::tests::full_disk::set(false);
    bench.pass(60);
    let (status, _) = bench.status();
    assert_eq!((status.emitted, status.waiting_on_disk), (before.emitted, 100));
    assert_eq!(bench.drain(), (1..=50).collect::<Vec<_>>());
}

#[test]
fn a_file_that_refuses_what_is_written_when_it_is_opened_is_replaced_at_once() {
    for table in ["target", "account", "mark"] {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(Some(dir.path()), 1000);
        bench.cycles(50);
        bench.drain();
        bench.cycles(10);
        drop(bench);
        let refuse =
            format!("CREATE TRIGGER no_more BEFORE INSERT ON {table} BEGIN SELECT 1 FROM missing; END");
        crate::journal::tests::alter(&dir.path().join("record.db"), &refuse);
        let mut bench = Bench::new(Some(dir.path()), 1000);
        bench.pass(0);
        let (status, store) = bench.status();
        assert_eq!(store.state, StoreState::Writable, "{table}");
        assert_eq!((status.emitted, status.delivered, status.dropped_total()), (120, 100, 20), "{table}");
        let damaged = |name: &str| name.starts_with("record.db.damaged-") && name.ends_with(".reason");
        let names = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name());
        assert!(names.into_iter().any(|name| damaged(name.to_str().unwrap())), "{table}");
        bench.cycles(1);
        assert_eq!(bench.drain(), [1], "{table}");
    }
}

#[test]
fn a_log_removed_while_in_use_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 1000);
    for _ in 0..10 {
        bench.cycles(5);
        std::fs::remove_file(dir.path().join("record.db-wal")).unwrap();
    }
    bench.cycles(1);
    assert_eq!(bench.drain(), (1..=51).collect::<Vec<_>>());
    let (status, store) = bench.status();
    assert_eq!((status.delivered, status.dropped_total(), store.state), (102, 0, StoreState::Writable));
}

#[test]
fn a_record_that_takes_no_event_any_more_is_set_aside_and_the_event_kept_in_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 1000);
    bench.cycles(5);
    drop(bench);
    crate::journal::tests::alter(
        &dir.path().join("record.db"),
        "CREATE TRIGGER no_more BEFORE INSERT ON event BEGIN SELECT 1 FROM missing; END",
    );
    let mut bench = Bench::new(Some(dir.path()), 1000);
    let at = bench.ledger.clock.now().0;
    let weight = crate::model::timeline::Weight::Note;
    let happening = crate::model::Happening { at, since: at, text: "x".into(), weight };
    bench.ledger.hear(vec![Event { uuid: uuid::Uuid::nil(), name: "vm".into(), happening }]);
    bench.cycles(2);
    assert!(bench.ledger.heard.is_empty(), "kept");
    let (status, store) = bench.status();
    assert_eq!(store.state, StoreState::Writable);
    let aside = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().contains("damaged")
    };
    assert!(std::fs::read_dir(dir.path()).unwrap().any(aside), "set aside");
    assert_eq!(status.emitted, status.delivered + status.waiting() + status.dropped_total());
}
