//! A screen that shows what an agent collects: whose collection that is, and
//! how the way to it is. Plain values; who keeps the connection is another
//! room's matter.

use serde::{Deserialize, Serialize};

use super::{WallTime, status::ConfigEntry};

/// An agent, as it told of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its version of kvmscope.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started.
    pub since: WallTime,
    /// The libvirt it reads, without credentials.
    pub uri: String,
    /// Its configuration in effect, fit to show.
    pub config: Vec<ConfigEntry>,
}

impl Agent {
    /// Whether this is the same run of the same agent: its cycles go on, and
    /// its monotonic clock is the same.
    #[must_use]
    pub fn is_same_run(&self, other: &Self) -> bool {
        (self.pid, self.since) == (other.pid, other.since)
    }
}

/// A screen's way to its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where the agent is asked: a socket's path, or a URL.
    pub place: String,
    /// The agent, since it was first reached.
    pub agent: Option<Agent>,
    /// How it stands. Times are of this machine's clock.
    pub state: LinkState,
    /// By how many nanoseconds the clock of the agent's machine is ahead of this
    /// one's; negative: behind.
    pub ahead: i64,
}

/// How the way to an agent stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It is being connected to for the first time.
    Connecting,
    /// What it collects arrives.
    Attached {
        /// Since when.
        since: WallTime,
    },
    /// It does not answer, or not as an agent of this version does.
    Gone {
        /// Since when.
        since: WallTime,
        /// What failed, and what to do.
        why: String,
        /// When the next attempt is made.
        next_at: WallTime,
    },
}

impl LinkState {
    /// The same with its times by a clock that is so many nanoseconds ahead.
    #[must_use]
    pub fn by_clock_ahead(self, ahead: i64) -> Self {
        let there = |at: WallTime| WallTime(at.0.saturating_add(ahead));
        match self {
            Self::Connecting => Self::Connecting,
            Self::Attached { since } => Self::Attached { since: there(since) },
            Self::Gone { since, why, next_at } => {
                Self::Gone { since: there(since), why, next_at: there(next_at) }
            }
        }
    }
}

impl Link {
    /// Whether what is shown is what the agent has now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state, LinkState::Attached { .. })
    }
}
