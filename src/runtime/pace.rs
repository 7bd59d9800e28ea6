//! When the screen is drawn: for news at most thirty times a second, once a
//! second while nobody looks, and never without anything new.

use std::time::Duration;

use tokio::time::Instant;

/// At most this often is the screen drawn for news.
const DRAW_EVERY: Duration = Duration::from_millis(33);
/// At most this often is it drawn for input: fast typing never waits, a flood
/// of pasted text or wheel turns is drawn in few steps.
const ANSWER_EVERY: Duration = Duration::from_millis(10);
/// As often while another window has the focus: the screen may still be seen,
/// and the program at work there deserves the line.
const UNFOCUSED: Duration = Duration::from_secs(1);

/// What was drawn when, and what waits to be drawn.
#[derive(Debug)]
pub(super) struct Pace {
    drawn: Instant,
    /// The last draw that something was pressed for.
    answered: Instant,
    asked: bool,
    changed: bool,
}

impl Pace {
    /// The screen was drawn at `now` for the first time.
    pub(super) fn new(now: Instant) -> Self {
        Self { drawn: now, answered: now, asked: false, changed: false }
    }

    /// There is something new to draw, or not.
    pub(super) fn news(&mut self, changed: bool) {
        self.changed |= changed;
    }

    /// The terminal sent something: a key, a click, its new size. It does not
    /// wait for a draw that was not for it.
    pub(super) fn ask(&mut self) {
        self.asked = true;
    }

    /// When to draw next; `None`: there is nothing to draw.
    pub(super) fn due(&self, focused: bool) -> Option<Instant> {
        self.changed.then(|| match (self.asked, focused) {
            (true, _) => self.answered + ANSWER_EVERY,
            (false, true) => self.drawn + DRAW_EVERY,
            (false, false) => self.drawn + UNFOCUSED,
        })
    }

    /// The screen was drawn at `now`.
    pub(super) fn drawn(&mut self, now: Instant) {
        self.drawn = now;
        if std::mem::take(&mut self.asked) {
            self.answered = now;
        }
        self.changed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_news_nothing_is_drawn() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.news(false);
        pace.ask();
        assert_eq!(pace.due(true), None);
        pace.news(true);
        assert_eq!(pace.due(true), Some(start + ANSWER_EVERY));
        pace.drawn(start + ANSWER_EVERY);
        assert_eq!(pace.due(true), None);
    }

    #[test]
    fn a_key_does_not_wait_for_a_draw_that_was_not_for_it() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let later = start + Duration::from_secs(5);
        pace.news(true);
        pace.drawn(later);
        pace.news(true);
        assert_eq!(pace.due(true), Some(later + DRAW_EVERY));
        pace.ask();
        assert!(pace.due(true).unwrap() < later, "at once");
        pace.drawn(later);
        pace.news(true);
        pace.ask();
        assert_eq!(pace.due(true), Some(later + ANSWER_EVERY), "held keys do not flood the line");
    }

    #[test]
    fn without_the_focus_news_waits_and_keys_do_not() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.news(true);
        assert_eq!(pace.due(false), Some(start + UNFOCUSED));
        // The focus comes back: that is something the terminal sent.
        pace.ask();
        assert_eq!(pace.due(true), Some(start + ANSWER_EVERY));
        assert_eq!(pace.due(false), Some(start + ANSWER_EVERY));
    }
}
