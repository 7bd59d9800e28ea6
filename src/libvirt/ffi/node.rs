//! The host's CPU times and memory: two calls whose arrays the caller
//! provides, which the `virt` crate does not wrap.

use std::{
    ffi::{c_char, c_int},
    ptr,
};

use virt::{
    connect::Connect,
    error::Error,
    sys::{self, virConnectPtr},
};

use super::bulk::name_of;

/// How many statistics a connection has: asked once, as the driver wants to be
/// given room for exactly that many. A driver of another number is another
/// connection.
#[derive(Debug, Default)]
pub(in super::super) struct Counts {
    cpu: Option<c_int>,
    memory: Option<c_int>,
}

/// CPU times of the host since its boot, all CPUs together, by libvirt's
/// names (`user`, `kernel`, `idle`, `iowait`, …), in nanoseconds.
pub(in super::super) fn cpu_times(
    connection: &Connect,
    counts: &mut Counts,
) -> Result<Vec<(String, u64)>, Error> {
    let call = |conn, params, count: &mut c_int| {
        // SAFETY: the connection is live while borrowed; `params` is NULL, to
        // be told their number, or has room for `count` of them.
        unsafe { sys::virNodeGetCPUStats(conn, sys::VIR_NODE_CPU_STATS_ALL_CPUS, params, count, 0) }
    };
    let empty = sys::virNodeCPUStats { field: [0; 80], value: 0 };
    filled(connection, &mut counts.cpu, empty, call, |stat| (&stat.field, stat.value))
}

/// The host's memory, all cells together, by libvirt's names (`total`,
/// `free`, `buffers`, `cached`, …), in KiB.
pub(in super::super) fn memory(
    connection: &Connect,
    counts: &mut Counts,
) -> Result<Vec<(String, u64)>, Error> {
    let call = |conn, params, count: &mut c_int| {
        // SAFETY: as for the CPU times.
        unsafe { sys::virNodeGetMemoryStats(conn, sys::VIR_NODE_MEMORY_STATS_ALL_CELLS, params, count, 0) }
    };
    let empty = sys::virNodeMemoryStats { field: [0; 80], value: 0 };
    filled(connection, &mut counts.memory, empty, call, |stat| (&stat.field, stat.value))
}

/// Asks for the statistics. With a number that is known and does not do, their
/// number is asked for anew.
fn filled<S: Copy>(
    connection: &Connect,
    known: &mut Option<c_int>,
    empty: S,
    call: impl Fn(virConnectPtr, *mut S, &mut c_int) -> c_int,
    read: impl Fn(&S) -> (&[c_char; 80], u64),
) -> Result<Vec<(String, u64)>, Error> {
    // SAFETY: `as_ptr` only reads the handle's pointer, and the connection is
    // live while borrowed.
    let conn = unsafe { connection.as_ptr() };
    let stats = |mut count: c_int| {
        let mut stats = vec![empty; usize::try_from(count).unwrap_or(0)];
        if !stats.is_empty() && call(conn, stats.as_mut_ptr(), &mut count) < 0 {
            return Err(Error::last_error());
        }
        // libvirt tells how many it has filled, which may be fewer.
        stats.truncate(usize::try_from(count).unwrap_or(0));
        Ok(stats)
    };
    let stats = if let Some((count, Ok(stats))) = known.take().map(|count| (count, stats(count))) {
        *known = Some(count);
        stats
    } else {
        let mut count: c_int = 0;
        if call(conn, ptr::null_mut(), &mut count) < 0 {
            return Err(Error::last_error());
        }
        let stats = stats(count)?;
        *known = Some(count);
        stats
    };
    Ok(stats
        .iter()
        .map(|stat| {
            let (name, value) = read(stat);
            (String::from_utf8_lossy(name_of(name)).into_owned(), value)
        })
        .collect())
}
