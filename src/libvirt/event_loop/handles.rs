//! Watched descriptors, by the ids of their watches.
//!
//! The kernel knows a descriptor once, by its number; libvirt knows watches.
//! A number may be closed and given to another descriptor while a watch of the
//! old one is still about: then the newer watch has it, and nothing that is
//! done with the older one touches the kernel's list.

use std::{
    collections::{BTreeMap, HashMap},
    os::fd::RawFd,
};

use rustix::{
    event::epoll::EventFlags,
    io::{Errno, Result},
};
use virt::sys;

use super::super::ffi::epoll::Epoll;

/// libvirt's bits and the kernel's.
const EVENTS: [(u32, EventFlags); 4] = [
    (sys::VIR_EVENT_HANDLE_READABLE, EventFlags::IN),
    (sys::VIR_EVENT_HANDLE_WRITABLE, EventFlags::OUT),
    (sys::VIR_EVENT_HANDLE_ERROR, EventFlags::ERR),
    (sys::VIR_EVENT_HANDLE_HANGUP, EventFlags::HUP),
];
/// What the kernel tells whether it was asked for or not.
const ALWAYS: u32 = sys::VIR_EVENT_HANDLE_ERROR | sys::VIR_EVENT_HANDLE_HANGUP;

/// All watches.
#[derive(Debug)]
pub(super) struct Handles<C> {
    all: BTreeMap<i32, Handle<C>>,
    /// The watch that has each number: the newest one.
    owners: HashMap<RawFd, i32>,
    last: i32,
    /// Watches that are on and that the kernel has refused for now.
    refused: usize,
}

#[derive(Debug)]
struct Handle<C> {
    fd: RawFd,
    /// libvirt's bits; 0: off.
    wanted: u32,
    state: State,
    callback: C,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    On,
    /// The kernel had no room: it is asked again.
    Refused,
}

impl<C: Clone> Handles<C> {
    pub(super) fn new() -> Self {
        Self { all: BTreeMap::new(), owners: HashMap::new(), last: 0, refused: 0 }
    }

    /// A new watch of `fd`; takes the number over from any older one.
    ///
    /// # Errors
    /// The kernel refuses it, or there are no more ids.
    pub(super) fn add(&mut self, epoll: &Epoll, fd: RawFd, wanted: u32, callback: C) -> Result<i32> {
        let id = self.last.checked_add(1).ok_or(Errno::NOSPC)?;
        if fd < 0 {
            return Err(Errno::BADF);
        }
        let older = self.owners.get(&fd).copied();
        if let Some(older) = older {
            self.turn(epoll, older, 0);
        }
        if wanted != 0 {
            on(epoll, fd, id, wanted)?;
        }
        self.last = id;
        self.owners.insert(fd, id);
        let state = if wanted == 0 { State::Off } else { State::On };
        self.all.insert(id, Handle { fd, wanted, state, callback });
        Ok(id)
    }

    /// Sets what a watch waits for. Unknown ids are ignored. `false`: the
    /// kernel has no room for it now; see [`Self::retry`].
    pub(super) fn update(&mut self, epoll: &Epoll, id: i32, wanted: u32) -> bool {
        if let Some(handle) = self.all.get(&id)
            && self.owners.get(&handle.fd) == Some(&id)
        {
            return self.turn(epoll, id, wanted);
        }
        true
    }

    fn turn(&mut self, epoll: &Epoll, id: i32, wanted: u32) -> bool {
        let Some(handle) = self.all.get_mut(&id) else { return true };
        let before = handle.state;
        if before != State::Refused && handle.wanted == wanted {
            return true;
        }
        handle.wanted = wanted;
        handle.state = if wanted == 0 {
            if before == State::On {
                // A descriptor that has been closed is out of the list already.
                let _ = epoll.delete(handle.fd);
            }
            State::Off
        } else {
            let flags = to_kernel(wanted);
            let answer = match before {
                State::On => match epoll.modify(handle.fd, mark(id), flags) {
                    Err(Errno::NOENT) => on(epoll, handle.fd, id, wanted),
                    answer => answer,
                },
                State::Off | State::Refused => on(epoll, handle.fd, id, wanted),
            };
            match answer {
                Ok(()) => State::On,
                Err(Errno::NOMEM | Errno::NOSPC) => State::Refused,
                // Closed: it has nothing more to tell.
                Err(error) => {
                    tracing::debug!("descriptor {} cannot be watched: {error}", handle.fd);
                    State::Off
                }
            }
        };
        if handle.state == State::Off {
            handle.wanted = 0;
        }
        let is = |state: State| usize::from(state == State::Refused);
        self.refused = self.refused + is(handle.state) - is(before);
        handle.state != State::Refused
    }

    /// Whether some watch is on that the kernel has refused.
    pub(super) fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// Asks the kernel again for every watch that it has refused.
    pub(super) fn retry(&mut self, epoll: &Epoll) {
        let refused: Vec<_> = self
            .all
            .iter()
            .filter(|(_, handle)| handle.state == State::Refused)
            .map(|(&id, handle)| (id, handle.wanted))
            .collect();
        for (id, wanted) in refused {
            self.update(epoll, id, wanted);
        }
    }

    /// Takes a watch out; its callback, for the last word with it.
    pub(super) fn remove(&mut self, epoll: &Epoll, id: i32) -> Option<C> {
        self.update(epoll, id, 0);
        let handle = self.all.remove(&id)?;
        if self.owners.get(&handle.fd) == Some(&id) {
            self.owners.remove(&handle.fd);
        }
        Some(handle.callback)
    }

    /// What is to be told about an event of the kernel's by the state of the
    /// watch now: its descriptor, libvirt's bits, and whom to call. `None`:
    /// gone, off, or waiting for something else by now.
    pub(super) fn told(&self, mark: u64, flags: EventFlags) -> Option<(i32, RawFd, u32, C)> {
        let id = i32::try_from(mark).ok()?;
        let handle = self.all.get(&id).filter(|handle| handle.state == State::On)?;
        let happened = from_kernel(flags);
        // An end that was not asked for is told if it is all there is to tell:
        // untold, the kernel would repeat it for ever.
        let told = match happened & handle.wanted {
            0 => happened & ALWAYS,
            told => told,
        };
        (told != 0).then(|| (id, handle.fd, told, handle.callback.clone()))
    }
}

fn on(epoll: &Epoll, fd: RawFd, id: i32, wanted: u32) -> Result<()> {
    let flags = to_kernel(wanted);
    match epoll.add(fd, mark(id), flags) {
        Err(Errno::EXIST) => epoll.modify(fd, mark(id), flags),
        answer => answer,
    }
}

/// Ids are positive.
fn mark(id: i32) -> u64 {
    u64::try_from(id).unwrap_or(0)
}

fn to_kernel(wanted: u32) -> EventFlags {
    EVENTS.iter().filter(|(bit, _)| wanted & bit != 0).fold(EventFlags::empty(), |all, (_, flag)| all | *flag)
}

fn from_kernel(flags: EventFlags) -> u32 {
    EVENTS.iter().filter(|(_, flag)| flags.contains(*flag)).fold(0, |all, (bit, _)| all | bit)
}

#[cfg(test)]
mod tests;
