//! What reading a domain costs: from it follow how long a call may take, how
//! many lists are read at once, and how often memory and disks are read.

use std::time::Duration;

/// A call is overdue after this many times its usual duration …
const PATIENCE: u32 = 3;
/// … but never before this …
const SOONEST: Duration = Duration::from_millis(250);
/// … and while the usual duration is unknown, after this.
const UNKNOWN: Duration = Duration::from_secs(2);

/// Opening a connection is waited for at most twice this long within a list's
/// deadline.
const LONGEST_CONNECTING: Duration = Duration::from_secs(5);

/// Reading that takes less than this in one list is not worth another list.
const WORTH_A_LIST: Duration = Duration::from_millis(20);

/// Memory and disks of every domain are read at least once in so many cycles.
const LONGEST_ROUND: u32 = 30;

/// How many domains of a list are read in full, and how many without what
/// needs the monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub whole: usize,
    pub light: usize,
}

/// The usual cost of a domain, learned from calls that returned whole; per
/// domain, so that it survives a new division of lists.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Of a domain read in full.
    whole: Option<Duration>,
    /// Of a domain read without memory and disks.
    light: Option<Duration>,
    /// How long opening a connection took last.
    connecting: Duration,
    /// Cycles from one reading of a domain's memory and disks to the next.
    round: u32,
    /// Lists in use.
    lists: usize,
}

impl Pace {
    /// Takes note of how long a connection took to open: next to nothing on
    /// this machine, seconds over ssh.
    pub fn learn_connecting(&mut self, took: Duration) {
        self.connecting = took.min(LONGEST_CONNECTING);
    }

    /// Takes note of a call over `members` domains, all read in full, that
    /// took `took`.
    pub fn learn(&mut self, members: usize, took: Duration) {
        learn(&mut self.whole, members, took);
    }

    /// As [`Pace::learn`], of domains read without memory and disks.
    pub fn learn_light(&mut self, members: usize, took: Duration) {
        learn(&mut self.light, members, took);
    }

    /// Takes note of a call over `load` that came late: so many times as slow
    /// as usual, for every kind of reading.
    pub fn learn_late(&mut self, load: Load, took: Duration) {
        let usual = self.usual(load);
        if usual.is_zero() {
            return self.learn(load.whole + load.light, took);
        }
        let slower = took.as_secs_f64() / usual.as_secs_f64();
        // Half way, as for any call that is slower.
        let factor = f64::midpoint(1.0, slower.max(1.0));
        for cost in [&mut self.whole, &mut self.light].into_iter().flatten() {
            *cost = cost.mul_f64(factor);
        }
    }

    /// Whether no call has returned whole yet.
    pub fn is_unsettled(&self) -> bool {
        self.whole.is_none()
    }

    /// How long to wait for a call over `load`. `fresh` readers open a
    /// connection and look the domains up first.
    pub fn patience(&self, load: Load, fresh: bool) -> Duration {
        let warm_up = if fresh {
            Duration::from_millis(200)
                + times(Duration::from_millis(1), load.whole + load.light)
                + self.connecting * 2
        } else {
            Duration::ZERO
        };
        let usual = match self.whole {
            None => UNKNOWN,
            Some(_) => self.usual(load).saturating_mul(PATIENCE).max(SOONEST),
        };
        usual + warm_up
    }

    /// How long a call over `load` usually takes.
    fn usual(&self, load: Load) -> Duration {
        let whole = self.whole.unwrap_or_default();
        times(whole, load.whole) + times(self.light_cost(), load.light)
    }

    fn light_cost(&self) -> Duration {
        let whole = self.whole.unwrap_or_default();
        // Measured on QEMU: CPU, vCPUs, NICs and state are a third of it all.
        self.light.map_or(whole / 3, |light| light.min(whole))
    }

    /// Into how many lists to divide `live` domains: as many as there may be
    /// while the cost is unknown, then as many as are worth it. Another number
    /// deals the domains anew, so it is not changed for a little.
    pub fn lists(&mut self, live: usize, most: usize) -> usize {
        let most = most.min(live).max(1);
        let Some(whole) = self.whole else {
            self.lists = most;
            return most;
        };
        let cost = times(whole, live);
        let worth = |piece: Duration| {
            usize::try_from(cost.as_nanos() / piece.as_nanos().max(1) + 1)
                .unwrap_or(usize::MAX)
                .clamp(1, most)
        };
        if self.lists == 0 || self.lists > most {
            self.lists = worth(WORTH_A_LIST);
        }
        self.lists = self.lists.clamp(worth(WORTH_A_LIST * 2), worth(WORTH_A_LIST / 2));
        self.lists
    }

    /// Over how many cycles the reading of memory and disks is spread, so
    /// that a list of `longest` domains fits into `interval`. 1: every domain
    /// in every cycle.
    pub fn round(&mut self, longest: usize, interval: Duration) -> u32 {
        let fits = |round: u32, share: u32| {
            let whole = longest.div_ceil(usize::try_from(round).unwrap_or(1));
            self.usual(Load { whole, light: longest - whole }) <= interval * share / 100
        };
        let now = self.round.max(1);
        let mut round = now;
        if fits(now, 80) {
            // Back to shorter rounds only where there is room to spare.
            while round > 1 && fits(round - 1, 55) {
                round -= 1;
            }
        } else {
            while round < LONGEST_ROUND && !fits(round, 70) {
                round += 1;
            }
        }
        if round != now {
            tracing::info!(
                "memory and disks of each VM are now read every {round} cycles: {longest} VMs in a list take {:.0} ms",
                self.usual(Load { whole: longest, light: 0 }).as_secs_f64() * 1e3
            );
        }
        self.round = round;
        round
    }
}

fn learn(usual: &mut Option<Duration>, members: usize, took: Duration) {
    let Some(cost) = took.checked_div(u32::try_from(members).unwrap_or(u32::MAX)) else { return };
    *usual = Some(match *usual {
        None => cost,
        // Slower is learned at once and faster slowly: a deadline that is
        // too short would call a slow host hung.
        Some(usual) if cost > usual => (usual + cost) / 2,
        Some(usual) => (usual * 7 + cost) / 8,
    });
}

fn times(cost: Duration, count: usize) -> Duration {
    cost.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(whole: usize) -> Load {
        Load { whole, light: 0 }
    }

    #[test]
    fn patience_follows_the_usual_duration_within_its_bounds() {
        let mut pace = Pace::default();
        assert_eq!(pace.patience(whole(40), false), UNKNOWN);
        pace.learn(10, Duration::from_millis(40));
        assert_eq!(pace.patience(whole(10), false), SOONEST);
        assert_eq!(pace.patience(whole(100), false), Duration::from_millis(1200));
        assert!(pace.patience(whole(100), true) > pace.patience(whole(100), false));
        pace.learn_connecting(Duration::from_secs(2));
        assert!(pace.patience(whole(100), true) > pace.patience(whole(100), false) + Duration::from_secs(4));
        pace.learn_light(100, Duration::from_millis(100));
        assert_eq!(pace.patience(Load { whole: 50, light: 100 }, false), Duration::from_millis(900));
    }

    #[test]
    fn a_slow_host_lengthens_the_patience_at_once_and_a_fast_one_shortens_it_slowly() {
        let mut pace = Pace::default();
        pace.learn(100, Duration::from_millis(200));
        pace.learn(100, Duration::from_secs(4));
        let after_slow = pace.patience(whole(100), false);
        assert!(after_slow > Duration::from_secs(6), "{after_slow:?}");
        pace.learn(100, Duration::from_millis(200));
        assert!(pace.patience(whole(100), false) > after_slow / 2);
    }

    #[test]
    fn a_late_call_over_domains_read_in_part_does_not_charge_it_all_to_the_others() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        pace.learn(30, second);
        pace.learn_light(24, second / 5);
        let load = Load { whole: 6, light: 24 };
        // 0.4 s usually; this one took five times as long.
        pace.learn_late(load, second * 2);
        let full = pace.patience(whole(30), false);
        assert!(full > second * 6 && full < second * 12, "{full:?}");
        let mut light = Pace::default();
        light.learn(30, second);
        light.learn_late(Load { whole: 0, light: 30 }, second * 5);
        assert!(light.patience(whole(30), false) > second * 6, "a late call of light ones teaches as well");
    }

    #[test]
    fn few_or_cheap_domains_are_read_in_fewer_lists_and_the_number_does_not_flutter() {
        let mut pace = Pace::default();
        assert_eq!(pace.lists(40, 3), 3, "all while the cost is unknown");
        pace.learn(10, Duration::from_millis(45));
        assert_eq!(pace.lists(40, 3), 3);
        assert_eq!(pace.lists(2, 3), 1);
        assert_eq!(pace.lists(0, 3), 1);
        let numbers: Vec<usize> = (10..20).chain((10..20).rev()).map(|live| pace.lists(live, 5)).collect();
        assert!(numbers.windows(2).filter(|pair| pair[0] != pair[1]).count() <= 3, "{numbers:?}");
    }

    #[test]
    fn what_does_not_fit_is_spread_over_cycles_and_comes_back_with_room_to_spare() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        assert_eq!(pace.round(500, second), 1, "nothing is known");
        pace.learn(100, Duration::from_secs(1));
        pace.learn_light(100, Duration::from_millis(200));
        assert_eq!(pace.round(60, second), 1);
        // 100 domains: 1 s in full, 0.2 s without; every other cycle is 0.6 s.
        assert_eq!(pace.round(100, second), 2);
        assert_eq!(pace.round(85, second), 2, "0.85 s would fit, but barely");
        assert_eq!(pace.round(50, second), 1);
        assert_eq!(pace.round(5000, second), LONGEST_ROUND, "never forgotten");
        pace.learn_light(100, Duration::from_millis(10));
        assert!(pace.round(100, second) < LONGEST_ROUND);
    }
}
