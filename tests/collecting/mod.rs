//! The real collector on a libvirt, and waiting for what it gives out.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    collector::{self, Command, Handle, Sink},
    config,
    model::{
        AngleScale, DomainFrame, Frame, Happening,
        status::{CollectorStatus, WatchState},
    },
};

use crate::PATIENCE;

/// What the collector gave out last.
#[derive(Clone, Default)]
struct Seen(Arc<(Mutex<Latest>, Condvar)>);

#[derive(Default)]
pub struct Latest {
    pub frame: Option<Arc<Frame>>,
    pub status: Option<CollectorStatus>,
}

impl Sink for Seen {
    fn frame(&mut self, frame: Arc<Frame>) {
        self.0.0.lock().unwrap().frame = Some(frame);
        self.0.1.notify_all();
    }

    fn status(&mut self, status: CollectorStatus) {
        self.0.0.lock().unwrap().status = Some(status);
        self.0.1.notify_all();
    }
}

/// A running collector. Ends with its value.
pub struct Collecting {
    collector: Handle,
    seen: Seen,
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.collector.command(Command::Shutdown);
    }
}

impl Collecting {
    /// On `uri`, with a device cache that never grows too old by itself, once
    /// it hears events.
    pub fn from(uri: &str) -> Self {
        let libvirt = config::Libvirt {
            uri: uri.to_owned(),
            device_cache_ttl: Duration::from_hours(24),
            ..config::Libvirt::default()
        };
        let settings = collector::Settings {
            libvirt,
            interval: Duration::from_secs(1),
            scale: AngleScale::default(),
            notes: None,
        };
        let seen = Seen::default();
        let collector = collector::start(settings, Clock::system(), seen.clone()).unwrap();
        collector.command(Command::Start);
        let collecting = Self { collector, seen };
        collecting.wait("it listens", |latest| {
            matches!(latest.status.as_ref()?.events.watch, WatchState::Connected { .. }).then_some(())
        });
        collecting
    }

    /// Waits until `found` says something of what was given out last.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, found: impl Fn(&Latest) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut latest = self.seen.0.0.lock().unwrap();
        loop {
            if let Some(found) = found(&latest) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not in time: {what}; {:#?}", latest.frame.as_ref().map(timelines));
            latest = self.seen.0.1.wait_timeout(latest, left).unwrap().0;
        }
    }

    #[track_caller]
    pub fn domain<T>(&self, what: &str, name: &str, found: impl Fn(&DomainFrame) -> Option<T>) -> T {
        self.wait(what, |latest| found(latest.frame.as_ref()?.find(name)?))
    }

    /// Waits until `text` stands on the timeline of `name`.
    #[track_caller]
    pub fn happened(&self, name: &str, text: &str) -> Happening {
        self.domain(text, name, |domain| domain.timeline.iter().rfind(|h| &*h.text == text).cloned())
    }

    pub fn cycle(&self) -> u64 {
        self.wait("a cycle", |latest| Some(latest.frame.as_ref()?.cycle))
    }
}

fn timelines(frame: &Arc<Frame>) -> Vec<(String, Vec<String>)> {
    let texts = |domain: &DomainFrame| domain.timeline.iter().map(|h| h.text.to_string()).collect();
    frame.domains.iter().map(|domain| (domain.identity().name.to_string(), texts(domain))).collect()
}
