//! libvirt's event loop: one for the whole process, on a thread of its own.
//!
//! Keepalive and domain events live on it. It must be there before the first
//! connection is opened: libvirt looks for it once, when it opens one.

use std::{
    io,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use virt::event::{event_register_default_impl, event_run_default_impl};

/// How long the loop rests after a round that failed, so that a failure that
/// lasts costs no CPU.
const REST: Duration = Duration::from_secs(1);

/// Sees to it that the loop runs, and that libvirt is silent: it prints every
/// error to stderr, over the screen, unless told otherwise.
///
/// # Errors
/// The operating system gives no thread; the next call tries again.
pub(super) fn ensure() -> io::Result<()> {
    static RUNS: Mutex<bool> = Mutex::new(false);
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if *runs {
        return Ok(());
    }
    virt::error::clear_error_callback();
    // The thread first: a loop that is registered and never run would keep
    // what connections hand it for ever.
    let (go, registered) = mpsc::channel();
    thread::Builder::new().name("libvirt-events".into()).spawn(move || run(&registered))?;
    if let Err(error) = event_register_default_impl() {
        tracing::warn!(
            "libvirt's event loop cannot be set up: {}; events and lost connections are noticed late",
            error.message()
        );
    } else {
        // The thread waits for nothing but this.
        let _ = go.send(());
    }
    *runs = true;
    Ok(())
}

/// One round after another, for as long as the process lives.
fn run(registered: &mpsc::Receiver<()>) {
    if registered.recv().is_err() {
        return;
    }
    let mut failed = false;
    loop {
        let round = event_run_default_impl();
        if let Err(error) = &round {
            if !failed {
                tracing::warn!("libvirt's event loop failed: {}; it is tried again", error.message());
            }
            thread::park_timeout(REST);
        }
        failed = round.is_err();
    }
}
