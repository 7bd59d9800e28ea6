//! A frame as others read it: JSON for programs, a plain table for people.
//!
//! Owns the shape of `vm-telemetry` ([`json`]) and the text of `kvmscope once`
//! ([`table`]). It computes no rate and asks nobody: everything is in the
//! frame it is handed. A value that is missing is null or a dash, with its
//! reason beside it, never a number.

pub mod json;
pub mod table;

mod devices;
mod host;
mod value;

pub use value::Json;

#[cfg(test)]
mod fixture;
