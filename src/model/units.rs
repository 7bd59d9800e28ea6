//! Newtypes for the units that a glance could mix up.

use serde::{Deserialize, Serialize};

/// Memory in KiB (1024 bytes), libvirt's unit for every memory figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kib(pub u64);

impl Kib {
    /// The same amount in bytes, saturating at `u64::MAX`.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0.saturating_mul(1024)
    }
}

/// A span of time in nanoseconds, libvirt's unit for every CPU and disk time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Nanos(pub u64);

/// An angle in degrees, −90…+90: how steep a rate is against its reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Degrees(pub f64);
