//! The one place that reads clocks. Everything else is handed times, so that
//! tests can hand in their own.

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crate::model::{MonoTime, WallTime};

/// Tells the wall-clock and the monotonic time of one instant.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> (WallTime, MonoTime) + Send + Sync>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        let start = Instant::now();
        Self(Arc::new(move || {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let nanos = |d: std::time::Duration| d.as_nanos();
            (
                WallTime(i64::try_from(nanos(wall)).unwrap_or(i64::MAX)),
                MonoTime(u64::try_from(nanos(start.elapsed())).unwrap_or(u64::MAX)),
            )
        }))
    }

    /// A clock of one's own, for tests.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> (WallTime, MonoTime) + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Both times of this instant.
    #[must_use]
    pub fn now(&self) -> (WallTime, MonoTime) {
        (self.0)()
    }
}
