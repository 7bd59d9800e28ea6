//! The time between two readings, and when it is too long or too uncertain for
//! a rate.

use std::time::Duration;

use super::{FIRST, GAP, UNCERTAIN};
use crate::model::{Measured, MonoTime};

/// Which of a cycle's calls a reading is from. A domain has its place in each,
/// and keeps it from cycle to cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pass {
    /// That for everything, where memory and disks of all are due.
    #[default]
    Full,
    /// That for all but memory and disks, where these take turns.
    Light,
    /// That for memory and disks of those whose turn it is.
    Turn,
    /// Those that need no monitor, one by one.
    MonitorFree,
}

/// An instant, and how far off it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dated {
    pub mono: MonoTime,
    pub error: Duration,
    pub pass: Pass,
}

/// Time between two readings, if a rate over it means anything.
///
/// An instant is estimated, and may be off by the duration of the call. From
/// one call to the next most of that error is the same and cancels, as long as
/// the calls take equally long. What does not cancel is at most their
/// difference, and a rate over a span not much longer would be mostly error:
/// such as when a list was overdue, its repeat was slow, and the next cycle's
/// call follows on its heels. Between two passes the place jumps, and nothing
/// cancels.
pub(super) fn span(before: Dated, now: Dated, period: Duration) -> Measured<Duration> {
    let span = now.mono.since(before.mono);
    let error = if before.pass == now.pass {
        now.error.abs_diff(before.error)
    } else {
        now.error.saturating_add(before.error)
    };
    if span.is_zero() {
        Err(FIRST)
    } else if span > period.saturating_mul(3) {
        Err(GAP)
    } else if error > span / 2 {
        Err(UNCERTAIN)
    } else {
        Ok(span)
    }
}
