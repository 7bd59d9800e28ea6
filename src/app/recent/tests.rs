//! What is packed is what was, and how long it is kept.

use super::*;
use crate::app::fixtures::{Host, at};

/// As many cycles of so many VMs in memory, and the frames themselves.
fn filled(vms: u32, cycles: usize, budget: usize, recorded: Option<WallTime>) -> (Recent, Vec<Arc<Frame>>) {
    let (mut host, mut recent) = (Host::with(vms), Recent::new(budget));
    let frames: Vec<_> = (0..cycles).map(|_| host.cycle()).collect();
    let mut slots = 0;
    for frame in &frames {
        slots += 3;
        for old in recent.push(frame, slots, recorded) {
            assert!(old.cycle < frame.cycle);
        }
        assert!(recent.held().1 <= budget || recent.held().0 == 1, "{:?}", recent.held());
    }
    (recent, frames)
}

fn all_of(frame: &Frame) -> String {
    format!("{frame:?}")
}

#[test]
fn every_cycle_is_found_as_it_was_whether_it_is_packed_or_whole() {
    let (recent, frames) = filled(12, 220, 1 << 30, None);
    assert_eq!(recent.held().0, 220);
    assert!(recent.packed.len() > 1 && !recent.packing.slots.is_empty() && recent.whole.len() == WHOLE);
    for (nth, frame) in frames.iter().enumerate() {
        let same = |kept: Option<Kept>| {
            let kept = kept.unwrap();
            assert_eq!(kept.slots, 3 * (nth as u64 + 1));
            assert_eq!(all_of(&kept.frame), all_of(frame));
        };
        same(recent.before(frame.cycle + 1));
        same(recent.after(frame.cycle - 1));
        same(recent.nearest(Moment::AtOrBefore(frame.at)));
        same(recent.back_to(u64::MAX, frame.at));
        same(recent.on_to(0, frame.at));
    }
    assert!(recent.before(frames[0].cycle).is_none());
    assert!(recent.after(frames[219].cycle).is_none());
    assert_eq!(recent.begins(), Some(frames[0].at));
}

#[test]
fn packed_cycles_take_a_tenth_of_whole_ones() {
    let (recent, frames) = filled(40, 80, 1 << 30, None);
    let whole = frames[79].held_bytes(Some(&frames[78]));
    let packed = recent.packed[0].held_bytes() / recent.packed[0].slots.len();
    assert!(packed * 10 < whole, "{packed} of {whole}");
}

#[test]
fn the_budget_holds_and_more_cycles_fit_than_ever_were_whole() {
    let one = Host::with(40).cycle().held_bytes(None);
    let (recent, frames) = filled(40, 400, one * 14, None);
    assert!(recent.held().0 > 42, "{:?}", recent.held());
    assert!(recent.held().0 < frames.len(), "and the oldest went");
}

#[test]
fn beside_the_record_memory_reaches_ten_minutes() {
    let (recent, frames) = filled(4, 1200, REACHED_WITH, None);
    assert_eq!(recent.held().0, 1200, "nobody else has them");
    let reaches = |recent: &Recent| frames[1199].at.since(recent.begins().unwrap());
    let (recent, _) = filled(4, 1200, REACHED_WITH, Some(at(0)));
    assert!(reaches(&recent) >= BESIDE_RECORD, "{:?}", reaches(&recent));
    assert!(reaches(&recent) < BESIDE_RECORD + Duration::from_mins(2), "{:?}", reaches(&recent));
    // Who gives it more memory gets more.
    let (recent, _) = filled(4, 1200, 2 * REACHED_WITH, Some(at(0)));
    assert_eq!(recent.held().0, 1200);
    // A record that begins later has not what memory has.
    let (recent, _) = filled(4, 1200, REACHED_WITH, Some(frames[100].at));
    assert_eq!(recent.begins(), Some(frames[0].at));
}

#[test]
fn large_fleets_stay_whole_and_a_collector_that_began_anew_finds_nothing_old() {
    let (mut recent, _) = filled(u32::try_from(MOST_PACKED).unwrap() + 30, 20, 1 << 30, None);
    assert_eq!((recent.held().0, recent.whole.len()), (20, 20));
    let old = recent.push(&Host::with(3).cycle(), 1, None);
    assert_eq!((old.len(), recent.held().0), (20, 1));
}
