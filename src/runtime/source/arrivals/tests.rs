use std::time::Duration;

use super::*;
use crate::{app::fixtures::Host, model::WallTime, model::link::LinkState};

fn link(state: LinkState) -> Link {
    Link { place: "/run/a.sock".into(), agent: None, state, ahead: 0 }
}

fn gone(next_at: i64) -> LinkState {
    LinkState::Gone { since: WallTime(1), why: "it has ended".into(), next_at: WallTime(next_at) }
}

/// All that waits: cycles, and `None` for a word of the way.
fn taken(arrivals: &Arrivals) -> Vec<Option<u64>> {
    let cycle = |message| match message {
        Message::Frame(frame) => Some(frame.cycle),
        Message::Link(_) => None,
        other => panic!("{other:?}"),
    };
    std::iter::from_fn(|| arrivals.take()).map(cycle).collect()
}

#[test]
fn frames_of_one_burst_all_reach_the_screen_in_their_order() {
    let arrivals = Arrivals::new(16 << 20);
    let mut host = Host::new();
    arrivals.link(link(LinkState::Attached { since: WallTime(0) }));
    (0..90).for_each(|_| arrivals.frame(host.cycle()));
    arrivals.link(link(gone(2)));
    arrivals.link(link(gone(3)));
    arrivals.link(link(LinkState::Attached { since: WallTime(4) }));
    arrivals.frame(host.cycle());
    let frames = |cycles: std::ops::RangeInclusive<u64>| cycles.map(Some).collect::<Vec<_>>();
    let expected = [vec![None], frames(1..=90), vec![None; 2], frames(91..=91)].concat();
    assert_eq!(taken(&arrivals), expected);
    let waiting = arrivals.waiting();
    assert_eq!((waiting.frames, waiting.bytes), (0, 0));
}

#[test]
fn a_screen_that_takes_nothing_keeps_the_newest_within_bounds() {
    let mut host = Host::with(40);
    let each = host.cycle().held_bytes(None);
    let arrivals = Arrivals::new(each * 10);
    arrivals.link(link(LinkState::Attached { since: WallTime(0) }));
    for _ in 0..300 {
        arrivals.frame(host.cycle());
        arrivals.link(link(gone(9)));
        assert!(arrivals.waiting().bytes <= each * 10 && arrivals.waiting().arrived.len() < 30);
    }
    let cycles: Vec<u64> = taken(&arrivals).into_iter().flatten().collect();
    assert_eq!(arrivals.waiting().let_go, 0, "it was said with the last of them");
    assert!((8..=11).contains(&cycles.len()), "{cycles:?}");
    assert_eq!(*cycles.last().unwrap(), 301);
    assert!(cycles.windows(2).all(|two| two[1] == two[0] + 1), "{cycles:?}");
    // However large the newest one is, it stays.
    let tiny = Arrivals::new(0);
    (0..3).for_each(|_| tiny.frame(host.cycle()));
    assert_eq!(taken(&tiny), [Some(304)]);
    // And no more than so many, however small.
    let mut small = Host::with(1);
    let many = Arrivals::new(usize::MAX);
    (0..MOST + 50).for_each(|_| many.frame(small.cycle()));
    assert_eq!(taken(&many).len(), MOST);
}

#[test]
fn a_way_that_comes_and_goes_is_no_queue() {
    let arrivals = Arrivals::new(1 << 20);
    for n in 0..500 {
        arrivals.link(link(LinkState::Attached { since: WallTime(n) }));
        arrivals.link(link(gone(n)));
    }
    arrivals.link(link(LinkState::Attached { since: WallTime(500) }));
    let told: Vec<_> = std::iter::from_fn(|| arrivals.take()).collect();
    let [Message::Link(before), Message::Link(last)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&before.state, &last.state), (&gone(499), &LinkState::Attached { since: WallTime(500) }));
}

#[tokio::test]
async fn whoever_stops_waiting_loses_nothing() {
    let arrivals = Arrivals::new(1 << 20);
    let mut host = Host::with(1);
    let give_up = tokio::time::timeout(Duration::from_millis(1), arrivals.next()).await;
    assert!(give_up.is_err());
    let sender = arrivals.clone();
    let frames: Vec<_> = (0..50).map(|_| host.cycle()).collect();
    let sending = std::thread::spawn(move || frames.into_iter().for_each(|frame| sender.frame(frame)));
    for expected in 1..=50 {
        let next = loop {
            // Given up over and over, as a loop with other branches does.
            let next = tokio::time::timeout(Duration::from_micros(50), arrivals.next()).await;
            if let Ok(next) = next {
                break next;
            }
        };
        assert!(matches!(next, Message::Frame(frame) if frame.cycle == expected));
    }
    sending.join().unwrap();
}
