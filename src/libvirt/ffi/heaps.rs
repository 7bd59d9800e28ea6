//! How many heaps the C library keeps.

#[cfg(target_env = "gnu")]
use std::ffi::c_int;

// SAFETY: glibc declares it so; it takes any two numbers, sets a bound within
// the allocator, and touches no memory of ours.
#[cfg(target_env = "gnu")]
unsafe extern "C" {
    /// Sets a parameter of glibc's allocator.
    safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
}

/// glibc's `M_ARENA_MAX`.
#[cfg(target_env = "gnu")]
const ARENA_MAX: c_int = -8;

/// Keeps the number of heaps small, where the C library is glibc; no other
/// has one for each thread.
pub(in super::super) fn few() {
    #[cfg(target_env = "gnu")]
    // Refused: there are as many as before, which costs memory alone.
    let _ = mallopt(ARENA_MAX, 2);
}
