//! Reading libvirt: one thread, one read-only connection, one call at a time.
//!
//! Owns every call to libvirt and everything that libvirt's answers look like:
//! the bulk statistics, the per-domain calls for drivers that have no bulk
//! data, the domain XML, and the words for what went wrong. A [`Reader`] is
//! handed a [`Question`] and answers it with raw counters; a call that hangs
//! hangs in that reader alone. A [`Watch`] has a connection for nothing but
//! libvirt's events.
//!
//! It must not decide: when to ask, how long to wait and what a missing value
//! means is the collector's. It knows no tokio, changes nothing on the host,
//! and keeps all `unsafe` in `ffi`.

mod decode;
mod devices;
mod error;
mod event;
mod event_loop;
mod ffi;
mod host;
mod job;
mod per_domain;
mod question;
mod reader;
mod session;
mod ssh;
mod uri;
mod watch;
mod xml;

use std::time::Duration;

pub use devices::{XmlError, devices};
pub use error::Error;
pub use event::{BlockJobOutcome, DomainEvent, EventKind};
pub use question::{
    Answer, Control, Groups, HostTimes, Member, Question, RawDisk, RawDomain, RawHost, ReadAt, ReaderId,
    Reply, Roster, RosterEntry,
};
pub use reader::Reader;
pub use uri::{hang_advice, is_demo, is_this_machine, masked};
pub use watch::{Watch, WatchNews};

/// Keeps libvirt's own log off the terminal, unless the operator asks for it
/// by `LIBVIRT_LOG_OUTPUTS` or `LIBVIRT_DEBUG`. To be called first in `main`:
/// beside other threads it does nothing.
pub fn keep_log_off_the_terminal() {
    ffi::log::keep_off_the_terminal();
}

/// Ends the process with `code`, at once. Whoever calls it has written what
/// was to be written: buffers of this process are lost.
///
/// A process that has called libvirt ends in no other way. The handlers that
/// C libraries have run at a normal end take apart what threads within libvirt
/// still use: one that ends meanwhile frees `OpenSSL`'s memory a second time,
/// and the process dies of it in place of its exit code.
pub fn leave(code: u8) -> ! {
    ffi::leaving::leave(code)
}

/// What a reader needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connection URI, opened read-only.
    pub uri: String,
    /// How long connecting and single questions may take. No call can be cut
    /// short, so this is kept by whoever asks, not by the reader.
    pub timeout: Duration,
}

impl From<&crate::config::Libvirt> for Settings {
    fn from(config: &crate::config::Libvirt) -> Self {
        Self { uri: config.uri.clone(), timeout: config.timeout }
    }
}
