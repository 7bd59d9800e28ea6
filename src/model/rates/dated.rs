//! The time between two readings, and when it is too long or too uncertain for
//! a rate.

use std::time::Duration;

use super::{FIRST, GAP, UNCERTAIN};
use crate::model::{Measured, MonoTime};

/// An instant, and how far off it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dated {
    pub mono: MonoTime,
    pub error: Duration,
}

/// Time between two readings, if a rate over it means anything.
///
/// An instant is estimated, and may be off by the duration of the call. From
/// one call to the next most of that error is the same and cancels, as long as
/// the calls take equally long. What does not cancel is at most their
/// difference, and a rate over a span not much longer would be mostly error:
/// such as when a list was overdue, its repeat was slow, and the next cycle's
/// call follows on its heels.
pub(super) fn span(before: Dated, now: Dated, period: Duration) -> Measured<Duration> {
    let span = now.mono.since(before.mono);
    if span.is_zero() {
        Err(FIRST)
    } else if span > period.saturating_mul(3) {
        Err(GAP)
    } else if now.error.abs_diff(before.error) > span / 2 {
        Err(UNCERTAIN)
    } else {
        Ok(span)
    }
}
