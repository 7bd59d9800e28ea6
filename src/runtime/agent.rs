//! `kvmscope agent`: the engine without a screen, until SIGTERM.
//!
//! Owns the agent's one task: what signals ask, what the service manager is
//! told, what a reread configuration changes. What the API answers is the
//! room `agent`'s.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    RuntimeError,
    engine::Engine,
    recording,
    reread::{Change, Reading, Reread, changes, is_live},
    signals::{Asked, Signals},
    stderr_log::StderrLog,
    supervisor::Supervisor,
};
use crate::{
    agent::{
        Api, Sources, Who,
        door::{Doors, Keys},
        serve,
    },
    clock::Clock,
    collector::Command,
    config::{Config, ConfigErrors, Loaded},
    delivery::Role,
    model::status::{
        CollectionState, CollectorStatus, ConfigEntry, DeliveryState, DeliveryStatus, StoreState, StoreStatus,
    },
    terminal,
};

/// How long the end waits for lines that are on their way to the database.
/// What is not sent by then waits in the record.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);
/// At most this often is the service manager told how the agent is.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// A collector at work tells its figures every cycle, however many VMs hang.
/// One that has told none for three cycles and this long is no more.
const SILENT_FOR: Duration = Duration::from_mins(1);

/// Collects, records and delivers until a signal ends it. `reread` loads the
/// configuration anew, for SIGHUP.
///
/// # Errors
/// Another process records this host, or the system gives no threads.
pub fn agent(
    loaded: Loaded,
    reread: impl Fn() -> Result<Loaded, ConfigErrors> + Send + Sync + 'static,
) -> Result<(), RuntimeError> {
    let clock = Clock::system();
    let log = StderrLog::start(loaded.config.log.level, clock.clone());
    terminal::install_panic_hook(crate::libvirt::leave);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let supervisor = Supervisor::of_process();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Whoever sees its lock may ask it to end already.
    let began = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let (config, begins) = (loaded.config.clone(), clock.clone());
        let mut beginning = tokio::task::spawn_blocking(move || begin(&config, &begins));
        tokio::select! {
            // A panic in it ends the program by itself.
            begun = &mut beginning => begun.ok().transpose().map(|begun| begun.map(|begun| (signals, begun))),
            // A disk that hangs keeps nobody from ending it.
            () = signals.end() => Ok(None),
        }
    })?;
    let Some((signals, (doors, engine))) = began else {
        runtime.shutdown_background();
        tracing::info!("ended before it had begun");
        return Ok(());
    };
    let ended = runtime.block_on(async {
        engine.collector.command(Command::Start);
        let (end, ends) = watch::channel(false);
        let (effective, shown) = watch::channel(loaded.entries.clone());
        let sources = Sources {
            collector: engine.collector.clone(),
            frame: engine.frame.clone(),
            status: engine.status.clone(),
            figures: engine.recording.current().status(),
            config: Arc::new(loaded.config.clone()),
            effective: shown,
            delivery: engine.recording.current(),
            who: Who { pid: std::process::id(), since: clock.now().0 },
            clock,
            ends: ends.clone(),
        };
        let (places, keys) = (doors.places(), doors.keys());
        let mut served = tokio::spawn(serve::serve(doors, Api::new(sources), ends));
        let pulse = Pulse::new(engine.status.clone());
        let service = Service { supervisor, log: &log, engine: &engine, loaded, effective, pulse, keys };
        tracing::info!(
            "answers at {}",
            if places.is_empty() { "no door".to_owned() } else { places.join(", ") }
        );
        let served = tokio::select! {
            () = service.run(signals, reread) => {
                end.send_replace(true);
                served.await
            }
            // An agent that cannot be asked any more is of no use either.
            served = &mut served => served,
        };
        // A panic in it ends the program by itself.
        Ok(served.unwrap_or(Ok(()))?)
    });
    for words in engine.end(FLUSH_WITHIN) {
        tracing::warn!("{words}");
    }
    // A thread that still asks a libvirt or a disk which hangs is not waited for.
    runtime.shutdown_background();
    tracing::info!("ended");
    ended
}

/// Takes the place of the one that records this host, opens the doors and makes
/// the engine ready.
fn begin(config: &Config, clock: &Clock) -> Result<(Doors, Engine), RuntimeError> {
    let role = match recording::role(config, recording::AGENT) {
        Role::Looking { holder } => return Err(RuntimeError::Recorded { holder }),
        Role::Barred { why } => return Err(RuntimeError::NoLock { why }),
        role @ Role::Recording(_) => role,
    };
    // Before anything is collected: an agent that cannot be asked is of no use.
    let doors = Doors::open(&config.agent, config.store.path.as_deref(), &config.libvirt.uri)?;
    allow_connections();
    // Nobody takes the place of the one that holds the lock.
    let engine = Engine::start(config, clock, role, drop)?;
    Ok((doors, engine))
}

/// The agent at work.
struct Service<'a> {
    supervisor: Supervisor,
    /// It outlives this: the last words are those of the end.
    log: &'a StderrLog,
    engine: &'a Engine,
    /// The configuration in force.
    loaded: Loaded,
    /// The same as attached screens show it.
    effective: watch::Sender<Vec<ConfigEntry>>,
    pulse: Pulse,
    /// Token and certificate.
    keys: Keys,
}

impl Service<'_> {
    /// Until a signal asks for the end.
    async fn run(
        mut self,
        mut signals: Signals,
        reread: impl Fn() -> Result<Loaded, ConfigErrors> + Send + Sync + 'static,
    ) {
        let reread = Arc::new(reread);
        let mut reading = Reading::None;
        let mut beat = interval(self.supervisor.beat().unwrap_or(TELL_EVERY));
        let mut tell = interval(TELL_EVERY);
        for timer in [&mut beat, &mut tell] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
        }
        let mut told = String::new();
        self.supervisor.ready();
        tracing::info!("collecting; SIGTERM ends it, SIGHUP has the configuration read again");
        loop {
            tokio::select! {
                biased;
                asked = signals.asked() => match asked {
                    Asked::End => break,
                    Asked::Reread => reading.begin(&reread, &self.keys),
                },
                found = reading.found() => {
                    self.take_over(found);
                    reading.end(&reread, &self.keys);
                }
                _ = beat.tick() => {
                    if self.pulse.beats() {
                        self.supervisor.lives();
                    } else {
                        tracing::error!("the collector does not move any more; see whether it comes back after a restart");
                    }
                }
                _ = tell.tick() => {
                    let delivery = self.engine.recording.current().status();
                    let (delivery, store) = delivery.borrow().clone();
                    let now = standing(self.engine.status.borrow().as_ref(), &delivery, &store);
                    if now != told {
                        self.supervisor.is(&now);
                        told = now;
                    }
                }
            }
        }
        self.supervisor.ends();
        tracing::info!("ending: what is on its way to the database has {} s", FLUSH_WITHIN.as_secs());
    }

    /// Takes over what can change while it runs, and says what cannot.
    fn take_over(&mut self, found: Reread) {
        let (found, keys) = match found {
            Ok(found) => found,
            Err(errors) => {
                tracing::error!("the configuration in force stays: {errors}");
                return;
            }
        };
        for warning in &found.warnings {
            tracing::warn!("{warning}");
        }
        match keys {
            Ok(0) => {}
            Ok(_) => tracing::info!("the agent's token and certificate were read again"),
            Err(errors) => errors.iter().for_each(|error| tracing::error!("the one before stays: {error}")),
        }
        let changes = changes(&self.loaded.entries, &found.entries);
        if changes.is_empty() {
            tracing::info!("the configuration was read again: nothing has changed");
        }
        for change in changes {
            match change {
                Change::Interval => {
                    let interval = found.config.collector.poll_interval;
                    self.engine.collector.command(Command::SetInterval(interval));
                    self.loaded.config.collector = found.config.collector.clone();
                    tracing::info!("collector.poll_interval is {} s now", interval.as_secs_f64());
                }
                Change::Level => {
                    self.log.set_level(found.config.log.level);
                    self.loaded.config.log = found.config.log.clone();
                    tracing::info!("log.level is {} now", found.config.log.level);
                }
                Change::AfterRestart(key) => {
                    tracing::warn!("{key} has changed in the configuration: it takes a restart");
                }
                Change::NotOurs(key) => tracing::debug!("{key} has changed, and is of the screen alone"),
            }
        }
        // Only what is in force now is compared with the next time.
        for entry in found.entries.into_iter().filter(|entry| is_live(&entry.key)) {
            if let Some(ours) = self.loaded.entries.iter_mut().find(|ours| ours.key == entry.key) {
                *ours = entry;
            }
        }
        self.effective.send_replace(self.loaded.entries.clone());
    }
}

/// Raises this process's bound on open files to what its connections take, as
/// far as it may.
fn allow_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = serve::MOST_CONNECTIONS as u64 + FILES_BESIDE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < wanted) {
        let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
            tracing::warn!("the limit on open files stays: {error}");
        } else if raised < wanted {
            tracing::warn!(
                "the limit on open files is {raised}: fewer callers than {} get in",
                serve::MOST_CONNECTIONS
            );
        }
    }
}

/// Files open beside the connections: the record, libvirt's, the database's.
const FILES_BESIDE: u64 = 300;

/// Whether the collector moves.
struct Pulse {
    status: watch::Receiver<Option<CollectorStatus>>,
    /// When it was last seen to tell something new.
    moved: Instant,
}

impl Pulse {
    fn new(status: watch::Receiver<Option<CollectorStatus>>) -> Self {
        Self { status, moved: Instant::now() }
    }

    /// One that is stopped, or waits to try again, has nothing to tell.
    fn beats(&mut self) -> bool {
        match self.status.has_changed() {
            Ok(false) => {}
            Ok(true) => self.moved = Instant::now(),
            // Its thread is gone.
            Err(_) => return false,
        }
        let status = self.status.borrow_and_update();
        let patience = match status.as_ref() {
            Some(CollectorStatus { state: CollectionState::Running { .. }, interval, .. }) => {
                *interval * 3 + SILENT_FOR
            }
            _ => return true,
        };
        self.moved.elapsed() <= patience
    }
}

/// How it is, in one line for `systemctl status`.
fn standing(collector: Option<&CollectorStatus>, delivery: &DeliveryStatus, store: &StoreStatus) -> String {
    let collecting = match collector.map(|status| (&status.state, status)) {
        None => "starting".to_owned(),
        Some((CollectionState::Stopped { since }, _)) => format!("stopped since {} UTC", since.hms()),
        Some((CollectionState::Connecting { .. }, _)) => "connecting to libvirt".to_owned(),
        Some((CollectionState::Running { .. }, status)) => match status.silent.len() {
            0 => format!("collecting {} VMs", status.vms_monitored),
            silent => format!("collecting {} VMs, {silent} do not answer in full", status.vms_monitored),
        },
        Some((CollectionState::Failed { why, .. }, _)) => format!("failed: {why}"),
    };
    let delivering = match &delivery.state {
        DeliveryState::Off => "recording locally".to_owned(),
        DeliveryState::Probing | DeliveryState::Delivering => {
            format!("delivering, {} lines wait", delivery.waiting())
        }
        DeliveryState::Retrying { why, .. } | DeliveryState::Paused { why, .. } => {
            format!("{} lines wait: {why}", delivery.waiting())
        }
    };
    match &store.state {
        StoreState::Failing { why, .. } => format!("{collecting}; {delivering}; no record: {why}"),
        _ => format!("{collecting}; {delivering}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WallTime;

    fn running() -> CollectorStatus {
        CollectorStatus {
            state: CollectionState::Running { since: WallTime(0) },
            initialized: true,
            started_at: None,
            total_collections: 1,
            total_errors: 0,
            events: crate::model::status::EventFigures::default(),
            last_collection_at: None,
            last_error: None,
            errors: crate::model::LastErrors::default(),
            vms_monitored: 7,
            costs: crate::model::status::ReadingCosts::default(),
            interval: Duration::from_secs(1),
            last_cycle_took: None,
            lists: 1,
            round: 1,
            skipped_ticks: 0,
            reconnects: 0,
            stuck_calls: Vec::new(),
            max_stuck_calls: 8,
            silent: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_runs_and_tells_nothing_has_no_pulse() {
        let (tell, status) = watch::channel(None);
        let mut pulse = Pulse::new(status);
        let hour = Duration::from_hours(1);
        tokio::time::advance(hour).await;
        assert!(pulse.beats(), "it has not begun");
        tell.send_replace(Some(running()));
        assert!(pulse.beats());
        tokio::time::advance(SILENT_FOR).await;
        assert!(pulse.beats(), "not for long");
        tell.send_replace(Some(running()));
        assert!(pulse.beats());
        tokio::time::advance(SILENT_FOR + Duration::from_secs(4)).await;
        assert!(!pulse.beats());
        tell.send_replace(Some(CollectorStatus {
            state: CollectionState::Stopped { since: WallTime(0) },
            ..running()
        }));
        tokio::time::advance(hour).await;
        assert!(pulse.beats(), "stopped, it has nothing to tell");
        drop(tell);
        assert!(!pulse.beats(), "its thread is gone");
    }

    #[test]
    fn its_standing_is_told_in_a_line() {
        let mut delivery = DeliveryStatus::default();
        let store = StoreStatus::default();
        assert_eq!(standing(Some(&running()), &delivery, &store), "collecting 7 VMs; recording locally");
        delivery.state = DeliveryState::Retrying { why: "refused".into(), next_at: WallTime(0) };
        delivery.waiting_on_disk = 12;
        let failed = StoreState::Failing { why: "full".into(), since: WallTime(0) };
        let store = StoreStatus { state: failed, ..store };
        let told = standing(None, &delivery, &store);
        assert_eq!(told, "starting; 12 lines wait: refused; no record: full");
    }
}
