//! A frame as others read it: JSON for programs, a plain table for people.
//!
//! Owns the shapes of `vm-telemetry` ([`json`]), of `status` ([`status`]), of
//! the agent's further answers ([`answers`], [`diagnostic`], [`measurements`],
//! [`prometheus`], [`summary`]),
//! the text of `kvmscope once` ([`table`]), of what the screen exports
//! ([`export`]) and of the record ([`recorded`]). It computes no rate and asks nobody: everything is in the
//! frame it is handed. A value that is missing is null or a dash, with its
//! reason beside it, never a number.

pub mod answers;
pub mod diagnostic;
pub mod export;
pub mod json;
pub mod measurements;
pub mod prometheus;
pub mod recorded;
pub mod status;
pub mod summary;
pub mod table;

mod devices;
mod host;
mod value;

pub use value::Json;

#[cfg(test)]
mod fixture;
