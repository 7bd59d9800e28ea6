//! The agent's API: what other tools, other screens and the page ask.
//!
//! Owns the doors (a unix socket, a TCP address), who may come in, the bounds
//! on what a caller may take, and the answers. It computes no number and
//! collects nothing: answers are made from the frame and the figures that the
//! engine publishes, and from the local record. It starts no engine and
//! handles no signal; [`crate::runtime`] does.
//!
//! A request's way: [`door`] (a connection) → [`serve`] (bounds on connections
//! and time) → [`guard`] (may it ask?) → `routes` (which answer) → an answer,
//! or a `fault` as JSON.

mod attach;
mod connection;
mod diagnostic;
pub mod door;
mod events;
pub mod export;
mod fault;
mod form;
pub mod guard;
mod history;
mod mask;
mod page;
mod query;
mod routes;
pub mod serve;
mod sparklines;
mod stats;
mod web;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{Semaphore, watch};

use crate::{
    clock::Clock,
    collector,
    config::{self, Config},
    delivery::{
        self,
        lookback::series::{Series, SeriesError},
    },
    model::{
        DomainFrame, Frame, WallTime,
        link::Agent,
        name::storable,
        status::{CollectorStatus, ConfigEntry, DeliveryStatus, StoreStatus},
    },
    telemetry::answers::InForce,
};
use diagnostic::Checks;
use mask::Mask;
use page::Pages;

/// What the answers are made from.
#[derive(Clone)]
pub struct Sources {
    /// Starts and stops collection.
    pub collector: collector::Handle,
    /// The last cycle.
    pub frame: watch::Receiver<Option<Arc<Frame>>>,
    /// The collector's figures.
    pub status: watch::Receiver<Option<CollectorStatus>>,
    /// Those of delivery and of the record.
    pub figures: watch::Receiver<(DeliveryStatus, StoreStatus)>,
    /// The configuration that the engine was started with.
    pub config: Arc<Config>,
    /// The same as it is shown, with what was changed since.
    pub effective: watch::Receiver<Vec<ConfigEntry>>,
    /// What has a failed delivery tried again.
    pub delivery: Arc<delivery::Handle>,
    /// Who this is.
    pub who: Who,
    /// Tells times.
    pub clock: Clock,
    /// True when the agent ends: streams end then.
    pub ends: watch::Receiver<bool>,
}

/// Who an agent is, for attached screens.
#[derive(Clone, Debug)]
pub struct Who {
    /// Its process.
    pub pid: u32,
    /// When it was started.
    pub since: WallTime,
}

/// What all requests share.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    sources: Sources,
    in_force: InForce,
    mask: Mask,
    /// The answers made from the last frame.
    pages: Pages,
    checks: Mutex<Option<Checks>>,
    /// Looks into the record at once: each holds a thread.
    looks: Arc<Semaphore>,
    /// Looks of attached screens at once, beside those.
    screens_looks: Arc<Semaphore>,
    /// Looks of pages at once, beside those.
    pages_looks: Arc<Semaphore>,
    sights: attach::Sights,
    /// Streams of events and attached screens at once.
    streams: Arc<Semaphore>,
    /// Exports at once.
    exports: Arc<Semaphore>,
}

/// Looks into the record at once.
const MOST_LOOKS: usize = 2;
/// Looks for pages at once: they ask for little, one after the other.
const MOST_PAGES_LOOKS: usize = 1;
/// Streams of events at once.
const MOST_STREAMS: usize = 256;
/// How long a look into the record may take.
const LOOK_WITHIN: Duration = Duration::from_secs(8);

impl Api {
    /// An API that answers from `sources`.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let config = &sources.config;
        let in_force = InForce {
            influx_db: config.influx.db.clone(),
            poll_interval: config.collector.poll_interval,
            batch_max_lines: config.influx.batch_max_lines,
            batch_max_sec: config.influx.batch_max_sec,
            device_cache_ttl: config.libvirt.device_cache_ttl,
        };
        Self(Arc::new(Shared {
            mask: Mask::of(config),
            pages: Pages::new(config),
            in_force,
            sources,
            checks: Mutex::default(),
            looks: Arc::new(Semaphore::new(MOST_LOOKS)),
            screens_looks: Arc::new(Semaphore::new(MOST_LOOKS)),
            pages_looks: Arc::new(Semaphore::new(MOST_PAGES_LOOKS)),
            sights: attach::Sights::default(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            exports: Arc::new(Semaphore::new(1)),
        }))
    }

    fn sources(&self) -> &Sources {
        &self.0.sources
    }

    /// This agent, as attached screens are told of it.
    fn who(&self) -> Agent {
        let Sources { who, config, effective, .. } = self.sources();
        Agent {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: who.pid,
            since: who.since,
            uri: config::masked(&config.libvirt.uri),
            config: effective.borrow().clone(),
        }
    }

    fn collector(&self) -> Option<CollectorStatus> {
        self.sources().status.borrow().clone()
    }

    fn frame(&self) -> Option<Arc<Frame>> {
        self.sources().frame.borrow().clone()
    }

    /// Looks into the record on a thread of its own.
    async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Series, std::time::Instant) -> Result<T, fault::Fault> + Send + 'static,
    ) -> Result<T, fault::Fault> {
        let config = Arc::clone(&self.sources().config);
        aside(&self.0.looks, move || {
            let deadline = std::time::Instant::now() + LOOK_WITHIN;
            let series = Series::open(&config.store, &config.libvirt.uri, config.angle)?;
            read(&series, deadline)
        })
        .await
    }
}

/// Has `work` done on a thread of its own. Its place among the `looks` is held
/// until it has ended, whether or not somebody still waits for it: callers who
/// leave, and a disk that hangs, take no more threads than there are places.
async fn aside<T: Send + 'static>(
    looks: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, fault::Fault> + Send + 'static,
) -> Result<T, fault::Fault> {
    let busy = || fault::Fault::busy("the record is being read for others; ask again in a moment");
    let place = tokio::time::timeout(LOOK_WITHIN, Arc::clone(looks).acquire_owned());
    let place = place.await.map_err(|_| busy())?.map_err(|_| busy())?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    done.await.map_err(|_| fault::Fault::internal())?
}

/// The VM that is meant by `asked`: libvirt id, uuid or name, in this order;
/// a name as libvirt has it, or as it is stored.
fn find<'a>(frame: &'a Frame, asked: &str) -> Option<&'a Arc<DomainFrame>> {
    frame.find(asked).or_else(|| frame.find(&storable(asked)))
}

impl From<SeriesError> for fault::Fault {
    fn from(error: SeriesError) -> Self {
        match error {
            SeriesError::Off => Self::unavailable("there is no local record: store.path is none"),
            SeriesError::TooLong => Self::busy(&error.to_string()),
            SeriesError::Look(error) => {
                // Its words name files: these are for the log alone.
                tracing::warn!("a question about the past was not answered: {error}");
                Self::unavailable("the local record cannot be read; the agent's log says why")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_look_holds_its_place_until_it_ends_though_nobody_waits_for_it() {
        let looks = Arc::new(Semaphore::new(1));
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let asked = tokio::spawn({
            let looks = Arc::clone(&looks);
            async move {
                let work = move || {
                    let _ = begun.send(());
                    let _ = ends.recv();
                    Ok(())
                };
                aside(&looks, work).await
            }
        });
        begins.await.unwrap();
        // As when the caller's connection ends.
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        assert_eq!(looks.available_permits(), 0, "its thread is still at work");
        drop(end);
        let place = tokio::time::timeout(Duration::from_mins(1), looks.acquire()).await;
        assert!(place.is_ok(), "and then it is free");
    }
}
