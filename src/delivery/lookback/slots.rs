//! The sparklines of a moment: a slot for each cycle that led up to it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use uuid::Uuid;

use crate::model::{Frame, WallTime, history::AngleHistory};

/// A longer time without any cycle is a pause: three of those that thinning keeps.
const PAUSE: Duration = Duration::from_secs(30);

/// The sparklines' slots.
pub(super) struct Slots {
    capacity: usize,
    pub(super) tracks: HashMap<Uuid, AngleHistory>,
    /// When the cycle of each slot closed; `None`: a pause.
    pub(super) closed: VecDeque<Option<WallTime>>,
    last: Option<WallTime>,
}

impl Slots {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, tracks: HashMap::new(), closed: VecDeque::new(), last: None }
    }

    pub(super) fn push(&mut self, frame: &Frame) {
        let pause = PAUSE.max(frame.interval.saturating_mul(3));
        if self.last.replace(frame.at).is_some_and(|last| frame.at.since(last) > pause) {
            self.tracks.values_mut().for_each(AngleHistory::push_gap);
            self.note(None);
        }
        let mut absent: HashSet<Uuid> = self.tracks.keys().copied().collect();
        for domain in &frame.domains {
            let uuid = domain.identity().uuid;
            absent.remove(&uuid);
            let track = self.tracks.entry(uuid).or_insert_with(|| AngleHistory::new(self.capacity));
            if domain.fresh {
                track.push(&domain.rates.angles);
            } else {
                track.push_gap();
            }
        }
        for uuid in absent {
            if let Some(track) = self.tracks.get_mut(&uuid) {
                track.push_gap();
            }
        }
        self.note(Some(frame.at));
    }

    fn note(&mut self, at: Option<WallTime>) {
        if self.closed.len() == self.capacity {
            self.closed.pop_front();
        }
        self.closed.push_back(at);
    }
}
