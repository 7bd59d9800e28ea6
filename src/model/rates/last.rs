//! What the next value of a group is compared with.

use std::time::Duration;

use super::{
    FIRST, UNCERTAIN,
    dated::{Dated, span},
};
use crate::model::Measured;

/// A value and the instant it is from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamped<T> {
    pub at: Dated,
    pub value: T,
}

/// The last value of a group, and the last one of another pass before it:
/// where a domain has changed its place in the cycle, that one may be dated
/// alike when the last one is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last<T> {
    newest: Stamped<T>,
    other: Option<Stamped<T>>,
}

impl<T: Clone> Last<T> {
    /// The last value of all.
    pub fn value(&self) -> &T {
        &self.newest.value
    }

    /// Takes the next value in, and tells what to compare it with and the time
    /// since then. `fell`: whether counters began anew between two values; what
    /// is older than that is compared with nothing.
    pub fn step(
        last: &mut Option<Self>,
        at: Dated,
        value: T,
        period: Duration,
        fell: impl Fn(&T, &T) -> bool,
    ) -> Measured<(T, Duration)> {
        let now = Stamped { at, value };
        let Some(Self { newest, other }) = last.take() else {
            *last = Some(Self { newest: now, other: None });
            return Err(FIRST);
        };
        let since = span(newest.at, at, period);
        if fell(&newest.value, &now.value) {
            *last = Some(Self { newest: now, other: None });
            return Ok((newest.value, since?));
        }
        let moved = newest.at.pass != at.pass;
        let alike = other.as_ref().filter(|other| since == Err(UNCERTAIN) && other.at.pass == at.pass);
        let base = match alike.map(|other| (other, span(other.at, at, period))) {
            Some((other, Ok(since))) => Ok((other.value.clone(), since)),
            _ => since.map(|since| (newest.value.clone(), since)),
        };
        *last = Some(Self { newest: now, other: if moved { Some(newest) } else { other } });
        base
    }
}
