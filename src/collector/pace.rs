//! How long a list call usually takes, and when it is overdue.

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

/// The usual cost per domain of a list call, learned from calls that
/// returned whole; per domain, so that it survives a new division of lists.
#[derive(Debug, Default)]
pub(super) struct Pace {
    per_domain: Option<Duration>,
    /// How long opening a connection took last.
    connecting: Duration,
}

impl Pace {
    /// Takes note of how long a connection took to open: next to nothing on
    /// this machine, seconds over ssh.
    pub fn learn_connecting(&mut self, took: Duration) {
        self.connecting = took.min(LONGEST_CONNECTING);
    }

    /// Takes note of a call over `members` domains that took `took`.
    pub fn learn(&mut self, members: usize, took: Duration) {
        let Some(cost) = took.checked_div(u32::try_from(members).unwrap_or(u32::MAX)) else { return };
        self.per_domain = Some(match self.per_domain {
            None => cost,
            // Slower is learned at once and faster slowly: a deadline that is
            // too short would call a slow host hung.
            Some(usual) if cost > usual => (usual + cost) / 2,
            Some(usual) => (usual * 7 + cost) / 8,
        });
    }

    /// Whether no call has returned whole yet.
    pub fn is_unsettled(&self) -> bool {
        self.per_domain.is_none()
    }

    /// How long to wait for a call over `members` domains. `fresh` readers
    /// open a connection and look the domains up first.
    pub fn patience(&self, members: usize, fresh: bool) -> Duration {
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        let warm_up = if fresh {
            Duration::from_millis(200)
                + Duration::from_millis(1).saturating_mul(members)
                + self.connecting * 2
        } else {
            Duration::ZERO
        };
        let usual = self
            .per_domain
            .map_or(UNKNOWN, |cost| cost.saturating_mul(members).saturating_mul(PATIENCE).max(SOONEST));
        usual + warm_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_the_usual_duration_within_its_bounds() {
        let mut pace = Pace::default();
        assert_eq!(pace.patience(40, false), UNKNOWN);
        pace.learn(10, Duration::from_millis(40));
        assert_eq!(pace.patience(10, false), SOONEST);
        assert_eq!(pace.patience(100, false), Duration::from_millis(1200));
        assert!(pace.patience(100, true) > pace.patience(100, false));
        pace.learn_connecting(Duration::from_secs(2));
        assert!(pace.patience(100, true) > pace.patience(100, false) + Duration::from_secs(4));
    }

    #[test]
    fn a_slow_host_lengthens_the_patience_at_once_and_a_fast_one_shortens_it_slowly() {
        let mut pace = Pace::default();
        pace.learn(100, Duration::from_millis(200));
        pace.learn(100, Duration::from_secs(4));
        let after_slow = pace.patience(100, false);
        assert!(after_slow > Duration::from_secs(6), "{after_slow:?}");
        pace.learn(100, Duration::from_millis(200));
        assert!(pace.patience(100, false) > after_slow / 2);
    }
}
