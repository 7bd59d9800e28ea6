//! Which domains' XML must be read, and reading it one at a time.

use super::{Sink, calls::CallKind, engine::Engine, readers::Readers};
use crate::{libvirt::Question, model::MonoTime};

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
        // Behind a question for XML that hangs there is nothing to wait for.
        never_described && self.calls.describing()
    }

    pub(super) fn describe_next(&mut self) {
        // One at a time, whatever link it is of: one that hangs must not gain
        // company with every reconnection.
        if self.calls.descriptions() > 0 {
            return;
        }
        let Some(uuid) = self.to_describe.pop_front() else { return };
        let reader = match self.describer {
            Some(reader) => reader,
            None => match self.readers.start() {
                Ok(reader) => *self.describer.insert(reader),
                Err(error) => return self.note_error(error),
            },
        };
        let patience = self.settings.libvirt.timeout;
        if !self.ask(reader, CallKind::Describe(uuid), Question::Describe { uuid }, patience) {
            self.describer = None;
        }
    }
}
