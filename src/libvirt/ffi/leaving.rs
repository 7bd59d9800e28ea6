//! The end of the process, without the last acts of C libraries.

use std::ffi::c_int;

// SAFETY: POSIX declares it so, and it takes any number and touches no memory
// of ours.
unsafe extern "C" {
    /// The system's own end of a process: no `atexit` handlers.
    safe fn _exit(status: c_int) -> !;
}

/// Ends the process with `code` and nothing else.
pub(in super::super) fn leave(code: u8) -> ! {
    _exit(c_int::from(code))
}
