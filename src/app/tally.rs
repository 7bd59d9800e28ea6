//! What is told of all VMs of a frame together: found once per frame, so that
//! drawing never goes through thousands of VMs for a line of text.

use std::sync::Arc;

use unicode_width::UnicodeWidthStr as _;

use super::Counts;
use crate::model::{Frame, MonoTime, host::Commitment};

/// Sums over the shown frame.
#[derive(Clone, Debug)]
pub struct Tally {
    /// VMs by condition.
    pub counts: Counts,
    /// What the live VMs were given, with the last known sizes of those that
    /// were merely not read.
    pub given: Commitment,
    /// Whether a size in `given` is such an older one.
    pub given_is_old: bool,
    /// Columns that the longest name takes.
    pub longest_name: u16,
    /// Which frame this is about.
    of: (u64, MonoTime, usize),
}

impl Tally {
    fn new(frame: &Arc<Frame>) -> Self {
        let (given, given_is_old) = Commitment::shown(frame);
        let named = frame.domains.glances().iter().zip(&frame.domains);
        let longest_name = named.fold(0, |longest, (glance, domain)| {
            // No character takes more columns than bytes: most are not measured.
            if glance.name_bytes > longest { domain.identity().name.width().max(longest) } else { longest }
        });
        let longest_name = u16::try_from(longest_name).unwrap_or(u16::MAX);
        Self { counts: Counts::of(frame), given, given_is_old, longest_name, of: key(frame) }
    }

    /// Makes `kept` that of `frame`, unless it is already.
    pub(super) fn keep(kept: &mut Option<Self>, frame: Option<&Arc<Frame>>) {
        match frame {
            Some(frame) if kept.as_ref().is_some_and(|tally| tally.of == key(frame)) => {}
            Some(frame) => *kept = Some(Self::new(frame)),
            None => *kept = None,
        }
    }
}

/// What tells frames apart: cycles are counted anew when collection starts
/// again, and the clock stands still in none.
fn key(frame: &Frame) -> (u64, MonoTime, usize) {
    (frame.cycle, frame.mono, frame.domains.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{
        Key, Message,
        fixtures::{Host, running},
    };

    #[test]
    fn it_is_always_that_of_the_shown_frame() {
        let (mut app, mut host) = running(70);
        let is_own = |app: &crate::app::App| {
            let (frame, tally) = (app.frame().unwrap(), app.tally().unwrap());
            let (given, old) = Commitment::shown(frame);
            assert_eq!((tally.counts, tally.given, tally.given_is_old), (Counts::of(frame), given, old));
        };
        is_own(&app);
        let with_all = app.tally().unwrap().counts;
        // Frozen, it stays that of the frozen frame whatever comes.
        app.update(Message::Key(Key::Char('p')));
        host.remove("db-primary");
        app.update(Message::Frame(host.cycle()));
        is_own(&app);
        assert_eq!(app.tally().unwrap().counts, with_all);
        app.update(Message::Key(Key::Char('p')));
        is_own(&app);
        assert_eq!(app.tally().unwrap().counts.running + 1, with_all.running);
        // A host of the same size and cycle, but read at another moment.
        let mut other = Host::with(3);
        for _ in 0..5 {
            app.update(Message::Frame(other.cycle()));
            is_own(&app);
        }
    }
}
