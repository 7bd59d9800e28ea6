//! libvirt's event loop: one for the whole process, on a thread of its own.
//!
//! Keepalive and domain events live on it. It must be there before the first
//! connection is opened: libvirt looks for it once, when it opens one.
//!
//! It is not the loop that libvirt brings along. Each call to a daemon turns
//! the watch of its socket off and on again, which wakes that loop's thread
//! each time; here it is one call to the kernel, and nobody is woken.

mod handles;
mod rounds;
mod timers;

use std::{
    io,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

pub(super) use rounds::{Callback, Rounds};

use super::ffi::event_loop::{Foreign, register};

/// How long the loop rests after a round that failed, so that a failure that
/// lasts costs no CPU.
const REST: Duration = Duration::from_secs(1);

/// Sees to it that the loop runs, and that libvirt is silent: it prints every
/// error to stderr, over the screen, unless told otherwise.
///
/// # Errors
/// The operating system gives no thread or no descriptor; the next call tries
/// again.
pub(super) fn ensure() -> io::Result<()> {
    static RUNS: Mutex<bool> = Mutex::new(false);
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if *runs {
        return Ok(());
    }
    virt::error::clear_error_callback();
    let rounds = Rounds::new()?;
    // The thread first: a loop that is registered and never run would keep
    // what connections hand it for ever.
    let (go, registered) = mpsc::channel();
    thread::Builder::new().name("libvirt-events".into()).spawn(move || run(&registered))?;
    // For as long as the process lives: libvirt never lets go of it.
    let rounds: &'static Rounds<Foreign> = Box::leak(Box::new(rounds));
    if register(rounds) {
        // The thread waits for nothing but this.
        let _ = go.send(rounds);
    } else {
        tracing::warn!(
            "libvirt has another event loop in this process; events and lost connections are noticed late"
        );
    }
    *runs = true;
    Ok(())
}

/// One round after another, for as long as the process lives.
fn run(registered: &mpsc::Receiver<&'static Rounds<Foreign>>) {
    let Ok(rounds) = registered.recv() else { return };
    let mut failed = false;
    loop {
        let round = rounds.round();
        if let Err(error) = &round {
            if !failed {
                tracing::warn!("libvirt's event loop failed: {error}; it is tried again");
            }
            thread::park_timeout(REST);
        }
        failed = round.is_err();
    }
}
