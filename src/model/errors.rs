//! The last errors of a part of the program, each with how often it came.

use serde::{Deserialize, Serialize};

use super::WallTime;

/// Different errors kept of each part.
const MOST: usize = 5;
/// Characters kept of an error.
const CHARACTERS: usize = 500;

/// An error that came once or more often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedError {
    /// What failed, on what, and what to do next.
    pub text: String,
    /// How often it came.
    pub count: u64,
    /// When it came first.
    pub first: WallTime,
    /// When it came last.
    pub last: WallTime,
}

/// The last different errors, the latest first. Bounded: one that comes anew
/// makes the one go that was not met for the longest time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastErrors {
    total: u64,
    latest: Vec<CountedError>,
}

impl LastErrors {
    /// Takes note of an error at `at`.
    pub fn note(&mut self, at: WallTime, text: &str) {
        self.total += 1;
        let end = text.char_indices().nth(CHARACTERS).map_or(text.len(), |(end, _)| end);
        let text = &text[..end];
        if let Some(place) = self.latest.iter().position(|error| error.text == text) {
            self.latest[..=place].rotate_right(1);
            self.latest[0].count += 1;
            self.latest[0].last = at;
        } else {
            self.latest.truncate(MOST - 1);
            self.latest.insert(0, CountedError { text: text.to_owned(), count: 1, first: at, last: at });
        }
    }

    /// All that were noted, those that are no longer listed too.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The errors, the latest first.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CountedError> {
        self.latest.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errors: &LastErrors) -> Vec<(&str, u64, i64, i64)> {
        errors.iter().map(|e| (e.text.as_str(), e.count, e.first.0, e.last.0)).collect()
    }

    #[test]
    fn the_same_error_is_counted_and_comes_to_the_front() {
        let mut errors = LastErrors::default();
        for (at, text) in [(1, "refused"), (2, "timed out"), (5, "refused"), (9, "refused")] {
            errors.note(WallTime(at), text);
        }
        assert_eq!(told(&errors), [("refused", 3, 1, 9), ("timed out", 1, 2, 2)]);
        assert_eq!(errors.total(), 4);
    }

    #[test]
    fn only_the_last_different_ones_are_kept_and_none_is_long() {
        let mut errors = LastErrors::default();
        for at in 0..100 {
            errors.note(WallTime(at), &format!("{at} {}", "ä".repeat(1000)));
        }
        let kept: Vec<i64> = errors.iter().map(|error| error.last.0).collect();
        assert_eq!(kept, [99, 98, 97, 96, 95]);
        assert_eq!(errors.total(), 100);
        assert!(errors.iter().all(|error| error.text.chars().count() == CHARACTERS));
    }
}
