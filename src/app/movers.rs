//! Top movers: what changed most against five minutes ago.
//!
//! Owns one number per VM: of CPU, disk reads and writes, and network in and
//! out, the largest change in degrees between the mean of the last ten seconds
//! and the mean of the ten seconds five minutes before. Degrees are the one
//! scale all of these share. While less than five minutes are known, the
//! beginning is compared with; before a minute there is no change to tell.
//! Memory is left out: its degrees are those of its growth, and the change of
//! a change is no number to act upon.
//!
//! It is worked out every few seconds only, so that rows have time to be read.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use uuid::Uuid;

use super::Series;
use crate::model::{
    Frame, MonoTime,
    history::{AngleHistory, Metric},
};

/// What is compared with.
const AGO: Duration = Duration::from_mins(5);
/// The least that is compared with.
const LEAST: Duration = Duration::from_mins(1);
/// What is averaged, at either end.
const WINDOW: Duration = Duration::from_secs(10);
/// How often the changes are worked out.
const EVERY: Duration = Duration::from_secs(5);

const METRICS: [Metric; 5] = [Metric::Cpu, Metric::DiskRead, Metric::DiskWrite, Metric::NetRx, Metric::NetTx];

/// The largest change of a VM.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Of what.
    pub metric: Metric,
    /// By how many degrees; negative when it fell.
    pub degrees: f64,
}

/// The changes of all VMs.
#[derive(Clone, Debug, Default)]
pub struct Movers {
    /// How many slots the series had at each of the last frames.
    moments: VecDeque<(MonoTime, u64)>,
    changes: HashMap<Uuid, Change>,
    /// Of which frame the changes are.
    made: Option<MonoTime>,
    span: Option<Duration>,
}

impl Movers {
    /// The largest change of a VM; `None` where its past is not known.
    #[must_use]
    pub fn change(&self, uuid: Uuid) -> Option<Change> {
        self.changes.get(&uuid).copied()
    }

    /// How far back the changes reach: five minutes, or less after a start.
    #[must_use]
    pub fn span(&self) -> Option<Duration> {
        self.span
    }

    /// Notes the newest frame, which the series has taken in already.
    pub(super) fn follow(&mut self, frame: &Frame, series: &Series) {
        self.moments.push_back((frame.mono, series.slots_of(frame)));
        let kept = AGO + WINDOW * 2;
        while self.moments.front().is_some_and(|(mono, _)| frame.mono.since(*mono) > kept) {
            self.moments.pop_front();
        }
    }

    /// The series has begun anew: its slots have other numbers. `moments` are
    /// those of the frames that are known.
    pub(super) fn begin_anew(&mut self, moments: impl IntoIterator<Item = (MonoTime, u64)>) {
        *self = Self { moments: moments.into_iter().collect(), ..Self::default() };
    }

    /// Works the changes out for the shown frame, where they are wanted.
    pub(super) fn look(&mut self, frame: &Frame, series: &Series, wanted: bool) {
        if !wanted {
            self.changes.clear();
            (self.made, self.span) = (None, None);
            return;
        }
        let apart = |made: MonoTime| frame.mono.since(made).max(made.since(frame.mono));
        if self.made.is_some_and(|made| apart(made) < EVERY) {
            return;
        }
        self.made = Some(frame.mono);
        self.changes.clear();
        let places = self.places(frame.mono, series.slots());
        self.span = places.as_ref().map(|places| places.span);
        let Some(places) = places else { return };
        for domain in frame.domains.iter().filter(|domain| domain.is_live()) {
            let uuid = domain.identity().uuid;
            if let Some(change) = series.history(uuid).and_then(|history| places.change(history)) {
                self.changes.insert(uuid, change);
            }
        }
    }

    fn places(&self, now: MonoTime, pushed: u64) -> Option<Places> {
        let back = |slots: u64| usize::try_from(pushed.saturating_sub(slots)).ok();
        let held = |at: MonoTime| self.moments.iter().rev().find(|(mono, _)| *mono <= at);
        let (_, shown) = self.moments.iter().rev().find(|(mono, _)| *mono == now)?;
        let (first, _) = self.moments.front()?;
        let ago = MonoTime(now.0.saturating_sub(u64::try_from(AGO.as_nanos()).unwrap_or(u64::MAX)));
        let (then, slots) = held(ago.max(first.plus(WINDOW)))?;
        let span = now.since(*then);
        if span < LEAST {
            return None;
        }
        let window = MonoTime(now.0.saturating_sub(u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX)));
        let before = held(window).map_or(*shown, |(_, slots)| *slots);
        let count = usize::try_from(shown.saturating_sub(before)).unwrap_or(1).max(1);
        Some(Places { count, now: back(*shown)?, then: back(*slots)?, span })
    }
}

/// Where in the series the two windows lie, counted back from the newest slot.
struct Places {
    count: usize,
    now: usize,
    then: usize,
    span: Duration,
}

impl Places {
    fn change(&self, history: &AngleHistory) -> Option<Change> {
        METRICS
            .into_iter()
            .filter_map(|metric| {
                let now = mean(history.last(metric, self.count, self.now), self.count)?;
                let then = mean(history.last(metric, self.count, self.then), self.count)?;
                Some(Change { metric, degrees: now - then })
            })
            .max_by(|a, b| a.degrees.abs().total_cmp(&b.degrees.abs()))
    }
}

/// The mean of a window of which at least half is known.
fn mean(window: impl Iterator<Item = Option<f64>>, count: usize) -> Option<f64> {
    let (mut sum, mut known) = (0.0, 0_u32);
    for angle in window.flatten() {
        sum += angle;
        known += 1;
    }
    let enough = known > 0 && usize::try_from(known).is_ok_and(|known| known * 2 >= count);
    enough.then(|| sum / f64::from(known))
}
