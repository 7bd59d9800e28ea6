//! The watch for events: started when the link is up, let go with it, started
//! anew while it fails; and what becomes of what it hears.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Sink,
    engine::{Engine, nanos},
    link::{FIRST_BACKOFF, Link},
    readers::Readers,
    timeline,
};
use crate::{
    libvirt::{DomainEvent, EventKind, WatchNews},
    model::{
        MonoTime, WallTime,
        status::{EventFigures, WatchState},
    },
};

const LAST_BACKOFF: Duration = Duration::from_mins(1);
/// Watches whose threads may be there at once. One that hangs in opening its
/// connection cannot be ended; beyond this none is started until one has.
const MOST_THREADS: usize = 2;
/// Events of domains that no roster has named yet wait here, at most so many …
const MOST_WAITING: usize = 256;
/// … and so long: a domain that is gone again is in no roster any more.
const WAITING: Duration = Duration::from_mins(1);

/// What the engine remembers of its watch.
#[derive(Debug)]
pub(super) struct Watching {
    /// Number of the watch that counts; news of others come too late.
    number: u64,
    /// When it is tried again.
    retry_at: Option<MonoTime>,
    backoff: Duration,
    /// Watches that have not said yet that they have ended.
    threads: usize,
    waiting: VecDeque<DomainEvent>,
    pub figures: EventFigures,
}

impl Default for Watching {
    fn default() -> Self {
        Self {
            number: 0,
            retry_at: None,
            backoff: FIRST_BACKOFF,
            threads: 0,
            waiting: VecDeque::new(),
            figures: EventFigures::default(),
        }
    }
}

impl Watching {
    /// When another watch is to be started, if one is.
    pub fn next_try(&self) -> Option<MonoTime> {
        self.retry_at
    }
}

impl<R: Readers, S: Sink> Engine<R, S> {
    /// The link is up: listens.
    pub(super) fn watch(&mut self) {
        let (wall, mono) = self.clock.now();
        self.watching.number += 1;
        if self.watching.threads >= MOST_THREADS {
            let why = format!(
                "{} earlier attempts to listen for events have not returned yet; another is made when one does",
                self.watching.threads
            );
            self.watch_failed(why, wall, mono);
            return;
        }
        self.watching.retry_at = None;
        match self.readers.watch(self.watching.number) {
            Ok(()) => {
                self.watching.threads += 1;
                self.watching.figures.watch = WatchState::Connecting { since: wall };
            }
            Err(error) => self.watch_failed(error, wall, mono),
        }
    }

    /// The link is gone, and the watch goes with it.
    pub(super) fn unwatch(&mut self) {
        self.readers.unwatch();
        let watching = &mut self.watching;
        watching.number += 1;
        watching.retry_at = None;
        watching.backoff = FIRST_BACKOFF;
        watching.waiting.clear();
        watching.figures.watch = WatchState::Off;
    }

    /// Starts a watch anew when it is time.
    pub(super) fn watch_again(&mut self, mono: MonoTime) {
        if self.link == Link::Up && self.watching.retry_at.is_some_and(|at| at <= mono) {
            self.watch();
            self.publish_status();
        }
    }

    fn watch_failed(&mut self, why: String, wall: WallTime, mono: MonoTime) {
        let wait = self.watching.backoff;
        self.watching.backoff = (wait * 2).min(LAST_BACKOFF);
        self.watching.retry_at = Some(mono.plus(wait));
        let retry_at = WallTime(wall.0.saturating_add_unsigned(nanos(wait)));
        self.watching.figures.watch = WatchState::Failed { why, retry_at };
    }

    /// What watch `number` tells.
    pub fn hear(&mut self, number: u64, news: WatchNews) {
        let current = number == self.watching.number;
        let (wall, mono) = self.clock.now();
        match news {
            WatchNews::Happened(event) if current => {
                self.watching.figures.seen += 1;
                self.watching.figures.last_at = Some(event.at.0);
                self.happened(event);
                // The figures go out with the cycle: events can come in swarms.
                return;
            }
            WatchNews::Connected { refused } if current => {
                if !refused.is_empty() {
                    tracing::debug!("this hypervisor has no events of these kinds: {}", refused.join(", "));
                }
                self.watching.backoff = FIRST_BACKOFF;
                self.watching.figures.watch = WatchState::Connected { since: wall };
                // What changed while nobody listened is found by reading it.
                let live: Vec<Uuid> =
                    self.domains.values().filter(|t| t.is_live()).map(|t| t.identity.uuid).collect();
                for uuid in live {
                    self.devices_changed_now(uuid, mono);
                }
            }
            WatchNews::NotOffered if current => {
                tracing::info!("this hypervisor tells no events; changes are found by reading");
                // Its end is expected now.
                self.watching.number += 1;
                self.watching.figures.watch = WatchState::NotOffered;
            }
            WatchNews::Ended { why } => {
                self.watching.threads = self.watching.threads.saturating_sub(1);
                if current {
                    let why =
                        why.map_or_else(|| "the watch has ended by itself".into(), |why| why.to_string());
                    // Once for a failure that lasts: the status page has the rest.
                    if self.watching.backoff == FIRST_BACKOFF {
                        tracing::warn!("events of libvirt are not heard: {why}");
                    }
                    self.watch_failed(why, wall, mono);
                }
            }
            WatchNews::Happened(_) | WatchNews::Connected { .. } | WatchNews::NotOffered => return,
        }
        self.publish_status();
    }

    /// Tells the events that waited for their domain to appear in a roster.
    pub(super) fn place_waiting(&mut self) {
        let now = self.clock.now().1;
        for event in std::mem::take(&mut self.watching.waiting) {
            if now.since(event.at.1) <= WAITING {
                self.happened(event);
            }
        }
    }

    fn happened(&mut self, event: DomainEvent) {
        let Some(track) = self.domains.get_mut(&event.uuid) else {
            if self.watching.waiting.len() == MOST_WAITING {
                self.watching.waiting.pop_front();
            }
            self.watching.waiting.push_back(event);
            return;
        };
        let devices = track.devices().cloned();
        track.timeline.hear(&event, &track.identity.name, devices.as_deref());
        if let (EventKind::DeviceRemoved { alias }, Some(devices)) = (&event.kind, &devices)
            && let Some((_, name)) = timeline::device(devices, alias)
        {
            let name = Arc::clone(name);
            track.baseline.forget_device(&name, event.at.1);
        }
        let touched = matches!(
            event.kind,
            EventKind::DeviceAdded { .. }
                | EventKind::DeviceRemoved { .. }
                | EventKind::DiskMissing { .. }
                | EventKind::Tray { .. }
                | EventKind::BlockJob { .. }
        );
        if touched {
            self.devices_changed_now(event.uuid, event.at.1);
        }
    }

    /// Reads a live domain's XML anew as soon as the describer is free.
    fn devices_changed_now(&mut self, uuid: Uuid, at: MonoTime) {
        let Some(track) = self.domains.get_mut(&uuid).filter(|track| track.is_live()) else { return };
        track.devices_changed_at(at);
        if self.link == Link::Up && !self.to_describe.contains(&uuid) {
            self.to_describe.push_back(uuid);
            self.describe_next();
        }
    }
}
