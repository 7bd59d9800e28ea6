//! The last numbers in place of those that were not read: whose they are, how
//! old, and why. They are drawn in an ink of their own, never as fresh ones.

use std::time::Duration;

use super::units;
use crate::model::{DomainFrame, Missing, WallTime, Why};

/// The frame whose numbers to show.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// This cycle's, or the last one with these numbers.
    pub domain: &'a DomainFrame,
    /// What to say of old ones.
    pub old: Option<Old>,
}

/// How old numbers are, and why there are no newer ones.
#[derive(Clone, Copy, Debug)]
pub struct Old {
    missing: Missing,
    age: Duration,
}

/// Whose memory to show at `now`.
pub fn memory(domain: &DomainFrame, now: WallTime) -> Shown<'_> {
    Shown::of(domain, domain.last_memory(), domain.reading.memory_used().err(), now)
}

/// Whose disks to show at `now`.
pub fn disks(domain: &DomainFrame, now: WallTime) -> Shown<'_> {
    Shown::of(domain, domain.last_disks(), domain.reading.disks.as_ref().err().copied(), now)
}

impl<'a> Shown<'a> {
    fn of(
        domain: &'a DomainFrame,
        last: Option<&'a DomainFrame>,
        missing: Option<Missing>,
        now: WallTime,
    ) -> Self {
        match (last, missing) {
            (Some(last), Some(missing)) => {
                Self { domain: last, old: Some(Old { missing, age: now.since(last.reading.at) }) }
            }
            _ => Self { domain, old: None },
        }
    }

    /// Numbers of this cycle.
    pub fn fresh(domain: &'a DomainFrame) -> Self {
        Self { domain, old: None }
    }
}

impl Old {
    /// Whether it is merely not its turn: no news, and no cause for concern.
    pub fn waits_for_its_turn(self) -> bool {
        self.missing.why == Why::NotDue
    }

    /// Whether the age is worth room: not of one that waits for its turn, of
    /// which two take `two_turns`.
    pub fn is_late(self, two_turns: Duration) -> bool {
        !self.waits_for_its_turn() || self.age > two_turns
    }

    /// `read 4 s ago`
    pub fn read(self) -> String {
        // Whole seconds stand still between them.
        let whole = Duration::from_secs(self.age.as_secs());
        format!("read {} ago", units::span(if whole.is_zero() { self.age } else { whole }))
    }

    /// `busy with another job since 14:02:11, read 42 s ago`; of one that waits
    /// for its turn the age alone.
    pub fn words(self) -> String {
        if self.waits_for_its_turn() { self.read() } else { format!("{}, {}", self.missing, self.read()) }
    }

    /// The longest of [`Old::words`] and [`Old::read`] that fits; else nothing.
    pub fn fit(self, room: u16) -> String {
        [self.words(), self.read()]
            .into_iter()
            .find(|words| super::text::width(words) <= room)
            .unwrap_or_default()
    }

    /// Reason and age in a few columns, `busy 42s`, or the age alone.
    pub fn brief(self, room: u16) -> String {
        let seconds = self.age.as_secs();
        let age = match seconds {
            0..100 => format!("{seconds}s"),
            100..6000 => format!("{}m", seconds / 60),
            6000..360_000 => format!("{}h", seconds / 3600),
            _ => format!("{}d", seconds / 86_400),
        };
        let word = match self.missing.why {
            Why::Busy => "busy ",
            Why::Migrating => "migrating ",
            Why::NoAnswerYet => "late ",
            _ => "",
        };
        let whole = format!("{word}{age}");
        if super::text::width(&whole) <= room { whole } else { age }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_the_room_there_is() {
        let old = |why, seconds| Old { missing: Missing::new(why), age: Duration::from_secs(seconds) };
        let busy = old(Why::Busy, 42);
        assert_eq!(busy.words(), "busy with another job, read 42 s ago");
        assert_eq!(busy.fit(20), "read 42 s ago");
        assert_eq!(busy.fit(5), "");
        assert_eq!(busy.brief(12), "busy 42s");
        assert_eq!(busy.brief(6), "42s");
        assert_eq!(old(Why::Migrating, 7200).brief(20), "migrating 2h");
        let turn = old(Why::NotDue, 3);
        assert_eq!(turn.words(), "read 3 s ago");
        assert!(!turn.is_late(Duration::from_secs(4)) && turn.is_late(Duration::from_secs(2)));
        assert!(busy.is_late(Duration::from_secs(99)));
        let young = Old { age: Duration::from_millis(400), ..turn };
        assert_eq!(young.words(), "read 0.4 s ago");
    }
}
