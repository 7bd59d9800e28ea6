//! The arithmetic of one counter: a difference that is never negative, over a
//! time that is never zero.

use std::time::Duration;

use super::{NOT_OFFERED, RESTARTED};
use crate::model::{Measured, Missing, Why};

/// Growth of a cumulative counter; a fall means it started anew.
pub(super) fn grown(before: Option<u64>, now: Option<u64>) -> Measured<u64> {
    match (before, now) {
        (Some(before), Some(now)) => now.checked_sub(before).ok_or(RESTARTED),
        (None, Some(_)) => Err(super::FIRST),
        (_, None) => Err(NOT_OFFERED),
    }
}

/// A difference as a rate per second.
#[allow(clippy::cast_precision_loss, reason = "differences stay far below 2^53")]
pub(super) fn per_second(difference: u64, span: Duration) -> f64 {
    difference as f64 / span.as_secs_f64()
}

/// Mean milliseconds per request.
#[allow(clippy::cast_precision_loss, reason = "differences stay far below 2^53")]
pub(super) fn latency_ms(time_ns: Measured<u64>, requests: Measured<u64>) -> Measured<f64> {
    match (time_ns?, requests?) {
        (_, 0) => Err(Missing::new(Why::NoRequests)),
        (time, n) => Ok(time as f64 / n as f64 / 1e6),
    }
}

/// Sum of the values that are there; the first reason if none is.
pub(super) fn sum<'a>(values: impl Iterator<Item = &'a Measured<f64>>, none: Missing) -> Measured<f64> {
    let mut total: Measured<f64> = Err(none);
    for value in values {
        total = match (total, *value) {
            (Ok(a), Ok(b)) => Ok(a + b),
            (Ok(a), Err(_)) => Ok(a),
            (Err(_), Ok(b)) => Ok(b),
            (Err(a), Err(b)) => Err(if a == none { b } else { a }),
        };
    }
    total
}
