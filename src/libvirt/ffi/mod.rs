//! All `unsafe` of the project, and nothing else: thin safe wrappers around
//! the libvirt calls that the `virt` crate lacks or leaks, the event loop that
//! libvirt calls, the one variable that keeps libvirt's log off the terminal, and
//! the end of the process.

#![allow(unsafe_code, reason = "this is the one place for it; every block states why it is sound")]

pub(super) mod bulk;
pub(super) mod control;
pub(super) mod epoll;
pub(super) mod event_loop;
pub(super) mod events;
pub(super) mod job;
pub(super) mod leaving;
pub(super) mod log;
pub(super) mod node;
pub(super) mod vcpus;
