//! How long to wait before a request is repeated: full jitter, so that many
//! hosts do not come back to a recovering server in step.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

/// The shortest wait.
pub const SHORTEST: Duration = Duration::from_millis(250);
/// The longest wait.
pub const LONGEST: Duration = Duration::from_mins(1);

/// The wait before repetition `attempt` (from 0): evenly spread between
/// [`SHORTEST`] and a bound that doubles with each attempt up to [`LONGEST`].
/// `random` is any evenly spread number.
#[must_use]
pub fn backoff(attempt: u32, random: u64) -> Duration {
    let bound = SHORTEST.saturating_mul(2_u32.saturating_pow(attempt.saturating_add(1))).min(LONGEST);
    let spread = u64::try_from(bound.saturating_sub(SHORTEST).as_millis()).unwrap_or(u64::MAX);
    SHORTEST + Duration::from_millis(random % (spread + 1))
}

/// A small source of numbers that are random enough to keep hosts apart.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Seeded by the standard library's own random keys.
    pub(super) fn new() -> Self {
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    /// The next number (xorshift64).
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bound_doubles_and_ends_at_a_minute() {
        let longest = |attempt| (0..100_000).map(|random| backoff(attempt, random)).max().unwrap();
        assert_eq!(longest(0), Duration::from_millis(500));
        assert_eq!(longest(1), Duration::from_secs(1));
        assert_eq!(longest(4), Duration::from_secs(8));
        assert_eq!(longest(7), LONGEST);
        assert_eq!(longest(u32::MAX), LONGEST);
    }

    #[test]
    fn waits_are_spread_over_the_whole_span() {
        let mut random = Random::new();
        let waits: Vec<_> = (0..1000).map(|_| backoff(20, random.next())).collect();
        let below = |limit: u64| waits.iter().filter(|wait| wait.as_secs() < limit).count();
        assert!(
            (100..500).contains(&below(15)) && (400..900).contains(&below(40)),
            "{} {}",
            below(15),
            below(40)
        );
    }

    proptest! {
        #[test]
        fn every_wait_is_within_bounds(attempt: u32, random: u64) {
            let wait = backoff(attempt, random);
            prop_assert!((SHORTEST..=LONGEST).contains(&wait));
        }
    }
}
