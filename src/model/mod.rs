//! Pure values: what was read, what follows from it, and what is missing.
//!
//! Owns the vocabulary every other room speaks: a domain's identity, one
//! reading of its counters, the rates between two readings, a whole cycle as a
//! [`Frame`], and the status figures of collector and delivery. It knows `std`
//! and `serde`; it never does I/O, never spawns and never reads a clock.

pub mod clock;
pub mod domain;
pub mod errors;
pub mod frame;
mod frame_sent;
pub mod glance;
mod held;
pub mod history;
pub mod host;
pub mod job;
pub mod link;
pub mod mend;
pub mod missing;
pub mod name;
pub mod packed;
pub mod past;
pub mod rates;
pub mod reading;
pub mod state_reason;
pub mod status;
pub mod timeline;
pub mod units;

pub use clock::{MonoTime, WallTime};
pub use domain::{DomainDevices, DomainState, Identity};
pub use errors::{CountedError, LastErrors};
pub use frame::{DomainFrame, Frame};
pub use glance::Domains;
pub use host::HostLoad;
pub use job::DomainJob;
pub use missing::{Measured, Missing, Why};
pub use rates::{AngleMode, AngleScale, DomainRates};
pub use reading::DomainReading;
pub use timeline::Happening;
pub use units::{Degrees, Kib, Nanos};
