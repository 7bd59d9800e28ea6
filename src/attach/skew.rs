//! How far the clock of the agent's machine is from this one's: what makes
//! "3 s ago" right on both.
//!
//! Owns an estimate, and asks no clock. An agent says its time every few
//! seconds; what is late on the way seems to be behind, so that the largest
//! difference of late is the nearest.

use std::collections::VecDeque;

use crate::model::WallTime;

/// How many of the last times count: after a clock was set back they are
/// right again when all of them are from after that.
const KEPT: usize = 8;
/// Less of a change in nanoseconds is the jitter of a line.
const LEAST: u64 = 200_000_000;

/// What was heard of another clock.
#[derive(Debug, Default)]
pub(super) struct Skew {
    heard: VecDeque<i64>,
    ahead: i64,
}

impl Skew {
    /// It said `there` when it was `here`. Returns by how many nanoseconds it
    /// is ahead (negative: behind) where that is news.
    pub fn heard(&mut self, there: WallTime, here: WallTime) -> Option<i64> {
        if self.heard.len() == KEPT {
            self.heard.pop_front();
        }
        self.heard.push_back(there.0.saturating_sub(here.0));
        let ahead = self.heard.iter().copied().max()?;
        let news = ahead.abs_diff(self.ahead) >= LEAST;
        news.then(|| {
            self.ahead = ahead;
            ahead
        })
    }

    /// By how many nanoseconds it is ahead, as far as is known.
    pub fn ahead(&self) -> i64 {
        self.ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// The clock says `ahead` more than here, and its word takes `late`.
    fn beat(skew: &mut Skew, second: i64, ahead: i64, late: i64) -> Option<i64> {
        let sent = second * SECOND;
        skew.heard(WallTime(sent + ahead), WallTime(sent + late))
    }

    #[test]
    fn what_comes_late_is_not_taken_for_a_clock_that_is_behind() {
        let mut skew = Skew::default();
        let late = |second: i64| if second == 0 { 0 } else { (second * 7 % 5) * SECOND };
        let told: Vec<_> =
            (0..40).filter_map(|second| beat(&mut skew, second * 2, 300 * SECOND, late(second))).collect();
        assert_eq!(told, [300 * SECOND], "told once");
        assert_eq!(skew.ahead(), 300 * SECOND);
    }

    #[test]
    fn clocks_that_agree_are_no_news() {
        let mut skew = Skew::default();
        assert!((0..40).all(|second| beat(&mut skew, second, 90_000, second * 4_000_000).is_none()));
        assert_eq!(skew.ahead(), 0);
    }

    #[test]
    fn a_clock_that_is_set_is_followed_in_both_directions() {
        let mut skew = Skew::default();
        beat(&mut skew, 0, -300 * SECOND, 0);
        assert_eq!(skew.ahead(), -300 * SECOND);
        assert_eq!(beat(&mut skew, 2, 5 * SECOND, 0), Some(5 * SECOND), "forward at once");
        let back: Vec<_> = (2..12).filter_map(|n| beat(&mut skew, n * 2, -60 * SECOND, 0)).collect();
        assert_eq!(back, [-60 * SECOND], "back when nothing speaks against it any more");
        // Absurd times do no harm.
        assert_eq!(skew.heard(WallTime(i64::MAX), WallTime(-5)), Some(i64::MAX));
        assert!((0..20).any(|_| skew.heard(WallTime(i64::MIN), WallTime(5)).is_some()));
        assert_eq!(skew.ahead(), i64::MIN);
    }
}
