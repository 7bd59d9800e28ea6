//! The angles of the last cycles of every VM, for the sparklines.
//!
//! Every known VM gets exactly one slot per cycle, so that "as of the freeze"
//! is the same number of slots back for all of them.

mod joining;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use uuid::Uuid;

pub(super) use self::joining::Hole;

use super::slots::{At, Slots};
use crate::model::{Frame, MonoTime, WallTime, history::AngleHistory, history::Metric, history::YOUNG};

/// A VM that is gone for this many cycles is forgotten.
const FORGET_AFTER: u32 = 600;

#[derive(Clone, Debug)]
struct Track {
    uuid: Uuid,
    history: AngleHistory,
    absent: u32,
    /// How many slots there were, with that of the frame it was last seen in.
    seen: u64,
}

/// The past that was taken over from a record.
#[derive(Clone, Copy, Debug)]
struct Inherited {
    /// Its last cycle. `None`: newer ones have come since.
    until: Option<WallTime>,
    /// What makes a frame's monotonic instant one of the past's, which are the
    /// wall clock's.
    shift: Option<u64>,
}

/// Before which slots collection paused without the record saying so: what is
/// thinned may be ten seconds apart, so that it takes a short pause for none.
/// It shows by being far longer than the steps beside it.
fn pauses(instants: &[Option<WallTime>]) -> Vec<usize> {
    let step =
        |at: usize| Some(instants.get(at).copied()??.since(instants.get(at.checked_sub(1)?).copied()??));
    let is_pause = |&at: &usize| {
        let beside = [step(at.wrapping_sub(1)), step(at + 1)].into_iter().flatten().max();
        step(at).zip(beside).is_some_and(|(step, beside)| step > beside * 3)
    };
    (1..instants.len()).filter(is_pause).collect()
}

/// A frame may come this long after the record told of its cycle. One that is
/// older is of a wall clock that was set back.
const LATE: Duration = Duration::from_mins(1);

/// Histories by VM.
#[derive(Clone, Debug)]
pub struct Series {
    capacity: usize,
    tracks: Vec<Track>,
    /// Where in `tracks` each VM's is.
    places: HashMap<Uuid, usize>,
    /// The places of the live VMs of the last frame, in its order: nearly
    /// always that of the next, so that nobody has to be looked up.
    order: Vec<usize>,
    last: Option<(u64, MonoTime)>,
    /// Where the series goes on from what another process has recorded.
    inherited: Option<Inherited>,
    /// When each slot was.
    pub(super) slots: Slots,
    /// Cycles that were closed and never came here, the newest last.
    holes: VecDeque<Hole>,
    /// As of how many slots the angles are shown; `None`: of all.
    as_of: Option<u64>,
}

impl Series {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let slots = Slots::new(capacity);
        Self {
            capacity,
            tracks: Vec::new(),
            places: HashMap::new(),
            order: Vec::new(),
            last: None,
            inherited: None,
            slots,
            holes: VecDeque::new(),
            as_of: None,
        }
    }

    /// The angles up to a moment of the past, which end with it, and when each
    /// slot was; `None`: in a pause.
    pub(super) fn of_the_past(angles: HashMap<Uuid, AngleHistory>, instants: &[Option<WallTime>]) -> Self {
        let mut past = Self::new(instants.len());
        let mut pauses = 0;
        for instant in instants {
            let Some(wall) = *instant else {
                pauses += 1;
                continue;
            };
            // What is recorded has the wall clock alone.
            let at = (MonoTime(u64::try_from(wall.0).unwrap_or(0)), wall);
            past.slots.push_gaps(std::mem::take(&mut pauses), at);
            past.slots.push(at);
        }
        past.tracks =
            angles.into_iter().map(|(uuid, history)| Track { uuid, history, absent: 0, seen: 0 }).collect();
        past.find_places();
        past
    }

    /// As [`Series::of_the_past`], with room for frames to come.
    pub(super) fn inherited(
        capacity: usize,
        angles: HashMap<Uuid, AngleHistory>,
        instants: &[Option<WallTime>],
    ) -> Self {
        let pauses = pauses(instants);
        // Counted from the newest, as not every VM has all slots.
        let gaps: Vec<_> = pauses.iter().map(|at| instants.len() - at).collect();
        let mut with_pauses = instants.to_vec();
        pauses.iter().rev().for_each(|&at| with_pauses.insert(at, None));
        let past = Self::of_the_past(angles, &with_pauses);
        let mut series = Self::new(capacity);
        series.slots = past.slots.with_room(series.capacity);
        let tracks = past.tracks.into_iter();
        series.tracks = tracks
            .map(|track| Track { history: track.history.with_gaps(series.capacity, &gaps), ..track })
            .collect();
        series.find_places();
        let until = instants.iter().rev().copied().flatten().next();
        series.inherited = until.map(|until| Inherited { until: Some(until), shift: None });
        series
    }

    /// Whether no frame was added yet.
    pub(super) fn is_new(&self) -> bool {
        self.last.is_none()
    }

    /// Whether the frame's cycle is in the inherited past already. The first
    /// one that is not ends that past; between the two may be a gap.
    fn is_inherited(&mut self, frame: &Frame) -> bool {
        let Some(inherited) = &mut self.inherited else { return false };
        let wall = u64::try_from(frame.at.0).unwrap_or(0);
        inherited.shift.get_or_insert_with(|| wall.wrapping_sub(frame.mono.0));
        let Some(until) = inherited.until else { return false };
        if frame.at <= until && until.since(frame.at) <= LATE {
            self.last = Some((frame.cycle, frame.mono));
            return true;
        }
        inherited.until = None;
        if self.last.is_none() {
            let interval = frame.interval.max(Duration::from_millis(1)).as_secs_f64();
            let cycles = (frame.at.since(until).as_secs_f64() / interval).round();
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "at most the slots there are"
            )]
            let missed = (cycles - 1.0).clamp(0.0, self.capacity as f64) as usize;
            self.note_hole(missed, frame);
            self.push_missed(missed, self.instant(frame));
        }
        false
    }

    fn instant(&self, frame: &Frame) -> At {
        let shift = self.inherited.and_then(|inherited| inherited.shift).unwrap_or(0);
        (MonoTime(frame.mono.0.wrapping_add(shift)), frame.at)
    }

    fn push_missed(&mut self, count: usize, before: At) {
        for _ in 0..count {
            self.push_gaps();
        }
        self.slots.push_gaps(count, before);
    }

    /// How many slots there were with that of this frame, which was pushed.
    pub(super) fn slots_of(&self, frame: &Frame) -> u64 {
        match self.inherited {
            Some(Inherited { until: Some(until), .. }) if frame.at <= until => self.slots.up_to(frame.at),
            _ => self.slots(),
        }
    }

    /// Adds a frame. Cycles that were never seen here, and a pause of
    /// collection, leave gaps: a line never joins what was not measured.
    pub(super) fn push(&mut self, frame: &Frame) {
        if self.is_inherited(frame) {
            return;
        }
        if let Some((cycle, mono)) = self.last {
            let missed =
                usize::try_from(frame.cycle.saturating_sub(cycle.saturating_add(1))).unwrap_or(usize::MAX);
            let paused = frame.mono.since(mono) > frame.interval.saturating_mul(3);
            let gaps = missed.max(usize::from(paused)).min(self.capacity);
            self.note_hole(missed.min(self.capacity), frame);
            self.push_missed(gaps, self.instant(frame));
        }
        self.slots.push(self.instant(frame));
        self.last = Some((frame.cycle, frame.mono));
        let push = self.slots();
        for (nth, glance) in frame.domains.glances().iter().filter(|glance| glance.live).enumerate() {
            let place = self.place(nth, glance.uuid);
            let Some(track) = self.tracks.get_mut(place) else { continue };
            // One slot for each VM, even where a uuid comes twice.
            if std::mem::replace(&mut track.seen, push) == push {
                continue;
            }
            track.absent = 0;
            track.history.put(glance.angles);
            // Some of them in every cycle.
            if (push.wrapping_add(nth as u64)).is_multiple_of(YOUNG as u64) {
                track.history.settle();
            }
        }
        let mut forgotten = false;
        for track in self.tracks.iter_mut().filter(|track| track.seen != push) {
            track.history.push_gap();
            track.absent += 1;
            forgotten |= track.absent > FORGET_AFTER;
        }
        if forgotten && self.as_of.is_none() {
            self.tracks.retain(|track| track.absent <= FORGET_AFTER);
            self.find_places();
        }
    }

    fn push_gaps(&mut self) {
        for track in &mut self.tracks {
            track.history.push_gap();
        }
    }

    /// The place of the track of the `nth` live VM of a frame.
    fn place(&mut self, nth: usize, uuid: Uuid) -> usize {
        let guess = self.order.get(nth).copied();
        if let Some(guess) = guess.filter(|&place| self.tracks.get(place).is_some_and(|t| t.uuid == uuid)) {
            return guess;
        }
        let place = *self.places.entry(uuid).or_insert_with(|| {
            let history = AngleHistory::new(self.capacity);
            self.tracks.push(Track { uuid, history, absent: 0, seen: 0 });
            self.tracks.len() - 1
        });
        match self.order.get_mut(nth) {
            Some(known) => *known = place,
            None => self.order.push(place),
        }
        place
    }

    fn find_places(&mut self) {
        self.order.clear();
        self.places = self.tracks.iter().enumerate().map(|(place, track)| (track.uuid, place)).collect();
    }

    fn track(&self, uuid: Uuid) -> Option<&Track> {
        self.tracks.get(*self.places.get(&uuid)?)
    }

    /// When the oldest slot was closed.
    pub(super) fn begins(&self) -> Option<WallTime> {
        self.slots.begins()
    }

    /// How many slots there were at `when`.
    pub(super) fn slots_up_to(&self, when: WallTime) -> u64 {
        self.slots.up_to(when)
    }

    /// Slots added since the start.
    pub(super) fn slots(&self) -> u64 {
        self.slots.total()
    }

    /// Shows the angles as of so many slots; `None`: up to the newest.
    pub(super) fn show_as_of(&mut self, slots: Option<u64>) {
        self.as_of = slots;
    }

    /// The newest `count` angles of one metric of one VM as of the shown
    /// moment, oldest first; `None` is a gap.
    pub fn last(&self, uuid: Uuid, metric: Metric, count: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        let hidden = self.hidden();
        self.track(uuid).into_iter().flat_map(move |track| track.history.last(metric, count, hidden))
    }

    /// How many of the newest `count` slots one VM has.
    pub(super) fn held(&self, uuid: Uuid, count: usize, hidden: usize) -> usize {
        self.track(uuid).map_or(0, |track| track.history.len().saturating_sub(hidden).min(count))
    }

    /// Slots that are newer than the shown moment.
    pub(super) fn hidden(&self) -> usize {
        let hidden = self.as_of.map_or(0, |as_of| self.slots().saturating_sub(as_of));
        usize::try_from(hidden).unwrap_or(usize::MAX)
    }

    /// The whole history of a VM, up to its newest cycle.
    pub(super) fn history(&self, uuid: Uuid) -> Option<&AngleHistory> {
        self.track(uuid).map(|track| &track.history)
    }

    /// VMs with a history.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Whether there is no history yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }
}
