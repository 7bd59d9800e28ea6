//! Domain events: callbacks registered with libvirt, and given back.
//!
//! libvirt calls back on its event loop's thread. A callback here makes plain
//! values of what it is given, hands them on and returns: it never blocks,
//! never calls libvirt's network, and never lets a panic out into C.

use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;
use virt::{
    connect::Connect,
    error::Error,
    sys::{self, virConnectPtr, virDomainPtr, virTypedParameterPtr},
};

use super::{
    super::event::{self, EventKind},
    bulk,
};
use crate::{
    libvirt::decode::Param,
    model::{Kib, name::storable},
};

/// What is called with each event, on the event loop's thread. It must return
/// at once.
pub(in super::super) type Listener = Arc<dyn Fn(Uuid, EventKind) + Send + Sync>;

/// Callbacks registered on one connection. Given back on drop, which asks
/// the daemon and so belongs on the connection's own thread.
pub(in super::super) struct Subscription<'a> {
    connection: &'a Connect,
    ids: Vec<c_int>,
}

impl<'a> Subscription<'a> {
    /// Registers for every kind of event in [`KINDS`]. Kinds that the driver
    /// refuses are left out; their errors come back beside the subscription.
    pub(in super::super) fn new(
        connection: &'a Connect,
        listener: &Listener,
    ) -> (Self, Vec<(&'static str, Error)>) {
        let mut subscription = Self { connection, ids: Vec::with_capacity(KINDS.len()) };
        let mut refused = Vec::new();
        for (name, id, callback) in KINDS {
            match register(connection, *id, *callback, listener) {
                Ok(id) => subscription.ids.push(id),
                Err(error) => refused.push((*name, error)),
            }
        }
        (subscription, refused)
    }

    /// Whether no kind at all was accepted.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        for id in &self.ids {
            // SAFETY: the connection is live while borrowed, and the id is of
            // a registration on it that nothing else gives back. On a
            // connection that has broken libvirt still forgets the callback,
            // and says that the daemon was not told: nothing to do about it.
            unsafe { sys::virConnectDomainEventDeregisterAny(self.connection.as_ptr(), *id) };
        }
    }
}

/// A callback of the type that registration takes, whatever it truly is.
type Generic = unsafe extern "C" fn(virConnectPtr, virDomainPtr, *mut c_void);

fn register(
    connection: &Connect,
    id: sys::virDomainEventID,
    callback: Generic,
    listener: &Listener,
) -> Result<c_int, Error> {
    let opaque = Box::into_raw(Box::new(Arc::clone(listener))).cast::<c_void>();
    // SAFETY: the connection is live while borrowed; a NULL domain means all
    // of them; `callback` has the signature that libvirt uses for `id` (see
    // `KINDS`); `opaque` is a boxed listener, which is what every callback
    // here and `release` take it for.
    let registered = unsafe {
        sys::virConnectDomainEventRegisterAny(
            connection.as_ptr(),
            ptr::null_mut(),
            c_int::try_from(id).unwrap_or(-1),
            Some(callback),
            opaque,
            Some(release),
        )
    };
    if registered < 0 {
        let error = Error::last_error();
        // SAFETY: libvirt calls `release` only for what it has accepted, so
        // the box is still ours, and only ours.
        unsafe { release(opaque) };
        return Err(error);
    }
    Ok(registered)
}

/// libvirt's last call with an `opaque`: the box goes.
unsafe extern "C" fn release(opaque: *mut c_void) {
    // SAFETY: `opaque` came from `Box::into_raw` in `register`, and libvirt
    // calls this once, when no callback runs or will run with it.
    let listener = unsafe { Box::from_raw(opaque.cast::<Listener>()) };
    // A listener whose drop panics must not unwind into C.
    drop(catch_unwind(AssertUnwindSafe(|| drop(listener))));
}

/// Hands `kind` of `domain` to the listener behind `opaque`.
///
/// # Safety
/// `domain` and `opaque` are what libvirt called back with.
unsafe fn deliver(domain: virDomainPtr, opaque: *mut c_void, kind: impl FnOnce() -> Option<EventKind>) {
    drop(catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `opaque` is the box made in `register`, which lives until
        // `release`, and libvirt does not release while it calls back.
        let Some(listener) = (unsafe { opaque.cast::<Listener>().as_ref() }) else { return };
        let mut uuid = [0; 16];
        // SAFETY: libvirt holds the domain for the length of the callback; the
        // buffer has VIR_UUID_BUFLEN bytes. It reads the handle and asks nobody.
        let failed = unsafe { sys::virDomainGetUUID(domain, uuid.as_mut_ptr()) } != 0;
        if let Some(kind) = kind().filter(|_| !failed) {
            listener(Uuid::from_bytes(uuid), kind);
        }
    })));
}

/// Longest text taken from an event, in characters: it ends up in one line.
const LONGEST: usize = 200;

/// A string of libvirt's, fit to show; empty where there is none.
///
/// # Safety
/// `raw` is NULL or a NUL-terminated string that lives for this call.
unsafe fn text(raw: *const c_char) -> String {
    if raw.is_null() {
        return String::new();
    }
    // SAFETY: not NULL, so NUL-terminated and alive, by this function's terms.
    let raw = unsafe { CStr::from_ptr(raw) }.to_string_lossy();
    if raw.is_empty() { String::new() } else { storable(&raw).chars().take(LONGEST).collect() }
}

/// Every kind of event that is listened to, and its callback.
///
/// The separate events of a guest's power management are not among them: the
/// lifecycle tells of them as well.
const KINDS: &[(&str, sys::virDomainEventID, Generic)] = &[
    ("lifecycle", sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, LIFECYCLE),
    ("reboot", sys::VIR_DOMAIN_EVENT_ID_REBOOT, reboot),
    ("watchdog", sys::VIR_DOMAIN_EVENT_ID_WATCHDOG, WATCHDOG),
    ("I/O error", sys::VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, IO_ERROR),
    ("disk change", sys::VIR_DOMAIN_EVENT_ID_DISK_CHANGE, DISK_CHANGE),
    ("tray change", sys::VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, TRAY_CHANGE),
    ("balloon change", sys::VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, BALLOON_CHANGE),
    ("device added", sys::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, DEVICE_ADDED),
    ("device removed", sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, DEVICE_REMOVED),
    ("device removal failed", sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, DEVICE_REMOVAL_FAILED),
    ("job completed", sys::VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, JOB_COMPLETED),
    ("block job", sys::VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, BLOCK_JOB),
    ("agent lifecycle", sys::VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, AGENT),
    ("block threshold", sys::VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, BLOCK_THRESHOLD),
    ("memory failure", sys::VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE, MEMORY_FAILURE),
];

/// A callback's true type, cast to the one that registration takes, as
/// libvirt's `VIR_DOMAIN_EVENT_CALLBACK` does: libvirt casts it back by the
/// event's id before it calls.
macro_rules! generic {
    ($callback:ident: $bound:path) => {{
        let callback: $bound = Some($callback);
        // SAFETY: both are `Option`s of function pointers, of one size and
        // with NULL as `None`; libvirt only ever calls it as what it is,
        // which `$bound` says for the id it stands beside in `KINDS`.
        match unsafe { std::mem::transmute::<$bound, sys::virConnectDomainEventGenericCallback>(callback) } {
            Some(generic) => generic,
            None => reboot,
        }
    }};
}

const LIFECYCLE: Generic = generic!(lifecycle: sys::virConnectDomainEventCallback);
const WATCHDOG: Generic = generic!(watchdog: sys::virConnectDomainEventWatchdogCallback);
const IO_ERROR: Generic = generic!(io_error: sys::virConnectDomainEventIOErrorReasonCallback);
const DISK_CHANGE: Generic = generic!(disk_change: sys::virConnectDomainEventDiskChangeCallback);
const TRAY_CHANGE: Generic = generic!(tray_change: sys::virConnectDomainEventTrayChangeCallback);
const BALLOON_CHANGE: Generic = generic!(balloon_change: sys::virConnectDomainEventBalloonChangeCallback);
const DEVICE_ADDED: Generic = generic!(device_added: sys::virConnectDomainEventDeviceAddedCallback);
const DEVICE_REMOVED: Generic = generic!(device_removed: sys::virConnectDomainEventDeviceRemovedCallback);
const DEVICE_REMOVAL_FAILED: Generic =
    generic!(device_removal_failed: sys::virConnectDomainEventDeviceRemovalFailedCallback);
const JOB_COMPLETED: Generic = generic!(job_completed: sys::virConnectDomainEventJobCompletedCallback);
const BLOCK_JOB: Generic = generic!(block_job: sys::virConnectDomainEventBlockJobCallback);
const AGENT: Generic = generic!(agent: sys::virConnectDomainEventAgentLifecycleCallback);
const BLOCK_THRESHOLD: Generic = generic!(block_threshold: sys::virConnectDomainEventBlockThresholdCallback);
const MEMORY_FAILURE: Generic = generic!(memory_failure: sys::virConnectDomainEventMemoryFailureCallback);

unsafe extern "C" fn lifecycle(
    _: virConnectPtr,
    domain: virDomainPtr,
    event: c_int,
    detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, || event::life(event, detail)) };
    // libvirt does not look at it.
    0
}

unsafe extern "C" fn reboot(_: virConnectPtr, domain: virDomainPtr, opaque: *mut c_void) {
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, || Some(EventKind::Rebooted)) };
}

unsafe extern "C" fn watchdog(_: virConnectPtr, domain: virDomainPtr, action: c_int, opaque: *mut c_void) {
    let kind = || Some(EventKind::Watchdog { action: event::watchdog(action) });
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn io_error(
    _: virConnectPtr,
    domain: virDomainPtr,
    path: *const c_char,
    alias: *const c_char,
    _: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt's strings live for the length of the callback.
    let kind =
        || unsafe { Some(EventKind::IoError { alias: text(alias), path: text(path), reason: text(reason) }) };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn disk_change(
    _: virConnectPtr,
    domain: virDomainPtr,
    _: *const c_char,
    _: *const c_char,
    alias: *const c_char,
    _: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt's strings live for the length of the callback.
    let kind = || unsafe { Some(EventKind::DiskMissing { alias: text(alias) }) };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn tray_change(
    _: virConnectPtr,
    domain: virDomainPtr,
    alias: *const c_char,
    reason: c_int,
    opaque: *mut c_void,
) {
    let open = reason == c_int::try_from(sys::VIR_DOMAIN_EVENT_TRAY_CHANGE_OPEN).unwrap_or(0);
    // SAFETY: libvirt's strings live for the length of the callback.
    let kind = || unsafe { Some(EventKind::Tray { alias: text(alias), open }) };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn balloon_change(
    _: virConnectPtr,
    domain: virDomainPtr,
    size: c_ulonglong,
    opaque: *mut c_void,
) {
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, || Some(EventKind::Balloon { size: Kib(size) })) };
}

unsafe extern "C" fn device_added(
    _: virConnectPtr,
    domain: virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt's strings live for the length of the callback.
    let kind = || unsafe { Some(EventKind::DeviceAdded { alias: text(alias) }) };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn device_removed(
    _: virConnectPtr,
    domain: virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt's strings live for the length of the callback.
    let kind = || unsafe { Some(EventKind::DeviceRemoved { alias: text(alias) }) };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn device_removal_failed(
    _: virConnectPtr,
    domain: virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt's strings live for the length of the callback.
    let kind = || unsafe { Some(EventKind::DeviceRemovalFailed { alias: text(alias) }) };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn job_completed(
    _: virConnectPtr,
    domain: virDomainPtr,
    params: virTypedParameterPtr,
    count: c_int,
    opaque: *mut c_void,
) {
    let kind = || {
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: libvirt gives `count` parameters at `params`, which live for
        // the length of the callback.
        let params = if params.is_null() { &[] } else { unsafe { slice::from_raw_parts(params, count) } };
        let (mut operation, mut took, mut success) = (0, None, true);
        for (name, value) in bulk::named(params) {
            match (name, value) {
                (b"operation", value) => operation = value.code().unwrap_or(0),
                (b"time_elapsed", value) => took = value.count().map(Duration::from_millis),
                (b"success", Param::Flag(said)) => success = said,
                _ => {}
            }
        }
        Some(EventKind::JobCompleted { operation: event::job(operation), took, success })
    };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn block_job(
    _: virConnectPtr,
    domain: virDomainPtr,
    disk: *const c_char,
    job: c_int,
    status: c_int,
    opaque: *mut c_void,
) {
    let kind = || {
        let outcome = event::block_job_outcome(status)?;
        // SAFETY: libvirt's strings live for the length of the callback.
        Some(EventKind::BlockJob { disk: unsafe { text(disk) }, operation: event::block_job(job), outcome })
    };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn agent(
    _: virConnectPtr,
    domain: virDomainPtr,
    state: c_int,
    reason: c_int,
    opaque: *mut c_void,
) {
    let is = |code: c_int, known: c_uint| c_uint::try_from(code) == Ok(known);
    let connected = is(state, sys::VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED);
    let starting = is(reason, sys::VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED);
    // That a guest which has just started has no agent yet is no news.
    let kind = || (connected || !starting).then_some(EventKind::Agent { connected });
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn block_threshold(
    _: virConnectPtr,
    domain: virDomainPtr,
    disk: *const c_char,
    _: *const c_char,
    _: c_ulonglong,
    _: c_ulonglong,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt's strings live for the length of the callback.
    let kind = || unsafe { Some(EventKind::BlockThreshold { disk: text(disk) }) };
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}

unsafe extern "C" fn memory_failure(
    _: virConnectPtr,
    domain: virDomainPtr,
    _: c_int,
    action: c_int,
    _: c_uint,
    opaque: *mut c_void,
) {
    let kind = || Some(EventKind::MemoryFailure { action: event::memory_failure(action) });
    // SAFETY: called by libvirt with what `deliver` asks for.
    unsafe { deliver(domain, opaque, kind) };
}
