//! A moment of the past, as the local record has it: what is asked for, and
//! what comes back. Plain values; who reads the record is another room's matter.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DomainReading, Frame, MonoTime, WallTime, history::AngleHistory};

/// Which recorded cycle is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// The last one that closed at this instant or before it.
    AtOrBefore(WallTime),
    /// The one before the cycle of this very instant, whatever a clock that
    /// was set says: a step back. Where there is no such cycle, the last one
    /// that closed before this instant.
    Before(WallTime),
    /// The one after the cycle of this very instant, likewise: a step forward.
    /// Where there is no such cycle, the first one that closed after.
    After(WallTime),
}

/// A question to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The cycle that is wanted.
    pub moment: Moment,
    /// How many cycles the sparklines are to span, that one included. Fewer
    /// come where the record holds fewer, and at first where they are large:
    /// the same question, asked again, then brings more.
    pub history: usize,
}

/// What the record says to a question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The question: one that a newer one overtook while it waited gets none.
    pub question: Question,
    /// What was found.
    pub found: Found,
}

/// What was found in the record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Found {
    /// The cycle.
    Seen(Past),
    /// There is none on that side of the instant.
    Nothing {
        /// What the record does cover; `None`: it is empty.
        covers: Option<Covers>,
    },
    /// The record is off, or could not be read.
    Failed {
        /// Why, and what to do about it.
        why: Arc<str>,
    },
}

/// The span of time that the record covers, by the cycles' closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covers {
    /// Its oldest cycle.
    pub from: WallTime,
    /// Its newest cycle.
    pub to: WallTime,
}

/// One recorded cycle and what led up to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Past {
    /// The cycle as the screen would have shown it. Its monotonic instants
    /// are those of the wall clock: ages within the frame are right, and
    /// nothing can be compared with a frame of this process.
    pub frame: Arc<Frame>,
    /// Angles up to that cycle, it included, the newest slot of every domain
    /// being that cycle. A slot is a recorded cycle: one in ten seconds where
    /// the record was thinned; [`Past::slots`] tells when each was.
    pub angles: HashMap<Uuid, AngleHistory>,
    /// When the cycle of each slot closed, oldest first; `None`: a slot that
    /// marks a pause of collection.
    pub slots: Vec<Option<WallTime>>,
    /// What the record covers.
    pub covers: Covers,
}

/// The wall clock's instant in the place of a monotonic one: all instants of
/// the past are of one clock, and only their differences mean anything.
#[must_use]
pub fn mono(at: WallTime) -> MonoTime {
    MonoTime(u64::try_from(at.0).unwrap_or(0))
}

/// Whether `reading` is from the record: only there is its monotonic instant
/// that of the wall clock.
#[must_use]
pub fn is_recorded(reading: &DomainReading) -> bool {
    reading.mono == mono(reading.at)
}
