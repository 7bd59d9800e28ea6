//! Timers and when each is due. Knows no clock: it is told the time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// All timers, by their ids.
#[derive(Debug)]
pub(super) struct Timers<C> {
    all: BTreeMap<i32, Timer<C>>,
    last: i32,
}

#[derive(Debug)]
struct Timer<C> {
    /// `None`: switched off.
    every: Option<Duration>,
    /// `None`: switched off, or later than time can be counted.
    due: Option<Instant>,
    callback: C,
}

impl<C: Clone> Timers<C> {
    pub(super) fn new() -> Self {
        Self { all: BTreeMap::new(), last: 0 }
    }

    /// A new timer that is due every so many milliseconds: none if negative,
    /// in every round if 0. `None`: there are no more ids.
    pub(super) fn add(&mut self, milliseconds: i32, callback: C, now: Instant) -> Option<i32> {
        self.last = self.last.checked_add(1)?;
        let every = interval(milliseconds);
        self.all.insert(self.last, Timer { every, due: after(every, now), callback });
        Some(self.last)
    }

    /// Begins anew with another interval. Unknown ids are ignored.
    pub(super) fn update(&mut self, id: i32, milliseconds: i32, now: Instant) {
        if let Some(timer) = self.all.get_mut(&id) {
            timer.every = interval(milliseconds);
            timer.due = after(timer.every, now);
        }
    }

    /// Takes a timer out; its callback, for the last word with it.
    pub(super) fn remove(&mut self, id: i32) -> Option<C> {
        self.all.remove(&id).map(|timer| timer.callback)
    }

    pub(super) fn has(&self, id: i32) -> bool {
        self.all.contains_key(&id)
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.all.values().filter_map(|timer| timer.due).min()
    }

    /// Who is due now, the one that has waited longest first.
    pub(super) fn due(&self, now: Instant) -> Vec<i32> {
        let mut due: Vec<_> = self
            .all
            .iter()
            .filter_map(|(&id, timer)| timer.due.filter(|&due| due <= now).map(|due| (due, id)))
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// The callback of a timer if it still is due, which it then is again
    /// after its whole interval, however late it is now.
    pub(super) fn take(&mut self, id: i32, now: Instant) -> Option<C> {
        let timer = self.all.get_mut(&id).filter(|timer| timer.due.is_some_and(|due| due <= now))?;
        timer.due = after(timer.every, now);
        Some(timer.callback.clone())
    }
}

fn interval(milliseconds: i32) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

fn after(every: Option<Duration>, now: Instant) -> Option<Instant> {
    now.checked_add(every?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn who_was_late_fires_once_and_then_after_a_whole_interval() {
        let (mut timers, start) = (Timers::new(), Instant::now());
        let id = timers.add(100, "a", start).unwrap();
        assert_eq!(timers.next(), Some(start + ms(100)));
        assert!(timers.due(start + ms(99)).is_empty());
        let late = start + ms(60_000);
        assert_eq!(timers.due(late), [id]);
        assert_eq!(timers.take(id, late), Some("a"));
        assert_eq!(timers.take(id, late), None, "a stop of a minute is one call, not 600");
        assert_eq!(timers.next(), Some(late + ms(100)));
    }

    #[test]
    fn one_that_is_moved_removed_or_off_is_not_due() {
        let (mut timers, start) = (Timers::new(), Instant::now());
        let [moved, gone, off] = [1, 2, 3].map(|n| timers.add(n, n, start).unwrap());
        let now = start + ms(10);
        assert_eq!(timers.due(now), [moved, gone, off], "by their deadlines");
        timers.update(moved, 50, now);
        timers.update(off, -1, now);
        assert_eq!(timers.remove(gone), Some(2));
        assert_eq!([moved, gone, off].map(|id| timers.take(id, now)), [None; 3]);
        assert_eq!(timers.next(), Some(now + ms(50)));
        assert_eq!((timers.remove(gone), timers.has(gone), timers.has(off)), (None, false, true));
        timers.update(gone, 1, now);
        assert!(!timers.has(gone), "an unknown id makes no timer");
    }

    #[test]
    fn zero_is_due_in_every_round_and_an_id_is_never_given_twice() {
        let (mut timers, start) = (Timers::new(), Instant::now());
        let id = timers.add(0, (), start).unwrap();
        for _ in 0..3 {
            assert_eq!(timers.take(id, start), Some(()));
        }
        timers.remove(id);
        assert_ne!(timers.add(-1, (), start), Some(id));
        assert_eq!(timers.next(), None);
        timers.last = i32::MAX;
        assert_eq!(timers.add(-1, (), start), None);
    }
}
