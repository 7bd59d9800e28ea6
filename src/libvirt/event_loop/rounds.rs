//! The loop itself: it sleeps until something happens, and calls back.
//!
//! Watches and timers may be added, changed and removed from any thread and
//! from within callbacks. No lock is held while anything is called back. What
//! is removed is given back later, on the loop's thread, when nothing of its
//! own runs any more.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, epoll::EventFlags, eventfd},
    io::Result,
};

use super::{super::ffi::epoll::Epoll, handles::Handles, timers::Timers};

/// Stands for the loop's own wake-up where others have the id of a watch.
const WAKE: u64 = u64::MAX;
/// How soon a watch that the kernel has refused is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// So many rounds in a row that the kernel ended with nothing to tell are no
/// coincidence …
const IDLE_ROUNDS: u32 = 100;
/// … and rest so long each, so that they cost little.
const REST: Duration = Duration::from_millis(20);

/// What is called back.
pub(in super::super) trait Callback: Clone {
    /// Something happened to a watched descriptor; `events` are libvirt's bits.
    fn happened(&self, watch: i32, fd: i32, events: u32);
    /// A timer is due.
    fn due(&self, timer: i32);
    /// Removed: it is not called again.
    fn release(self);
}

/// A loop, and what it watches.
#[derive(Debug)]
pub(in super::super) struct Rounds<C> {
    epoll: Epoll,
    wake: OwnedFd,
    state: Mutex<State<C>>,
}

#[derive(Debug)]
struct State<C> {
    handles: Handles<C>,
    timers: Timers<C>,
    /// Removed, and not given back yet.
    removed: Vec<C>,
    sleep: Sleep,
    /// Rounds in a row that the kernel ended with nothing to tell.
    idle: u32,
}

#[derive(Clone, Copy, Debug)]
enum Sleep {
    /// It looks at everything before it sleeps again.
    Awake,
    Until(Instant),
    Unbounded,
}

impl<C: Callback> Rounds<C> {
    /// # Errors
    /// The kernel gives no descriptor.
    pub(in super::super) fn new() -> Result<Self> {
        let epoll = Epoll::new()?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll.add(wake.as_raw_fd(), WAKE, EventFlags::IN)?;
        let state = State {
            handles: Handles::new(),
            timers: Timers::new(),
            removed: Vec::new(),
            sleep: Sleep::Awake,
            idle: 0,
        };
        Ok(Self { epoll, wake, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the loop's sleep if it lasts beyond `before`.
    fn wake(&self, mut state: MutexGuard<'_, State<C>>, before: Option<Instant>) {
        let needed = match state.sleep {
            Sleep::Awake => false,
            Sleep::Until(end) => before.is_none_or(|before| before < end),
            Sleep::Unbounded => true,
        };
        if needed {
            // Once is enough: it looks at everything then.
            state.sleep = Sleep::Awake;
            drop(state);
            // It fails only when it has not been heard 2^64 times.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Watches `fd`; the id of the watch.
    ///
    /// # Errors
    /// The kernel refuses it, or there are no more ids.
    pub(in super::super) fn add_handle(&self, fd: i32, events: u32, callback: C) -> Result<i32> {
        self.state().handles.add(&self.epoll, fd, events, callback)
    }

    /// Sets what a watch waits for; 0 turns it off. Wakes nobody.
    pub(in super::super) fn update_handle(&self, watch: i32, events: u32) {
        let mut state = self.state();
        if !state.handles.update(&self.epoll, watch, events) {
            self.wake(state, None);
        }
    }

    /// `false`: there is no such watch.
    pub(in super::super) fn remove_handle(&self, watch: i32) -> bool {
        let mut state = self.state();
        let removed = state.handles.remove(&self.epoll, watch);
        self.bury(state, removed)
    }

    /// A new timer; its id. `None`: there are no more ids.
    pub(in super::super) fn add_timer(&self, milliseconds: i32, callback: C) -> Option<i32> {
        let mut state = self.state();
        let id = state.timers.add(milliseconds, callback, Instant::now())?;
        self.wake_for_timers(state);
        Some(id)
    }

    /// Begins a timer anew with another interval; a negative one is off.
    pub(in super::super) fn update_timer(&self, timer: i32, milliseconds: i32) {
        let mut state = self.state();
        state.timers.update(timer, milliseconds, Instant::now());
        self.wake_for_timers(state);
    }

    /// `false`: there is no such timer.
    pub(in super::super) fn remove_timer(&self, timer: i32) -> bool {
        let mut state = self.state();
        let removed = state.timers.remove(timer);
        self.bury(state, removed)
    }

    /// Whether there is such a timer.
    pub(in super::super) fn has_timer(&self, timer: i32) -> bool {
        self.state().timers.has(timer)
    }

    fn wake_for_timers(&self, state: MutexGuard<'_, State<C>>) {
        if let Some(next) = state.timers.next() {
            self.wake(state, Some(next));
        }
    }

    fn bury(&self, mut state: MutexGuard<'_, State<C>>, removed: Option<C>) -> bool {
        let Some(callback) = removed else { return false };
        state.removed.push(callback);
        self.wake(state, None);
        true
    }

    /// Sleeps until something is to be told, and tells it. To be called over
    /// and over, by one thread.
    ///
    /// # Errors
    /// The kernel cannot wait.
    pub(in super::super) fn round(&self) -> Result<()> {
        let bound = self.fall_asleep();
        let events = self.epoll.wait(bound);
        self.state().sleep = Sleep::Awake;
        let events = events?;
        let mut told = events.is_empty();
        for (mark, flags) in events {
            if mark == WAKE {
                told = true;
                let _ = rustix::io::read(&self.wake, &mut [0; 8]);
                continue;
            }
            // Looked up for each, as a callback may have changed the next one.
            let whom = self.state().handles.told(mark, flags);
            if let Some((watch, fd, events, callback)) = whom {
                told = true;
                callback.happened(watch, fd, events);
            }
        }
        self.fire();
        self.give_back();
        self.rest_unless(told);
        Ok(())
    }

    /// How long to sleep, which everybody knows from now on.
    fn fall_asleep(&self) -> Option<Duration> {
        let mut state = self.state();
        if state.handles.has_refused() {
            state.handles.retry(&self.epoll);
        }
        let now = Instant::now();
        let retry = if state.handles.has_refused() { now.checked_add(RETRY) } else { None };
        let end = if state.removed.is_empty() {
            state.timers.next().into_iter().chain(retry).min()
        } else {
            Some(now)
        };
        state.sleep = end.map_or(Sleep::Unbounded, Sleep::Until);
        end.map(|end| whole_milliseconds(end.saturating_duration_since(now)))
    }

    fn fire(&self) {
        let now = Instant::now();
        let due = self.state().timers.due(now);
        for timer in due {
            let callback = self.state().timers.take(timer, now);
            if let Some(callback) = callback {
                callback.due(timer);
            }
        }
    }

    fn give_back(&self) {
        loop {
            let removed = std::mem::take(&mut self.state().removed);
            if removed.is_empty() {
                return;
            }
            for callback in removed {
                callback.release();
            }
        }
    }

    /// The kernel may go on about a descriptor whose number is closed while
    /// another process still has it open; nobody can stop that.
    fn rest_unless(&self, told: bool) {
        let idle = {
            let mut state = self.state();
            state.idle = if told { 0 } else { state.idle.saturating_add(1) };
            state.idle
        };
        if idle == IDLE_ROUNDS {
            tracing::warn!(
                "the kernel tells of a connection that is not watched any more; it is heard slowly"
            );
        }
        if idle >= IDLE_ROUNDS {
            thread::park_timeout(REST);
        }
    }
}

/// Rounded up: the kernel counts milliseconds, and a sleep that ends too soon
/// would be followed by others of no length.
fn whole_milliseconds(sleep: Duration) -> Duration {
    let whole = sleep.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
