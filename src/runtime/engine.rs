//! Collection and delivery at work, whoever looks at them: the same engine
//! behind the screen and behind the agent.
//!
//! Owns how the two are wired together. It knows neither screen nor API: what
//! they are to see leaves through `watch` channels, the latest wins.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::{
    RuntimeError, parting,
    recording::{Recording, Waiting},
};
use crate::{
    clock::Clock,
    collector::{self, Command, Sink},
    config::Config,
    delivery,
    model::{
        Frame,
        status::{CollectionState, CollectorStatus},
    },
    rundir,
};

/// The engine. It collects from [`Command::Start`] on.
pub(super) struct Engine {
    /// Commands the collector.
    pub collector: collector::Handle,
    /// Recording and delivery: whichever is in use.
    pub recording: Recording,
    /// The last cycle; `None` before the first.
    pub frame: watch::Receiver<Option<Arc<Frame>>>,
    /// The collector's figures; `None` before it has told any.
    pub status: watch::Receiver<Option<CollectorStatus>>,
    /// While another process records, its end is waited for.
    waiting: Waiting,
}

/// Hands frames to whoever looks and to the record. Neither call waits.
struct Outlets {
    frames: watch::Sender<Option<Arc<Frame>>>,
    status: watch::Sender<Option<CollectorStatus>>,
    record: Recording,
    collecting: Arc<AtomicBool>,
}

impl Sink for Outlets {
    fn frame(&mut self, frame: Arc<Frame>) {
        self.record.current().record(Arc::clone(&frame));
        self.frames.send_replace(Some(frame));
    }

    fn status(&mut self, status: CollectorStatus) {
        let stopped = matches!(status.state, CollectionState::Stopped { .. });
        self.collecting.store(!stopped, Ordering::Relaxed);
        self.status.send_replace(Some(status));
    }
}

impl Engine {
    /// Starts delivery, and the collector stopped. What is collected is
    /// recorded as far as `role` allows; where another process records, this
    /// one does so after it, and `tell` is called with the delivery that takes
    /// the place of the one in use.
    ///
    /// # Errors
    /// The system gives no threads, or a tag cannot be written.
    pub fn start(
        config: &Config,
        clock: &Clock,
        role: delivery::Role,
        tell: impl Fn(Arc<delivery::Handle>) + Send + 'static,
    ) -> Result<Self, RuntimeError> {
        let recording = Recording::start(config, clock, role)?;
        let collecting = Arc::<AtomicBool>::default();
        let waiting = recording.wait_for_turn(config, clock, Arc::clone(&collecting), tell)?;
        let (frames, frame) = watch::channel(None);
        let (statuses, status) = watch::channel(None);
        let outlets = Outlets { frames, status: statuses, record: recording.clone(), collecting };
        let collector = collector::start(collector_settings(config), clock.clone(), outlets)?;
        Ok(Self { collector, recording, frame, status, waiting })
    }

    /// Ends both: records what was collected and sends what waits, for `within`
    /// at most. What is not sent by then waits in the record. Returns what
    /// the operator should know of lines that were not delivered.
    pub fn end(self, within: Duration) -> Vec<String> {
        self.collector.command(Command::Shutdown);
        drop(self.waiting);
        let delivery = self.recording.current();
        let accounts = delivery.status();
        let before = accounts.borrow().0.clone();
        delivery.shutdown(within);
        parting::words(&before, &accounts.borrow().0)
    }
}

/// The collector's settings out of the configuration.
#[must_use]
pub fn collector_settings(config: &Config) -> collector::Settings {
    collector::Settings {
        libvirt: config.libvirt.clone(),
        interval: config.collector.poll_interval,
        scale: config.angle,
        notes: rundir::directory(config.store.path.as_deref()).map(|directory| {
            let (scheme, mark) = rundir::key(&config.libvirt.uri);
            directory.join(format!("{scheme}-{mark}"))
        }),
    }
}
