//! From frames to the record, and from the record to the database.
//!
//! Owns three threads and what they share. The *recorder* encodes each frame
//! and has its lines and reasons appended to the record, or held in memory
//! while the record cannot take them. The *sender* reads what waits, sends it
//! with one request in flight, and moves the cursor after the answer. The
//! *lookout* says so where the record's disk holds up both (`stall`).
//! Receiving never waits for sending, and the collector waits for neither.
//!
//! It encodes nothing itself ([`crate::influx::line`]), decides nothing about
//! answers ([`crate::influx::policy`]) and stores nothing itself
//! ([`crate::journal`]). The way of a line: `handover` → `recorder` →
//! [`ledger`] (memory or record) → `sender`, which asks `attempt` what to send
//! next → settled. What the lines cannot say goes with them to the record
//! ([`local`]); both are read back by [`recorded`] and become frames again in
//! [`lookback`]. At every instant
//! `emitted = delivered + waiting + quarantined + dropped`.

mod ahead;
mod attempt;
mod backoff;
mod files;
mod handover;
mod heard;
mod held;
pub mod ledger;
pub mod local;
pub mod lookback;
pub mod recorded;
mod recorder;
mod sender;
mod stall;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use self::{
    handover::HandOver,
    ledger::{Ledger, Place},
    recorder::Recorder,
    sender::Sender,
    stall::{InUse, Locked, Lookout, Lost},
};
use crate::{
    clock::Clock,
    config,
    influx::line::{Encoder, TagError},
    journal::{
        Limits, file_name,
        lock::{self, Lock, LockError},
    },
    model::{
        Frame,
        status::{DeliveryState, DeliveryStatus, StoreState, StoreStatus},
    },
};

pub use self::backoff::{LONGEST, SHORTEST, backoff};

/// What delivery is started with.
#[derive(Debug)]
pub struct Settings {
    /// `[influx]`
    pub influx: config::Influx,
    /// `[record]`
    pub record: config::Record,
    /// `[store]`
    pub store: config::Store,
    /// Whose domains are recorded: each libvirt has a record of its own.
    pub libvirt_uri: String,
    /// Whether this process records or only looks.
    pub role: Role,
}

/// Whether this process records its host.
#[derive(Debug)]
pub enum Role {
    /// It does, and holds the lock until delivery has ended. `None`: the
    /// caller sees to it that no other process records.
    Recording(Option<Lock>),
    /// Another process does; frames are ignored here.
    Looking {
        /// That process, in words.
        holder: String,
    },
    /// The lock cannot be made, so that nobody knows whether another process
    /// records: frames are ignored rather than recorded twice.
    Barred {
        /// What, where and what to do.
        why: String,
    },
}

/// Finds out whether this process may record: takes the lock of the host, or
/// tells who holds it. `program` is what others will be told, such as
/// `kvmscope agent`.
///
/// # Errors
/// The lock cannot be made: what, where and what to do.
pub fn claim(store: &config::Store, libvirt_uri: &str, program: &str) -> Result<Role, LockError> {
    role(lock::acquire(libvirt_uri, store.path.as_deref(), program))
}

/// As [`claim`], with the lock in `directory`.
///
/// # Errors
/// As [`claim`].
pub fn claim_in(directory: &Path, libvirt_uri: &str, program: &str) -> Result<Role, LockError> {
    role(lock::acquire_in(directory, libvirt_uri, program))
}

fn role(lock: Result<Lock, LockError>) -> Result<Role, LockError> {
    match lock {
        Ok(lock) => Ok(Role::Recording(Some(lock))),
        Err(LockError::Held(holder)) => {
            Ok(Role::Looking { holder: format!("{} (process {})", holder.program, holder.pid) })
        }
        Err(error) => Err(error),
    }
}

/// Why delivery could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A tag that cannot be written.
    #[error(transparent)]
    Tags(#[from] TagError),
    /// The system gave no thread or no event queue.
    #[error("delivery cannot start: {0}; look at the limits of this process (ulimit -u, ulimit -n)")]
    System(#[from] std::io::Error),
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
enum Stop {
    No,
    By(tokio::time::Instant),
}

/// What recorder and sender share.
struct Shared {
    ledger: Mutex<Ledger>,
    in_use: Arc<InUse>,
    clock: Clock,
    /// There may be something to send.
    data: Notify,
    /// Somebody wants a failed delivery tried now.
    kick: Notify,
    recorder_ended: AtomicBool,
}

impl Shared {
    fn ledger(&self) -> Locked<'_> {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        self.in_use.from(self.clock.now().1, ledger)
    }

    fn recorder_has_ended(&self) {
        self.recorder_ended.store(true, Ordering::Release);
        self.data.notify_one();
    }

    fn recorder_ended(&self) -> bool {
        self.recorder_ended.load(Ordering::Acquire)
    }
}

/// Delivery at work. Dropping it stops it at once: what the collector has
/// handed over is recorded, and what waits stays on disk.
pub struct Handle {
    status: watch::Receiver<(DeliveryStatus, StoreStatus)>,
    /// `None`: this process only looks.
    work: Option<Work>,
    _published: Option<watch::Sender<(DeliveryStatus, StoreStatus)>>,
}

struct Work {
    handover: Arc<HandOver>,
    /// Whether lines go anywhere at all.
    useful: bool,
    /// Nothing is ever sent: it ends the lookout.
    _lookout: mpsc::Sender<()>,
    shared: Arc<Shared>,
    stop: watch::Sender<Stop>,
    /// Nothing is ever sent: it closes when both threads have ended.
    ended: Mutex<mpsc::Receiver<()>>,
    closed: AtomicBool,
    /// Released after the record is closed.
    lock: Mutex<Option<Lock>>,
}

/// Starts the threads. Opening the record and reaching the server happen
/// there: this returns at once.
///
/// # Errors
/// See [`StartError`].
pub fn start(settings: Settings, clock: Clock) -> Result<Handle, StartError> {
    let Settings { influx, record, store, libvirt_uri, role } = settings;
    let (published, status) = watch::channel((DeliveryStatus::default(), StoreStatus::default()));
    let lock = match role {
        Role::Recording(lock) => lock,
        Role::Looking { holder } => {
            published.send_replace(idle(&influx, &store, StoreState::ReadOnly { holder }));
            return Ok(Handle { status, work: None, _published: Some(published) });
        }
        Role::Barred { why } => {
            let state = StoreState::Failing { why, since: clock.now().0 };
            published.send_replace(idle(&influx, &store, state));
            return Ok(Handle { status, work: None, _published: Some(published) });
        }
    };
    let place = store.path.as_ref().map(|directory| Place {
        directory: directory.clone(),
        name: file_name(&libvirt_uri),
        limits: Limits::from(&store),
    });
    let target = influx.url.as_deref().map(|url| target_name(url, &influx.db));
    let encoder = Encoder::new(record.missing, &influx.tags)?;
    let counter = Encoder::new(record.missing, &influx.tags)?;
    let lost = Arc::new(Lost::default());
    let handover = Arc::new(HandOver::new(counter, influx.max_queue, Arc::clone(&lost)));
    let useful = place.is_some() || target.is_some();
    let deliver = target.is_some();
    let ledger = Ledger::new(&influx, place, target, clock.clone(), published.clone());
    let in_use = Arc::new(InUse::default());
    let (lookout, ended_too) = mpsc::channel();
    let watcher = Lookout {
        in_use: Arc::clone(&in_use),
        lost: Arc::clone(&lost),
        handover: Arc::clone(&handover),
        clock: clock.clone(),
        published,
        ended: ended_too,
    };
    let shared = Arc::new(Shared {
        ledger: Mutex::new(ledger.with_lost(lost)),
        in_use,
        clock: clock.clone(),
        data: Notify::new(),
        kick: Notify::new(),
        recorder_ended: AtomicBool::new(false),
    });
    shared.ledger().publish();
    let (running, ended) = mpsc::channel();
    let (stop, stopped) = watch::channel(Stop::No);
    let recorder = Recorder {
        handover: Arc::clone(&handover),
        shared: Arc::clone(&shared),
        encoder,
        max_lines: influx.batch_max_lines,
    };
    let alive = running.clone();
    let thread = || std::thread::Builder::new();
    // From here on the handle, where it is dropped, ends what has begun.
    let work = Work {
        handover,
        useful,
        _lookout: lookout,
        shared: Arc::clone(&shared),
        stop,
        ended: Mutex::new(ended),
        closed: AtomicBool::new(false),
        lock: Mutex::new(lock),
    };
    let handle = Handle { status, work: Some(work), _published: None };
    thread().name("recorder".into()).spawn(move || {
        recorder.run();
        drop(alive);
    })?;
    thread().name("lookout".into()).spawn(move || watcher.run())?;
    if deliver {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sender = Sender::new(shared, influx, clock, stopped);
        thread().name("sender".into()).spawn(move || {
            runtime.block_on(sender.run());
            // A request that hangs in name look-up must not hold up the end.
            runtime.shutdown_background();
            drop(running);
        })?;
    }
    Ok(handle)
}

impl Handle {
    /// Hands over a frame; never waits. Where the recorder cannot keep up,
    /// the oldest frame goes and its lines are counted as dropped.
    pub fn record(&self, frame: Arc<Frame>) {
        if let Some(work) = self.work.as_ref().filter(|work| work.useful) {
            work.handover.push(frame);
        }
    }

    /// The figures, and every change of them.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<(DeliveryStatus, StoreStatus)> {
        self.status.clone()
    }

    /// Tries a failed or paused delivery again now.
    pub fn retry_now(&self) {
        if let Some(work) = &self.work {
            work.shared.kick.notify_one();
        }
    }

    /// Ends: records what was handed over, sends what waits until `deadline`
    /// has passed, and closes the record. What is not sent then stays on disk
    /// for the next start. Returns whether both threads have ended; a disk
    /// that hangs may keep one.
    pub fn shutdown(&self, deadline: Duration) -> bool {
        self.work.as_ref().is_none_or(|work| work.end(deadline))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}

impl Work {
    fn end(&self, deadline: Duration) -> bool {
        if self.closed.swap(true, Ordering::AcqRel) {
            return true;
        }
        self.handover.close();
        self.stop.send_replace(Stop::By(tokio::time::Instant::now() + deadline));
        let all = self.have_ended(Instant::now() + deadline);
        if all {
            self.shared.ledger().close();
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        } else {
            tracing::error!("the disk or the network holds delivery up; it is left behind");
        }
        all
    }
}

impl Work {
    /// Waits until both threads have ended: up to `deadline`, and for the last
    /// write to a disk that answers.
    fn have_ended(&self, deadline: Instant) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = (deadline + GRACE).saturating_duration_since(Instant::now());
            if ended.recv_timeout(left.min(LOOK_EVERY)) == Err(mpsc::RecvTimeoutError::Disconnected) {
                return true;
            }
            let stalled = self.shared.in_use.is_stalled(self.shared.clock.now().1);
            if left.is_zero() || (stalled && Instant::now() >= deadline) {
                return false;
            }
        }
    }
}

/// How often it is looked whether the disk still answers.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the threads may take beyond the deadline: the last write to disk.
const GRACE: Duration = Duration::from_secs(5);

/// The figures of a process that does not record.
fn idle(influx: &config::Influx, store: &config::Store, state: StoreState) -> (DeliveryStatus, StoreStatus) {
    let delivery = DeliveryStatus {
        state: DeliveryState::Off,
        database: influx.db.clone(),
        ..DeliveryStatus::default()
    };
    let store = StoreStatus {
        state,
        path: store.path.as_ref().map(|path| path.display().to_string()),
        max_bytes: store.max_bytes,
        ..StoreStatus::default()
    };
    (delivery, store)
}

/// The name under which the record keeps a target's cursor: never with
/// credentials, whatever the URL holds.
fn target_name(url: &str, database: &str) -> String {
    let place = url::Url::parse(url).map_or_else(
        |_| "unknown".to_owned(),
        |url| {
            format!(
                "{}://{}{}",
                url.scheme(),
                url.authority().rsplit('@').next().unwrap_or_default(),
                url.path()
            )
        },
    );
    format!("{place} {database}")
}
