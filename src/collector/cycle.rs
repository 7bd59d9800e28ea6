//! One cycle, from its roster to the frame that closes it: where it stands, and
//! when it may go on or end.
//!
//! What it asks is in `asking`, what the answers mean in `taking`.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use super::{
    Sink,
    calls::ListCall,
    domains::{Track, frame_order},
    engine::Engine,
    probing::Probe,
    readers::Readers,
};
use crate::{
    libvirt::Roster,
    model::{DomainFrame, Frame, MonoTime},
};

/// Where the open cycle stands.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    number: u64,
    begun: MonoTime,
    phase: Phase,
    /// Domains to be asked once more, and when.
    pub(super) second_tries: Vec<(MonoTime, Vec<Uuid>)>,
    /// Lists that wait for one of the calls that may be out at once.
    pub(super) waiting: VecDeque<ListCall>,
    /// Questions whether a domain is held that wait for the same.
    pub(super) probes: VecDeque<Probe>,
    /// Domains that are not read before the probes are over: a call of an
    /// earlier process may hang on them.
    pub(super) set_aside: Vec<Uuid>,
    /// Of whom a probe could tell nothing.
    pub(super) undecided: HashSet<Uuid>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Closed: its frame is out.
    #[default]
    Closed,
    /// Waiting for the roster.
    Roster,
    /// Waiting for the XML of new domains, until then at most.
    Describing(MonoTime),
    /// The lists are asked.
    Lists,
}

impl Cycle {
    /// Forgets the open cycle without a frame.
    pub fn abandon(&mut self) {
        self.phase = Phase::Closed;
        self.second_tries.clear();
        self.waiting.clear();
        self.probes.clear();
        self.set_aside.clear();
        self.undecided.clear();
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether its lists are being asked.
    pub fn is_reading(&self) -> bool {
        self.phase == Phase::Lists
    }

    /// Whether its frame is out and the next one has not begun.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// When the next domains are asked once more.
    pub fn next_second_try(&self) -> Option<MonoTime> {
        self.second_tries.iter().map(|(due, _)| *due).min()
    }

    /// Until when the open cycle waits for XML at most.
    pub fn describing_until(&self) -> Option<MonoTime> {
        match self.phase {
            Phase::Describing(until) => Some(until),
            _ => None,
        }
    }
}

impl<R: Readers, S: Sink> Engine<R, S> {
    pub(super) fn begin_cycle(&mut self, now: MonoTime) {
        self.cycle.number += 1;
        self.cycle.begun = now;
        self.cycle.phase = Phase::Roster;
        for track in self.domains.values_mut() {
            track.failed = None;
        }
    }

    /// Whether a tick may begin another cycle. While calls are within their
    /// deadline it waits for them; only where no usual time is known yet, or
    /// somebody hangs, it is not worth holding back those who answered.
    pub(super) fn cycle_may_end(&mut self) -> bool {
        if self.cycle.phase == Phase::Closed {
            return true;
        }
        let answered = self.domains.values().any(|track| track.updated.is_some());
        let worth_waiting = !self.pace.is_unsettled()
            && !self.calls.only_repeats_pending(self.link_number, self.cycle.number);
        // A second try is milliseconds away.
        let idle = self.cycle.waiting.is_empty()
            && self.cycle.second_tries.is_empty()
            && self.cycle.probes.is_empty()
            && self.cycle.set_aside.is_empty();
        if self.cycle.phase == Phase::Lists && answered && idle && !worth_waiting {
            self.close_cycle();
            return true;
        }
        false
    }

    /// Takes the roster: who came, who left, who is another incarnation.
    pub(super) fn take_roster(&mut self, roster: Roster, now: MonoTime) {
        if *self.host != roster.host {
            self.host = Arc::new(roster.host);
        }
        let period = self.period();
        self.host_load.take(&roster.load, self.host.cpus, period);
        let mut kept = std::collections::HashMap::with_capacity(roster.domains.len());
        for entry in &roster.domains {
            let track = if let Some(mut track) = self.domains.remove(&entry.identity.uuid) {
                track.update(entry, now);
                track
            } else {
                self.turns += 1;
                Track::new(entry, self.turns)
            };
            kept.insert(entry.identity.uuid, track);
        }
        self.domains = kept;
        if self.cycle.phase != Phase::Roster {
            return;
        }
        if self.describe_where_needed(now) {
            self.cycle.phase = Phase::Describing(now.plus(self.describing_takes()));
        } else {
            self.cycle.phase = Phase::Lists;
            self.ask_lists();
        }
    }

    /// Asks the lists once the XML of new domains is there, or the time for
    /// it is up.
    pub(super) fn ask_lists_when_described(&mut self, now: MonoTime) {
        let Phase::Describing(until) = self.cycle.phase else { return };
        let all_described = self.domains.values().all(|track| !track.is_live() || track.devices().is_some());
        if all_described || !self.describing(now) || until <= now {
            self.cycle.phase = Phase::Lists;
            self.ask_lists();
        }
    }

    pub(super) fn close_cycle_when_complete(&mut self) {
        if self.cycle.phase == Phase::Lists
            && self.cycle.second_tries.is_empty()
            && self.cycle.waiting.is_empty()
            && self.cycle.probes.is_empty()
            && self.calls.probes_in_flight(self.link_number) == 0
            && self.calls.pending_of_cycle(self.link_number, self.cycle.number) == 0
        {
            self.close_cycle();
        }
    }

    fn close_cycle(&mut self) {
        self.cycle.abandon();
        self.figures.collections += 1;
        self.figures.initialized = true;
        let (wall, mono) = self.clock.now();
        self.figures.last_collection_at = Some(wall);
        self.figures.last_took = Some(mono.since(self.cycle.begun));
        self.publish_frame();
        self.publish_status();
        self.ask_about_jobs();
    }

    /// How often cycles come: one that takes longer than the interval is its
    /// own period.
    pub(super) fn period(&self) -> Duration {
        let interval = self.settings.interval;
        self.figures.last_took.map_or(interval, |took| interval.max(took))
    }

    /// The next reading may come as late as the interval until now allows,
    /// whatever comes after it: that is no gap.
    pub(super) fn interval_changes(&mut self) {
        let (interval, round) = (self.settings.interval, self.figures.round.max(1));
        self.host_load.may_come_after(interval);
        for track in self.domains.values_mut() {
            track.may_come_after(interval, interval * round);
        }
    }

    /// Builds the frame of what was read since the last one and hands it out.
    pub(super) fn publish_frame(&mut self) {
        let (wall, mono) = self.clock.now();
        let mut domains: Vec<Arc<DomainFrame>> = self
            .domains
            .values_mut()
            .map(|track| track.updated.take().unwrap_or_else(|| Arc::new(track.unread(wall, mono))))
            .collect();
        domains.sort_by(|a, b| frame_order(a, b));
        self.sink.frame(Arc::new(Frame {
            cycle: self.figures.collections,
            at: wall,
            mono,
            took: mono.since(self.cycle.begun),
            interval: self.settings.interval,
            host: Arc::clone(&self.host),
            load: self.host_load.load,
            scale: self.settings.scale,
            domains: domains.into(),
        }));
    }
}
