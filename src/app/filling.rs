//! What the sparklines of an attached screen lack, and what the agent's record
//! is asked for it: the newest cycles first, then older ones, piece by piece,
//! and those that were closed while nothing came through.
//!
//! Owns when which is asked. No piece is asked for twice, and one question is
//! under way at a time: large histories hold up nothing else.

use super::{App, Effect, Series};
use crate::model::{
    WallTime,
    past::{Answer, Found, Moment, Past, Question},
};

/// How often older cycles are asked for: of large fleets an answer brings but
/// a few, and each costs the agent a fraction of a second's work.
const MOST_PIECES: u32 = 60;
/// Cycles of a hole that are asked for at once.
const MOST_OF_A_HOLE: usize = 600;
/// For so many ticks nothing may be missed before what was is asked for: by
/// then the record has it, and a line that loses cycles all the time is not
/// burdened with more.
const QUIET: u32 = 3;
/// So often the record is asked for the same in vain.
const MOST_TRIES: u32 = 5;

/// What is lacking.
#[derive(Clone, Debug, Default)]
pub(super) struct Lacking {
    begins: Begins,
    asked: Option<Question>,
    /// How often the same was asked in vain.
    tries: u32,
    /// The holes as of the last tick, and for how many ticks they are these.
    holes: (usize, Option<WallTime>),
    quiet: u32,
}

/// With what the sparklines begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Begins {
    /// With what has come here: the record was not asked yet.
    #[default]
    Here,
    /// With what the record told in so many pieces; it may have more.
    Recorded(u32),
    /// With all that is to be had.
    Known,
}

/// The newest cycle.
const NEWEST: Moment = Moment::AtOrBefore(WallTime(i64::MAX));

impl Lacking {
    /// A second has passed.
    pub fn tick(&mut self, series: &Series) {
        let holes = series.holes();
        self.quiet = if holes == self.holes { self.quiet.saturating_add(1) } else { 0 };
        self.holes = holes;
    }

    /// No answer comes any more to what was asked.
    pub fn forget_asked(&mut self) {
        self.asked = None;
    }

    /// What to ask now.
    fn next(&mut self, series: &mut Series, capacity: usize, awaits: bool) -> Option<Question> {
        if self.asked.is_some() || (self.tries > 0 && self.quiet < QUIET) {
            return None;
        }
        let older = series.begins().filter(|_| series.takes_older());
        self.asked = match (self.begins, older) {
            (Begins::Here, _) => Some(Question { moment: NEWEST, history: capacity }),
            // It has to be taken in first.
            (Begins::Recorded(_), _) if awaits => None,
            (Begins::Recorded(_), Some(begins)) => {
                Some(Question { moment: Moment::Before(begins), history: series.room() })
            }
            (Begins::Recorded(_), None) | (Begins::Known, _) => {
                self.begins = Begins::Known;
                let hole = series.hole().filter(|_| self.quiet >= QUIET);
                hole.map(|hole| Question {
                    moment: Moment::Before(hole.before),
                    history: hole.count.min(MOST_OF_A_HOLE),
                })
            }
        };
        self.asked
    }

    /// The answer brought nothing; whether to give up.
    fn in_vain(&mut self) -> bool {
        (self.tries, self.quiet) = (self.tries + 1, 0);
        let enough = self.tries >= MOST_TRIES;
        if enough {
            self.tries = 0;
        }
        enough
    }
}

impl App {
    /// Asks for what the sparklines lack.
    pub(super) fn ask_for_history(&mut self) -> Option<Effect> {
        let awaits = self.attached.awaits_a_frame();
        if !self.attached.link().is_some_and(crate::model::link::Link::is_live) {
            return None;
        }
        self.lacking.next(&mut self.series, self.screen.history_cycles, awaits).map(Effect::History)
    }

    /// The record answered.
    pub(super) fn take_history(&mut self, answer: Answer) {
        if self.lacking.asked != Some(answer.question) {
            return;
        }
        self.lacking.asked = None;
        let is_hole = self.lacking.begins == Begins::Known;
        let past = match answer.found {
            Found::Seen(past) if is_answer(&past, answer.question) => past,
            // Too busy, perhaps.
            Found::Failed { .. } => {
                if self.lacking.in_vain() {
                    self.give_up(is_hole);
                }
                return;
            }
            // More than was asked for is no answer.
            Found::Seen(_) | Found::Nothing { .. } => return self.give_up(is_hole),
        };
        match (answer.question.moment, self.lacking.begins) {
            (Moment::Before(before), Begins::Known) => {
                let until = past.covers.to;
                let filled = self.series.fill(before, &past.angles, &past.slots, until);
                let stays = self.series.hole().is_some_and(|hole| hole.before == before);
                if filled > 0 || !stays {
                    self.lacking.tries = 0;
                } else if self.lacking.in_vain() {
                    self.series.leave_hole();
                }
            }
            (Moment::Before(_), Begins::Recorded(pieces)) => {
                let more = pieces < MOST_PIECES && has_older(&past);
                self.lacking.tries = 0;
                self.lacking.begins = if more { Begins::Recorded(pieces + 1) } else { Begins::Known };
                self.series.go_back(past.angles, &past.slots);
            }
            (_, _) => {
                let more = has_older(&past);
                self.lacking.tries = 0;
                self.lacking.begins = if more { Begins::Recorded(1) } else { Begins::Known };
                self.inherit(past);
            }
        }
    }

    /// The sparklines have what they can have.
    fn give_up(&mut self, is_hole: bool) {
        self.lacking.begins = Begins::Known;
        if is_hole {
            self.series.leave_hole();
        }
    }
}

/// Whether it is no longer than what was asked for, pauses aside.
fn is_answer(past: &Past, question: Question) -> bool {
    past.slots.iter().flatten().count() <= question.history
        && past.slots.len() <= question.history.saturating_mul(2)
}

/// Whether the record has cycles before these.
fn has_older(past: &Past) -> bool {
    past.slots.iter().flatten().min().is_some_and(|begins| *begins > past.covers.from)
}

#[cfg(test)]
mod tests;
