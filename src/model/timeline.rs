//! What happened to a domain, and when, in words an operator reads.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::WallTime;

/// Happenings kept of each domain; older ones are let go.
pub const KEPT: usize = 64;

/// One event of a domain's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// When it was heard of; of one that came in a swarm, last.
    pub at: WallTime,
    /// When it was heard of first: another instant for each of a timeline.
    pub since: WallTime,
    /// What it was, such as `disk vdc attached`: fit to show, nothing in it
    /// that could control a terminal.
    #[serde(deserialize_with = "crate::model::name::read_fit")]
    pub text: Arc<str>,
    /// How much it should worry the operator.
    pub weight: Weight,
}

/// How much a happening should worry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Weight {
    /// Everyday: started, device attached.
    Note,
    /// Worth a look: paused by somebody, a device that would not leave.
    Warning,
    /// Something is wrong: I/O error, crash, watchdog.
    Trouble,
}
