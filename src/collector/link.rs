//! The link to libvirt: opened, found broken, tried again. One attempt at a
//! time, each after a longer wait, and none while too many hang.

use std::time::Duration;

use super::{
    Sink,
    calls::CallKind,
    engine::{Engine, nanos},
    readers::Readers,
};
use crate::{
    libvirt::{Question, ReaderId},
    model::{Missing, MonoTime, WallTime, Why, status::CollectionState},
};

/// First wait before another attempt to connect; doubled up to the last.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// Attempts to reach libvirt that may hang at once. A further one is made when
/// one of them returns; but a host that was switched off while it hung never
/// lets them return, so also when the last one is this old, and the double
/// with each that hangs beyond …
const FREE_ATTEMPTS: usize = 2;
const FURTHER: Duration = Duration::from_mins(1);
/// … up to so many: each is a thread and a connection. The last of them is
/// left to the operator.
const MOST_ATTEMPTS: usize = 8;

/// The connection's state, beneath [`CollectionState`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Not wanted.
    Down,
    /// The first roster is asked for.
    Opening,
    /// Cycles run.
    Up,
    /// Broken; tried again at this time.
    Broken(MonoTime),
}

impl<R: Readers, S: Sink> Engine<R, S> {
    /// Opens a link: a lister that asks for the first roster. While too many
    /// earlier attempts are out, this one is made later, or when one of them
    /// returns.
    pub(super) fn connect(&mut self, wall: WallTime, mono: MonoTime) {
        let attempts = self.calls.attempts();
        let last = self.calls.last_attempt().map_or(Duration::MAX, |asked| mono.since(asked));
        self.connect_if(may_attempt(attempts, last), wall, mono);
    }

    /// As [`Engine::connect`], because the operator wants it now.
    pub(super) fn connect_now(&mut self, wall: WallTime, mono: MonoTime) {
        self.connect_if(self.calls.attempts() < MOST_ATTEMPTS, wall, mono);
    }

    fn connect_if(&mut self, allowed: bool, wall: WallTime, mono: MonoTime) {
        self.held_back = !allowed;
        if self.held_back {
            self.hold_back(self.calls.attempts(), wall, mono);
            return;
        }
        self.link_number += 1;
        let failing_since = match &self.state {
            CollectionState::Failed { since, .. } => Some(*since),
            _ => None,
        };
        self.link = Link::Opening;
        if failing_since.is_none() {
            self.state = CollectionState::Connecting { since: wall };
        }
        match self.readers.start() {
            Ok(reader) => {
                self.lister = Some(reader);
                self.ask_roster(reader, self.settings.libvirt.timeout);
            }
            Err(error) => self.break_link(error),
        }
    }

    fn hold_back(&mut self, attempts: usize, wall: WallTime, mono: MonoTime) {
        self.link = Link::Broken(mono.plus(self.backoff));
        let retry_at = WallTime(wall.0.saturating_add_unsigned(nanos(self.backoff)));
        let (why, since) = match &self.state {
            CollectionState::Failed { why, since, .. } => (why.clone(), *since),
            _ => (
                format!(
                    "{attempts} earlier attempts to reach libvirt at {} have not returned yet, and another is made when one does, after a while, or on request; {}",
                    crate::libvirt::masked(&self.settings.libvirt.uri),
                    crate::libvirt::hang_advice(&self.settings.libvirt.uri),
                ),
                wall,
            ),
        };
        self.state = CollectionState::Failed { why, since, retry_at };
    }

    pub(super) fn ask_roster(&mut self, reader: ReaderId, patience: Duration) {
        if !self.ask(reader, CallKind::Roster, Question::Roster, patience) {
            self.break_link("a libvirt reader has ended by itself; it is started anew".into());
        }
    }

    /// The link is of no more use: says so for every domain and plans the
    /// next attempt.
    pub(super) fn break_link(&mut self, why: String) {
        let (wall, mono) = self.clock.now();
        let since = match &self.state {
            CollectionState::Failed { since, .. } => *since,
            _ => wall,
        };
        let was_up = self.link == Link::Up;
        self.hang_up();
        let retry_at = mono.plus(self.backoff);
        let retry_wall = WallTime(wall.0.saturating_add_unsigned(nanos(self.backoff)));
        self.backoff = (self.backoff * 2).min(LAST_BACKOFF);
        self.link = Link::Broken(retry_at);
        self.note_error(why.clone());
        self.state = CollectionState::Failed { why, since, retry_at: retry_wall };
        let missing = Missing::since(Why::NoConnection, since);
        self.host_load.forget(missing);
        if was_up {
            for track in self.domains.values_mut() {
                track.failed = Some(missing);
                track.updated = None;
            }
        }
        self.publish_status();
        if was_up {
            self.publish_frame();
        }
    }

    /// Lets every reader of this link go. Calls in flight are forgotten as
    /// answers, but still counted until they return.
    pub(super) fn hang_up(&mut self) {
        self.link_number += 1;
        self.held_back = false;
        self.unwatch();
        let own = [self.lister.take(), self.describer.take(), self.jobs.forget()];
        for reader in self.idle.drain(..).chain(own.into_iter().flatten()) {
            // One that has been asked is let go when it answers: only then is
            // it known that its call holds nothing of libvirtd any more.
            if !self.calls.is_asked(reader) {
                self.readers.end(reader);
            }
        }
        self.to_describe.clear();
        self.cycle.abandon();
        for track in self.domains.values_mut() {
            track.updated = None;
        }
    }
}

/// Whether another attempt may be made by itself while `out` are out, of which
/// the last one is `last` old.
fn may_attempt(out: usize, last: Duration) -> bool {
    let further = || FURTHER * (1 << (out - FREE_ATTEMPTS));
    out < FREE_ATTEMPTS || (out < MOST_ATTEMPTS - 1 && last >= further())
}
