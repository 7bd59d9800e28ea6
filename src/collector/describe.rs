//! Which domains' XML must be read, and reading it one at a time. A question
//! that overruns holds up nobody else's: the next one is asked beside it.

use std::time::Duration;

use super::{
    Sink,
    calls::{Call, CallKind},
    engine::Engine,
    readers::Readers,
};
use crate::{
    libvirt::{Question, ReaderId},
    model::MonoTime,
};

/// How long the first reading of new domains waits for their XML, and when a
/// question for XML has overrun: one interval, but within these bounds. A
/// reading without it lacks what only the XML tells, such as the devices of
/// drivers without bulk data.
const DESCRIBING: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// Questions for XML that may be out within their deadline at once …
const MOST_IN_TIME: usize = 2;
/// … and with those that hang beyond it, of which at least half of the calls
/// that may hang are left to readings.
const MOST_OUT: usize = 4;

impl<R: Readers, S: Sink> Engine<R, S> {
    /// Queues the domains whose XML must be read and sets the describer going.
    pub(super) fn describe_where_needed(&mut self, now: MonoTime) -> bool {
        let ttl = self.settings.libvirt.device_cache_ttl;
        let interval = self.settings.interval;
        let mut never_described = false;
        self.to_describe.clear();
        for (uuid, track) in &self.domains {
            if track.is_live() && track.needs_description(now, ttl, interval) {
                never_described |= track.devices().is_none();
                self.to_describe.push_back(*uuid);
            }
        }
        self.describe_next();
        never_described && self.describing(now)
    }

    /// How long a cycle waits for XML.
    pub(super) fn describing_takes(&self) -> Duration {
        self.settings.interval.clamp(DESCRIBING.0, DESCRIBING.1)
    }

    /// Whether a question for XML is out that is worth waiting for: behind
    /// one that hangs there is nothing to wait for.
    pub(super) fn describing(&self, now: MonoTime) -> bool {
        self.calls.descriptions().any(|call| !self.has_overrun(call, now))
    }

    fn has_overrun(&self, call: &Call, now: MonoTime) -> bool {
        call.age(now) >= self.describing_takes()
    }

    /// Asks for the next XML, unless a question is out that may still be
    /// answered soon, or too many hang, of whatever link: they must not gain
    /// company with every reconnection.
    pub(super) fn describe_next(&mut self) {
        let now = self.clock.now().1;
        let out = self.calls.descriptions().count();
        let in_time = self.calls.descriptions().filter(|call| now < call.deadline).count();
        let bound = self.settings.libvirt.max_stuck_calls;
        // The first one is always allowed: XML needs no monitor.
        let full = out >= (bound / 2).clamp(1, MOST_OUT) || (out > 0 && self.calls_out() + in_time >= bound);
        if self.describing(now) || in_time >= MOST_IN_TIME || full {
            return;
        }
        // Nobody is asked about twice at once.
        let free = |uuid: &_| !self.calls.descriptions().any(|call| call.members().contains(uuid));
        let Some(place) = self.to_describe.iter().position(free) else { return };
        let Some(uuid) = self.to_describe.remove(place) else { return };
        let reader = match self.describer {
            Some(reader) if !self.calls.is_asked(reader) => reader,
            // One that is asked lets itself be let go when it answers.
            _ => match self.readers.start() {
                Ok(reader) => *self.describer.insert(reader),
                Err(error) => return self.note_error(error),
            },
        };
        let patience = self.settings.libvirt.timeout;
        let id = self.domains.get(&uuid).and_then(|track| track.identity.id);
        if !self.ask(reader, CallKind::Describe { uuid, id }, Question::Describe { uuid }, patience) {
            self.describer = None;
        }
    }

    /// A question for XML was answered in time by `reader`.
    pub(super) fn described(&mut self, reader: ReaderId) {
        // Another has taken its place while it overran.
        if self.describer != Some(reader) {
            self.readers.end(reader);
        }
        self.describe_next();
    }
}
