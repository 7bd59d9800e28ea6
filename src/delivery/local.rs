//! A cycle's local part: what its lines cannot say, kept beside them and never
//! sent. Reasons of what is missing, and what the screen shows beyond the
//! lines: latencies, steal, vCPUs, QEMU's own cost, jobs, the host, cycle
//! times. (Events have a table of their own: [`crate::journal`].)
//!
//! Owns its forms, each with a number that stands beside the bytes in the
//! record. Whatever was written by whatever version is either read or set
//! aside with a word. What can be computed from the lines is not in it: rates
//! of counters, sums over devices, angles. Nor is what a domain's XML says of
//! its devices. Numbers over a whole interval, such as a latency, are those of
//! the one interval before the cycle, also where cycles next to it were
//! thinned.

mod column;
mod decode;
mod encode;
mod fields;
mod first;
mod form;
mod made;
mod reasons;
mod scale;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use self::form::{Cycle, Disk, Domain, Given, Groups, Job, Name, Nic, Seen, Vcpu};
use crate::model::Frame;

/// The number of the form that is written.
pub const VERSION: u32 = 2;

/// Writes local parts, one cycle after the other.
///
/// What changes seldom is told once in ten seconds: the host in the first
/// cycle of them, which is the one that thinning keeps; the sizes of a domain's
/// disks in the first in which these were read.
#[derive(Debug, Default)]
pub struct Encoder {
    /// The ten seconds that have had theirs.
    had: Option<i64>,
    /// The domains whose sizes these ten seconds have had.
    sized: HashSet<u32>,
}

impl Encoder {
    /// The local part of `frame`, in the form [`VERSION`].
    #[must_use]
    pub fn encode(&mut self, frame: &Frame) -> Vec<u8> {
        let slot = crate::journal::thinning_slot(frame.at);
        let whole = self.had.replace(slot) != Some(slot);
        if whole {
            self.sized.clear();
        }
        encode::encode(&Cycle::told(frame, whole, |id| self.sized.insert(id)))
    }
}

/// What became of the bytes of a local part.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// They were read.
    Read(Box<Cycle>),
    /// They were not.
    SetAside {
        /// Why, for a person.
        word: String,
    },
}

/// Reads a local part of the form `version`.
#[must_use]
pub fn decode(version: u32, bytes: &[u8]) -> Decoded {
    let read = match version {
        1 => first::decode(bytes),
        VERSION => decode::decode(bytes),
        0 => return Decoded::SetAside { word: "no form of kvmscope's".to_owned() },
        newer => {
            return Decoded::SetAside { word: format!("written by a newer kvmscope, form {newer}") };
        }
    };
    match read {
        Ok(cycle) => Decoded::Read(Box::new(cycle)),
        Err(column::Damaged) => Decoded::SetAside { word: format!("damaged, form {version}") },
    }
}
