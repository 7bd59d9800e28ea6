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
    past::{Answer, Covers, Found, Moment, Past, Question},
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
    /// The question whose answer was asked for once more, since it had fewer
    /// cycles for the sparklines than wanted, and how many it had.
    more: Option<(Moment, usize)>,
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
        Self { frame: Arc::clone(&kept.frame), place: Place::Memory, asked: None, more: None }
    }

    /// Its collector was started anew: what is before and after it is in the
    /// record now, and `series`, up to that moment, is its own.
    pub fn outlive(&mut self, series: Series) {
        if matches!(self.place, Place::Memory) {
            self.place = Place::Record(Box::new(series));
        }
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
        } else if let Some(newest) = self.recent.newest() {
            // Its rows stay where they were when the key was pressed.
            self.frozen = Some(Frozen::in_memory(newest));
            self.series.show_as_of(Some(newest.slots));
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
        // Backwards, a minute is counted from what the record is asked.
        let asked = frozen.asked.map_or(at, instant).min(at);
        let minute = i64::try_from(MINUTE.as_nanos()).unwrap_or(0);
        let (before, after) =
            (WallTime(asked.0.saturating_sub(minute)), WallTime(at.0.saturating_add(minute)));
        // What is in memory is shown at once, whatever a disk is at.
        let found = match step {
            _ if frozen.is_recorded() => None,
            Step::Back => self.recent.before(cycle),
            Step::On => self.recent.after(cycle),
            Step::MinuteBack => self.recent.back_to(cycle, before),
            Step::MinuteOn => self.recent.on_to(cycle, after),
        };
        if let Some(found) = found {
            self.show_kept(&found);
            return Vec::new();
        }
        match step {
            Step::Back => self.ask(Moment::Before(at)),
            Step::MinuteBack => self.ask(Moment::AtOrBefore(before)),
            Step::On if frozen.is_recorded() => self.ask(Moment::After(at)),
            // At that instant, or after it.
            Step::MinuteOn if frozen.is_recorded() => {
                self.ask(Moment::After(WallTime(after.0.saturating_sub(1))))
            }
            Step::On | Step::MinuteOn => {
                if let Some(frozen) = &mut self.frozen {
                    frozen.asked = None;
                }
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

    /// What the record answered. Memory may know more than the record, so that
    /// of both the nearest is shown.
    pub(super) fn take_past(&mut self, answer: Answer) -> Vec<Effect> {
        let moment = answer.question.moment;
        let Some(frozen) = &mut self.frozen else { return Vec::new() };
        if frozen.asked != Some(moment) {
            return self.take_more(answer);
        }
        frozen.asked = None;
        let here = frozen.frame.at;
        // From memory the record is asked for what memory does not have.
        let recorded = frozen.is_recorded();
        let in_memory = recorded.then(|| self.recent.nearest(moment)).flatten();
        let nearer = |at: WallTime, other: WallTime| match moment {
            Moment::After(_) => at <= other,
            Moment::Before(_) | Moment::AtOrBefore(_) => at >= other,
        };
        match (answer.found, in_memory) {
            (Found::Seen(past), Some(kept)) if nearer(kept.frame.at, past.frame.at) => self.show_kept(&kept),
            (Found::Seen(past), _) => return self.show_past(moment, past),
            (Found::Nothing { .. } | Found::Failed { .. }, Some(kept)) => self.show_kept(&kept),
            (Found::Nothing { covers }, None) => return self.at_an_end(moment, here, covers),
            (Found::Failed { why }, None) => {
                self.say(format!("nothing earlier: {why}"));
                self.show_oldest_before(here);
            }
        }
        Vec::new()
    }

    fn show_past(&mut self, moment: Moment, past: Past) -> Vec<Effect> {
        let cycles = past.slots.len();
        let wants_more = cycles < HISTORY && past.slots.first().copied().flatten() > Some(past.covers.from);
        let series = Box::new(Series::of_the_past(past.angles, &past.slots));
        let more = wants_more.then_some((moment, cycles));
        self.frozen = Some(Frozen { frame: past.frame, place: Place::Record(series), asked: None, more });
        self.rearrange();
        match more {
            Some(_) => vec![Effect::LookBack(Question { moment, history: HISTORY })],
            None => Vec::new(),
        }
    }

    /// More cycles for the sparklines of the moment that is shown already. Of
    /// large fleets an answer brings but a few.
    fn take_more(&mut self, answer: Answer) -> Vec<Effect> {
        let moment = answer.question.moment;
        let Some(frozen) = self.frozen.as_mut().filter(|frozen| frozen.asked.is_none()) else {
            return Vec::new();
        };
        let Some((_, had)) = frozen.more.take().filter(|(more, _)| *more == moment) else {
            return Vec::new();
        };
        match answer.found {
            Found::Seen(past) if past.frame.at == frozen.frame.at && past.slots.len() > had => {
                self.show_past(moment, past)
            }
            _ => Vec::new(),
        }
    }

    /// There is nothing on that side. A minute back goes as far as there is
    /// anything.
    fn at_an_end(&mut self, moment: Moment, here: WallTime, covers: Option<Covers>) -> Vec<Effect> {
        if matches!(moment, Moment::After(_)) {
            self.say("this is the newest cycle; p goes live".into());
            return Vec::new();
        }
        match covers {
            None => self.say("the local record is empty: there is nothing earlier".into()),
            Some(_) => self.say("the local record begins here".into()),
        }
        if matches!(moment, Moment::AtOrBefore(_)) {
            let recorded = covers.map(|covers| covers.from).filter(|from| *from < here);
            let in_memory = self.recent.begins();
            match recorded {
                Some(from) if in_memory.is_none_or(|at| from < at) && moment != Moment::AtOrBefore(from) => {
                    return self.ask(Moment::AtOrBefore(from));
                }
                _ => self.show_oldest_before(here),
            }
        }
        Vec::new()
    }

    /// The oldest frame in memory, where it is earlier than `here`.
    fn show_oldest_before(&mut self, here: WallTime) {
        if let Some(oldest) = self.recent.oldest().filter(|oldest| oldest.frame.at < here) {
            self.show_kept(&oldest);
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
