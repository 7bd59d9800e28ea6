//! Freezing the screen, and looking back from there: through the whole frames
//! in memory, and beyond them into the local record.
//!
//! Owns where one looks. Frames in memory are shown at once; the record is
//! asked by an effect, and until its answer comes the screen shows what it
//! showed. An answer to a question that is no longer asked is dropped.

use std::{sync::Arc, time::Duration};

use super::{App, Effect, Series, recent::Kept};
use crate::model::{
    Frame, WallTime,
    past::{Answer, Found, Moment, Question},
};

/// How far `{` and `}` go.
const MINUTE: Duration = Duration::from_mins(1);
/// Cycles of the record that the sparklines of a recorded moment span.
const HISTORY: usize = 300;

/// A step in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To the cycle before.
    Back,
    /// To the cycle after.
    On,
    /// To the cycle of a minute before.
    MinuteBack,
    /// To the cycle of a minute after.
    MinuteOn,
}

/// The moment looked at.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    pub frame: Arc<Frame>,
    place: Place,
    /// What the record was asked and has not answered yet.
    asked: Option<Moment>,
}

/// Where the moment was found.
#[derive(Clone, Debug)]
enum Place {
    Memory,
    /// In the record, with the angles up to it.
    Record(Box<Series>),
}

/// Where the shown moment is from, for the badge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looking {
    /// Whole frames in memory.
    AtMemory,
    /// The local record.
    AtRecord,
    /// The local record is being asked for this moment, or the one beside it.
    Asking(WallTime),
}

impl Frozen {
    fn in_memory(kept: &Kept) -> Self {
        Self { frame: Arc::clone(&kept.frame), place: Place::Memory, asked: None }
    }

    fn is_recorded(&self) -> bool {
        matches!(self.place, Place::Record(_))
    }

    /// The angles up to a recorded moment.
    pub fn series(&self) -> Option<&Series> {
        match &self.place {
            Place::Record(series) => Some(series),
            Place::Memory => None,
        }
    }

    pub fn looking(&self) -> Looking {
        match (self.asked, &self.place) {
            (Some(moment), _) => Looking::Asking(instant(moment)),
            (None, Place::Memory) => Looking::AtMemory,
            (None, Place::Record(_)) => Looking::AtRecord,
        }
    }
}

impl App {
    /// Freezes the screen at the newest cycle, or goes on.
    pub(super) fn freeze(&mut self) {
        if self.frozen.take().is_some() {
            self.series.show_as_of(None);
            self.rearrange();
        } else if let Some(newest) = self.recent.newest().cloned() {
            self.show_kept(&newest);
        }
    }

    fn show_kept(&mut self, kept: &Kept) {
        self.frozen = Some(Frozen::in_memory(kept));
        self.series.show_as_of(Some(kept.slots));
        self.rearrange();
    }

    /// Steps through the past; from a live screen backwards, which freezes it.
    pub(super) fn step(&mut self, step: Step) -> Vec<Effect> {
        if self.frozen.is_none() {
            if matches!(step, Step::On | Step::MinuteOn) {
                self.say("this is the newest cycle".into());
                return Vec::new();
            }
            self.freeze();
        }
        let Some(frozen) = &self.frozen else { return Vec::new() };
        let (cycle, at) = (frozen.frame.cycle, frozen.frame.at);
        // While the record is asked, a minute is counted from what was asked.
        let from = frozen.asked.map_or(at, instant);
        let by_minute = |back: bool| {
            let minute = i64::try_from(MINUTE.as_nanos()).unwrap_or(0);
            WallTime(from.0.saturating_add(if back { -minute } else { minute }))
        };
        let recorded = frozen.is_recorded();
        if recorded || frozen.asked.is_some() {
            return self.ask(match step {
                Step::Back => Moment::Before(at),
                Step::On => Moment::After(at),
                Step::MinuteBack => Moment::AtOrBefore(by_minute(true)),
                // At that instant, or after it.
                Step::MinuteOn => Moment::After(WallTime(by_minute(false).0.saturating_sub(1))),
            });
        }
        let found = match step {
            Step::Back => self.recent.before(cycle),
            Step::On => self.recent.after(cycle),
            Step::MinuteBack => self.recent.back_to(cycle, by_minute(true)),
            Step::MinuteOn => self.recent.on_to(cycle, by_minute(false)),
        };
        if let Some(found) = found.cloned() {
            self.show_kept(&found);
            return Vec::new();
        }
        match step {
            Step::Back => self.ask(Moment::Before(at)),
            Step::MinuteBack => self.ask(Moment::AtOrBefore(by_minute(true))),
            Step::On | Step::MinuteOn => {
                self.say("this is the newest cycle; p goes live".into());
                Vec::new()
            }
        }
    }

    fn ask(&mut self, moment: Moment) -> Vec<Effect> {
        let Some(frozen) = &mut self.frozen else { return Vec::new() };
        if frozen.asked.replace(moment) == Some(moment) {
            return Vec::new();
        }
        vec![Effect::LookBack(Question { moment, history: HISTORY })]
    }

    /// What the record answered.
    pub(super) fn take_past(&mut self, answer: Answer) {
        let moment = answer.question.moment;
        let Some(frozen) = self.frozen.as_mut().filter(|frozen| frozen.asked == Some(moment)) else {
            return;
        };
        frozen.asked = None;
        let onwards = matches!(moment, Moment::After(_));
        let frozen_at = frozen.frame.at;
        let oldest = self.recent.oldest().cloned();
        match answer.found {
            // Where memory begins, it knows more than the record.
            Found::Seen(past) if oldest.as_ref().is_some_and(|oldest| oldest.frame.at <= past.frame.at) => {
                let found = self.recent.back_to(u64::MAX, past.frame.at).cloned();
                if let Some(found) = found.or(oldest) {
                    self.show_kept(&found);
                }
            }
            Found::Seen(past) => {
                let series = Box::new(Series::of_the_past(past.angles, &past.slots));
                self.frozen = Some(Frozen { frame: past.frame, place: Place::Record(series), asked: None });
                self.rearrange();
            }
            Found::Nothing { .. } if onwards => match oldest.filter(|oldest| oldest.frame.at > frozen_at) {
                Some(oldest) => self.show_kept(&oldest),
                None => self.say("this is the newest cycle; p goes live".into()),
            },
            Found::Nothing { covers: None } => {
                self.say("the local record is empty: there is nothing earlier".into());
            }
            Found::Nothing { covers: Some(_) } => self.say("the local record begins here".into()),
            Found::Failed { why } => self.say(format!("nothing earlier: {why}")),
        }
    }
}

/// The instant that a question is about.
fn instant(moment: Moment) -> WallTime {
    match moment {
        Moment::AtOrBefore(at) | Moment::Before(at) | Moment::After(at) => at,
    }
}

#[cfg(test)]
mod tests;
