//! How the record's file is shared within this process: one connection that
//! writes, and others that only look.
//!
//! No other process gets at the file meanwhile. Whoever opens, renames or
//! replaces it has it alone: a connection that outlived its file or log would
//! go on in files that are no longer there, with an index that is that of
//! others.

use std::{
    collections::HashMap,
    ffi::CStr,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use super::Error;

/// `SQLite`'s way to files by which one process has them to itself, and all of
/// its connections share them: the log's index is kept in the process's own
/// memory. (A mapped file that somebody cuts would end the process.)
pub(super) const ALONE: &CStr = c"unix-excl";

/// The files in use, by path.
static GATES: LazyLock<Mutex<HashMap<PathBuf, Weak<Gate>>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Default)]
struct State {
    /// Those who look.
    looking: usize,
    /// Those who have the file alone, or wait for it.
    opening: usize,
}

/// Somebody looks into the file, for as long as this lives.
pub(super) struct Looking(Arc<Gate>);

/// Somebody has the file alone, for as long as this lives.
pub(super) struct Opening(Arc<Gate>);

/// How long whoever opens the file waits for those who look into it: they take
/// milliseconds, unless the disk does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until nobody looks into the file any more, and keeps others from it.
///
/// # Errors
/// Somebody is held up, looking into it.
pub(super) fn open(path: &Path) -> Result<Opening, Error> {
    let gate = gate(path);
    gate.state().opening += 1;
    let opening = Opening(gate);
    let deadline = Instant::now() + PATIENCE;
    let mut state = opening.0.state();
    while state.looking > 0 {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            drop(state);
            let source = std::io::Error::new(std::io::ErrorKind::TimedOut, "a look into it does not end");
            return Err(Error::Place { path: path.to_owned(), source });
        }
        state = opening.0.left.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    drop(state);
    Ok(opening)
}

/// Begins to look into the file; `None`: it is just being opened or replaced.
pub(super) fn look(path: &Path) -> Option<Looking> {
    let gate = gate(path);
    let mut state = gate.state();
    if state.opening > 0 {
        return None;
    }
    state.looking += 1;
    drop(state);
    Some(Looking(gate))
}

fn gate(path: &Path) -> Arc<Gate> {
    let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gate) = gates.get(path).and_then(Weak::upgrade) {
        return gate;
    }
    gates.retain(|_, gate| gate.strong_count() > 0);
    let gate = Arc::<Gate>::default();
    gates.insert(path.to_owned(), Arc::downgrade(&gate));
    gate
}

impl Looking {
    /// Whether somebody waits for this to end.
    pub(super) fn is_waited_for(&self) -> bool {
        self.0.state().opening > 0
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.state().looking -= 1;
        self.0.left.notify_all();
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.state().opening -= 1;
    }
}
