//! Standard error while the screen is open.
//!
//! C libraries write to it on their own: libvirt warns there when the host's
//! name does not resolve. On the terminal that would land in the middle of the
//! picture, so it goes into the log until the terminal is given back.

use std::{
    io::{self, BufRead as _, BufReader, IsTerminal as _, PipeReader, stderr},
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
    thread,
};

use rustix::{io::fcntl_dupfd_cloexec, stdio::dup2_stderr};

/// The real standard error while another stands in its place.
static REAL: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Turns standard error into the log, line by line. Does nothing where it is
/// no terminal: then it disturbs nobody, and somebody wants it where it is.
///
/// # Errors
/// No more descriptors or threads are to be had; then it stays as it was.
pub(super) fn begin() -> io::Result<()> {
    let mut real = REAL.lock().unwrap_or_else(PoisonError::into_inner);
    if real.is_some() || !stderr().is_terminal() {
        return Ok(());
    }
    let (reader, writer) = io::pipe()?;
    thread::Builder::new().name("standard error".into()).spawn(move || log(reader))?;
    // Above the three that have a meaning by their number.
    let kept = fcntl_dupfd_cloexec(stderr(), 3)?;
    dup2_stderr(writer)?;
    *real = Some(kept);
    Ok(())
}

/// Gives standard error back. May be called at any time.
pub(super) fn end() {
    let mut real = REAL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = real.take() {
        // The pipe's only other end is closed by this, and its thread ends.
        let _ = dup2_stderr(kept);
    }
}

fn log(reader: PipeReader) {
    for line in BufReader::new(reader).split(b'\n') {
        let Ok(line) = line else { return };
        let text: String =
            String::from_utf8_lossy(&line).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if !text.trim().is_empty() {
            tracing::warn!(target: "stderr", "{}", text.trim());
        }
    }
}
