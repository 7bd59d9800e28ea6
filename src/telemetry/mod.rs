//! A frame as others read it: JSON for programs, a plain table for people.
//!
//! Owns the shapes of `vm-telemetry` ([`json`]) and of `status` ([`status`]),
//! the text of `kvmscope once` ([`table`]) and of what the screen exports
//! ([`export`]). It computes no rate and asks nobody: everything is in the
//! frame it is handed. A value that is missing is null or a dash, with its
//! reason beside it, never a number.

pub mod export;
pub mod json;
pub mod status;
pub mod table;

mod devices;
mod host;
mod value;

pub use value::Json;

#[cfg(test)]
mod fixture;
