//! The kernel's list of descriptors to watch, spoken to by the bare numbers
//! that libvirt hands over.

use std::{
    os::fd::{BorrowedFd, OwnedFd, RawFd},
    time::Duration,
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::{Errno, Result},
};

/// Most events that one look fetches; the others come with the next one.
const AT_ONCE: usize = 64;

/// Descriptors, each with the mark it was added with.
#[derive(Debug)]
pub(in super::super) struct Epoll(OwnedFd);

impl Epoll {
    pub(in super::super) fn new() -> Result<Self> {
        epoll::create(CreateFlags::CLOEXEC).map(Self)
    }

    pub(in super::super) fn add(&self, fd: RawFd, mark: u64, flags: EventFlags) -> Result<()> {
        lent(fd, |fd| epoll::add(&self.0, fd, EventData::new_u64(mark), flags))
    }

    pub(in super::super) fn modify(&self, fd: RawFd, mark: u64, flags: EventFlags) -> Result<()> {
        lent(fd, |fd| epoll::modify(&self.0, fd, EventData::new_u64(mark), flags))
    }

    pub(in super::super) fn delete(&self, fd: RawFd) -> Result<()> {
        lent(fd, |fd| epoll::delete(&self.0, fd))
    }

    /// Waits for events, for so many whole milliseconds at the most; no
    /// bound with `None`. A signal ends the wait without any.
    pub(in super::super) fn wait(&self, bound: Option<Duration>) -> Result<Vec<(u64, EventFlags)>> {
        let bound = bound.map(|bound| Timespec {
            tv_sec: i64::try_from(bound.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: bound.subsec_nanos().into(),
        });
        let nothing = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut events = [nothing; AT_ONCE];
        let found = match epoll::wait(&self.0, events.as_mut_slice(), bound.as_ref()) {
            Err(Errno::INTR) => 0,
            other => other?,
        };
        Ok(events.iter().take(found).map(|event| (event.data.u64(), event.flags)).collect())
    }
}

/// Lends the descriptor behind a number to one call.
fn lent<T>(fd: RawFd, call: impl FnOnce(BorrowedFd<'_>) -> Result<T>) -> Result<T> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: not -1. Whoever has a watch set keeps its descriptor open until
    // the watch is given back; should it be closed all the same, the number
    // is only ever handed to `epoll_ctl`, which touches nothing of the
    // descriptor's and says so.
    call(unsafe { BorrowedFd::borrow_raw(fd) })
}
