//! When each slot of the histories was, one for all VMs.
//!
//! Owns nothing but times; what was measured is in [`super::Series`].

use std::collections::VecDeque;

use crate::model::{MonoTime, WallTime};

/// An instant on both clocks: the monotonic one tells how long ago it was, the
/// wall clock where an event belongs.
pub(super) type At = (MonoTime, WallTime);

/// The instants of the newest slots.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    capacity: usize,
    at: VecDeque<At>,
    /// Numbers the newest one, whatever was let go: it never falls, and is no
    /// less than the slots that there are.
    total: u64,
}

impl Slots {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, at: VecDeque::new(), total: 0 }
    }

    /// The same slots, the newest at most, with room for `capacity`, and with
    /// numbers left for older ones.
    pub fn with_room(&self, capacity: usize) -> Self {
        let from = self.at.len().saturating_sub(capacity);
        let total = self.total.saturating_add(u64::try_from(capacity).unwrap_or(u64::MAX));
        Self { capacity, at: self.at.iter().skip(from).copied().collect(), total }
    }

    /// Puts `older` before the oldest, as far as there is room. The numbers
    /// stay as they are.
    pub fn push_older(&mut self, older: &Self) {
        for at in older.at.iter().rev().take(self.room()) {
            self.at.push_front(*at);
        }
    }

    /// How many more there is room for.
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.at.len())
    }

    /// The oldest and the newest `count`, oldest first.
    pub fn ends(&self, count: usize) -> (Vec<WallTime>, Vec<WallTime>) {
        let wall = |(_, wall): &At| *wall;
        let newest = self.at.iter().skip(self.at.len().saturating_sub(count)).map(wall);
        (self.at.iter().take(count).map(wall).collect(), newest.collect())
    }

    pub fn push(&mut self, at: At) {
        if self.at.len() == self.capacity {
            self.at.pop_front();
        }
        self.at.push_back(at);
        self.total += 1;
    }

    /// Adds `count` cycles that nobody saw, evenly between the newest slot and
    /// `end`.
    pub fn push_gaps(&mut self, count: usize, end: At) {
        let Some(&(mono, wall)) = self.at.back() else { return };
        let parts = u32::try_from(count + 1).unwrap_or(u32::MAX);
        let step = end.0.since(mono) / parts;
        let wall_step = end.1.since(wall) / parts;
        for n in 1..parts {
            let passed = i64::try_from((wall_step * n).as_nanos()).unwrap_or(i64::MAX);
            self.push((mono.plus(step * n), WallTime(wall.0.saturating_add(passed))));
        }
    }

    /// When the oldest was closed, on both clocks.
    pub fn first(&self) -> Option<At> {
        self.at.front().copied()
    }

    /// When the newest was closed.
    pub fn ends_at(&self) -> Option<WallTime> {
        self.at.back().map(|(_, at)| *at)
    }

    /// When the oldest was closed.
    pub fn begins(&self) -> Option<WallTime> {
        self.first().map(|(_, at)| at)
    }

    /// Slots ever.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Slots that are known, without the `hidden` newest.
    pub fn len(&self, hidden: usize) -> usize {
        self.at.len().saturating_sub(hidden)
    }

    /// The number, from the first one ever, of the newest slot but `hidden`.
    pub fn newest(&self, hidden: usize) -> u64 {
        self.total.saturating_sub(1 + u64::try_from(hidden).unwrap_or(u64::MAX))
    }

    /// How many slots, the `hidden` newest aside, are younger than `span`
    /// before the newest of them.
    pub fn within(&self, span: std::time::Duration, hidden: usize) -> usize {
        let held = self.len(hidden);
        let Some(&(newest, _)) = held.checked_sub(1).and_then(|last| self.at.get(last)) else { return 0 };
        held - self.at.partition_point(|(at, _)| newest.since(*at) >= span).min(held)
    }

    /// Slots ever up to an instant, those of it included.
    pub fn up_to(&self, when: WallTime) -> u64 {
        let later = self.at.iter().rev().take_while(|(_, at)| *at > when).count();
        self.total - later as u64
    }

    /// How many slots, the `hidden` newest aside, came after the one in which
    /// an event at `when` was seen. `None`: before everything that is known.
    pub fn back_of(&self, when: WallTime, hidden: usize) -> Option<usize> {
        let held = self.len(hidden);
        let first = self.at.front()?;
        if held == 0 || when < first.1 {
            return None;
        }
        let seen_in = self.at.partition_point(|(_, at)| *at < when).min(held - 1);
        Some(held - 1 - seen_in)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> At {
        (MonoTime(seconds * 1_000_000_000), WallTime(i64::try_from(seconds).unwrap() * 1_000_000_000))
    }

    #[test]
    fn a_span_is_told_in_slots_whatever_the_interval_was() {
        let mut slots = Slots::new(100);
        (0..10).for_each(|second| slots.push(at(second)));
        (0..4).for_each(|n| slots.push(at(14 + n * 5)));
        // 29, 24, 19, 14 and 9, 8 … in seconds.
        assert_eq!(slots.within(Duration::from_secs(11), 0), 3);
        assert_eq!(slots.within(Duration::from_secs(22), 0), 6);
        assert_eq!(slots.within(Duration::from_hours(1), 0), 14);
        assert_eq!(slots.within(Duration::from_secs(6), 1), 2, "as of the slot before");
        assert_eq!(slots.newest(0), 13);
        assert_eq!(Slots::new(3).within(Duration::from_secs(9), 0), 0);
    }

    #[test]
    fn an_event_belongs_to_the_cycle_that_closed_after_it() {
        let mut slots = Slots::new(4);
        (0..6).for_each(|n| slots.push(at(n * 10)));
        assert_eq!(slots.back_of(at(45).1, 0), Some(0));
        assert_eq!(slots.back_of(at(40).1, 0), Some(1));
        assert_eq!(slots.back_of(at(99).1, 0), Some(0), "heard of since the last cycle");
        assert_eq!(slots.back_of(at(19).1, 0), None, "its slot was let go");
        assert_eq!(slots.back_of(at(45).1, 2), Some(0), "frozen two cycles ago");
    }

    #[test]
    fn cycles_nobody_saw_lie_between_their_neighbours() {
        let mut slots = Slots::new(9);
        slots.push_gaps(3, at(5));
        assert_eq!(slots.len(0), 0, "nothing before them");
        slots.push(at(10));
        slots.push_gaps(3, at(50));
        slots.push(at(50));
        assert_eq!(slots.back_of(at(29).1, 0), Some(2));
        assert_eq!(slots.within(Duration::from_secs(25), 0), 3);
    }
}
