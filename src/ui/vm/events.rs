//! What happened to the VM, newest first.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Subject, rule};
use crate::{
    app::Pane,
    model::{Happening, name::storable, timeline::Weight},
    ui::{Look, glyph, text, theme::Severity},
};

/// `14:02:11`
const TIME: u16 = 8;

/// The sign and the ink of a happening.
pub fn sign(weight: Weight, look: &Look) -> (&'static str, Style) {
    let palette = &look.palette;
    match weight {
        Weight::Note => ("·", palette.text),
        Weight::Warning => (glyph::mark(Severity::Warn), palette.warn),
        Weight::Trouble => (glyph::mark(Severity::Critical), palette.crit),
    }
}

/// One happening on one line.
pub fn brief(happening: &Happening, look: &Look) -> Vec<(String, Style)> {
    let (sign, ink) = sign(happening.weight, look);
    let text = storable(&happening.text);
    vec![
        (format!("{} ", happening.at.hms()), look.palette.dim),
        (format!("{sign} {}", text::fit(&text, 40)), ink),
    ]
}

/// The selected happening, in full.
pub fn describe(subject: &Subject<'_>, cursor: usize) -> (String, Vec<String>, Vec<String>) {
    let Some(happening) = subject.domain.timeline.iter().rev().nth(cursor) else {
        return ("no events".into(), Vec::new(), Vec::new());
    };
    let ago = crate::ui::units::span(subject.app.now().since(happening.at));
    let text = storable(&happening.text).into_owned();
    (format!("{} UTC", happening.at.hms()), vec![text, format!("{ago} ago")], Vec::new())
}

/// Draws title and events.
pub fn render(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let selected = subject.selected(Pane::Events);
    let hint = vec![("UTC, newest first".to_owned(), palette.dim)];
    rule("events", &hint, selected.is_some(), subject.look, Rect { height: 1, ..area }, buf);
    for (line, happening) in subject.domain.timeline.iter().rev().enumerate() {
        let y = area.y.saturating_add(1).saturating_add(u16::try_from(line).unwrap_or(u16::MAX));
        if y >= area.bottom() {
            break;
        }
        if selected == Some(line) {
            buf.set_style(Rect { y, height: 1, ..area }, palette.selected);
            text::put(buf, area.x, y, 1, "▶", palette.accent);
        }
        let (sign, ink) = sign(happening.weight, subject.look);
        text::put(buf, area.x + 2, y, TIME, &happening.at.hms(), palette.dim);
        text::put(buf, area.x + 3 + TIME, y, 1, sign, ink);
        let room = area.width.saturating_sub(6 + TIME);
        let happened = storable(&happening.text);
        text::put(buf, area.x + 5 + TIME, y, room, &text::fit(&happened, room), ink);
    }
}
