//! Collection as the screen shows it: the collector's state, and the state
//! passing through between a key and the collector's confirmation.

use std::time::Duration;

use crate::model::{
    WallTime,
    status::{CollectionState, CollectorStatus},
};

/// The poll intervals `+` and `-` step through, in seconds.
const INTERVALS: [f64; 15] =
    [0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

/// What was asked of the collector and is not confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Start,
    Stop,
}

/// What the collection pill says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection<'a> {
    /// Nothing is known yet.
    Unknown,
    /// Asked to start; not confirmed yet.
    Starting,
    /// Asked to stop; not confirmed yet.
    Stopping,
    /// Stopped.
    Stopped {
        /// Since when.
        since: WallTime,
    },
    /// Opening libvirt.
    Connecting {
        /// Since when.
        since: WallTime,
    },
    /// Cycles run.
    Running {
        /// Since when.
        since: WallTime,
    },
    /// libvirt cannot be reached.
    Failed {
        /// What failed and what to do.
        why: &'a str,
        /// Since when.
        since: WallTime,
        /// When the next attempt is made.
        retry_at: WallTime,
    },
}

/// The collector's status and what was asked of it.
#[derive(Clone, Debug)]
pub(super) struct Control {
    status: Option<CollectorStatus>,
    asked: Option<Asked>,
    interval: Duration,
    /// Interval asked for and not confirmed yet.
    wanted: Option<Duration>,
}

impl Control {
    pub(super) fn new(interval: Duration) -> Self {
        Self { status: None, asked: None, interval, wanted: None }
    }

    pub(super) fn status(&self) -> Option<&CollectorStatus> {
        self.status.as_ref()
    }

    pub(super) fn confirm(&mut self, status: CollectorStatus) {
        let stopped = matches!(status.state, CollectionState::Stopped { .. });
        if self.asked.is_some_and(|asked| stopped == (asked == Asked::Stop)) {
            self.asked = None;
        }
        if self.wanted == Some(status.interval) {
            self.wanted = None;
        }
        self.interval = status.interval;
        self.status = Some(status);
    }

    /// Asks for the opposite of what is, or of what was asked last.
    /// `true`: start.
    pub(super) fn toggle(&mut self) -> bool {
        let start = self.is_off();
        self.asked = Some(if start { Asked::Start } else { Asked::Stop });
        start
    }

    /// What was asked of an agent that is gone is asked of nobody.
    pub(super) fn forget_asked(&mut self) {
        self.asked = None;
        self.wanted = None;
    }

    /// Whether collection is stopped, or about to be.
    pub(super) fn is_off(&self) -> bool {
        match self.asked {
            Some(asked) => asked == Asked::Stop,
            None => self
                .status
                .as_ref()
                .is_some_and(|status| matches!(status.state, CollectionState::Stopped { .. })),
        }
    }

    pub(super) fn view(&self) -> Collection<'_> {
        match (self.asked, self.status.as_ref().map(|s| &s.state)) {
            (Some(Asked::Start), _) => Collection::Starting,
            (Some(Asked::Stop), _) => Collection::Stopping,
            (None, None) => Collection::Unknown,
            (None, Some(state)) => match state {
                CollectionState::Stopped { since } => Collection::Stopped { since: *since },
                CollectionState::Connecting { since } => Collection::Connecting { since: *since },
                CollectionState::Running { since } => Collection::Running { since: *since },
                CollectionState::Failed { why, since, retry_at } => {
                    Collection::Failed { why, since: *since, retry_at: *retry_at }
                }
            },
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.wanted.unwrap_or(self.interval)
    }

    pub(super) fn longer(&mut self) -> Option<Duration> {
        let now = self.interval();
        self.want(INTERVALS.iter().map(|&s| Duration::from_secs_f64(s)).find(|&d| d > now))
    }

    pub(super) fn shorter(&mut self) -> Option<Duration> {
        let now = self.interval();
        self.want(INTERVALS.iter().rev().map(|&s| Duration::from_secs_f64(s)).find(|&d| d < now))
    }

    fn want(&mut self, interval: Option<Duration>) -> Option<Duration> {
        if interval.is_some() {
            self.wanted = interval;
        }
        interval
    }
}
