//! How old the guest's memory report is.
//!
//! `last-update` is told by the hypervisor's clock, which on another machine
//! is not ours, and ours may be set at any time. So a report grows old while
//! it does not change, on the monotonic clock. Only how old the very first one
//! was when it was met is told by the wall clock, and only where hypervisor
//! and program share one.

use std::time::Duration;

use crate::{
    libvirt::ReadAt,
    model::{MonoTime, WallTime},
};

/// The last report of one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Its `last-update`.
    pub last_update: u64,
    /// Since when it stands unchanged, for the text.
    pub since: WallTime,
    /// When it was met first …
    met: MonoTime,
    /// … and how old it was then, as far as is known.
    age_then: Duration,
}

impl Report {
    /// The report of `last_update`, read at `at`, after `before`.
    /// `one_clock`: the hypervisor's clock is this machine's.
    pub fn follow(before: Option<Self>, last_update: u64, at: &ReadAt, one_clock: bool) -> Self {
        let fresh = Self { last_update, since: at.wall, met: at.mono, age_then: Duration::ZERO };
        match before {
            Some(before) if before.last_update == last_update => before,
            None if one_clock => {
                let seconds = i64::try_from(last_update).unwrap_or(i64::MAX);
                let reported = WallTime(seconds.saturating_mul(1_000_000_000)).min(at.wall);
                Self { since: reported, age_then: at.wall.since(reported), ..fresh }
            }
            _ => fresh,
        }
    }

    /// How old it is, at the least.
    pub fn age(&self, now: MonoTime) -> Duration {
        self.age_then + now.since(self.met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn at(wall: i64, mono: u64) -> ReadAt {
        let (wall, mono) = (WallTime(wall * SECOND), MonoTime(mono * 1_000_000_000));
        ReadAt { wall, mono, share: Duration::ZERO, error: Duration::ZERO }
    }

    fn age(report: Report, mono: u64) -> u64 {
        report.age(at(0, mono).mono).as_secs()
    }

    #[test]
    fn a_report_grows_old_while_it_does_not_change_whatever_the_clocks_say() {
        let first = Report::follow(None, 5_000, &at(1_000, 10), false);
        assert_eq!(age(first, 10), 0, "the other machine's clock is ahead");
        // Our clock is set back by an hour.
        let same = Report::follow(Some(first), 5_000, &at(-2_600, 30), false);
        assert_eq!((age(same, 30), same.since), (20, WallTime(1_000 * SECOND)));
        let next = Report::follow(Some(same), 5_002, &at(9_000, 31), false);
        assert_eq!((age(next, 31), next.since), (0, WallTime(9_000 * SECOND)));
    }

    #[test]
    fn only_on_this_machine_does_the_first_one_tell_its_age() {
        let old = |one_clock| Report::follow(None, 400, &at(1_000, 2), one_clock);
        assert_eq!((age(old(true), 3), old(true).since), (601, WallTime(400 * SECOND)));
        assert_eq!(age(old(false), 3), 1);
        // Of the future, by a clock that was set back since.
        let ahead = Report::follow(None, 9_000, &at(1_000, 2), true);
        assert_eq!((age(ahead, 3), ahead.since), (1, WallTime(1_000 * SECOND)));
        // A later one has come between two readings.
        assert_eq!(age(Report::follow(Some(old(true)), 402, &at(1_000, 9), true), 9), 0);
    }
}
