//! libvirt's side of our event loop: the functions that it calls to have
//! something watched, and its own that are called back.

use std::{
    ffi::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::OnceLock,
};

use virt::sys;

use super::super::event_loop::{Callback, Rounds};

/// A function of libvirt's, and what it wants to be called with.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Foreign {
    function: Function,
    opaque: *mut c_void,
    free: sys::virFreeCallback,
}

// SAFETY: libvirt makes its calls from any thread and has its functions called
// from the loop's; what `opaque` points to is its own affair. Nothing here
// looks at it.
unsafe impl Send for Foreign {}

#[derive(Clone, Copy, Debug)]
enum Function {
    Handle(sys::virEventHandleCallback),
    Timer(sys::virEventTimeoutCallback),
}

impl Callback for Foreign {
    fn happened(&self, watch: i32, fd: i32, events: u32) {
        if let (Function::Handle(Some(function)), Ok(events)) = (self.function, c_int::try_from(events)) {
            // SAFETY: libvirt gave both to be called with each other, until it
            // removes the watch and is told so by `release`.
            unsafe { function(watch, fd, events, self.opaque) };
        }
    }

    fn due(&self, timer: i32) {
        if let Function::Timer(Some(function)) = self.function {
            // SAFETY: as for a watch.
            unsafe { function(timer, self.opaque) };
        }
    }

    fn release(self) {
        if let Some(free) = self.free {
            // SAFETY: libvirt gave it to be called once with `opaque`, after
            // the last call of the other function.
            unsafe { free(self.opaque) };
        }
    }
}

/// The loop that libvirt was given: one in a process, and for good.
static LOOP: OnceLock<&'static Rounds<Foreign>> = OnceLock::new();

/// Makes `rounds` the loop of libvirt in this process. `false`: it has
/// another one already.
pub(in super::super) fn register(rounds: &'static Rounds<Foreign>) -> bool {
    if LOOP.set(rounds).is_err() {
        return false;
    }
    // SAFETY: the functions are what their names say, and live as long as the
    // process. A loop that is there already stays, which libvirt does not tell.
    unsafe {
        sys::virEventRegisterImpl(
            Some(add_handle),
            Some(update_handle),
            Some(remove_handle),
            Some(add_timeout),
            Some(update_timeout),
            Some(remove_timeout),
        );
    }
    // SAFETY: a timer that is off is never called.
    let probe = unsafe { sys::virEventAddTimeout(-1, Some(nothing), ptr::null_mut(), None) };
    let ours = rounds.has_timer(probe);
    // SAFETY: the id is the probe's own, or -1, which is nobody's.
    unsafe { sys::virEventRemoveTimeout(probe) };
    ours
}

unsafe extern "C" fn nothing(_: c_int, _: *mut c_void) {}

/// Nothing may unwind into C: a call that would is a call that failed.
fn with_loop(failed: c_int, call: impl FnOnce(&Rounds<Foreign>) -> Option<c_int>) -> c_int {
    let Some(rounds) = LOOP.get() else { return failed };
    catch_unwind(AssertUnwindSafe(|| call(rounds))).ok().flatten().unwrap_or(failed)
}

unsafe extern "C" fn add_handle(
    fd: c_int,
    events: c_int,
    callback: sys::virEventHandleCallback,
    opaque: *mut c_void,
    free: sys::virFreeCallback,
) -> c_int {
    let callback = Foreign { function: Function::Handle(callback), opaque, free };
    with_loop(-1, |rounds| {
        let added = rounds.add_handle(fd, bits(events), callback);
        added.inspect_err(|error| tracing::debug!("descriptor {fd} cannot be watched: {error}")).ok()
    })
}

unsafe extern "C" fn update_handle(watch: c_int, events: c_int) {
    with_loop(0, |rounds| {
        rounds.update_handle(watch, bits(events));
        None
    });
}

unsafe extern "C" fn remove_handle(watch: c_int) -> c_int {
    with_loop(-1, |rounds| rounds.remove_handle(watch).then_some(0))
}

unsafe extern "C" fn add_timeout(
    milliseconds: c_int,
    callback: sys::virEventTimeoutCallback,
    opaque: *mut c_void,
    free: sys::virFreeCallback,
) -> c_int {
    let callback = Foreign { function: Function::Timer(callback), opaque, free };
    with_loop(-1, |rounds| rounds.add_timer(milliseconds, callback))
}

unsafe extern "C" fn update_timeout(timer: c_int, milliseconds: c_int) {
    with_loop(0, |rounds| {
        rounds.update_timer(timer, milliseconds);
        None
    });
}

unsafe extern "C" fn remove_timeout(timer: c_int) -> c_int {
    with_loop(-1, |rounds| rounds.remove_timer(timer).then_some(0))
}

fn bits(events: c_int) -> u32 {
    u32::try_from(events).unwrap_or(0)
}
