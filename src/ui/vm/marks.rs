//! The line beneath the sparklines: a mark in the column in which something
//! happened to the VM, and the words of what happened last.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Subject, events};
use crate::{
    app::{Pane, Window},
    model::{Happening, name::storable},
    ui::{text, units},
};

/// Draws the newest event's words into `words`, and the marks into `spark`.
pub fn render(subject: &Subject<'_>, window: &Window, words: Rect, spark: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let column = |happening: &Happening| subject.app.series().column_at(happening.at, window);
    let seen = subject.domain.timeline.iter().filter_map(|happening| Some((column(happening)?, happening)));
    let mut newest = None;
    // The gravest of those that share a column is drawn.
    let mut marks: Vec<(u16, &Happening)> = Vec::new();
    for (column, happening) in seen {
        newest = Some(happening);
        match marks.iter_mut().find(|(marked, _)| *marked == column) {
            Some((_, graver)) if graver.weight > happening.weight => {}
            Some((_, mark)) => *mark = happening,
            None => marks.push((column, happening)),
        }
    }
    let room = words.width.saturating_sub(1);
    let Some(newest) = newest else {
        let none = format!("none in the last {}", units::whole_span(subject.app.span()));
        text::put(buf, words.x, words.y, room, &none, palette.faint);
        return;
    };
    let (sign, ink) = events::sign(newest.weight, subject.look);
    let x = text::put(buf, words.x, words.y, room, &format!("{} ", newest.at.hms()), palette.dim);
    let told = format!("{sign} {}", storable(&newest.text));
    text::put(buf, x, words.y, (words.x + room).saturating_sub(x), &told, ink);
    let selected = subject
        .selected(Pane::Events)
        .and_then(|line| subject.domain.timeline.iter().rev().nth(line))
        .and_then(column);
    for (column, mark) in marks {
        let (sign, ink) = events::sign(mark.weight, subject.look);
        let ink = if selected == Some(column) { ink.patch(palette.selected) } else { ink };
        text::put(buf, spark.x + column, spark.y, 1, sign, ink);
    }
}
