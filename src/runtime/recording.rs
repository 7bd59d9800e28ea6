//! Who records this host: this process, or another one until that ends.
//!
//! Owns the handle of delivery that is in use. While another process records,
//! a thread looks now and then whether it still does, and begins to record in
//! its place when it has ended: a host that is watched is never left without a
//! record, and the screen never names a process that is gone.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use crate::{
    clock::Clock,
    config::Config,
    delivery::{self, Handle, Role, StartError},
    model::status::StoreState,
};

/// What others are told of a screen that records.
pub(super) const SCREEN: &str = "kvmscope";
/// What they are told of an agent.
pub(super) const AGENT: &str = "kvmscope agent";

/// How often it is looked whether the other process still records.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The delivery in use, shared by collector and screen.
#[derive(Clone)]
pub(super) struct Recording(Arc<Mutex<Arc<Handle>>>);

/// While this exists, the other process's end is waited for.
pub(super) struct Waiting {
    /// Nothing is ever sent: it ends the thread.
    _end: Option<mpsc::Sender<()>>,
}

impl Recording {
    /// Starts recording and delivery, as far as `role` allows.
    pub(super) fn start(config: &Config, clock: &Clock, role: Role) -> Result<Self, StartError> {
        Ok(Self(Arc::new(Mutex::new(Arc::new(start(config, clock, role)?)))))
    }

    /// The handle in use.
    pub(super) fn current(&self) -> Arc<Handle> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, handle: Arc<Handle>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    /// Where another process records, waits until it has ended and this one is
    /// `collecting`. `tell` is
    /// called with every handle that takes the place of the one in use.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(super) fn wait_for_turn(
        &self,
        config: &Config,
        clock: &Clock,
        collecting: Arc<AtomicBool>,
        tell: impl Fn(Arc<Handle>) + Send + 'static,
    ) -> io::Result<Waiting> {
        let turn = config.store.path.is_some().then(|| holder(&self.current())).flatten();
        let Some(mut known) = turn else { return Ok(Waiting { _end: None }) };
        let (end, ended) = mpsc::channel::<()>();
        let (recording, config, clock) = (self.clone(), config.clone(), clock.clone());
        std::thread::Builder::new().name("successor".into()).spawn(move || {
            while ended.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                // An agent that has ended comes back: its service starts it
                // anew, and finds the lock free.
                if known.starts_with(AGENT) {
                    continue;
                }
                let role = match claim(&config, SCREEN) {
                    Ok(Role::Looking { holder }) if holder == known => continue,
                    // One that has nothing to record keeps others from it no
                    // longer than it takes to ask.
                    Ok(Role::Recording(_)) if !collecting.load(Ordering::Relaxed) => continue,
                    Ok(role) => role,
                    // Said at start where it lasts; a holder is still assumed.
                    Err(error) => {
                        tracing::debug!("{error}");
                        continue;
                    }
                };
                let who = match &role {
                    Role::Looking { holder } => holder.as_str(),
                    Role::Recording(_) | Role::Barred { .. } => "this process",
                };
                tracing::info!("{known} has ended; {who} records this host now");
                let handle = match start(&config, &clock, role) {
                    Ok(handle) => Arc::new(handle),
                    Err(error) => {
                        tracing::error!("{error}");
                        continue;
                    }
                };
                recording.replace(Arc::clone(&handle));
                let next = holder(&handle);
                tell(handle);
                let Some(next) = next else { return };
                known = next;
            }
        })?;
        Ok(Waiting { _end: Some(end) })
    }
}

/// The process that records in place of this one.
pub(super) fn holder(handle: &Handle) -> Option<String> {
    match &handle.status().borrow().1.state {
        StoreState::ReadOnly { holder } => Some(holder.clone()),
        _ => None,
    }
}

/// Takes the lock of the host as `program`; where another process records it
/// already, or no lock can be had, this one only looks.
pub(super) fn role(config: &Config, program: &str) -> Role {
    claim(config, program).unwrap_or_else(|error| {
        tracing::error!("{error}");
        Role::Barred { why: error }
    })
}

fn claim(config: &Config, program: &str) -> Result<Role, String> {
    delivery::claim(&config.store, &config.libvirt.uri, program).map_err(|error| error.to_string())
}

fn start(config: &Config, clock: &Clock, role: Role) -> Result<Handle, StartError> {
    let settings = delivery::Settings {
        influx: config.influx.clone(),
        record: config.record,
        store: config.store.clone(),
        libvirt_uri: config.libvirt.uri.clone(),
        role,
    };
    delivery::start(settings, clock.clone())
}
