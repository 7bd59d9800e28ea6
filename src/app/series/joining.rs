//! What a record has of the cycles that a series lacks: those before it
//! begins, and those that were closed within it and never came here.
//!
//! Owns where such pieces belong. What came here is never replaced.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Series, Track, pauses};
use crate::model::{
    Frame, WallTime,
    history::{AngleHistory, Slot},
};

/// Most holes that are known of: over a line that loses cycles all the time
/// they stay gaps.
const MOST_HOLES: usize = 32;

/// Cycles between two that came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct Hole {
    /// How many.
    pub count: usize,
    /// When the cycle before them closed.
    after: WallTime,
    /// When the one after them did.
    pub before: WallTime,
    /// The number of the slot of the last of them.
    last: u64,
}

impl Series {
    /// Before `frame`, which is pushed next, so many cycles never came.
    pub(super) fn note_hole(&mut self, count: usize, frame: &Frame) {
        let Some(after) = self.slots.ends_at().filter(|_| count > 0) else { return };
        if self.holes.len() == MOST_HOLES {
            self.holes.pop_front();
        }
        let last = self.slots().saturating_add(count as u64);
        self.holes.push_back(Hole { count, after, before: frame.at, last });
    }

    /// The oldest hole that is not too old to be seen.
    pub(in crate::app) fn hole(&mut self) -> Option<Hole> {
        let (total, held) = (self.slots(), self.slots.len(0) as u64);
        self.holes.retain(|hole| total.saturating_sub(hole.last) < held);
        self.holes.front().copied()
    }

    /// How many holes there are, and where the newest is.
    pub(in crate::app) fn holes(&self) -> (usize, Option<WallTime>) {
        (self.holes.len(), self.holes.back().map(|hole| hole.before))
    }

    /// The oldest hole stays one.
    pub(in crate::app) fn leave_hole(&mut self) {
        self.holes.pop_front();
    }

    /// Has the cycles of a record, which reaches up to `until`, stand in the
    /// hole before `before`, each in the slot of its time; returns how many of
    /// them. Slots that the record has gone past without a cycle, such as those
    /// of a pause, stay gaps, and are no hole any more. Where the record does not
    /// reach beyond the hole yet, nothing is done: it may have more to tell.
    pub(in crate::app) fn fill(
        &mut self,
        before: WallTime,
        angles: &HashMap<Uuid, AngleHistory>,
        instants: &[Option<WallTime>],
        until: WallTime,
    ) -> usize {
        let place = self.holes.iter().position(|hole| hole.before == before);
        let Some(at) = place.filter(|_| until >= before) else { return 0 };
        let Some(mut hole) = self.holes.remove(at) else { return 0 };
        let newest_first = instants.iter().rev().enumerate();
        let cycles: Vec<_> =
            newest_first.filter_map(|(place, at)| Some((place, at.filter(|at| *at < before)?))).collect();
        let told_all = cycles.last().is_none_or(|(_, oldest)| *oldest <= hole.after);
        let oldest = cycles.last().map_or(hole.after, |(_, oldest)| *oldest);
        let parts = i64::try_from(hole.count + 1).unwrap_or(i64::MAX);
        let step = before.0.saturating_sub(hole.after.0) / parts;
        let (mut cycles, mut filled) = (cycles.into_iter().peekable(), 0);
        while hole.count > 0 {
            let middle = hole.before.0.saturating_sub(step);
            let (from, to) = (middle.saturating_sub(step / 2), middle.saturating_add(step / 2));
            let mut nearest: Option<(i64, usize)> = None;
            while let Some((place, when)) = cycles.next_if(|(_, when)| when.0 > from && when.0 > hole.after.0)
            {
                let far = when.0.abs_diff(middle).cast_signed();
                if when.0 <= to && nearest.is_none_or(|(best, _)| far < best) {
                    nearest = Some((far, place));
                }
            }
            if nearest.is_none() && !told_all && oldest.0 > from {
                break;
            }
            if let Some((_, place)) = nearest {
                let back = usize::try_from(self.slots().saturating_sub(hole.last)).unwrap_or(usize::MAX);
                for track in &mut self.tracks {
                    let told = angles.get(&track.uuid).and_then(|history| history.before_newest(place));
                    track.history.amend(back, told.unwrap_or(Slot::GAPS));
                }
                filled += 1;
            }
            hole = Hole { count: hole.count - 1, before: WallTime(middle), last: hole.last - 1, ..hole };
        }
        if hole.count > 0 {
            self.holes.insert(at, hole);
        }
        filled
    }

    /// For how many older cycles there is room.
    pub(in crate::app) fn room(&self) -> usize {
        self.slots.room()
    }

    /// Whether older cycles can be put before this.
    pub(in crate::app) fn takes_older(&self) -> bool {
        self.inherited.is_some() && self.slots.room() > 0
    }

    /// Has the series begin with the cycles of a record that end where it began.
    pub(in crate::app) fn go_back(
        &mut self,
        angles: HashMap<Uuid, AngleHistory>,
        instants: &[Option<WallTime>],
    ) {
        if !self.takes_older() {
            return;
        }
        let mut older = Self::inherited(self.capacity, angles, instants);
        let (mut joint, then) = (older.slots.ends(2).1, self.slots.ends(2).0);
        let nth = joint.len();
        joint.extend(then);
        let joint: Vec<_> = joint.into_iter().map(Some).collect();
        if let Some(begins) = self.slots.first().filter(|_| pauses(&joint).contains(&nth)) {
            older.push_missed(1, begins);
        }
        let held = self.slots.len(0);
        for old in older.tracks {
            let place = self.places.get(&old.uuid).copied().unwrap_or(self.tracks.len());
            if place == self.tracks.len() {
                let history = AngleHistory::new(self.capacity);
                self.tracks.push(Track { uuid: old.uuid, history, absent: 0, seen: 0 });
            }
            if let Some(Track { history, .. }) = self.tracks.get_mut(place) {
                *history = history.preceded_by(&old.history, held.saturating_sub(history.len()));
            }
        }
        self.slots.push_older(&older.slots);
        self.find_places();
    }
}
