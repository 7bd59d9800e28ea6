//! The last line: the keys that matter here, from the one table, or a word
//! to the operator.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Look, text, text::Strip};
use crate::app::{Action, App, Mode, Overlay, Target, bindings};

/// Rank of words that give way to the keys of a question.
const ASIDE: u8 = u8::MAX;

/// The footer, ready to draw.
pub struct Footer {
    strip: Strip,
    /// What the pieces that are keys do, by their number in the strip.
    actions: Vec<(usize, Action)>,
}

impl Footer {
    /// The footer of `app`.
    #[must_use]
    pub fn of(app: &App, look: &Look) -> Self {
        let palette = &look.palette;
        let mode = app.mode();
        let mut strip = Strip::new(2);
        let mut actions = Vec::new();
        if let Some(input) = app.filter_input().filter(|_| matches!(mode, Mode::Filter | Mode::Search)) {
            strip.left(
                0,
                vec![
                    ("/".into(), palette.accent),
                    (with_cursor(input.value(), input.cursor()), palette.strong),
                ],
            );
            if input.value().is_empty() && mode == Mode::Filter {
                strip.left(3, vec![("name, uuid or state:paused".into(), palette.faint)]);
            }
        } else if let Some(notice) = app.notice() {
            // Set apart from the keys after it.
            strip.left(0, vec![(notice.to_owned(), palette.strong), (" │".into(), palette.faint)]);
        }
        if app.overlay() == Overlay::StopQuestion {
            let question = "Stop the agent's collection, for everybody?";
            strip.left(0, vec![(question.into(), palette.banner_warn)]);
            strip.left(ASIDE, vec![("nothing is recorded until it is started again".into(), palette.strong)]);
        } else if mode == Mode::Question {
            let waiting = super::units::count(app.delivery().waiting_in_memory);
            strip.left(0, vec![(format!("Quit and lose {waiting} lines?"), palette.banner_crit)]);
            strip.left(ASIDE, vec![("nothing delivers them".into(), palette.strong)]);
        }
        if mode == Mode::Export {
            strip.left(0, vec![("export".into(), palette.strong)]);
            let what = "what is shown, into the working directory";
            strip.left(ASIDE, vec![(what.into(), palette.strong)]);
        }
        let mut rank = 3;
        for binding in bindings(mode) {
            // On the fleet there is nowhere to go back to without a filter.
            if binding.action == Action::Back
                && matches!(mode, Mode::Fleet | Mode::Cards)
                && app.fleet().filter().is_empty()
            {
                continue;
            }
            let label = if app.is_on(binding.action) { binding.label_on } else { binding.label };
            let Some(key) = binding.keys.first().filter(|_| !label.is_empty()) else { continue };
            let parts = vec![(key.to_string(), palette.accent), (format!(" {label}"), palette.dim)];
            actions.push((strip.added(), binding.action));
            if matches!(binding.action, Action::Help | Action::Quit) {
                strip.right(1, parts);
            } else if app.frozen_at().is_some() && Action::IN_TIME.contains(&binding.action) {
                // The way back to now is the last to go.
                strip.left(2, parts);
            } else {
                strip.left(rank, parts);
                rank += 1;
            }
        }
        Self { strip, actions }
    }

    /// Draws it; every key in it can be clicked.
    pub fn render(self, area: Rect, buf: &mut Buffer, targets: &mut Vec<(Rect, Target)>) {
        let places = self.strip.place(buf, area.x + 1, area.y, area.width.saturating_sub(2));
        targets.extend(places.into_iter().filter_map(|(number, place)| {
            let (_, action) = self.actions.iter().find(|(key, _)| *key == number)?;
            Some((place, Target::Key(*action)))
        }));
    }
}

/// The text with a bar at the cursor; what is left of a long text is cut.
fn with_cursor(value: &str, cursor: usize) -> String {
    let before: String = value.chars().take(cursor).collect();
    let after: String = value.chars().skip(cursor).collect();
    let mut before = before.as_str();
    while text::width(before) > 30 {
        let mut chars = before.chars();
        chars.next();
        before = chars.as_str();
    }
    format!("{before}▏{}", text::fit(&after, 12))
}
