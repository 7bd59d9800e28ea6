//! Looking back: what stands in the record becomes frames again.
//!
//! Owns the way from a row to what the screen showed: `parse` reads a cycle's
//! lines, `reading` and `rates` make of them and of the local part what the
//! collector had made, [`frame`] walks from cycle to cycle, [`series`] does so
//! for one domain over a span, [`stretch`] hands a part of the
//! record on, and [`reader`] answers questions on a thread of
//! its own. It changes nothing in the record
//! and asks no clock.

pub mod frame;
mod parse;
mod rates;
pub mod reader;
mod reading;
pub mod series;
mod slots;
pub mod stretch;
mod trail;
mod way;

pub use self::{
    frame::Walk,
    reader::{Reader, Settings, Sight},
};
