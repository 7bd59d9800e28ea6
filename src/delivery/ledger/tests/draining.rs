//! Rate and time left while a backlog goes down, and loads taken early.

use super::*;

impl Bench {
    /// A second in which `new` cycles come and `loads` are delivered.
    fn second(&mut self, new: i64, loads: usize) -> DeliveryStatus {
        for _ in 0..loads {
            let load = self.ledger.take(10, 1 << 20).unwrap();
            self.ledger.delivering();
            self.ledger.settle(&load, 0, load.lines, Vec::new());
        }
        for _ in 0..new {
            self.cycles += 1;
            let bytes = format!("a {0}\nb {0}\n", self.cycles).into_bytes();
            let at = self.ledger.clock.now().0;
            self.ledger
                .accept([Part { at, number: 0, first: at, last: at, lines: 2, bytes, local: None }], 0);
        }
        self.pass(1);
        self.status().0
    }
}

#[test]
fn the_time_left_counts_what_is_new_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100_000);
    bench.cycles(500);
    assert_eq!(bench.status().0.time_left, None, "nothing is delivered yet");
    let mut status = bench.status().0;
    for _ in 0..10 {
        // Fifty lines leave and ten come.
        status = bench.second(5, 5);
    }
    assert_eq!(status.waiting(), 600);
    let left = status.time_left.unwrap().as_secs();
    assert!((14..=17).contains(&left), "600 lines at 40 a second: {left} s");
    assert!((45.0..=55.0).contains(&status.lines_per_second), "{}", status.lines_per_second);
    // It goes down as the lines do.
    for _ in 0..10 {
        status = bench.second(5, 5);
    }
    let less = status.time_left.unwrap().as_secs();
    assert!((4..=6).contains(&less), "200 lines at 40 a second: {less} s");
}

#[test]
fn a_backlog_that_grows_has_no_time_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100_000);
    bench.cycles(500);
    for _ in 0..15 {
        let status = bench.second(10, 1);
        assert_eq!(status.time_left, None, "ten lines leave and twenty come: {status:#?}");
    }
    let status = bench.status().0;
    assert!(status.lines_per_second > 5.0 && status.waiting() > 1000, "{status:#?}");
}

#[test]
fn what_is_only_just_new_is_no_backlog() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100_000);
    bench.second(5, 0);
    for _ in 0..30 {
        let status = bench.second(5, 1);
        assert_eq!((status.waiting(), status.time_left), (10, None));
    }
}

#[test]
fn after_an_outage_the_rate_is_that_of_the_delivery_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100_000);
    bench.second(5, 0);
    bench.second(5, 1);
    bench.ledger.wire.state =
        DeliveryState::Retrying { why: "connection refused".into(), next_at: WallTime(0) };
    let mut status = bench.status().0;
    for _ in 0..60 {
        status = bench.second(5, 0);
    }
    assert_eq!((status.lines_per_second, status.time_left), (0.0, None));
    bench.second(5, 10);
    let status = bench.second(5, 10);
    assert!((90.0..=110.0).contains(&status.lines_per_second), "{}", status.lines_per_second);
    assert!((4..=6).contains(&status.time_left.unwrap().as_secs()), "{:?}", status.time_left);
}

#[test]
fn a_failed_request_that_is_soon_repeated_leaves_the_time_left_standing() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100_000);
    bench.cycles(500);
    for _ in 0..5 {
        bench.second(5, 5);
    }
    bench.ledger.wire.state = DeliveryState::Retrying { why: "busy".into(), next_at: WallTime(0) };
    assert_eq!(bench.status().0.time_left, None, "while it fails nothing is promised");
    let status = bench.second(5, 5);
    let left = status.time_left.unwrap().as_secs();
    assert!((18..=26).contains(&left), "{} lines at 40 a second: {left} s", status.waiting());
}

#[test]
fn what_was_made_ready_is_sent_only_when_its_turn_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100_000);
    bench.cycles(10);
    let first = bench.ledger.take(5, 1 << 20).unwrap();
    assert!(first.is_followed);
    let second = bench.ledger.take_after(first.origin(), 5, 1 << 20).unwrap();
    assert_eq!(
        (&first.bytes[..], &second.bytes[..]),
        (&b"a 1\nb 1\na 2\nb 2\na 3\n"[..], &b"b 3\na 4\nb 4\na 5\nb 5\n"[..])
    );
    assert!(!bench.ledger.is_next(&second));
    bench.ledger.settle(&first, 0, 3, Vec::new());
    assert!(!bench.ledger.is_next(&second), "a part of the first may yet come back");
    bench.ledger.settle(&first, 3, 5, vec![(4, "bad".into())]);
    assert!(bench.ledger.is_next(&second));
    let third = bench.ledger.take_after(second.origin(), 5, 1 << 20).unwrap();
    bench.ledger.settle(&second, 0, 5, Vec::new());
    assert!(bench.ledger.is_next(&third));
    assert!(bench.ledger.take_after(third.origin(), 5, 1 << 20).is_none_or(|load| load.lines == 5));
    bench.ledger.settle(&third, 0, 5, Vec::new());
    let left: usize = std::iter::from_fn(|| {
        let load = bench.ledger.take(5, 1 << 20)?;
        bench.ledger.settle(&load, 0, load.lines, Vec::new());
        Some(load.lines)
    })
    .sum();
    let (status, _) = bench.status();
    assert_eq!((left, status.delivered, status.quarantined), (5, 19, 1));
}

#[test]
fn what_was_made_ready_from_a_lost_record_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(dir.path()), 100_000);
    bench.cycles(10);
    let first = bench.ledger.take(5, 1 << 20).unwrap();
    let second = bench.ledger.take_after(first.origin(), 5, 1 << 20).unwrap();
    std::fs::remove_file(dir.path().join("record.db")).unwrap();
    bench.cycles(10);
    bench.ledger.settle(&first, 0, 5, Vec::new());
    assert!(!bench.ledger.is_next(&second));
    assert!(bench.ledger.take_after(first.origin(), 5, 1 << 20).is_none());
    bench.status();
}
